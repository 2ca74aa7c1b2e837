//! Combining by key where few keys have most values.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::combine::{CombineContext, CombineFacts, CombineFn, CombineFnWithContext};
use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::pcollection::PCollection;
use crate::primitives::{CombinePerKey, CombinePerKeyWithContext, ParDo};
use crate::ptransform::PTransform;

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
/// # use dataflow::prelude::{CombineFn, CombinePerKey, Create, PCollection, Pipeline};
/// # use dataflow::primitives::HotKeyFanout;
/// # fn example<Sum: CombineFn<In = i64, Out = i64>>(sum: Sum) {
/// let pairs = Pipeline::new().apply(Create::of([("the".to_owned(), 1i64), ("a".to_owned(), 1)]));
/// let by_word = HotKeyFanout::of(sum, |word: &String| if word == "the" { 16 } else { 1 });
/// let sums: PCollection<(String, i64)> = pairs.apply(by_word);
/// # }
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

impl<C: CombineFnWithContext> CombinePerKeyWithContext<C> {
    /// Combines in two levels, each key in as many parts as `fanout` says: see [`HotKeyFanout`].
    ///
    /// Side inputs are declared before.
    pub fn with_hot_key_fanout<K>(
        self,
        fanout: impl Fn(&K) -> u32 + Send + Sync + 'static,
    ) -> HotKeyFanout<K, Self> {
        HotKeyFanout { function: self, fanout: Arc::new(fanout) }
    }
}

impl<K: Element, C: CombineFn> PTransform<PCollection<(K, C::In)>> for HotKeyFanout<K, C> {
    type Output = PCollection<(K, C::Out)>;

    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn expand(self, input: PCollection<(K, C::In)>) -> Self::Output {
        let accumulate = CombinePerKey::of(Accumulate(self.function.clone()));
        let merge = CombinePerKey::of(MergeParts(self.function));
        let accumulated = spread(&input, self.fanout).apply_named("CombineParts", accumulate);
        gather(&accumulated).apply_named("MergeParts", merge)
    }
}

impl<K: Element, C: CombineFnWithContext> PTransform<PCollection<(K, C::In)>>
    for HotKeyFanout<K, CombinePerKeyWithContext<C>>
{
    type Output = PCollection<(K, C::Out)>;

    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn expand(self, input: PCollection<(K, C::In)>) -> Self::Output {
        let CombinePerKeyWithContext { function, sides } = self.function;
        let accumulate = Accumulate(function.clone());
        let accumulate = CombinePerKeyWithContext { function: accumulate, sides: sides.clone() };
        let merge = CombinePerKeyWithContext { function: MergeParts(function), sides };
        let accumulated = spread(&input, self.fanout).apply_named("CombineParts", accumulate);
        gather(&accumulated).apply_named("MergeParts", merge)
    }
}

const NAME: &str = "CombinePerKey.HotKeyFanout";

/// The values of each key under the places of its parts.
fn spread<K: Element, V: Element>(
    input: &PCollection<(K, V)>,
    fanout: Fanout<K>,
) -> PCollection<((K, u32), V)> {
    let spread = Spread { fanout, next: 0, of: PhantomData };
    input.apply_named("Spread", ParDo::of(spread))
}

/// What the parts have accumulated, under the key alone.
fn gather<K: Element, A: Element>(parts: &PCollection<((K, u32), A)>) -> PCollection<(K, A)> {
    parts.apply_named("Gather", ParDo::of(Gather(PhantomData)))
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

/// Forgets the places of parts.
#[derive(Clone)]
struct Gather<K, A>(PhantomData<fn(K, A)>);

impl<K: Element, A: Element> DoFn for Gather<K, A> {
    type In = ((K, u32), A);
    type Out = (K, A);

    fn process(&mut self, part: Self::In, ctx: &mut ProcessContext<'_, (K, A)>) -> Result<()> {
        let ((key, _), accumulator) = part;
        ctx.output((key, accumulator))
    }
}

/// The first level: puts accumulators out as they are, ready to travel.
#[derive(Clone)]
struct Accumulate<C>(C);

impl<C: CombineFn> CombineFn for Accumulate<C> {
    type In = C::In;
    type Acc = C::Acc;
    type Out = C::Acc;

    fn setup(&mut self) -> Result<()> {
        self.0.setup()
    }

    fn create(&self) -> C::Acc {
        self.0.create()
    }

    fn add(&self, accumulator: &mut C::Acc, value: C::In) {
        self.0.add(accumulator, value);
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.0.merge(accumulator, other);
    }

    fn compact(&self, accumulator: &mut C::Acc) {
        self.0.compact(accumulator);
    }

    fn extract(&self, mut accumulator: C::Acc) -> C::Acc {
        self.0.compact(&mut accumulator);
        accumulator
    }

    fn teardown(&mut self) {
        self.0.teardown();
    }

    fn facts(&self) -> CombineFacts {
        self.0.facts()
    }
}

impl<C: CombineFnWithContext> CombineFnWithContext for Accumulate<C> {
    type In = C::In;
    type Acc = C::Acc;
    type Out = C::Acc;

    fn setup(&mut self) -> Result<()> {
        self.0.setup()
    }

    fn create(&self, ctx: &CombineContext<'_>) -> Result<C::Acc> {
        self.0.create(ctx)
    }

    fn add(&self, accumulator: &mut C::Acc, value: C::In, ctx: &CombineContext<'_>) -> Result<()> {
        self.0.add(accumulator, value, ctx)
    }

    fn merge(
        &self,
        accumulator: &mut C::Acc,
        other: C::Acc,
        ctx: &CombineContext<'_>,
    ) -> Result<()> {
        self.0.merge(accumulator, other, ctx)
    }

    fn compact(&self, accumulator: &mut C::Acc, ctx: &CombineContext<'_>) -> Result<()> {
        self.0.compact(accumulator, ctx)
    }

    fn extract(&self, mut accumulator: C::Acc, ctx: &CombineContext<'_>) -> Result<C::Acc> {
        self.0.compact(&mut accumulator, ctx)?;
        Ok(accumulator)
    }

    fn teardown(&mut self) {
        self.0.teardown();
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

    fn setup(&mut self) -> Result<()> {
        self.0.setup()
    }

    fn create(&self) -> C::Acc {
        self.0.create()
    }

    fn add(&self, accumulator: &mut C::Acc, part: C::Acc) {
        self.0.merge(accumulator, part);
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.0.merge(accumulator, other);
    }

    fn compact(&self, accumulator: &mut C::Acc) {
        self.0.compact(accumulator);
    }

    fn extract(&self, accumulator: C::Acc) -> C::Out {
        self.0.extract(accumulator)
    }

    fn teardown(&mut self) {
        self.0.teardown();
    }

    fn facts(&self) -> CombineFacts {
        self.0.facts()
    }
}

impl<C: CombineFnWithContext> CombineFnWithContext for MergeParts<C> {
    type In = C::Acc;
    type Acc = C::Acc;
    type Out = C::Out;

    fn setup(&mut self) -> Result<()> {
        self.0.setup()
    }

    fn create(&self, ctx: &CombineContext<'_>) -> Result<C::Acc> {
        self.0.create(ctx)
    }

    fn add(&self, accumulator: &mut C::Acc, part: C::Acc, ctx: &CombineContext<'_>) -> Result<()> {
        self.0.merge(accumulator, part, ctx)
    }

    fn merge(
        &self,
        accumulator: &mut C::Acc,
        other: C::Acc,
        ctx: &CombineContext<'_>,
    ) -> Result<()> {
        self.0.merge(accumulator, other, ctx)
    }

    fn extract(&self, accumulator: C::Acc, ctx: &CombineContext<'_>) -> Result<C::Out> {
        self.0.extract(accumulator, ctx)
    }

    fn teardown(&mut self) {
        self.0.teardown();
    }

    fn facts(&self) -> CombineFacts {
        self.0.facts()
    }
}
