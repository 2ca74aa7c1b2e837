//! DoFns of closures, for tests that may not use the library of transforms.

use std::fmt;
use std::sync::Arc;

use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::primitives::ParDo;

/// A DoFn whose `process` is a closure.
///
/// The closure is called through a pointer: all closures on the same types are compiled into one
/// chain, which hundreds of small steps of tests need.
pub struct Each<In: Element, Out: Element>(Arc<Process<In, Out>>);

type Process<In, Out> = dyn Fn(In, &mut ProcessContext<'_, Out>) -> Result<()> + Send + Sync;

/// Runs a closure on every element; it puts out through its context.
pub fn each<In: Element, Out: Element>(
    process: impl Fn(In, &mut ProcessContext<'_, Out>) -> Result<()> + Send + Sync + 'static,
) -> ParDo<Each<In, Out>> {
    ParDo::of(Each(Arc::new(process)))
}

/// Makes one element of every element.
pub fn map<In: Element, Out: Element>(
    function: impl Fn(In) -> Out + Send + Sync + 'static,
) -> ParDo<Each<In, Out>> {
    each(move |element: In, ctx: &mut ProcessContext<'_, Out>| ctx.output(function(element)))
}

impl<In: Element, Out: Element> DoFn for Each<In, Out> {
    type In = In;
    type Out = Out;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, Out>) -> Result<()> {
        (self.0)(element, ctx)
    }
}

impl<In: Element, Out: Element> Clone for Each<In, Out> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<In: Element, Out: Element> fmt::Debug for Each<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Each")
    }
}
