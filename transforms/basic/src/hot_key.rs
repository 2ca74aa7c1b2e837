//! Combining by key where few keys have most values.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{
    CombineFn, CombinePerKey, DoFn, Element, PCollection, PTransform, ParDo, ProcessContext, Result,
};

use crate::map::Map;

/// `CombinePerKey` in two levels: the values of a hot key are spread before they meet.
///
/// Beam's `Combine.perKey(..).withHotKeyFanout(..)`. The first level combines each key in as many
/// parts as its fan-out says, the second merges the accumulators of the parts. The result is that
/// of `CombinePerKey`, within the tolerance of the function. Cost: a second shuffle, of at most
/// fan-out accumulators a key and bundle.
///
/// Where a runner combines before the shuffle, a hot key is little trouble already: fan-out helps
/// where accumulators are large, or where nothing is combined before.
///
/// ```
/// # use dataflow::prelude::{Create, PCollection, Pipeline};
/// # use basic::{HotKeyFanout, Sum};
/// let pairs = Pipeline::new().apply(Create::of([("the".to_owned(), 1i64), ("a".to_owned(), 1)]));
/// let by_word = HotKeyFanout::of(Sum::<i64>::new(), |word: &String| if word == "the" { 16 } else { 1 });
/// let sums: PCollection<(String, i64)> = pairs.apply(by_word);
/// ```
pub struct HotKeyFanout<K, C> {
    function: C,
    fanout: Fanout<K>,
}

type Fanout<K> = Arc<dyn Fn(&K) -> u32 + Send + Sync>;

impl<K, C: CombineFn> HotKeyFanout<K, C> {
    /// Combines with `function`, each key in as many parts as `fanout` says; 0 and 1 are one part.
    pub fn of(function: C, fanout: impl Fn(&K) -> u32 + Send + Sync + 'static) -> Self {
        Self { function, fanout: Arc::new(fanout) }
    }

    /// Combines with `function`, every key in the same number of parts.
    pub fn of_all_keys(function: C, fanout: u32) -> Self {
        Self::of(function, move |_| fanout)
    }
}

impl<K: Element, C: CombineFn> PTransform<PCollection<(K, C::In)>> for HotKeyFanout<K, C> {
    type Output = PCollection<(K, C::Out)>;

    fn name(&self) -> String {
        "CombinePerKey.HotKeyFanout".to_owned()
    }

    fn expand(self, input: PCollection<(K, C::In)>) -> Self::Output {
        let spread = Spread { fanout: self.fanout, next: 0, of: PhantomData };
        let parts = input.apply_named("Spread", ParDo::of(spread));
        let accumulate = CombinePerKey::of(Accumulate(self.function.clone()));
        let accumulated = parts.apply_named("CombineParts", accumulate);
        let merged = accumulated.apply(Map::of(|((key, _), part): ((K, u32), C::Acc)| (key, part)));
        merged.apply_named("MergeParts", CombinePerKey::of(MergeParts(self.function)))
    }
}

impl<K, C> fmt::Debug for HotKeyFanout<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HotKeyFanout")
    }
}

/// The golden section of 2^32: multiples of it lie evenly in the range of `u32`, and so do every
/// second, third or other regular choice of them. Counting one by one would give all values of a
/// key to one part where it comes every second time.
const STEP: u32 = 0x9e37_79b9;

/// Gives the values of a key evenly to its parts.
struct Spread<K, V> {
    fanout: Fanout<K>,
    next: u32,
    of: PhantomData<fn(V)>,
}

impl<K, V> Clone for Spread<K, V> {
    fn clone(&self) -> Self {
        Self { fanout: Arc::clone(&self.fanout), next: self.next, of: PhantomData }
    }
}

impl<K: Element, V: Element> DoFn for Spread<K, V> {
    type In = (K, V);
    type Out = ((K, u32), V);

    fn process(&mut self, pair: (K, V), ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, value) = pair;
        // Which part a value goes to depends on how the run is cut; what comes of it does not.
        self.next = self.next.wrapping_add(STEP);
        let share = u64::from(self.next) * u64::from((self.fanout)(&key).max(1));
        ctx.output(((key, (share >> 32) as u32), value))
    }
}

/// The first level: puts accumulators out as they are.
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

    fn facts(&self) -> CombineFacts {
        self.0.facts()
    }
}

/// The second level: takes accumulators for values.
#[derive(Clone)]
struct MergeParts<C>(C);

impl<C: CombineFn> CombineFn for MergeParts<C> {
    type In = C::Acc;
    type Acc = C::Acc;
    type Out = C::Out;

    fn create(&self) -> C::Acc {
        self.0.create()
    }

    fn add(&self, accumulator: &mut C::Acc, part: C::Acc) {
        self.0.merge(accumulator, part);
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.0.merge(accumulator, other);
    }

    fn extract(&self, accumulator: C::Acc) -> C::Out {
        self.0.extract(accumulator)
    }

    fn facts(&self) -> CombineFacts {
        self.0.facts()
    }
}
