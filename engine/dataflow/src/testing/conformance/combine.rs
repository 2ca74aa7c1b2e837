//! CombinePerKey and CombineGlobally.

use super::Case;
use super::functions::{Mean, SortedDigits, Sum, keyed, pairs};
use crate::capability::Capability::Combine;
use crate::combine::CombineFn;
use crate::dofn::ProcessContext;
use crate::error::Result;
use crate::pcollection::PCollection;
use crate::primitives::{CombineGlobally, CombinePerKey, Create, GroupByKey};
use crate::runner::Runner;
use crate::shuffle::Iterable;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("CO1", "values are combined globally and per key", Combine, simple),
    Case::new("CO2", "sets are combined", Combine, sets),
    Case::new("CO3", "the accumulator may be another type than values and result", Combine, mean),
    Case::new(
        "CO4",
        "nothing combines to nothing per key, and globally to the default",
        Combine,
        empty,
    ),
    Case::new("CO5", "a hot key that is fanned out gives the same", Combine, fanned_out),
    Case::new("CO6", "combining grouped values may read a side input", Combine, with_side),
    Case::new("CO11", "combine functions are composed, nulls included", Combine, composed),
    Case::new(
        "CO12",
        "combining before the shuffle changes nothing, whatever is flushed",
        Combine,
        lifted,
    ),
    Case::new(
        "CO13",
        "accumulators are created, added to, merged and extracted, in order",
        Combine,
        life,
    ),
];

fn digits<const N: usize>(pairs: [(&str, &str); N]) -> [(String, String); N] {
    keyed(pairs.map(|(key, digits)| (key, digits.to_owned())))
}

fn simple(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pairs(&pipeline);
    let sum = pairs.apply(map(|(_, n): (String, i64)| n)).apply(CombineGlobally::of(Sum));
    assert_that(&sum).is_singleton(20);
    let per_key = pairs.apply(CombinePerKey::of(SortedDigits));
    assert_that(&per_key).contains_in_any_order(digits([("a", "114"), ("b", "113")]));
    pipeline.run().map(drop)
}

/// The set of all values, in order.
#[derive(Clone)]
struct Set;

impl CombineFn for Set {
    type In = i64;
    type Acc = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, set: &mut Vec<i64>, value: i64) {
        if let Err(place) = set.binary_search(&value) {
            set.insert(place, value);
        }
    }

    fn merge(&self, set: &mut Vec<i64>, other: Vec<i64>) {
        other.into_iter().for_each(|value| self.add(set, value));
    }

    fn extract(&self, set: Vec<i64>) -> Vec<i64> {
        set
    }
}

fn sets(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pairs(&pipeline);
    let all = pairs.apply(map(|(_, n): (String, i64)| n)).apply(CombineGlobally::of(Set));
    assert_that(&all).is_singleton(vec![1, 4, 13]);
    let want = keyed([("a", vec![1, 4]), ("b", vec![1, 13])]);
    assert_that(&pairs.apply(CombinePerKey::of(Set))).contains_in_any_order(want);
    pipeline.run().map(drop)
}

fn mean(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pairs(&pipeline);
    let all = pairs.apply(map(|(_, n): (String, i64)| n)).apply(CombineGlobally::of(Mean));
    assert_that(&all).is_singleton(4.0);
    let per_key = pairs.apply(CombinePerKey::of(Mean));
    assert_that(&per_key).contains_in_any_order(keyed([("a", 2.0), ("b", 7.0)]));
    pipeline.run().map(drop)
}

fn empty(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let none = pipeline.apply(Create::<i64>::of([]));
    let per_key = none.apply(map(|n: i64| ("k".to_owned(), n))).apply(CombinePerKey::of(Sum));
    assert_that(&per_key).is_empty();
    assert_that(&none.apply(CombineGlobally::of(Sum))).is_singleton(0);
    assert_that(&none.apply(CombineGlobally::of(Sum).without_default())).is_empty();
    pipeline.run().map(drop)
}

/// What a function accumulates, to be combined on.
#[derive(Clone)]
struct Accumulate<C>(C);

impl<C: CombineFn> CombineFn for Accumulate<C> {
    type In = C::In;
    type Acc = C::Acc;
    type Out = C::Acc;

    fn create(&self) -> C::Acc {
        self.0.create()
    }

    fn add(&self, accumulator: &mut C::Acc, value: C::In) {
        self.0.add(accumulator, value);
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.0.merge(accumulator, other);
    }

    fn extract(&self, accumulator: C::Acc) -> C::Acc {
        accumulator
    }
}

/// The result of what a function has accumulated in several places.
#[derive(Clone)]
struct MergeAll<C>(C);

impl<C: CombineFn> CombineFn for MergeAll<C> {
    type In = C::Acc;
    type Acc = C::Acc;
    type Out = C::Out;

    fn create(&self) -> C::Acc {
        self.0.create()
    }

    fn add(&self, accumulator: &mut C::Acc, value: C::Acc) {
        self.0.merge(accumulator, value);
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.0.merge(accumulator, other);
    }

    fn extract(&self, accumulator: C::Acc) -> C::Out {
        self.0.extract(accumulator)
    }
}

/// Combines the values of each key under `fan_out(key)` keys first.
fn combine_fanned_out<C: CombineFn<In = (i64, i64)>>(
    pairs: &PCollection<(String, (i64, i64))>,
    function: C,
    fan_out: fn(&str) -> i64,
) -> PCollection<(String, C::Out)> {
    let spread = pairs.apply(map(move |(key, value): (String, (i64, i64))| {
        let place = value.0 % fan_out(&key).max(1);
        ((key, place), value)
    }));
    let accumulated = spread.apply(CombinePerKey::of(Accumulate(function.clone())));
    let gathered = accumulated.apply(map(|((key, _), part): ((String, i64), C::Acc)| (key, part)));
    gathered.apply(CombinePerKey::of(MergeAll(function)))
}

/// The mean of numbers that carry a place to be spread by.
#[derive(Clone)]
struct MeanOfPlaced;

impl CombineFn for MeanOfPlaced {
    type In = (i64, i64);
    type Acc = (i64, i64);
    type Out = f64;

    fn create(&self) -> (i64, i64) {
        Mean.create()
    }

    fn add(&self, accumulator: &mut (i64, i64), value: (i64, i64)) {
        Mean.add(accumulator, value.1);
    }

    fn merge(&self, accumulator: &mut (i64, i64), other: (i64, i64)) {
        Mean.merge(accumulator, other);
    }

    fn extract(&self, accumulator: (i64, i64)) -> f64 {
        Mean.extract(accumulator)
    }
}

fn fanned_out(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let copies = pairs(&pipeline).apply(each(
        |(key, value): (String, i64), ctx: &mut ProcessContext<'_, (String, (i64, i64))>| {
            (0..10).try_for_each(|copy| ctx.output((key.clone(), (copy, value))))
        },
    ));
    let by_key = |key: &str| if key == "a" { 0 } else { 5 };
    for fan_out in [(|_: &str| 0) as fn(&str) -> i64, |_| 1, |_| 5, by_key] {
        let means = combine_fanned_out(&copies, MeanOfPlaced, fan_out);
        assert_that(&means).contains_in_any_order(keyed([("a", 2.0), ("b", 7.0)]));
    }
    pipeline.run().map(drop)
}

fn with_side(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pairs(&pipeline);
    let sum = pairs.apply(map(|(_, n): (String, i64)| n)).apply(CombineGlobally::of(Sum));
    let sum = sum.as_singleton_view();
    let combine =
        each(move |(key, values): (String, Iterable<i64>), ctx: &mut ProcessContext<'_, _>| {
            let mut accumulator = SortedDigits.create();
            values.iter().for_each(|value| SortedDigits.add(&mut accumulator, value));
            let context = *ctx.side(&sum)?;
            ctx.output((key, format!("{context}:{}", SortedDigits.extract(accumulator))))
        });
    let combined = pairs.apply(GroupByKey).apply(combine.with_side(&sum));
    assert_that(&combined).contains_in_any_order(digits([("a", "20:114"), ("b", "20:113")]));
    pipeline.run().map(drop)
}

/// Two functions on the two parts of pairs, of which the first may be null.
#[derive(Clone)]
struct Both;

impl CombineFn for Both {
    type In = (Option<i64>, i64);
    type Acc = (Option<i64>, Vec<i64>);
    type Out = (Option<i64>, Vec<i64>);

    fn create(&self) -> Self::Acc {
        (None, Vec::new())
    }

    fn add(&self, (greatest, set): &mut Self::Acc, value: Self::In) {
        *greatest = value.0.max(*greatest);
        Set.add(set, value.1);
    }

    fn merge(&self, (greatest, set): &mut Self::Acc, other: Self::Acc) {
        *greatest = other.0.max(*greatest);
        Set.merge(set, other.1);
    }

    fn extract(&self, accumulator: Self::Acc) -> Self::Out {
        accumulator
    }
}

fn composed(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let input =
        [("a", (Some(4i64), 1i64)), ("a", (None, 2)), ("b", (None, 3)), ("a", (Some(1), 1))];
    let combined = pipeline.apply(Create::of(keyed(input))).apply(CombinePerKey::of(Both));
    let want = keyed([("a", (Some(4), vec![1, 2])), ("b", (None, vec![3]))]);
    assert_that(&combined).contains_in_any_order(want);
    pipeline.run().map(drop)
}

/// Sums whose accumulators are texts: they have another coder than values and results.
#[derive(Clone)]
struct SumAsText;

impl CombineFn for SumAsText {
    type In = i64;
    type Acc = String;
    type Out = i64;

    fn create(&self) -> String {
        "0".to_owned()
    }

    fn add(&self, sum: &mut String, value: i64) {
        *sum = (self.extract(std::mem::take(sum)) + value).to_string();
    }

    fn merge(&self, sum: &mut String, other: String) {
        self.add(sum, self.extract(other));
    }

    fn extract(&self, sum: String) -> i64 {
        sum.parse().expect("the accumulator is a number, or another coder has read it")
    }
}

fn lifted(runner: &dyn Runner) -> Result<()> {
    const KEYS: i64 = 7_000;
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..4 * KEYS));
    let pairs = numbers.apply(map(|n: i64| (format!("key {}", n % KEYS), n)));
    let sums = pairs.apply(CombinePerKey::of(SumAsText));
    let want = (0..KEYS).map(|key| (format!("key {key}"), 4 * key + 6 * KEYS));
    assert_that(&sums).contains_in_any_order(want);
    pipeline.run().map(drop)
}

/// Writes its own life into the accumulator.
#[derive(Clone)]
struct Traced;

impl CombineFn for Traced {
    type In = i64;
    type Acc = String;
    type Out = String;

    fn create(&self) -> String {
        "c".to_owned()
    }

    fn add(&self, trace: &mut String, _: i64) {
        trace.push('a');
    }

    fn merge(&self, trace: &mut String, other: String) {
        trace.push_str(&format!("({other})"));
    }

    fn extract(&self, trace: String) -> String {
        trace + "e"
    }
}

fn life(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pipeline.apply(Create::of(0..60i64)).apply(map(|n: i64| (n % 3, n)));
    let traces = pairs.apply(CombinePerKey::of(Traced));
    assert_that(&traces).satisfies(|traces| {
        let keys: std::collections::BTreeSet<i64> = traces.iter().map(|(key, _)| *key).collect();
        for (_, trace) in traces {
            let accumulators = trace.split(['(', ')']).filter(|it| !it.is_empty() && *it != "e");
            let is_right = trace.starts_with('c')
                && trace.ends_with('e')
                && trace.matches('e').count() == 1
                && trace.matches('a').count() == 20
                && accumulators.clone().all(|it| {
                    it.trim_start_matches('c').trim_end_matches('e').trim_matches('a').is_empty()
                });
            if !is_right {
                return Err(format!("an accumulator lived otherwise: {trace}"));
            }
        }
        if keys.len() == 3 && traces.len() == 3 { Ok(()) } else { Err(format!("keys {keys:?}")) }
    });
    pipeline.run().map(drop)
}
