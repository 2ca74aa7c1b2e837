//! CombinePerKey and CombineGlobally by functions that read side inputs.

use std::fmt;
use std::marker::PhantomData;

use crate::combine::{CombineContext, CombineFnWithContext};
use crate::dofn::{DoFn, DoFnFacts, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::graph::Side;
use crate::pcollection::PCollection;
use crate::primitives::combine::{DropUnitKey, WithUnitKey, check_default};
use crate::primitives::{CombineGlobally, CombinePerKey, GroupByKey, Impulse, ParDo};
use crate::ptransform::PTransform;
use crate::shuffle::Iterable;
use crate::view::PCollectionView;
use crate::window::WindowMapping;

impl<C: CombineFnWithContext> CombinePerKey<C> {
    /// Combines with a function that reads side inputs, which are declared with `with_side`.
    ///
    /// The values of a key meet before they are combined, so that the function sees the side inputs
    /// of the window that they are in, also of one that has merged. Cost: that of a `GroupByKey`;
    /// nothing is combined before the shuffle. For keys with very many values, see
    /// [`CombinePerKeyWithContext::with_hot_key_fanout`].
    ///
    /// ```
    /// # use dataflow::combine::{CombineContext, CombineFnWithContext};
    /// # use dataflow::prelude::*;
    /// /// The sum of all values, at most a limit.
    /// #[derive(Clone)]
    /// struct SumUpTo(PCollectionView<i64>);
    ///
    /// impl CombineFnWithContext for SumUpTo {
    ///     type In = i64;
    ///     type Acc = i64;
    ///     type Out = i64;
    ///
    ///     fn create(&self, _: &CombineContext<'_>) -> Result<i64> {
    ///         Ok(0)
    ///     }
    ///     fn add(&self, sum: &mut i64, value: i64, _: &CombineContext<'_>) -> Result<()> {
    ///         *sum += value;
    ///         Ok(())
    ///     }
    ///     fn merge(&self, sum: &mut i64, other: i64, _: &CombineContext<'_>) -> Result<()> {
    ///         *sum += other;
    ///         Ok(())
    ///     }
    ///     fn extract(&self, sum: i64, ctx: &CombineContext<'_>) -> Result<i64> {
    ///         Ok(sum.min(*ctx.side(&self.0)?))
    ///     }
    /// }
    ///
    /// let pipeline = Pipeline::new();
    /// let limit = pipeline.apply(Create::of([5i64])).as_singleton_view();
    /// let pairs = pipeline.apply(Create::of([("a".to_owned(), 3i64), ("a".to_owned(), 4)]));
    /// let sums: PCollection<(String, i64)> =
    ///     pairs.apply(CombinePerKey::with_context(SumUpTo(limit)).with_side(&limit));
    /// ```
    pub fn with_context(function: C) -> CombinePerKeyWithContext<C> {
        CombinePerKeyWithContext { function, sides: Vec::new() }
    }
}

/// One value for every key, by a function that reads side inputs; see
/// [`CombinePerKey::with_context`].
#[derive(Clone)]
pub struct CombinePerKeyWithContext<C> {
    pub(super) function: C,
    pub(super) sides: Vec<Side>,
}

impl<C> CombinePerKeyWithContext<C> {
    /// Lets the function read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.sides.push(Side { view: view.id(), mapping: None });
        self
    }

    /// Lets the function read a side input in the window that `mapping` makes of that of the values.
    #[must_use]
    pub fn with_side_in<V>(mut self, view: &PCollectionView<V>, mapping: WindowMapping) -> Self {
        self.sides.push(Side { view: view.id(), mapping: Some(mapping) });
        self
    }
}

impl<K: Element, C: CombineFnWithContext> PTransform<PCollection<(K, C::In)>>
    for CombinePerKeyWithContext<C>
{
    type Output = PCollection<(K, C::Out)>;

    fn name(&self) -> String {
        "CombinePerKey".to_owned()
    }

    fn expand(self, input: PCollection<(K, C::In)>) -> Self::Output {
        let combine = CombineGroup::<K, C> { function: self.function, of: PhantomData };
        let combine = ParDo::of(combine).with_sides(self.sides);
        input.apply(GroupByKey).apply_named("CombineGroups", combine)
    }
}

impl<C> fmt::Debug for CombinePerKeyWithContext<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CombinePerKeyWithContext")
            .field("sides", &self.sides)
            .finish_non_exhaustive()
    }
}

impl<C: CombineFnWithContext> CombineGlobally<C> {
    /// Combines with a function that reads side inputs, which are declared with `with_side`; see
    /// [`CombinePerKey::with_context`].
    pub fn with_context(function: C) -> CombineGloballyWithContext<C> {
        let per_key = CombinePerKey::with_context(function);
        CombineGloballyWithContext { per_key, has_default: true }
    }
}

/// One value for a whole collection, by a function that reads side inputs; of an empty one, what
/// the function makes of nothing.
#[derive(Debug, Clone)]
pub struct CombineGloballyWithContext<C> {
    per_key: CombinePerKeyWithContext<C>,
    has_default: bool,
}

impl<C> CombineGloballyWithContext<C> {
    /// Lets the function read a side input.
    #[must_use]
    pub fn with_side<V>(mut self, view: &PCollectionView<V>) -> Self {
        self.per_key = self.per_key.with_side(view);
        self
    }

    /// Lets the function read a side input in the window that `mapping` makes of that of the values.
    #[must_use]
    pub fn with_side_in<V>(mut self, view: &PCollectionView<V>, mapping: WindowMapping) -> Self {
        self.per_key = self.per_key.with_side_in(view, mapping);
        self
    }

    /// Gives nothing for an empty collection.
    #[must_use]
    pub fn without_default(mut self) -> Self {
        self.has_default = false;
        self
    }
}

impl<C: CombineFnWithContext> PTransform<PCollection<C::In>> for CombineGloballyWithContext<C> {
    type Output = PCollection<C::Out>;

    fn name(&self) -> String {
        "CombineGlobally".to_owned()
    }

    fn expand(self, input: PCollection<C::In>) -> Self::Output {
        let Self { per_key, has_default } = self;
        if has_default {
            check_default(&input);
        }
        let keyed = input.apply(ParDo::of(WithUnitKey::<C::In>::default()));
        let values = keyed.apply(per_key.clone());
        let values = values.apply(ParDo::of(DropUnitKey::<C::Out>::default()));
        if !has_default {
            return values;
        }
        let combined = values.as_iterable_view();
        let or_default = OrDefault { function: per_key.function, combined };
        let or_default = ParDo::of(or_default).with_sides(per_key.sides).with_side(&combined);
        input.pipeline().apply(Impulse).apply(or_default)
    }
}

/// Combines the values of groups.
struct CombineGroup<K, C> {
    function: C,
    of: PhantomData<fn(K)>,
}

impl<K, C: Clone> Clone for CombineGroup<K, C> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), of: PhantomData }
    }
}

impl<K: Element, C: CombineFnWithContext> DoFn for CombineGroup<K, C> {
    type In = (K, Iterable<C::In>);
    type Out = (K, C::Out);

    fn setup(&mut self) -> Result<()> {
        self.function.setup()
    }

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, values) = group;
        let context = CombineContext::new(ctx.sides, ctx.window());
        let mut accumulator = self.function.create(&context)?;
        for value in values.try_iter() {
            self.function.add(&mut accumulator, value?, &context)?;
        }
        let combined = self.function.extract(accumulator, &context)?;
        ctx.output((key, combined))
    }

    fn teardown(&mut self) {
        self.function.teardown();
    }

    fn facts(&self) -> DoFnFacts {
        let facts = self.function.facts();
        DoFnFacts::default().with_parameters(facts.parameters).with_version(facts.version)
    }
}

/// Runs once, whatever the collection holds, and so can say what an empty one gives.
#[derive(Clone)]
struct OrDefault<C: CombineFnWithContext> {
    function: C,
    combined: PCollectionView<Iterable<C::Out>>,
}

impl<C: CombineFnWithContext> DoFn for OrDefault<C> {
    type In = Vec<u8>;
    type Out = C::Out;

    fn setup(&mut self) -> Result<()> {
        self.function.setup()
    }

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, C::Out>) -> Result<()> {
        let combined = ctx.side(&self.combined)?;
        if combined.is_empty() {
            let context = CombineContext::new(ctx.sides, ctx.window());
            let nothing = self.function.create(&context)?;
            let nothing = self.function.extract(nothing, &context)?;
            return ctx.output(nothing);
        }
        combined.try_iter().try_for_each(|value| ctx.output(value?))
    }

    fn teardown(&mut self) {
        self.function.teardown();
    }
}
