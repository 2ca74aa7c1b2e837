//! 50 M pairs of (u64, u64) and a million keys: brought together by key, or summed by key.

use std::hash::BuildHasher;

use basic::{FlatMap, Map, Sum};
use dataflow::prelude::{
    CombineGlobally, CombinePerKey, Create, GroupByKey, Iterable, PCollection, Pipeline,
};
use dataflow::runner::NoObserver;
use direct::DirectRunner;
use rayon::prelude::*;

use crate::{Outcome, measure, options};

const PAIRS: u64 = 50_000_000;
const KEYS: u64 = 1_000_000;
const BUNDLES: u32 = 16;
const SHARDS: usize = 256;

/// How the values spread over the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Even,
    OneHot,
}

fn pairs_of(bundle: u32, keys: Keys) -> impl Iterator<Item = (u64, u64)> {
    let start = u64::from(bundle) * PAIRS / u64::from(BUNDLES);
    (start..start + PAIRS / u64::from(BUNDLES)).map(move |n| {
        let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let is_hot = keys == Keys::OneHot && n % 2 == 0;
        (if is_hot { 0 } else { key % KEYS }, n)
    })
}

fn pairs(pipeline: &Pipeline, keys: Keys) -> PCollection<(u64, u64)> {
    let made = FlatMap::of(move |bundle: u32| pairs_of(bundle, keys));
    pipeline.apply(Create::of(0..BUNDLES)).apply(made)
}

/// What a group gives: something that depends on its key and on all its values.
fn digest(key: u64, values: impl Iterator<Item = u64>) -> u64 {
    let (count, sum) =
        values.fold((0u64, 0u64), |(count, sum), n| (count + 1, sum.wrapping_add(n)));
    sum.wrapping_mul(2 * key + 1) ^ count
}

/// Groups by key, and adds up the digests of all groups.
pub(crate) fn with_levain(memory_bytes: Option<u64>) -> Outcome {
    measure(|| {
        let pipeline = Pipeline::new();
        let groups = pairs(&pipeline, Keys::Even).apply(GroupByKey);
        let digests =
            groups.apply(Map::of(|(key, values): (u64, Iterable<u64>)| digest(key, values.iter())));
        let total = digests.apply(CombineGlobally::of(Wrapping)).collect();
        let options = options(memory_bytes);
        let report = pipeline.run_with(&DirectRunner::new(), &options, &NoObserver).expect("runs");
        let check = report.get(&total).expect("asked for").iter().fold(0, u64::wrapping_add);
        (check, report.shuffle.spilled_bytes)
    })
}

/// Sums of 64 bits that may wrap around.
#[derive(Clone)]
struct Wrapping;

impl dataflow::prelude::CombineFn for Wrapping {
    type In = u64;
    type Acc = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, accumulator: &mut u64, value: u64) {
        *accumulator = accumulator.wrapping_add(value);
    }

    fn merge(&self, accumulator: &mut u64, other: u64) {
        self.add(accumulator, other);
    }

    fn extract(&self, accumulator: u64) -> u64 {
        accumulator
    }
}

/// The same by hand: pairs are sharded by the hash of their key, then each shard fills a map.
#[expect(
    clippy::disallowed_types,
    reason = "the program that is compared with is written as anybody would write it"
)]
pub(crate) fn by_hand<S: BuildHasher + Default + Sync + Send>() -> Outcome {
    measure(|| {
        let hasher = S::default();
        let shard = |bundle: u32| {
            let mut shards: Vec<Vec<(u64, u64)>> = vec![Vec::new(); SHARDS];
            for (key, value) in pairs_of(bundle, Keys::Even) {
                shards[(hasher.hash_one(key) >> 32) as usize % SHARDS].push((key, value));
            }
            shards
        };
        let sharded: Vec<_> = (0..BUNDLES).into_par_iter().map(shard).collect();
        let group = |index: usize| {
            let mut groups = std::collections::HashMap::<u64, Vec<u64>, S>::default();
            for &(key, value) in sharded.iter().flat_map(|shards| &shards[index]) {
                groups.entry(key).or_default().push(value);
            }
            let digests = groups.into_iter().map(|(key, values)| digest(key, values.into_iter()));
            digests.fold(0, u64::wrapping_add)
        };
        let check = (0..SHARDS).into_par_iter().map(group).reduce(|| 0, u64::wrapping_add);
        (check, 0)
    })
}

/// Sums by key, which is lifted, then all.
pub(crate) fn sum(keys: Keys) -> Outcome {
    measure(|| {
        let pipeline = Pipeline::new();
        let sums = pairs(&pipeline, keys).apply(CombinePerKey::of(Sum::<u64>::new()));
        let sums = sums.apply(Map::of(|(_, sum): (u64, u64)| sum));
        let total = sums.apply(CombineGlobally::of(Sum::<u64>::new())).collect();
        let report = pipeline.run(&DirectRunner::new()).expect("runs");
        let check = report.get(&total).expect("asked for").iter().sum();
        (check, report.shuffle.spilled_bytes)
    })
}
