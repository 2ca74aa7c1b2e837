//! Batches, partitions and sequences.

use std::num::{NonZeroU64, NonZeroUsize};

use levain::prelude::*;

use super::{Size, check, numbers};

fn sizes(batches: &PCollection<(i64, Vec<String>)>) -> PCollection<((i64, u64), u64)> {
    let sizes = |(key, batch): (i64, Vec<String>)| (key, batch.len() as u64);
    batches.apply(Map::of(sizes)).apply(Count::per_element())
}

#[test]
fn batches_are_full_but_for_the_last_also_of_groups_larger_than_memory() {
    let seven = NonZeroUsize::new(7).expect("not zero");
    let bytes = NonZeroU64::new(2500).expect("not zero");
    for (limits, want) in [
        // 300 texts a key: 42 times seven and six.
        (
            GroupIntoBatches::of_size(seven),
            [((0, 7), 42), ((0, 6), 1), ((1, 7), 42), ((1, 6), 1)].to_vec(),
        ),
        // Two texts of 1000 bytes fit.
        (GroupIntoBatches::of_byte_size(bytes), [((0, 2), 150), ((1, 2), 150)].to_vec()),
    ] {
        check(
            Size::Large,
            |pipeline| {
                let name = |n: i64| format!("{n:01000}");
                let pairs =
                    numbers(pipeline, 0..600).apply(Map::of(move |n: i64| (n % 2, name(n))));
                sizes(&pairs.apply(limits))
            },
            want,
        );
    }
}

#[test]
fn a_value_is_in_one_batch() {
    let three = NonZeroUsize::new(3).expect("not zero");
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = numbers(pipeline, 0..50).apply(WithKeys::of(|n: &i64| n % 4));
            let batches = pairs.apply(GroupIntoBatches::of_size(three)).apply(Values);
            batches.apply(FlatMap::of(|batch: Vec<i64>| batch))
        },
        0..50,
    );
}

#[test]
fn parts_are_told_apart() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = pipeline.apply(GenerateSequence::from(0).to(20).expect("runs forwards"));
            let parts = all.apply(Partition::of(3, |n: &i64| (n % 3) as usize));
            let named = parts
                .iter()
                .enumerate()
                .map(|(index, part)| part.apply(Map::of(move |n: i64| (index as u64, n))));
            let mut list = PCollectionList::empty(pipeline);
            named.for_each(|part| list.push(&part));
            list.apply(Flatten)
        },
        (0..20).map(|n| (n as u64 % 3, n)),
    );
}

#[test]
fn a_sequence_has_every_integer_once() {
    check(
        Size::Tiny,
        |pipeline| pipeline.apply(GenerateSequence::from(-1000).to(1500).expect("runs forwards")),
        -1000..1500,
    );
}
