//! Beam's `CoGroupByKeyTest`, row GB10 of the table in the specification, and joins.

use dataflow::coder::{Coder, Context, decode_all};
use dataflow::prelude::Element;
use dataflow::prelude::{Create, Iterable, PCollection, Pipeline};

use super::check;
use crate::{CoGroupByKey, FullJoin, InnerJoin, LeftJoin, Map, RightJoin, TaggedIterable};

fn pairs(pipeline: &Pipeline, pairs: &[(i64, &str)]) -> PCollection<(i64, String)> {
    pipeline.apply(Create::of(pairs.iter().map(|(key, value)| (*key, (*value).to_owned()))))
}

fn sorted<V: Element + Ord>(values: &TaggedIterable<V>) -> Vec<V> {
    let mut sorted: Vec<V> = values.iter().collect();
    sorted.sort();
    assert_eq!(values.iter().count(), sorted.len(), "they are read twice");
    assert_eq!(values.is_empty(), sorted.is_empty());
    sorted
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

const NAMES: [(i64, &str); 5] = [(1, "ann"), (2, "bob"), (2, "bert"), (4, "dora"), (9, "zoe")];

#[test]
fn gb10_two_inputs_with_keys_that_one_of_them_lacks() {
    type Both = (i64, (TaggedIterable<String>, TaggedIterable<i64>));
    let pipeline = Pipeline::new();
    let ages = pipeline.apply(Create::of([(2i64, 20i64), (4, 40), (4, 41), (7, 70)]));
    let groups = pairs(&pipeline, &NAMES).apply(CoGroupByKey::with(&ages));
    let sorted =
        groups.apply(Map::of(|(key, (names, ages)): Both| (key, sorted(&names), sorted(&ages))));
    check(
        &sorted,
        &[
            (1, owned(&["ann"]), vec![]),
            (2, owned(&["bert", "bob"]), vec![20]),
            (4, owned(&["dora"]), vec![40, 41]),
            (7, vec![], vec![70]),
            (9, owned(&["zoe"]), vec![]),
        ],
    );
}

#[test]
fn gb10_three_and_four_inputs_of_different_types() {
    type Names = TaggedIterable<String>;
    type Four = (Names, TaggedIterable<i64>, TaggedIterable<bool>, Names);
    type Three = (i64, (TaggedIterable<String>, TaggedIterable<i64>, TaggedIterable<bool>));
    let pipeline = Pipeline::new();
    let names = pairs(&pipeline, &[(1, "ann"), (2, "bob")]);
    let ages = pipeline.apply(Create::of([(2i64, 20i64)]));
    let claims = pipeline.apply(Create::of([(2i64, true), (3, false)]));
    let three = names.apply(CoGroupByKey::with(&ages).and(&claims));
    let three =
        three.apply(Map::of(|(key, (a, b, c)): Three| (key, sorted(&a), sorted(&b), sorted(&c))));
    check(
        &three,
        &[
            (1, owned(&["ann"]), vec![], vec![]),
            (2, owned(&["bob"]), vec![20], vec![true]),
            (3, vec![], vec![], vec![false]),
        ],
    );
    // The fourth has the type of the first: tags, not types, tell inputs apart.
    let others = pairs(&pipeline, &[(2, "ben"), (4, "eve")]);
    let four = names.apply(CoGroupByKey::with(&ages).and(&claims).and(&others));
    let four = four.apply(Map::of(|(key, (a, b, c, d)): (i64, Four)| {
        (key, sorted(&a), b.iter().count() + c.iter().count(), sorted(&d))
    }));
    check(
        &four,
        &[
            (1, owned(&["ann"]), 0, vec![]),
            (2, owned(&["bob"]), 2, owned(&["ben"])),
            (3, vec![], 1, vec![]),
            (4, vec![], 0, owned(&["eve"])),
        ],
    );
}

#[test]
fn a_collection_is_grouped_with_itself() {
    let names = pairs(&Pipeline::new(), &[(1, "ann")]);
    let both = names.apply(CoGroupByKey::with(&names));
    type Both = (i64, (TaggedIterable<String>, TaggedIterable<String>));
    let both = both.apply(Map::of(|(key, (a, b)): Both| (key, sorted(&a), sorted(&b))));
    check(&both, &[(1, owned(&["ann"]), owned(&["ann"]))]);
}

#[test]
fn tagged_values_have_the_bytes_of_an_iterable() {
    let (coder, mut bytes) = (<TaggedIterable<i64>>::coder(), Vec::new());
    Iterable::<i64>::coder()
        .encode(&Iterable::of(&[7, 300]).expect("can be encoded"), Context::Outer, &mut bytes)
        .expect("can be encoded");
    let tagged = decode_all(&coder, &bytes).expect("is an iterable");
    assert_eq!(tagged.iter().collect::<Vec<i64>>(), [7, 300]);
    let mut again = Vec::new();
    coder.encode(&tagged, Context::Outer, &mut again).expect("can be encoded");
    assert_eq!(again, bytes);
    assert!(decode_all(&coder, &bytes[..bytes.len() - 1]).is_err());
}

type Texts = PCollection<(i64, String)>;

fn left_and_right() -> (Texts, Texts) {
    let pipeline = Pipeline::new();
    let left = pairs(&pipeline, &[(1, "a"), (2, "b"), (2, "c")]);
    (left, pairs(&pipeline, &[(2, "x"), (2, "y"), (3, "z")]))
}

#[test]
fn an_inner_join_pairs_what_has_a_partner() {
    let (left, right) = left_and_right();
    let pair = |a: &str, b: &str| (2, (a.to_owned(), b.to_owned()));
    let want = [pair("b", "x"), pair("b", "y"), pair("c", "x"), pair("c", "y")];
    check(&left.apply(InnerJoin::with(&right)), &want);
}

#[test]
fn outer_joins_keep_what_has_none() {
    let (left, right) = left_and_right();
    let some = |text: &str| Some(text.to_owned());
    let both = [("b", "x"), ("b", "y"), ("c", "x"), ("c", "y")];
    let want = both.map(|(a, b)| (2, (a.to_owned(), some(b)))).into_iter();
    let want: Vec<_> = want.chain([(1, ("a".to_owned(), None))]).collect();
    check(&left.apply(LeftJoin::with(&right)), &want);
    let want = both.map(|(a, b)| (2, (some(a), b.to_owned()))).into_iter();
    let want: Vec<_> = want.chain([(3, (None, "z".to_owned()))]).collect();
    check(&left.apply(RightJoin::with(&right)), &want);
    let want = both.map(|(a, b)| (2, (some(a), some(b)))).into_iter();
    let want: Vec<_> = want.chain([(1, (some("a"), None)), (3, (None, some("z")))]).collect();
    check(&left.apply(FullJoin::with(&right)), &want);
}

#[test]
fn a_join_pairs_more_than_one_block() {
    // 300 left values of one kilobyte take five blocks.
    let pipeline = Pipeline::new();
    let left = pipeline.apply(Create::of((0..300i64).map(|n| (0i64, format!("{n:01000}")))));
    let right = pipeline.apply(Create::of([(0i64, 1i64), (0, 2)]));
    let pairs = left.apply(InnerJoin::with(&right));
    let sums = pairs.apply(Map::of(|(_, (text, n)): (i64, (String, i64))| {
        text.parse::<i64>().map_or(0, |value| value * n)
    }));
    let want: Vec<i64> = (0..300).flat_map(|n| [n, 2 * n]).collect();
    check(&sums, &want);
}
