//! Every combine function gives the same for every way to split and merge its values.

use std::fmt::Debug;

use dataflow::coder::{Coder, Context, decode_all};
use dataflow::combine::Accuracy;
use dataflow::prelude::{CombineFn, Element, Timestamp};
use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::combine_all;
use crate::encoding::encoding_of;
use crate::{
    All, Any, ApproximateDistinct, Count, Earliest, ExactQuantiles, Histogram, Latest, Max, Mean,
    Min, OfField, Quantiles, Sample, SingleInputTupleCombineFn, StdDev, Sum, ToList, ToSet, Top,
    TupleCombineFn, Variance,
};

/// Numbers that are determined by a seed: the generator of Vigna, "xorshift64*".
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// The accumulator as it comes out of a shuffle.
fn shuffled<A: Element>(accumulator: &A) -> A {
    let (coder, mut bytes) = (A::coder(), Vec::new());
    coder.encode(accumulator, Context::Outer, &mut bytes).expect("can be encoded");
    decode_all(&coder, &bytes).expect("was just encoded")
}

/// Combines the values in parts, some of them empty, and merges these in any order and direction.
fn combine_split<C: CombineFn>(function: &C, values: &[C::In], seed: u64) -> C::Out {
    let mut choices = Choices(seed | 1);
    let mut parts: Vec<C::Acc> = (0..=choices.below(6)).map(|_| function.create()).collect();
    let mut left = values.to_vec();
    while !left.is_empty() {
        let (value, part) = (choices.below(left.len()), choices.below(parts.len()));
        function.add(&mut parts[part], left.swap_remove(value));
    }
    while parts.len() > 1 {
        let (at, other) = (choices.below(parts.len()), choices.below(parts.len() - 1));
        let mut merged = parts.swap_remove(at);
        function.merge(&mut merged, shuffled(&parts[other]));
        parts[other] = shuffled(&merged);
    }
    function.extract(parts.swap_remove(0))
}

/// What comes of the values must not depend on how they are split and merged: to the bit, or
/// within the tolerance that the function declares for the numbers that `floats` finds in it.
#[track_caller]
fn check_mergeable<C: CombineFn<Out: Debug>>(
    function: &C,
    values: &[C::In],
    seed: u64,
    floats: fn(&C::Out) -> Vec<f64>,
) {
    let whole = combine_all(function, values.to_vec());
    let split = combine_split(function, values, seed);
    match function.facts().accuracy {
        Accuracy::Exact => {
            assert!(encoding_of(&whole) == encoding_of(&split), "{whole:?} is not {split:?}");
        }
        Accuracy::Within { relative } => {
            let (whole, split) = (floats(&whole), floats(&split));
            assert_eq!(whole.len(), split.len());
            for (a, b) in whole.iter().zip(&split) {
                let is_near = (a - b).abs() <= relative * a.abs().max(b.abs());
                assert!(is_near || a.is_nan() && b.is_nan(), "{a} is not {b}");
            }
        }
    }
}

fn none<T>(_: &T) -> Vec<f64> {
    Vec::new()
}

fn one(number: &f64) -> Vec<f64> {
    vec![*number]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn functions_of_integers(
        values in proptest::collection::vec(-50i64..50, 0..60),
        seed in any::<u64>(),
    ) {
        check_mergeable(&Count::new(), &values, seed, none);
        check_mergeable(&Sum::<i64>::new(), &values, seed, none);
        check_mergeable(&Min::<i64>::new(), &values, seed, none);
        check_mergeable(&Max::<i64>::new(), &values, seed, none);
        check_mergeable(&ToList::new(), &values, seed, none);
        check_mergeable(&ToSet::new(), &values, seed, none);
        check_mergeable(&Top::largest(5), &values, seed, none);
        check_mergeable(&Top::smallest(5), &values, seed, none);
        check_mergeable(&Top::largest_by(5, |n: &i64| n % 7), &values, seed, none);
        check_mergeable(&Top::smallest_by(5, |n: &i64| n % 7), &values, seed, none);
        check_mergeable(&Sample::fixed_size(7), &values, seed, none);
        check_mergeable(&Sample::fixed_size(7).with_seed(1), &values, seed, none);
        check_mergeable(&ApproximateDistinct::new(), &values, seed, none);
        let coarse = ApproximateDistinct::with_precision(4).expect("is offered");
        check_mergeable(&coarse, &values, seed, none);
    }

    #[test]
    fn functions_of_times(
        values in proptest::collection::vec((-9i64..9, -5i64..5), 0..30),
        seed in any::<u64>(),
    ) {
        let timed: Vec<(i64, Timestamp)> = values
            .into_iter()
            .map(|(value, millis)| (value, Timestamp::from_millis(millis)))
            .collect();
        check_mergeable(&Latest::new(), &timed, seed, none);
        check_mergeable(&Earliest::new(), &timed, seed, none);
    }

    #[test]
    fn functions_of_claims(
        values in proptest::collection::vec(any::<bool>(), 0..6),
        seed in any::<u64>(),
    ) {
        check_mergeable(&Any, &values, seed, none);
        check_mergeable(&All, &values, seed, none);
    }

    #[test]
    fn functions_of_floats(
        values in proptest::collection::vec(-1e6f64..1e6, 0..60),
        seed in any::<u64>(),
    ) {
        check_mergeable(&Variance::sample(), &values, seed, one);
        check_mergeable(&Variance::population(), &values, seed, one);
        check_mergeable(&StdDev::sample(), &values, seed, one);
        check_mergeable(&StdDev::population(), &values, seed, one);
        let asked = [0.0, 0.1, 0.5, 0.99, 1.0];
        check_mergeable(&Quantiles::of(asked).expect("is valid"), &values, seed, none);
        check_mergeable(&ExactQuantiles::of(asked).expect("is valid"), &values, seed, none);
        let histogram = Histogram::regular(-5e5, 5e5, 20).expect("is valid");
        check_mergeable(&histogram, &values, seed, none);
    }

    #[test]
    fn sums_of_floats_of_one_sign(
        values in proptest::collection::vec(1e-3f64..1e6, 0..60),
        seed in any::<u64>(),
    ) {
        check_mergeable(&Mean, &values, seed, one);
        check_mergeable(&Sum::<f64>::new(), &values, seed, one);
        let both = SingleInputTupleCombineFn::of((Mean, Sum::<f64>::new(), Count::new()));
        check_mergeable(&both, &values, seed, |(mean, sum, count)| vec![*mean, *sum, *count as f64]);
    }

    #[test]
    fn functions_of_several_parts(
        values in proptest::collection::vec((any::<bool>(), -9i64..9), 0..40),
        seed in any::<u64>(),
    ) {
        check_mergeable(&TupleCombineFn::of((Any, Sum::<i64>::new())), &values, seed, none);
        let fields = SingleInputTupleCombineFn::of((
            OfField::of(|pair: &(bool, i64)| pair.0, All),
            OfField::of(|pair: &(bool, i64)| pair.1, Max::<i64>::new()),
            ToSet::new(),
            Count::new(),
        ));
        check_mergeable(&fields, &values, seed, none);
    }
}

#[test]
fn sketches_that_fill_up_merge_to_the_same_bits() {
    let values: Vec<i64> = (0..3000).collect();
    for seed in 1..10 {
        check_mergeable(&ApproximateDistinct::new(), &values, seed, none);
        let coarse = ApproximateDistinct::with_precision(6).expect("is offered");
        check_mergeable(&coarse, &values, seed, none);
    }
}

#[test]
fn values_that_are_all_the_same_have_no_variance() {
    for seed in 1..50 {
        check_mergeable(&Variance::sample(), &[0.1; 30], seed, one);
    }
}
