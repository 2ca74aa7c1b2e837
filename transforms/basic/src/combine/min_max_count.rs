//! The least, the greatest and how many, and how to spread such values over buckets.

use std::num::NonZeroU64;

use dataflow::prelude::{CombineFn, Element};
use serde::{Deserialize, Serialize};

/// The least and the greatest of integers, and how many there are; of nothing, nothing.
///
/// ```
/// use basic::MinMaxCount;
/// use dataflow::prelude::CombineFn;
///
/// let mut extent = MinMaxCount.create();
/// [3, 1, 2].map(|value| MinMaxCount.add(&mut extent, value));
/// let extent = MinMaxCount.extract(extent).expect("three values");
/// assert_eq!((extent.least, extent.greatest, extent.count), (1, 3, 3));
/// ```
///
/// Source: pangeo-forge-recipes, `combiners.MinMaxCountCombineFn`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MinMaxCount;

/// What [`MinMaxCount`] has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct IntegerExtent {
    /// The least value.
    pub least: i64,
    /// The greatest value.
    pub greatest: i64,
    /// How many values there are.
    pub count: u64,
}

impl IntegerExtent {
    /// The number, from 0, of the bucket of a value, where values are spread evenly over as many
    /// buckets as hold `most` each.
    ///
    /// Buckets are equally wide, and the greatest value may begin one more. Values of one bucket
    /// follow each other.
    ///
    /// Source: pangeo-forge-recipes, `combiners.CombineReferences.bucket_by_position`.
    pub fn bucket(&self, value: i64, most: NonZeroU64) -> u64 {
        let width = i128::from(self.greatest) - i128::from(self.least);
        if width == 0 {
            return 0;
        }
        let buckets = i128::from(self.count.div_ceil(most.get()));
        let from_least = i128::from(value) - i128::from(self.least);
        (from_least * buckets / width).clamp(0, buckets) as u64
    }
}

impl CombineFn for MinMaxCount {
    type In = i64;
    type Acc = Option<IntegerExtent>;
    type Out = Option<IntegerExtent>;

    fn create(&self) -> Self::Acc {
        None
    }

    fn add(&self, extent: &mut Self::Acc, value: i64) {
        self.merge(extent, Some(IntegerExtent { least: value, greatest: value, count: 1 }));
    }

    fn merge(&self, extent: &mut Self::Acc, other: Self::Acc) {
        *extent = match (*extent, other) {
            (Some(known), Some(more)) => Some(IntegerExtent {
                least: known.least.min(more.least),
                greatest: known.greatest.max(more.greatest),
                count: known.count + more.count,
            }),
            (known, more) => known.or(more),
        };
    }

    fn extract(&self, extent: Self::Acc) -> Self::Out {
        extent
    }
}

#[cfg(test)]
mod tests {
    use dataflow::testing::shared_file;
    use serde_json::{Value, json};

    use super::*;

    fn extent_of(values: impl IntoIterator<Item = i64>) -> Option<IntegerExtent> {
        let mut extent = MinMaxCount.create();
        values.into_iter().for_each(|value| MinMaxCount.add(&mut extent, value));
        MinMaxCount.extract(extent)
    }

    /// Passed 94 of 94. A single reference, at which pangeo-forge divides by zero, is in the first
    /// bucket.
    #[test]
    fn golden_pfr_reference_buckets() {
        let Some(path) = shared_file("golden/pfr_reference_buckets.json") else { return };
        let text = std::fs::read_to_string(path).expect("the file is there");
        let root: Value = serde_json::from_str(&text).expect("vectors are JSON");
        let number = |value: &Value| value.as_i64().expect("an integer");
        for case in root["cases"].as_array().expect("vectors have cases") {
            let (input, id) = (&case["input"], &case["id"]);
            if input["op"] == "min_max_count" {
                let values = input["values"].as_array().expect("values");
                let got = extent_of(values.iter().map(number)).expect("there are values");
                let got = json!([got.least, got.greatest, got.count]);
                assert_eq!(got, case["expected"], "{id}");
                continue;
            }
            let most = NonZeroU64::new(number(&input["max_refs_per_merge"]) as u64);
            let (most, count) = (most.expect("not zero"), number(&input["n_refs"]));
            let extent = extent_of(0..count).expect("there are positions");
            let got: Vec<u64> = (0..count).map(|it| extent.bucket(it, most)).collect();
            if !case["error"].is_null() {
                assert_eq!(got, [0], "{id}");
                continue;
            }
            assert_eq!(json!(got), case["expected"], "{id}");
        }
    }

    #[test]
    fn buckets_reach_over_all_integers() {
        let extent = extent_of([i64::MIN, 0, i64::MAX]).expect("three values");
        let two = NonZeroU64::new(2).expect("not zero");
        assert_eq!([i64::MIN, 0, i64::MAX].map(|it| extent.bucket(it, two)), [0, 1, 2]);
    }
}
