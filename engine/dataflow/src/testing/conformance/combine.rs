//! CombinePerKey and CombineGlobally.

use super::case::{ensure, expect_failure};
use super::functions::{Mean, SortedDigits, Sum, keyed, pairs};
use super::{Case, combine_life};
use crate::capability::Capability::Combine;
use crate::combine::{CombineContext, CombineFn, CombineFnWithContext};
use crate::dofn::ProcessContext;
use crate::error::{ErrorCode, Result};
use crate::primitives::{CombineGlobally, CombinePerKey, Create, HotKeyFanout};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};
use crate::view::PCollectionView;

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
    Case::new("CO6", "every part of a combine function may read a side input", Combine, with_side),
    Case::new("CO11", "combine functions are composed, nulls included", Combine, composed),
    Case::new(
        "CO12",
        "combining before the shuffle changes nothing, whatever is flushed",
        Combine,
        lifted,
    ),
    Case::new(
        "CO13",
        "a combine function is set up, used and torn down; what travels is compacted",
        Combine,
        combine_life::life,
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

/// So many parts for the values of a key.
type ByKey = fn(&String) -> u32;

/// No part, one, several, and other numbers for other keys.
const FANOUTS: [ByKey; 4] = [|_| 0, |_| 1, |_| 5, |key| if key == "a" { 0 } else { 5 }];

fn fanned_out(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let copies = pairs(&pipeline).apply(each(
        |(key, value): (String, i64), ctx: &mut ProcessContext<'_, (String, i64)>| {
            (0..10).try_for_each(|_| ctx.output((key.clone(), value)))
        },
    ));
    for fanout in FANOUTS {
        let means = copies.apply(HotKeyFanout::of(Mean, fanout));
        assert_that(&means).contains_in_any_order(keyed([("a", 2.0), ("b", 7.0)]));
    }
    pipeline.run().map(drop)
}

/// The digits of all values in ascending order, after the value of a side input, which every part
/// of the function checks.
#[derive(Clone)]
struct DigitsAfter(PCollectionView<i64>);

impl DigitsAfter {
    fn check(&self, ctx: &CombineContext<'_>) -> Result<i64> {
        let sum = *ctx.side(&self.0)?;
        ensure(sum == 20, || format!("the sum is {sum}"))?;
        Ok(sum)
    }
}

impl CombineFnWithContext for DigitsAfter {
    type In = i64;
    type Acc = Vec<u8>;
    type Out = String;

    fn create(&self, ctx: &CombineContext<'_>) -> Result<Vec<u8>> {
        self.check(ctx).map(|_| SortedDigits.create())
    }

    fn add(&self, digits: &mut Vec<u8>, value: i64, ctx: &CombineContext<'_>) -> Result<()> {
        SortedDigits.add(digits, value);
        self.check(ctx).map(drop)
    }

    fn merge(&self, digits: &mut Vec<u8>, other: Vec<u8>, ctx: &CombineContext<'_>) -> Result<()> {
        SortedDigits.merge(digits, other);
        self.check(ctx).map(drop)
    }

    fn compact(&self, _: &mut Vec<u8>, ctx: &CombineContext<'_>) -> Result<()> {
        self.check(ctx).map(drop)
    }

    fn extract(&self, digits: Vec<u8>, ctx: &CombineContext<'_>) -> Result<String> {
        Ok(format!("{}:{}", self.check(ctx)?, SortedDigits.extract(digits)))
    }
}

fn with_side(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pairs(&pipeline);
    let numbers = pairs.apply(map(|(_, n): (String, i64)| n));
    let sum = numbers.apply(CombineGlobally::of(Sum)).as_singleton_view();
    let globally = || CombineGlobally::with_context(DigitsAfter(sum)).with_side(&sum);
    let all = numbers.apply(globally().without_default());
    assert_that(&all).is_singleton("20:111134".to_owned());
    let none = pipeline.apply(Create::<i64>::of([]));
    assert_that(&none.apply(globally())).is_singleton("20:".to_owned());
    assert_that(&none.apply(globally().without_default())).is_empty();
    let per_key = || CombinePerKey::with_context(DigitsAfter(sum)).with_side(&sum);
    let want = digits([("a", "20:114"), ("b", "20:113")]);
    assert_that(&pairs.apply(per_key())).contains_in_any_order(want.clone());
    for fanout in FANOUTS {
        let combined = pairs.apply(per_key().with_hot_key_fanout(fanout));
        assert_that(&combined).contains_in_any_order(want.clone());
    }
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let undeclared = CombinePerKey::with_context(DigitsAfter(sum));
    self::pairs(&pipeline).apply_named("Undeclared", undeclared);
    expect_failure(pipeline.run(), ErrorCode::NOT_DECLARED, &["Undeclared"]).map(drop)
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
