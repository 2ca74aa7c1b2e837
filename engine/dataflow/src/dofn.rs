//! Functions that run on every element of a collection.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cancel::CancelToken;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::metrics::StepMetrics;
use crate::receiver::{AnyBuffer, OutputBuffer};
use crate::view::{PCollectionView, ViewId};

/// A function on elements, with a life around it.
///
/// The life of an instance: `setup`, `start_bundle`, `process` for every element, `finish_bundle`,
/// `teardown`; the last also after a failure. Instances are clones of the one in the pipeline, and
/// each runs on one thread. A bundle that fails may run again from its start.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `DoFn`",
    note = "closures go through `Map`, `FlatMap` and `Filter`; a type of your own implements `DoFn`"
)]
pub trait DoFn: Clone + Send + Sync + 'static {
    /// What comes in.
    type In: Element;
    /// What goes out.
    type Out: Element;

    /// Prepares the instance: opens what all its elements need.
    ///
    /// # Errors
    /// Whatever keeps it from working.
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }

    /// Begins a bundle.
    ///
    /// # Errors
    /// Whatever keeps it from working.
    fn start_bundle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes one element, and puts out any number.
    ///
    /// # Errors
    /// An element that cannot be processed, or whatever fails downstream.
    fn process(&mut self, element: Self::In, ctx: &mut ProcessContext<'_, Self::Out>)
    -> Result<()>;

    /// Ends a bundle; what is still to be put out goes now.
    ///
    /// # Errors
    /// Whatever fails here or downstream.
    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let _: &mut ProcessContext<'_, Self::Out> = ctx;
        Ok(())
    }

    /// Closes what `setup` has opened.
    fn teardown(&mut self) {}

    /// What is known of this function; see [`DoFnFacts`].
    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default()
    }
}

/// What a [`DoFn`] says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DoFnFacts {
    /// Arguments that change the output: they are part of the plan's identity.
    pub parameters: String,
    /// To be raised when the code changes its output.
    pub version: u32,
    /// Bytes that an instance needs besides its elements; granted before a bundle starts.
    pub working_bytes: u64,
}

impl DoFnFacts {
    /// Names the arguments that change the output.
    #[must_use]
    pub fn with_parameters(mut self, parameters: impl Into<String>) -> Self {
        self.parameters = parameters.into();
        self
    }

    /// Declares the version of the code.
    #[must_use]
    pub fn with_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Declares the bytes that an instance needs.
    #[must_use]
    pub fn with_working_bytes(mut self, bytes: u64) -> Self {
        self.working_bytes = bytes;
        self
    }
}

/// What a DoFn keeps while one bundle runs: a clone of it begins with the default.
///
/// So a DoFn can keep what can be neither cloned nor shared: open files, requests under way.
pub struct BundleState<T>(Mutex<T>);

impl<T: Default> BundleState<T> {
    /// The state of this instance.
    pub fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for BundleState<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Clone for BundleState<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> fmt::Debug for BundleState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BundleState")
    }
}

/// Names an additional output of a ParDo, and its type.
pub struct Tag<T> {
    name: &'static str,
    of: std::marker::PhantomData<fn(T)>,
}

impl<T> Tag<T> {
    /// The tag of this name, unique in its ParDo.
    pub const fn new(name: &'static str) -> Self {
        Self { name, of: std::marker::PhantomData }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Tag<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tag<T> {}

impl<T> fmt::Debug for Tag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.name)
    }
}

/// The loaded side inputs of a DoFn, by view.
#[derive(Clone, Default)]
pub struct SideInputs(pub(crate) Vec<(ViewId, Arc<dyn Any + Send + Sync>)>);

impl fmt::Debug for SideInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

/// The additional outputs of a DoFn, by the names of their tags.
pub(crate) type TaggedBuffers = Vec<(&'static str, Box<dyn AnyBuffer>)>;

/// What a DoFn may do while it processes an element.
pub struct ProcessContext<'a, Out: Element> {
    pub(crate) main: &'a mut OutputBuffer<Out>,
    pub(crate) tagged: &'a mut TaggedBuffers,
    pub(crate) sides: &'a SideInputs,
    pub(crate) metrics: &'a mut StepMetrics,
    pub(crate) cancel: &'a CancelToken,
}

impl<Out: Element> ProcessContext<'_, Out> {
    /// Puts out an element.
    ///
    /// # Errors
    /// Whatever fails downstream; return it.
    #[inline]
    pub fn output(&mut self, element: Out) -> Result<()> {
        self.main.push(element)
    }

    /// Puts out an element on the output of a tag.
    ///
    /// # Errors
    /// A tag that this ParDo did not declare, or whatever fails downstream.
    pub fn output_to<T: Element>(&mut self, tag: &Tag<T>, element: T) -> Result<()> {
        let found = self.tagged.iter_mut().find(|(name, _)| *name == tag.name);
        match found.and_then(|(_, buffer)| buffer.as_any().downcast_mut::<OutputBuffer<T>>()) {
            Some(buffer) => buffer.push(element),
            None => Err(undeclared(format!("output `{}` is not declared", tag.name))
                .mend("declare the tag with `with_output(&tag)` on this ParDo")),
        }
    }

    /// The value of a side input.
    ///
    /// # Errors
    /// A view that this ParDo did not declare.
    pub fn side<V: Send + Sync + 'static>(&self, view: &PCollectionView<V>) -> Result<Arc<V>> {
        let found = self.sides.0.iter().find(|(id, _)| *id == view.id());
        match found.and_then(|(_, value)| Arc::clone(value).downcast::<V>().ok()) {
            Some(value) => Ok(value),
            None => Err(undeclared("the side input is not declared")
                .mend("declare the view with `with_side(&view)` on this ParDo")),
        }
    }

    /// Adds to a counter of this step.
    pub fn count(&mut self, name: &'static str, more: u64) {
        self.metrics.count(name, more);
    }

    /// Adds a value to a distribution of this step.
    pub fn record(&mut self, name: &'static str, value: i64) {
        self.metrics.record(name, value);
    }

    /// Whether the run was asked to stop; long work on one element should look.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

impl<Out: Element> fmt::Debug for ProcessContext<'_, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessContext").field("sides", self.sides).finish_non_exhaustive()
    }
}

fn undeclared(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::NOT_DECLARED, ErrorKind::InvalidInput, message)
}
