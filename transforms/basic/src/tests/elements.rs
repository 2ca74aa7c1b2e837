//! Transforms of single elements, partitions, batches and sequences.

use std::num::{NonZeroU64, NonZeroUsize};

use dataflow::prelude::{Create, GroupByKey, PCollection, Pipeline};
use dataflow::testing::ReferenceRunner;

use super::{check, numbers, texts};
use crate::{
    Count, GenerateSequence, GroupIntoBatches, Keys, KvSwap, Map, Partition, RegexFind,
    RegexFindAll, RegexMatches, RegexReplace, RegexSplit, ToStrings, Values, WithKeys,
};

fn lines<const N: usize>(lines: [&str; N]) -> PCollection<String> {
    Pipeline::new().apply(Create::of(texts(lines)))
}

#[test]
fn pairs_are_taken_apart_turned_and_made() {
    let pairs = Pipeline::new().apply(Create::of([("a".to_owned(), 1i64), ("b".to_owned(), 2)]));
    check(&pairs.apply(Keys), &texts(["a", "b"]));
    check(&pairs.apply(Values), &[1, 2]);
    check(&pairs.apply(KvSwap), &[(1, "a".to_owned()), (2, "b".to_owned())]);
    let keyed = lines(["a", "bcd"]).apply(WithKeys::of(|word: &String| word.len() as u64));
    check(&keyed, &[(1, "a".to_owned()), (3, "bcd".to_owned())]);
}

#[test]
fn a_partition_takes_every_element_once() {
    let parts = numbers(&[0, 1, 2, 3, 4, 5, 6]).apply(Partition::of(3, |n: &i64| (n % 3) as usize));
    check(&parts[0], &[0, 3, 6]);
    check(&parts[1], &[1, 4]);
    check(&parts[2], &[2, 5]);
    let alone = numbers(&[1]).apply(Partition::of(12, |_: &i64| 11));
    check(&alone[11], &[1]);
    check(&alone[10], &[]);
}

#[test]
fn an_index_out_of_range_names_its_element() {
    for count in [0, 3] {
        let all = numbers(&[0, 7]);
        all.apply(Partition::of(count, move |n: &i64| *n as usize + count));
        let error = all.pipeline().run(&ReferenceRunner).expect_err("there is no such part");
        let text = error.to_string();
        assert!(text.contains(&format!("partition {count} is asked for, of {count}")), "{text}");
        assert_eq!(error.place("element"), Some("0"));
    }
}

#[test]
fn patterns_match_find_replace_and_split() {
    let of = || lines(["a=1", "x a=23 b=4", ""]);
    let pattern = "([a-z])=([0-9]+)";
    let apply =
        |found: dataflow::prelude::Result<RegexMatches>| of().apply(found.expect("is a pattern"));
    check(&apply(RegexMatches::of(pattern)), &texts(["a=1"]));
    check(&apply(RegexMatches::of(pattern).and_then(|it| it.with_group(2))), &texts(["1"]));
    // An alternative must not end what is anchored.
    check(&apply(RegexMatches::of("a|a=1")), &texts(["a=1"]));
    let find = RegexFind::of(pattern).and_then(|it| it.with_group(2)).expect("is a pattern");
    check(&of().apply(find), &texts(["1", "23"]));
    let all = RegexFindAll::of(pattern).expect("is a pattern");
    check(&of().apply(all), &texts(["a=1", "a=23", "b=4"]));
    let replace = RegexReplace::all(pattern, "$2:$1").expect("is a pattern");
    check(&of().apply(replace), &texts(["1:a", "x 23:a 4:b", ""]));
    let replace = RegexReplace::first(pattern, "-").expect("is a pattern");
    check(&of().apply(replace), &texts(["-", "x - b=4", ""]));
    let split = RegexSplit::of("[ =]").expect("is a pattern");
    check(&of().apply(split), &texts(["a", "1", "x", "a", "23", "b", "4"]));
}

#[test]
fn what_is_no_pattern_is_refused() {
    let error = RegexMatches::of("(a").expect_err("a group is not closed");
    assert!(error.message().contains("`(a` is no regular expression"), "{error}");
    let error = RegexFind::of("(a)").and_then(|it| it.with_group(2)).expect_err("one group");
    assert!(error.message().contains("`(a)` has no group 2"), "{error}");
}

#[test]
fn elements_become_texts() {
    check(&numbers(&[1, -2]).apply(ToStrings::elements()), &texts(["1", "-2"]));
    let pairs = numbers(&[1, 2]).apply(Map::of(|n: i64| (n, n * n)));
    check(&pairs.apply(ToStrings::kvs(":")), &texts(["1:1", "2:4"]));
    let lists = numbers(&[0, 1, 3]).apply(Map::of(|n: i64| (0..n).collect::<Vec<i64>>()));
    check(&lists.apply(ToStrings::iterables(", ")), &texts(["", "0", "0, 1, 2"]));
    let ones = numbers(&[5, 5]).apply(WithKeys::of(|_: &i64| 0i64)).apply(GroupByKey);
    check(&ones.apply(Values).apply(ToStrings::iterables("+")), &texts(["5+5"]));
}

/// How many batches there are of each size, by key.
fn sizes<K: dataflow::prelude::Element>(
    batches: &PCollection<(K, Vec<String>)>,
) -> PCollection<((K, usize), u64)> {
    let sizes = batches.apply(Map::of(|(key, batch): (K, Vec<String>)| (key, batch.len())));
    sizes.apply(Count::per_element())
}

fn words(per_key: [i64; 2], length: usize) -> PCollection<(i64, String)> {
    let of_key =
        move |key: i64| (0..per_key[key as usize]).map(move |n| (key, format!("{n:0length$}")));
    Pipeline::new().apply(Create::of((0..2).flat_map(of_key)))
}

#[test]
fn re5_batches_are_full_but_for_the_last() {
    let three = NonZeroUsize::new(3).expect("not zero");
    let batches = words([10, 3], 4).apply(GroupIntoBatches::of_size(three));
    check(&sizes(&batches), &[((0, 3), 3), ((0, 1), 1), ((1, 3), 1)]);
}

#[test]
fn re5_batches_are_bounded_by_bytes() {
    let bytes = |bytes: u64| NonZeroU64::new(bytes).expect("not zero");
    let four = words([5, 1], 4);
    // Two of four bytes fit in nine.
    let batches = four.apply(GroupIntoBatches::of_byte_size(bytes(9)));
    check(&sizes(&batches), &[((0, 2), 2), ((0, 1), 1), ((1, 1), 1)]);
    // What is too large by itself is not left out.
    let batches = four.apply(GroupIntoBatches::of_byte_size(bytes(1)));
    check(&sizes(&batches), &[((0, 1), 5), ((1, 1), 1)]);
    let three = NonZeroUsize::new(3).expect("not zero");
    let both = GroupIntoBatches::of_size(three).with_max_bytes(bytes(100));
    check(&sizes(&four.apply(both)), &[((0, 3), 1), ((0, 2), 1), ((1, 1), 1)]);
}

fn sequence(start: i64, stop: i64) -> PCollection<i64> {
    Pipeline::new().apply(GenerateSequence::from(start).to(stop).expect("runs forwards"))
}

#[test]
fn a_sequence_has_every_integer_once() {
    check(&sequence(-2, 3), &[-2, -1, 0, 1, 2]);
    check(&sequence(5, 5), &[]);
    check(&sequence(0, 5000), &(0..5000).collect::<Vec<i64>>());
    check(&sequence(i64::MAX - 2, i64::MAX), &[i64::MAX - 2, i64::MAX - 1]);
}

#[test]
fn a_sequence_that_runs_backwards_is_refused() {
    let error = GenerateSequence::from(3).to(2).expect_err("backwards");
    assert!(error.message().contains("from 3 to 2 runs backwards"), "{error}");
}
