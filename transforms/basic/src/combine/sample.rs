//! A few of many, chosen at random but always the same.

use std::cmp::Ordering;
use std::marker::PhantomData;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{
    CombineFn, CombineGlobally, CombinePerKey, Element, PCollection, PTransform,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::combine::top::insert_ranked;
use crate::encoding::encoding_of;
use crate::map::FlatMap;

/// At most `limit` of the values, chosen by the hashes of their encodings.
///
/// Chosen are the values of the least hashes under the seed, so that the sample depends on the
/// values alone: not on their order, nor on how a run is cut. Two seeds give two independent
/// samples. Equal values have one hash: they are chosen together as far as the limit goes. The
/// sample is in the order of the hashes, which is no order of the values. Exact.
///
/// ```
/// use basic::Sample;
/// use dataflow::prelude::CombineFn;
///
/// let sample = Sample::fixed_size(2);
/// let of = |numbers: [i64; 4]| {
///     let mut chosen = sample.create();
///     numbers.map(|number| sample.add(&mut chosen, number));
///     sample.extract(chosen)
/// };
/// assert_eq!(of([1, 2, 3, 4]).len(), 2);
/// assert_eq!(of([1, 2, 3, 4]), of([4, 2, 1, 3]));
/// ```
///
/// Source: bottom-k sampling, Cohen and Kaplan, "Summarizing data using bottom-k sketches",
/// PODC 2007.
#[derive(Debug)]
pub struct Sample<T> {
    limit: usize,
    seed: u64,
    of: PhantomData<fn(T)>,
}

impl<T> Sample<T> {
    /// At most `limit` of the values.
    pub const fn fixed_size(limit: usize) -> Self {
        Self { limit, seed: 0, of: PhantomData }
    }

    /// Chooses by this seed instead of zero.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl Sample<()> {
    /// One list: a sample of a whole collection.
    pub fn fixed_size_globally<T: Element>(limit: usize) -> CombineGlobally<Sample<T>> {
        CombineGlobally::of(Sample::fixed_size(limit))
    }

    /// A list for every key: a sample of its values.
    pub fn fixed_size_per_key<V: Element>(limit: usize) -> CombinePerKey<Sample<V>> {
        CombinePerKey::of(Sample::fixed_size(limit))
    }

    /// At most `limit` elements of a collection.
    pub const fn any(limit: usize) -> SampleAny {
        SampleAny { limit }
    }
}

impl<T> Clone for Sample<T> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, seed: self.seed, of: PhantomData }
    }
}

impl<T: Element> CombineFn for Sample<T> {
    type In = T;
    type Acc = Vec<(u64, T)>;
    type Out = Vec<T>;

    fn create(&self) -> Self::Acc {
        Vec::new()
    }

    fn add(&self, chosen: &mut Self::Acc, value: T) {
        let hash = xxh3_64_with_seed(&encoding_of(&value), self.seed);
        insert_ranked(chosen, self.limit, (hash, value), by_hash);
    }

    fn merge(&self, chosen: &mut Self::Acc, other: Self::Acc) {
        for candidate in other {
            insert_ranked(chosen, self.limit, candidate, by_hash);
        }
    }

    fn extract(&self, chosen: Self::Acc) -> Vec<T> {
        chosen.into_iter().map(|(_, value)| value).collect()
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(format!("limit={} seed={}", self.limit, self.seed))
    }
}

/// Values of one hash are told apart by their bytes.
fn by_hash<T: Element>(a: &(u64, T), b: &(u64, T)) -> Ordering {
    a.0.cmp(&b.0).then_with(|| encoding_of(&a.1).cmp(&encoding_of(&b.1)))
}

/// At most so many elements of a collection, always the same: a [`Sample`] as elements.
#[derive(Debug, Clone, Copy)]
pub struct SampleAny {
    limit: usize,
}

impl<T: Element> PTransform<PCollection<T>> for SampleAny {
    type Output = PCollection<T>;

    fn name(&self) -> String {
        "Sample.any".to_owned()
    }

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let sample = Sample::<()>::fixed_size_globally::<T>(self.limit).without_default();
        input.apply(sample).apply(FlatMap::of(|chosen: Vec<T>| chosen))
    }
}
