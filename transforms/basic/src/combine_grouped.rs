//! Combining values that are grouped already.

use std::fmt;
use std::marker::PhantomData;

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    CombineFn, DoFn, Element, Iterable, PCollection, PTransform, ParDo, ProcessContext, Result,
};

/// One value for every group of a `GroupByKey`: what a [`CombineFn`] makes of its values.
///
/// `CombinePerKey` does the same to pairs, and moves less between stages: this one is for groups
/// that are used otherwise too. The values are read once and need not fit in memory.
///
/// ```
/// # use dataflow::prelude::{Create, GroupByKey, PCollection, Pipeline};
/// # use basic::{CombineGroupedValues, Sum};
/// let pairs = Pipeline::new().apply(Create::of([(1i64, 2i64), (1, 3)]));
/// let groups = pairs.apply(GroupByKey);
/// let sums: PCollection<(i64, i64)> = groups.apply(CombineGroupedValues::of(Sum::<i64>::new()));
/// ```
#[derive(Clone)]
pub struct CombineGroupedValues<C>(C);

impl<C: CombineFn> CombineGroupedValues<C> {
    /// Combines with this function.
    pub const fn of(function: C) -> Self {
        Self(function)
    }
}

impl<K: Element, C: CombineFn> PTransform<PCollection<(K, Iterable<C::In>)>>
    for CombineGroupedValues<C>
{
    type Output = PCollection<(K, C::Out)>;

    fn expand(self, input: PCollection<(K, Iterable<C::In>)>) -> Self::Output {
        input.apply(ParDo::of(CombineGroup { function: self.0, of: PhantomData }))
    }
}

impl<C> fmt::Debug for CombineGroupedValues<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CombineGroupedValues")
    }
}

struct CombineGroup<K, C> {
    function: C,
    of: PhantomData<fn(K)>,
}

impl<K, C: Clone> Clone for CombineGroup<K, C> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), of: PhantomData }
    }
}

impl<K: Element, C: CombineFn> DoFn for CombineGroup<K, C> {
    type In = (K, Iterable<C::In>);
    type Out = (K, C::Out);

    fn setup(&mut self) -> Result<()> {
        self.function.setup()
    }

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let (key, values) = group;
        let mut accumulator = self.function.create();
        for value in &values {
            self.function.add(&mut accumulator, value);
        }
        ctx.output((key, self.function.extract(accumulator)))
    }

    fn teardown(&mut self) {
        self.function.teardown();
    }

    fn facts(&self) -> DoFnFacts {
        let facts = self.function.facts();
        DoFnFacts::default().with_parameters(facts.parameters).with_version(facts.version)
    }
}
