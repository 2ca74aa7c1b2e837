//! Times and windows of elements: set from values, and made values.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::Result;
use crate::pcollection::PCollection;
use crate::primitives::ParDo;
use crate::ptransform::PTransform;
use crate::time::Timestamp;
use crate::window::Window;

/// Gives every element the time that a function reads from it. Windows stay as they are.
pub struct WithTimestamps<T, F> {
    function: F,
    skew: Duration,
    of: PhantomData<fn(T)>,
}

impl<T, F: Fn(&T) -> Timestamp> WithTimestamps<T, F> {
    /// Reads times with this function.
    pub fn of(function: F) -> Self {
        Self { function, skew: Duration::ZERO, of: PhantomData }
    }

    /// Lets times be at most `skew` before those that elements have.
    #[must_use]
    pub fn with_allowed_skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }
}

impl<T, F> PTransform<PCollection<T>> for WithTimestamps<T, F>
where
    T: Element,
    F: Fn(&T) -> Timestamp + Clone + Send + Sync + 'static,
{
    type Output = PCollection<T>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let stamp = Restamp { function: self.function, of: PhantomData };
        input.apply(ParDo::of(stamp).with_allowed_skew(self.skew))
    }
}

impl<T, F> fmt::Debug for WithTimestamps<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTimestamps").field("skew", &self.skew).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Restamp<T, F> {
    function: F,
    of: PhantomData<fn(T)>,
}

impl<T, F> DoFn for Restamp<T, F>
where
    T: Element,
    F: Fn(&T) -> Timestamp + Clone + Send + Sync + 'static,
{
    type In = T;
    type Out = T;

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, T>) -> Result<()> {
        ctx.output_at((self.function)(&element), element)
    }
}

/// Every element with its time.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReifyTimestamps;

impl<T: Element> PTransform<PCollection<T>> for ReifyTimestamps {
    type Output = PCollection<(T, Timestamp)>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        input.apply(ParDo::of(TakeTimestamp(PhantomData)))
    }
}

#[derive(Clone)]
struct TakeTimestamp<T>(PhantomData<fn(T)>);

impl<T: Element> DoFn for TakeTimestamp<T> {
    type In = T;
    type Out = (T, Timestamp);

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((element, ctx.timestamp()))
    }
}

/// Every element with its time and its window.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReifyWindows;

impl<T: Element> PTransform<PCollection<T>> for ReifyWindows {
    type Output = PCollection<(T, Timestamp, Window)>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        input.apply(ParDo::of(TakeWindow(PhantomData)))
    }
}

#[derive(Clone)]
struct TakeWindow<T>(PhantomData<fn(T)>);

impl<T: Element> DoFn for TakeWindow<T> {
    type In = T;
    type Out = (T, Timestamp, Window);

    fn process(&mut self, element: T, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output((element, ctx.timestamp(), ctx.window()))
    }
}
