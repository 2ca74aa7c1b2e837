//! Combining what a function takes out of a value.

use std::fmt;
use std::marker::PhantomData;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, Element, Result};

/// Combines one field of every value, or whatever else a function takes out of it.
///
/// ```
/// use basic::{Max, OfField, SingleInputTupleCombineFn, Sum};
/// use dataflow::prelude::CombineFn;
///
/// type Sale = (String, i64);
/// let statistics = SingleInputTupleCombineFn::of((
///     OfField::of(|sale: &Sale| sale.1, Sum::<i64>::new()),
///     OfField::of(|sale: &Sale| sale.0.clone(), Max::<String>::new()),
/// ));
/// let mut accumulators = statistics.create();
/// [("a", 3), ("b", 4)].map(|(name, cents)| {
///     statistics.add(&mut accumulators, (name.to_owned(), cents));
/// });
/// assert_eq!(statistics.extract(accumulators), (7, Some("b".to_owned())));
/// ```
pub struct OfField<T, F, C> {
    take: F,
    function: C,
    of: PhantomData<fn(T)>,
}

impl<T, F, C> OfField<T, F, C>
where
    C: CombineFn,
    F: Fn(&T) -> C::In,
{
    /// Combines with `function` what `take` takes out of each value.
    pub const fn of(take: F, function: C) -> Self {
        Self { take, function, of: PhantomData }
    }
}

impl<T, F, C> CombineFn for OfField<T, F, C>
where
    T: Element,
    C: CombineFn,
    F: Fn(&T) -> C::In + Clone + Send + Sync + 'static,
{
    type In = T;
    type Acc = C::Acc;
    type Out = C::Out;

    fn setup(&mut self) -> Result<()> {
        self.function.setup()
    }

    fn create(&self) -> C::Acc {
        self.function.create()
    }

    fn add(&self, accumulator: &mut C::Acc, value: T) {
        self.function.add(accumulator, (self.take)(&value));
    }

    fn merge(&self, accumulator: &mut C::Acc, other: C::Acc) {
        self.function.merge(accumulator, other);
    }

    fn compact(&self, accumulator: &mut C::Acc) {
        self.function.compact(accumulator);
    }

    fn extract(&self, accumulator: C::Acc) -> C::Out {
        self.function.extract(accumulator)
    }

    fn teardown(&mut self) {
        self.function.teardown();
    }

    fn facts(&self) -> CombineFacts {
        self.function.facts()
    }
}

impl<T, F: Clone, C: Clone> Clone for OfField<T, F, C> {
    fn clone(&self) -> Self {
        Self { take: self.take.clone(), function: self.function.clone(), of: PhantomData }
    }
}

impl<T, F, C: fmt::Debug> fmt::Debug for OfField<T, F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OfField").field(&self.function).finish()
    }
}
