//! Functions that run on every element of a collection.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::blob::{Payloads, ScratchBlobs};
use crate::cancel::CancelToken;
use crate::capability::Capability;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::memory::{MemoryBudget, Reservation};
use crate::metrics::StepMetrics;
use crate::receiver::{AnyBuffer, OutputBuffer};
use crate::shuffle::Scratch;
use crate::time::{Timestamp, millis_of};
use crate::view::{PCollectionView, SideInput};
use crate::window::{PaneInfo, Stamp, Window};

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
    /// What it needs of its runner besides what the plan shows: a runner that does not offer it
    /// refuses the plan.
    pub needs: Vec<Capability>,
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

    /// Declares something that the runner must offer.
    #[must_use]
    pub fn with_need(mut self, need: Capability) -> Self {
        self.needs.push(need);
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
pub struct SideInputs(pub(crate) Vec<SideInput>);

impl SideInputs {
    /// The value of a view for an element in the window `main`.
    pub(crate) fn value<V: Send + Sync + 'static>(
        &self,
        view: &PCollectionView<V>,
        main: Option<Window>,
    ) -> Result<Arc<V>> {
        let Some(found) = self.0.iter().find(|side| side.id == view.id()) else {
            return Err(undeclared("the side input is not declared")
                .mend("declare the view with `with_side(&view)` on this transform"));
        };
        let value = found.value_for(main)?.downcast::<V>();
        value.map_err(|_| Error::internal("a view has another type than its loader"))
    }
}

impl fmt::Debug for SideInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|side| side.id)).finish()
    }
}

/// The additional outputs of a DoFn, by the names of their tags.
pub(crate) type TaggedBuffers = Vec<(&'static str, Box<dyn AnyBuffer>)>;

/// Where a DoFn stands in the recipe.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The full name of the transform.
    pub name: &'a str,
    /// The line of the recipe.
    pub location: &'static Location<'static>,
}

/// What is called once a bundle has committed.
pub(crate) type OnCommit = Box<dyn FnOnce() -> Result<()> + Send>;

/// What a DoFn may do while it processes an element.
pub struct ProcessContext<'a, Out: Element> {
    pub(crate) main: &'a mut OutputBuffer<Out>,
    pub(crate) tagged: &'a mut TaggedBuffers,
    pub(crate) sides: &'a SideInputs,
    pub(crate) metrics: &'a mut StepMetrics,
    pub(crate) on_commit: &'a mut Vec<OnCommit>,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) budget: &'a MemoryBudget,
    pub(crate) scratch: &'a Scratch,
    pub(crate) payloads: &'a Payloads,
    /// The stamp of the element; where there is none, that of all elements, if there is one.
    pub(crate) stamp: Option<Stamp>,
    /// How far back times of outputs may be set, if that was declared.
    pub(crate) stamping: Option<Duration>,
    pub(crate) step: Step<'a>,
}

impl<'a, Out: Element> ProcessContext<'a, Out> {
    /// Where this DoFn stands in the recipe.
    pub fn step(&self) -> Step<'a> {
        self.step
    }

    /// Runs `work`, and takes back what it has put out on any output if it fails.
    ///
    /// What it puts out is held until it ends: in memory, and on disk where the budget refuses that.
    /// What it has counted stays counted.
    ///
    /// # Errors
    /// A disk that fails while spilling, or whatever fails downstream; the error of `work` is in the
    /// inner result.
    pub fn withholding<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<Result<R>> {
        let (budget, scratch) = (self.budget, self.scratch);
        self.main.hold(budget, scratch);
        self.tagged.iter_mut().for_each(|(_, buffer)| buffer.hold(budget, scratch));
        let outcome = work(self);
        let is_kept = outcome.is_ok();
        self.main.release(is_kept)?;
        self.tagged.iter_mut().try_for_each(|(_, buffer)| buffer.release(is_kept))?;
        Ok(outcome)
    }
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
        self.tagged(tag)?.push(element)
    }

    fn tagged<T: Element>(&mut self, tag: &Tag<T>) -> Result<&mut OutputBuffer<T>> {
        let found = self.tagged.iter_mut().find(|(name, _)| *name == tag.name);
        match found.and_then(|(_, buffer)| buffer.as_any().downcast_mut::<OutputBuffer<T>>()) {
            Some(buffer) => Ok(buffer),
            None => Err(undeclared(format!("output `{}` is not declared", tag.name))
                .mend("declare the tag with `with_output(&tag)` on this ParDo")),
        }
    }

    /// The value of a side input; of one in windows, that which belongs to the window of the element.
    ///
    /// # Errors
    /// A view that this ParDo did not declare, or that does not have its shape in this window.
    pub fn side<V: Send + Sync + 'static>(&self, view: &PCollectionView<V>) -> Result<Arc<V>> {
        self.sides.value(view, self.stamp.map(|stamp| stamp.window))
    }

    /// The time of the element; in `finish_bundle`, that of all elements if they have the same, else
    /// the earliest there is.
    pub fn timestamp(&self) -> Timestamp {
        self.stamp.unwrap_or(Stamp::EARLIEST).timestamp
    }

    /// The window of the element.
    pub fn window(&self) -> Window {
        self.stamp.unwrap_or(Stamp::EARLIEST).window
    }

    /// The pane of the element.
    pub fn pane(&self) -> PaneInfo {
        self.stamp.unwrap_or(Stamp::EARLIEST).pane
    }

    /// Puts out an element with another time than that of the element it is made of.
    ///
    /// The window stays; to change it, apply `WindowInto` afterwards.
    ///
    /// # Errors
    /// A ParDo that does not declare it, a time before that of the element by more than the declared
    /// skew, or whatever fails downstream.
    pub fn output_at(&mut self, timestamp: Timestamp, element: Out) -> Result<()> {
        let stamp = self.stamp_at(timestamp, self.window())?;
        self.main.push_with(element, stamp)
    }

    /// Puts out an element on the output of a tag with another time.
    ///
    /// # Errors
    /// As [`ProcessContext::output_at`] and [`ProcessContext::output_to`].
    pub fn output_to_at<T: Element>(
        &mut self,
        tag: &Tag<T>,
        timestamp: Timestamp,
        element: T,
    ) -> Result<()> {
        let stamp = self.stamp_at(timestamp, self.window())?;
        self.tagged(tag)?.push_with(element, stamp)
    }

    /// Puts out an element in a window: what `finish_bundle` gives in a collection with windows.
    ///
    /// # Errors
    /// As [`ProcessContext::output_at`].
    pub fn output_in(&mut self, window: Window, timestamp: Timestamp, element: Out) -> Result<()> {
        let stamp = self.stamp_at(timestamp, window)?;
        self.main.push_with(element, stamp)
    }

    fn stamp_at(&self, timestamp: Timestamp, window: Window) -> Result<Stamp> {
        let Some(skew) = self.stamping else {
            return Err(undeclared("times of outputs are set, which is not declared")
                .mend("declare it with `with_timestamps()` on this ParDo"));
        };
        let now = self.timestamp();
        if timestamp >= now - skew {
            return Ok(Stamp { timestamp, window, pane: self.pane() });
        }
        let message = format!("{timestamp} lies before the time of the element, which is {now}");
        let error = Error::new(ErrorCode::TIME_OUT_OF_BOUNDS, ErrorKind::InvalidInput, message);
        let missing = now.millis().saturating_sub(timestamp.millis());
        let allowed = millis_of(skew);
        Err(error.mend(format!(
            "allow a skew of at least {missing} ms, not {allowed} ms, with `with_allowed_skew`"
        )))
    }

    /// Puts out an element with this stamp.
    pub(crate) fn output_with(&mut self, element: Out, stamp: Stamp) -> Result<()> {
        self.main.push_with(element, stamp)
    }

    /// Puts out an element with this stamp on the output of a tag.
    pub(crate) fn output_to_with<T: Element>(
        &mut self,
        tag: &Tag<T>,
        element: T,
        stamp: Stamp,
    ) -> Result<()> {
        self.tagged(tag)?.push_with(element, stamp)
    }

    /// Adds to a counter of this step.
    pub fn count(&mut self, name: &'static str, more: u64) {
        self.metrics.count(name, more);
    }

    /// Adds a value to a distribution of this step.
    pub fn record(&mut self, name: &'static str, value: i64) {
        self.metrics.record(name, value);
    }

    /// Sets a gauge of this step, at the time of the element; see [`Gauge`](crate::metrics::Gauge).
    pub fn gauge(&mut self, name: &'static str, value: i64) {
        let at = self.timestamp().millis();
        self.metrics.gauge(name, value, at);
    }

    /// Adds a text to a set of this step; see [`StringSet`](crate::metrics::StringSet).
    pub fn add_string(&mut self, name: &'static str, text: &str) {
        self.metrics.add_string(name, text);
    }

    /// Calls `callback` once this bundle has committed: to acknowledge, or to clean up.
    ///
    /// It is called at most once a commit, and not at all where the process ends before. The
    /// results are there already, so an error or a panic of it changes nothing: it is logged, and
    /// counted as `finalization_failures` of this step.
    ///
    /// Source: Beam, `DoFn.BundleFinalizer`.
    pub fn on_commit(&mut self, callback: impl FnOnce() -> Result<()> + Send + 'static) {
        self.on_commit.push(Box::new(callback));
    }

    /// An empty reservation, to grow with what this DoFn holds beyond the working bytes that its
    /// [facts](DoFn::facts) declare. What is reserved is free again when it is dropped.
    ///
    /// It may be refused while other bundles and the shuffle hold much: what is known beforehand is
    /// better declared.
    pub fn hold(&self) -> Reservation {
        self.budget.hold()
    }

    /// How payloads of this run travel to later transforms.
    pub fn payloads(&self) -> &Payloads {
        self.payloads
    }

    /// Blobs of this process alone, in the folder for spilled data; they are gone when they are dropped.
    pub fn own_blobs(&self) -> ScratchBlobs {
        ScratchBlobs::new(self.scratch.clone())
    }

    /// The request to stop, for the threads of long work on one element.
    pub fn cancel_token(&self) -> &CancelToken {
        self.cancel
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
