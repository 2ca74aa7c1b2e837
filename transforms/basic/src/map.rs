//! Map, FlatMap and Filter: closures on every element.

use std::fmt;
use std::marker::PhantomData;

use dataflow::prelude::{DoFn, Element, PCollection, PTransform, ParDo, ProcessContext, Result};

/// Replaces every element by what a function makes of it.
///
/// ```
/// # use dataflow::prelude::{Create, Pipeline};
/// # use basic::Map;
/// let lengths = Pipeline::new()
///     .apply(Create::of(["a".to_owned(), "bcd".to_owned()]))
///     .apply(Map::of(|word: String| word.len() as i64));
/// ```
pub struct Map<In, F>(F, PhantomData<fn(In)>);

impl<In, F> Map<In, F> {
    /// Applies this function.
    pub fn of<Out>(function: F) -> Self
    where
        F: Fn(In) -> Out,
    {
        Self(function, PhantomData)
    }
}

impl<In, Out, F> PTransform<PCollection<In>> for Map<In, F>
where
    In: Element,
    Out: Element,
    F: Fn(In) -> Out + Clone + Send + Sync + 'static,
{
    type Output = PCollection<Out>;

    fn expand(self, input: PCollection<In>) -> Self::Output {
        input.apply(Closure(ParDo::of(MapFn(self.0, PhantomData))))
    }
}

/// Replaces every element by all that a function makes of it.
pub struct FlatMap<In, F>(F, PhantomData<fn(In)>);

impl<In, F> FlatMap<In, F> {
    /// Applies this function.
    pub fn of<Out, Many>(function: F) -> Self
    where
        F: Fn(In) -> Many,
        Many: IntoIterator<Item = Out>,
    {
        Self(function, PhantomData)
    }
}

impl<In, Many, F> PTransform<PCollection<In>> for FlatMap<In, F>
where
    In: Element,
    Many: IntoIterator<Item: Element> + 'static,
    F: Fn(In) -> Many + Clone + Send + Sync + 'static,
{
    type Output = PCollection<Many::Item>;

    fn expand(self, input: PCollection<In>) -> Self::Output {
        input.apply(Closure(ParDo::of(FlatMapFn(self.0, PhantomData))))
    }
}

/// Keeps the elements for which a function says so.
pub struct Filter<In, F>(F, PhantomData<fn(In)>);

impl<In, F> Filter<In, F>
where
    F: Fn(&In) -> bool,
{
    /// Keeps those for which `claim` holds.
    pub fn by(claim: F) -> Self {
        Self(claim, PhantomData)
    }
}

impl<In, F> PTransform<PCollection<In>> for Filter<In, F>
where
    In: Element,
    F: Fn(&In) -> bool + Clone + Send + Sync + 'static,
{
    type Output = PCollection<In>;

    fn expand(self, input: PCollection<In>) -> Self::Output {
        input.apply(Closure(ParDo::of(FilterFn(self.0, PhantomData))))
    }
}

/// A ParDo of a closure, which has no name of its own.
struct Closure<F>(ParDo<F>);

impl<F: DoFn> PTransform<PCollection<F::In>> for Closure<F> {
    type Output = PCollection<F::Out>;

    fn name(&self) -> String {
        "ParDo".to_owned()
    }

    fn expand(self, input: PCollection<F::In>) -> Self::Output {
        self.0.expand(input)
    }
}

#[derive(Clone)]
struct MapFn<In, Out, F>(F, PhantomData<fn(In) -> Out>);

impl<In, Out, F> DoFn for MapFn<In, Out, F>
where
    In: Element,
    Out: Element,
    F: Fn(In) -> Out + Clone + Send + Sync + 'static,
{
    type In = In;
    type Out = Out;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, Out>) -> Result<()> {
        ctx.output((self.0)(element))
    }
}

struct FlatMapFn<In, Many, F>(F, PhantomData<fn(In) -> Many>);

impl<In, Many, F: Clone> Clone for FlatMapFn<In, Many, F> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<In, Many, F> DoFn for FlatMapFn<In, Many, F>
where
    In: Element,
    Many: IntoIterator<Item: Element> + 'static,
    F: Fn(In) -> Many + Clone + Send + Sync + 'static,
{
    type In = In;
    type Out = Many::Item;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        (self.0)(element).into_iter().try_for_each(|out| ctx.output(out))
    }
}

#[derive(Clone)]
struct FilterFn<In, F>(F, PhantomData<fn(In)>);

impl<In, F> DoFn for FilterFn<In, F>
where
    In: Element,
    F: Fn(&In) -> bool + Clone + Send + Sync + 'static,
{
    type In = In;
    type Out = In;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, In>) -> Result<()> {
        if (self.0)(&element) { ctx.output(element) } else { Ok(()) }
    }
}

macro_rules! debug_by_name {
    ($($name:ident),+) => {$(
        impl<In, F> fmt::Debug for $name<In, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}

debug_by_name!(Map, FlatMap, Filter);
