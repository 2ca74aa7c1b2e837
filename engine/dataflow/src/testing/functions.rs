//! DoFns of closures, for tests that may not use the library of transforms.

use std::fmt;
use std::marker::PhantomData;

use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::primitives::ParDo;

/// A DoFn whose `process` is a closure.
pub struct Each<In, Out, F> {
    process: F,
    of: PhantomData<fn(In) -> Out>,
}

/// Runs a closure on every element; it puts out through its context.
pub fn each<In, Out, F>(process: F) -> ParDo<Each<In, Out, F>>
where
    In: Element,
    Out: Element,
    F: Fn(In, &mut ProcessContext<'_, Out>) -> Result<()> + Clone + Send + Sync + 'static,
{
    ParDo::of(Each { process, of: PhantomData })
}

/// Makes one element of every element.
pub fn map<In, Out, F>(function: F) -> ParDo<impl DoFn<In = In, Out = Out>>
where
    In: Element,
    Out: Element,
    F: Fn(In) -> Out + Clone + Send + Sync + 'static,
{
    each(move |element: In, ctx: &mut ProcessContext<'_, Out>| ctx.output(function(element)))
}

impl<In, Out, F> DoFn for Each<In, Out, F>
where
    In: Element,
    Out: Element,
    F: Fn(In, &mut ProcessContext<'_, Out>) -> Result<()> + Clone + Send + Sync + 'static,
{
    type In = In;
    type Out = Out;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, Out>) -> Result<()> {
        (self.process)(element, ctx)
    }
}

impl<In, Out, F: Clone> Clone for Each<In, Out, F> {
    fn clone(&self) -> Self {
        Self { process: self.process.clone(), of: PhantomData }
    }
}

impl<In, Out, F> fmt::Debug for Each<In, Out, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Each")
    }
}
