//! Functions that may fail for some elements: what succeeds goes on, what fails is kept.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use dataflow::dofn::DoFnFacts;
use dataflow::prelude::{
    DoFn, Element, Error, ErrorCode, ErrorKind, PCollection, PCollectionView, PTransform, ParDo,
    ProcessContext, Result, Tag,
};
use dataflow::primitives::{MultiParDo, ParDoOutputs};
use dataflow::ptransform::short_type_name;

use crate::failed::Failed;

/// What a function made of the elements for which it succeeded, and the others.
#[derive(Debug, Clone)]
pub struct Outcomes<In, Out> {
    /// What came of the elements that did not fail.
    pub good: PCollection<Out>,
    /// The elements that failed: the dead letters.
    pub failed: PCollection<Failed<In>>,
    outputs: ParDoOutputs<Out>,
}

impl<In, Out> Outcomes<In, Out> {
    /// The output of a tag that was declared with [`TryParDo::with_output`].
    pub fn get<Tagged: Element>(&self, tag: &Tag<Tagged>) -> PCollection<Tagged> {
        self.outputs.get(tag)
    }
}

/// Replaces every element by what a function makes of it, and keeps those for which it fails.
///
/// An error and a panic of the function are the failure of that element alone, and do not end the
/// run; [`TryParDo`] says which errors still do. Cost: a clone of every element.
///
/// ```
/// # use dataflow::prelude::{Create, Error, ErrorCode, ErrorKind, PCollection, Pipeline};
/// # use basic::{Failed, TryMap};
/// let texts = Pipeline::new().apply(Create::of(["1".to_owned(), "one".to_owned()]));
/// let outcomes = texts.apply(TryMap::of(|text: String| {
///     let number = text.parse::<i64>();
///     number.map_err(|why| Error::new(ErrorCode::USER_ERROR, ErrorKind::User, why.to_string()))
/// }));
/// let numbers: PCollection<i64> = outcomes.good;
/// let others: PCollection<Failed<String>> = outcomes.failed;
/// ```
pub struct TryMap<In, F>(F, PhantomData<fn(In)>);

impl<In, F> TryMap<In, F> {
    /// Applies this function.
    pub fn of<Out>(function: F) -> Self
    where
        F: Fn(In) -> Result<Out>,
    {
        Self(function, PhantomData)
    }
}

impl<In, Out, F> PTransform<PCollection<In>> for TryMap<In, F>
where
    In: Element,
    Out: Element,
    F: Fn(In) -> Result<Out> + Clone + Send + Sync + 'static,
{
    type Output = Outcomes<In, Out>;

    fn expand(self, input: PCollection<In>) -> Self::Output {
        TryParDo::of(TryMapFn { function: self.0, of: PhantomData }).expand(input)
    }
}

impl<In, F> fmt::Debug for TryMap<In, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TryMap")
    }
}

struct TryMapFn<In, Out, F> {
    function: F,
    of: PhantomData<fn(In) -> Out>,
}

impl<In, Out, F: Clone> Clone for TryMapFn<In, Out, F> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), of: PhantomData }
    }
}

impl<In, Out, F> DoFn for TryMapFn<In, Out, F>
where
    In: Element,
    Out: Element,
    F: Fn(In) -> Result<Out> + Clone + Send + Sync + 'static,
{
    type In = In;
    type Out = Out;

    fn process(&mut self, element: In, ctx: &mut ProcessContext<'_, Out>) -> Result<()> {
        ctx.output((self.function)(element)?)
    }
}

/// Runs a [`DoFn`] on every element, and keeps those for which `process` fails.
///
/// What `process` puts out for an element, on any output, is held until it is known that it does not
/// fail, in memory as far as the budget goes and then on disk: of a failing element nothing is seen
/// downstream. A panic fails its element
/// too; the instance goes on with the next one, so a DoFn that keeps state over elements must leave
/// it whole.
///
/// These end the bundle as in a `ParDo`, because they are not the element's: errors that a later
/// attempt may not give (the runner tries again), and those for which
/// [`Error::is_of_element`] is false: a request to stop, bugs of the engine, a full store, too little
/// memory, views and tags that are not declared or have another shape, settings and credentials,
/// assertions, spilled data that cannot be read; whatever fails in `setup`, `start_bundle` and
/// `finish_bundle`; and whatever fails downstream.
///
/// Cost: a clone of every element.
pub struct TryParDo<F: DoFn> {
    pardo: MultiParDo<Attempt<F>>,
}

impl<F: DoFn> TryParDo<F> {
    /// Runs this DoFn.
    pub fn of(dofn: F) -> Self {
        Self { pardo: ParDo::of(Attempt(dofn)).with_output(&failed_tag::<F::In>()) }
    }

    /// Lets the DoFn read a side input.
    #[must_use]
    pub fn with_side<V>(self, view: &PCollectionView<V>) -> Self {
        Self { pardo: self.pardo.with_side(view) }
    }

    /// Gives the DoFn an additional output; [`Outcomes::get`] has its collection.
    #[must_use]
    pub fn with_output<T: Element>(self, tag: &Tag<T>) -> Self {
        Self { pardo: self.pardo.with_output(tag) }
    }
}

impl<F: DoFn> PTransform<PCollection<F::In>> for TryParDo<F> {
    type Output = Outcomes<F::In, F::Out>;

    fn name(&self) -> String {
        format!("TryParDo({})", short_type_name::<F>())
    }

    fn expand(self, input: PCollection<F::In>) -> Self::Output {
        let outputs = self.pardo.expand(input);
        let failed = outputs.get(&failed_tag::<F::In>());
        Outcomes { good: outputs.main.clone(), failed, outputs }
    }
}

impl<F: DoFn> fmt::Debug for TryParDo<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryParDo").field("pardo", &self.pardo).finish()
    }
}

const fn failed_tag<In>() -> Tag<Failed<In>> {
    Tag::new("TryParDo.failed")
}

#[derive(Clone)]
struct Attempt<F>(F);

impl<F: DoFn> DoFn for Attempt<F> {
    type In = F::In;
    type Out = F::Out;

    fn setup(&mut self) -> Result<()> {
        self.0.setup()
    }

    fn start_bundle(&mut self) -> Result<()> {
        self.0.start_bundle()
    }

    fn process(&mut self, element: F::In, ctx: &mut ProcessContext<'_, F::Out>) -> Result<()> {
        let kept = element.clone();
        match ctx.withholding(|ctx| catch(|| self.0.process(element, ctx)))? {
            Err(error) if !error.is_transient() && error.is_of_element() => {
                let failed = Failed::new(kept, error, ctx.step());
                ctx.output_to(&failed_tag(), failed)
            }
            outcome => outcome,
        }
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, F::Out>) -> Result<()> {
        self.0.finish_bundle(ctx)
    }

    fn teardown(&mut self) {
        self.0.teardown();
    }

    fn facts(&self) -> DoFnFacts {
        self.0.facts()
    }
}

/// Runs `work`; a panic in code of the recipe becomes an error.
fn catch(work: impl FnOnce() -> Result<()>) -> Result<()> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        // An iterator that could not go on, which is for the edge of the bundle.
        Err(panic) if panic.is::<Error>() => resume_unwind(panic),
        Err(panic) => Err(panicked(panic.as_ref())),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
    Error::new(ErrorCode::USER_PANIC, ErrorKind::User, format!("the function panicked: {text}"))
}
