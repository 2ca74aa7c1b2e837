//! GroupByKey, and joins that are made of it.

use super::Case;
use super::case::expect_failure;
use super::functions::{Odd, keyed, sorted, texts};
use crate::capability::Capability::GroupByKey as Group;
use crate::element::Element;
use crate::error::{ErrorCode, Result};
use crate::pcollection::{PCollection, PCollectionList};
use crate::primitives::{Create, Flatten, GroupByKey};
use crate::runner::Runner;
use crate::shuffle::Iterable;
use crate::testing::{TestPipeline, assert_that, map};

pub(super) const CASES: &[Case] = &[
    Case::new("GB1", "all values of each key come together", Group, groups),
    Case::new("GB2", "nothing has no groups", Group, empty),
    Case::new(
        "GB3",
        "keys are equal if their encodings are, whatever `==` says",
        Group,
        odd_equality,
    ),
    Case::new("GB4", "nulls, units, texts and tuples are keys", Group, kinds_of_keys),
    Case::new("GB5", "keys may have many bytes", Group, large_keys),
    Case::new("GB6", "a key may have many values, which are read twice", Group, many_values),
    Case::new("GB7", "elements and keys without bytes are kept", Group, no_bytes),
    Case::new(
        "GB8",
        "keys whose encodings may differ are refused by name",
        Group,
        not_deterministic,
    ),
    Case::new("GB9", "what one consumer does with a group no other sees", Group, not_shared),
    Case::new(
        "GB10",
        "two to four inputs are joined by key, whichever of them has it",
        Group,
        joined,
    ),
];

fn groups(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = keyed([
        ("k1", 3),
        ("k5", i64::MAX),
        ("k5", i64::MIN),
        ("k2", 66),
        ("k1", 4),
        ("k2", -33),
        ("k3", 0),
    ]);
    let groups = pipeline.apply(Create::of(pairs)).apply(GroupByKey);
    assert_that(&sorted(&groups)).contains_in_any_order(keyed([
        ("k1", vec![3, 4]),
        ("k5", vec![i64::MIN, i64::MAX]),
        ("k2", vec![-33, 66]),
        ("k3", vec![0]),
    ]));
    pipeline.run().map(drop)
}

fn empty(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let none = pipeline.apply(Create::<(String, i64)>::of([]));
    assert_that(&sorted(&none.apply(GroupByKey))).is_empty();
    pipeline.run().map(drop)
}

fn odd_equality(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = (0..50i64).map(|n| (Odd(n % 5), n));
    let groups = pipeline.apply(Create::of(pairs)).apply(GroupByKey);
    let counts = groups.apply(map(|(key, values): (Odd, Iterable<i64>)| {
        let is_whole = values.iter().all(|n| n % 5 == key.0);
        format!("{}: {}, {is_whole}", key.0, values.len())
    }));
    assert_that(&counts).contains_in_any_order((0..5).map(|key| format!("{key}: 10, true")));
    pipeline.run().map(drop)
}

/// Groups two values under each of two keys.
fn check_keys<K: Element + PartialEq>(pipeline: &TestPipeline<'_>, first: K, second: K) {
    let pairs = [(first.clone(), 1i64), (second.clone(), 2), (first.clone(), 3)];
    let groups = pipeline.apply(Create::of(pairs)).apply(GroupByKey);
    assert_that(&sorted(&groups)).contains_in_any_order([(first, vec![1, 3]), (second, vec![2])]);
}

fn kinds_of_keys(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    check_keys(&pipeline, None, Some(0i64));
    check_keys(&pipeline, Some(()), None);
    check_keys(&pipeline, String::new(), "é".to_owned());
    check_keys(&pipeline, (1i64, "b".to_owned()), (1, "a".to_owned()));
    check_keys(&pipeline, (1i64, true, vec![2u8]), (1, true, vec![]));
    check_keys(&pipeline, u64::MAX, 0);
    check_keys(&pipeline, vec![Some(1i64), None], vec![None, Some(1)]);
    let units = pipeline.apply(Create::of([((), 2i64), ((), 1)])).apply(GroupByKey);
    assert_that(&sorted(&units)).is_singleton(((), vec![1, 2]));
    pipeline.run().map(drop)
}

fn large_keys(runner: &dyn Runner) -> Result<()> {
    for key_bytes in [10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20] {
        let pipeline = TestPipeline::on(runner);
        let letters = pipeline.apply(Create::of(texts(["a", "a", "b"])));
        let pairs = letters.apply(map(move |letter: String| (letter.repeat(key_bytes), 1i64)));
        let sizes = pairs.apply(GroupByKey).apply(map(|(key, values): (String, Iterable<i64>)| {
            format!("{} of {} bytes: {}", &key[..1], key.len(), values.len())
        }));
        let want = [("a", 2), ("b", 1)];
        let want = want.map(|(letter, count)| format!("{letter} of {key_bytes} bytes: {count}"));
        assert_that(&sizes).contains_in_any_order(want);
        pipeline.run()?;
    }
    Ok(())
}

fn many_values(runner: &dyn Runner) -> Result<()> {
    const VALUES: i64 = 60_000;
    let pipeline = TestPipeline::on(runner);
    let pairs = pipeline.apply(Create::of(0..VALUES)).apply(map(|n: i64| ((), n)));
    let sums = pairs.apply(GroupByKey).apply(map(|(_, values): ((), Iterable<i64>)| {
        let (first, second) = (values.iter().sum::<i64>(), values.iter().sum::<i64>());
        format!("{} values: {first}, {second}", values.len())
    }));
    let sum = VALUES * (VALUES - 1) / 2;
    assert_that(&sums).is_singleton(format!("{VALUES} values: {sum}, {sum}"));
    pipeline.run().map(drop)
}

fn no_bytes(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let none = Vec::<u8>::new();
    let pairs = [(none.clone(), none.clone()), (vec![0], none.clone()), (none.clone(), vec![0])];
    let groups = pipeline.apply(Create::of(pairs)).apply(GroupByKey);
    let want = [(none.clone(), vec![none.clone(), vec![0]]), (vec![0], vec![none])];
    assert_that(&sorted(&groups)).contains_in_any_order(want);
    pipeline.run().map(drop)
}

fn not_deterministic(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    pipeline.apply(Create::of([(0.0f64, 1i64)])).apply_named("ByFloat", GroupByKey);
    let words = ["double", "ByFloat", "group.rs:"];
    expect_failure(pipeline.run(), ErrorCode::KEY_NOT_DETERMINISTIC, &words).map(drop)
}

fn not_shared(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pipeline.apply(Create::of(keyed([("a", vec![2i64, 1]), ("a", vec![3])])));
    let groups = pairs.apply(GroupByKey);
    let emptied = groups.apply_named(
        "Empty",
        map(|group: (String, Iterable<Vec<i64>>)| {
            let mut lists: Vec<Vec<i64>> = group.1.iter().collect();
            lists.iter_mut().for_each(Vec::clear);
            lists.len() as i64
        }),
    );
    assert_that(&emptied).is_singleton(2);
    let want = ("a".to_owned(), vec![vec![2, 1], vec![3]]);
    assert_that(&sorted(&groups)).is_singleton(want);
    pipeline.run().map(drop)
}

/// The values of each key, input by input.
fn co_group(inputs: &[PCollection<(String, String)>]) -> PCollection<(String, Vec<Vec<String>>)> {
    let input_count = inputs.len();
    let marked = inputs.iter().enumerate().map(|(input, pairs)| {
        let mark = map(move |(key, value): (String, String)| (key, (input as i64, value)));
        pairs.apply(mark)
    });
    let mut list = PCollectionList::empty(inputs[0].pipeline());
    marked.for_each(|pairs| list.push(&pairs));
    list.apply(Flatten).apply(GroupByKey).apply(map(
        move |(key, values): (String, Iterable<(i64, String)>)| {
            let mut of_inputs = vec![Vec::new(); input_count];
            values.iter().for_each(|(input, value)| of_inputs[input as usize].push(value));
            of_inputs.iter_mut().for_each(|values| values.sort());
            (key, of_inputs)
        },
    ))
}

fn joined(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let input = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        pipeline.apply(Create::of(pairs.collect::<Vec<_>>()))
    };
    let inputs = [
        input(&[("1", "a"), ("2", "b"), ("2", "c")]),
        input(&[("2", "x"), ("3", "y")]),
        input(&[]),
        input(&[("4", "z")]),
    ];
    let row = |key: &str, values: &[&[&str]]| {
        let values = values.iter().map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        (key.to_owned(), values.collect::<Vec<Vec<String>>>())
    };
    assert_that(&co_group(&inputs[..2])).contains_in_any_order([
        row("1", &[&["a"], &[]]),
        row("2", &[&["b", "c"], &["x"]]),
        row("3", &[&[], &["y"]]),
    ]);
    assert_that(&co_group(&inputs)).contains_in_any_order([
        row("1", &[&["a"], &[], &[], &[]]),
        row("2", &[&["b", "c"], &["x"], &[], &[]]),
        row("3", &[&[], &["y"], &[], &[]]),
        row("4", &[&[], &[], &[], &["z"]]),
    ]);
    pipeline.run().map(drop)
}
