//! Says what a collection holds, and fails the run where it does not.

use std::fmt;
use std::sync::Arc;

use crate::dofn::{DoFn, DoFnFacts, ProcessContext};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{Graph, Node, Operation};
use crate::metrics::{MetricKey, Metrics};
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{Impulse, ParDo, ReifyWindows, WindowInto};
use crate::ptransform::PTransform;
use crate::shuffle::Iterable;
use crate::testing::difference::{Difference, preview_of};
use crate::time::Timestamp;
use crate::view::PCollectionView;
use crate::window::{GlobalWindows, Window};

/// By this a step is known that checks an assertion.
const MARK: &str = "assertion of a test";
/// Counts the assertions that held: one that never ran is found by its absence.
const HELD: &str = "assertions_held";

/// Begins an assertion about a collection, to be checked when the pipeline runs.
///
/// ```
/// use dataflow::prelude::Create;
/// use dataflow::testing::{TestPipeline, assert_that};
///
/// let pipeline = TestPipeline::new();
/// let numbers = pipeline.apply(Create::of([2i64, 1, 2]));
/// assert_that(&numbers).contains_in_any_order([1, 2, 2]);
/// pipeline.run()?;
/// # Ok::<(), dataflow::error::Error>(())
/// ```
pub fn assert_that<T: Element>(collection: &PCollection<T>) -> AssertThat<T> {
    AssertThat { collection: collection.clone(), name: "AssertThat".to_owned() }
}

/// What is claimed of a collection; see [`assert_that`].
///
/// A claim that does not hold fails the run with E303, which shows the difference and the line of
/// the claim. [`TestPipeline`](crate::testing::TestPipeline) fails the run too where a claim was
/// never checked. All elements are held in memory.
#[must_use = "an assertion claims nothing until one of its methods is called"]
pub struct AssertThat<T> {
    collection: PCollection<T>,
    name: String,
}

type Claim<T> = Arc<dyn Fn(&Iterable<T>) -> Result<()> + Send + Sync>;

impl<T: Element> AssertThat<T> {
    /// Names the assertion; it stands in the error as the step.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Claims that these are the elements, each as often as it stands here.
    ///
    /// # Panics
    /// If the pipeline has run.
    #[track_caller]
    pub fn contains_in_any_order(self, wanted: impl IntoIterator<Item = T>)
    where
        T: PartialEq,
    {
        let wanted: Vec<T> = wanted.into_iter().collect();
        self.claim(move |found| {
            let difference = Difference::between(&wanted, found.try_iter())?;
            if difference.is_none() { Ok(()) } else { Err(difference.describe(refuted)) }
        });
    }

    /// Claims that this is the one and only element.
    ///
    /// # Panics
    /// If the pipeline has run.
    #[track_caller]
    pub fn is_singleton(self, wanted: T)
    where
        T: PartialEq,
    {
        self.contains_in_any_order([wanted]);
    }

    /// Claims that these are the elements in one window, each as often as it stands here.
    ///
    /// # Panics
    /// If the pipeline has run.
    #[track_caller]
    pub fn contains_in_window(self, window: Window, wanted: impl IntoIterator<Item = T>)
    where
        T: PartialEq,
    {
        let wanted: Vec<T> = wanted.into_iter().collect();
        let Self { collection, name } = self;
        let in_window = move |element: Result<(T, Timestamp, Window)>| match element {
            Ok((element, _, of)) => (of == window).then_some(Ok(element)),
            Err(error) => Some(Err(error)),
        };
        let claim = Arc::new(move |found: &Iterable<(T, Timestamp, Window)>| {
            let found = found.try_iter().filter_map(in_window);
            let difference = Difference::between(&wanted, found)?;
            let refute = |why| refuted(why).at("window", window);
            if difference.is_none() { Ok(()) } else { Err(difference.describe(refute)) }
        });
        add(&collection, &name, CheckInWindows { claim });
    }

    /// Claims that there is no element.
    ///
    /// # Panics
    /// If the pipeline has run.
    #[track_caller]
    pub fn is_empty(self) {
        self.claim(|found| match found.try_iter().next().transpose()? {
            None => Ok(()),
            Some(first) => {
                let message = format!("the collection holds {} elements, not none", found.len());
                Err(refuted(message).at("unexpected", preview_of(&first)))
            }
        });
    }

    /// Claims whatever `check` finds right; it gets all elements, in no order.
    ///
    /// What it returns as an error is the text of the failure. It may also assert and panic.
    ///
    /// # Panics
    /// If the pipeline has run.
    #[track_caller]
    pub fn satisfies(self, check: impl Fn(&[T]) -> Result<(), String> + Send + Sync + 'static) {
        self.claim(move |found| {
            let elements: Vec<T> = found.try_iter().collect::<Result<_>>()?;
            check(&elements).map_err(|why| {
                let shown = elements.iter().take(10).map(preview_of).collect::<Vec<_>>();
                refuted(why)
                    .at("elements", format_args!("{}: {}", elements.len(), shown.join(", ")))
            })
        });
    }

    #[track_caller]
    fn claim(self, claim: impl Fn(&Iterable<T>) -> Result<()> + Send + Sync + 'static) {
        add(&self.collection, &self.name, CheckClaim { claim: Arc::new(claim) });
    }
}

#[track_caller]
fn add<T: Element>(
    collection: &PCollection<T>,
    name: &str,
    check: impl PTransform<PCollection<T>, Output = ()>,
) {
    let has_run = collection.pipeline().has_run();
    assert!(!has_run, "an assertion was added after its pipeline has run: add it before");
    if name == check.name() {
        collection.apply(check);
    } else {
        collection.apply_named(name, check);
    }
}

impl<T> fmt::Debug for AssertThat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertThat").field("name", &self.name).finish_non_exhaustive()
    }
}

fn refuted(message: impl AsRef<str>) -> Error {
    let error = Error::new(ErrorCode::ASSERTION, ErrorKind::User, message);
    error.mend("mend what makes the collection, or what the assertion expects of it")
}

/// Reads the collection as a side input of an impulse: that runs once, also where it is empty.
struct CheckClaim<T: Element> {
    claim: Claim<T>,
}

impl<T: Element> PTransform<PCollection<T>> for CheckClaim<T> {
    type Output = ();

    fn name(&self) -> String {
        "AssertThat".to_owned()
    }

    fn expand(self, input: PCollection<T>) {
        // An impulse stands in the global window: all that it is to see must stand there too.
        let is_global = input.windowing().is_global();
        let all = if is_global { input } else { input.apply(WindowInto::of(GlobalWindows)) };
        let found = all.as_iterable_view();
        let run = RunClaim { claim: self.claim, found };
        let start = all.pipeline().apply(Impulse);
        start.apply_named("Check", ParDo::of(run).with_side(&found));
    }
}

/// The same with elements that carry their windows.
struct CheckInWindows<T: Element> {
    claim: Claim<(T, Timestamp, Window)>,
}

impl<T: Element> PTransform<PCollection<T>> for CheckInWindows<T> {
    type Output = ();

    fn name(&self) -> String {
        "AssertThat".to_owned()
    }

    fn expand(self, input: PCollection<T>) {
        input.apply(ReifyWindows).apply(CheckClaim { claim: self.claim });
    }
}

#[derive(Clone)]
struct RunClaim<T: Element> {
    claim: Claim<T>,
    found: PCollectionView<Iterable<T>>,
}

impl<T: Element> DoFn for RunClaim<T> {
    type In = Vec<u8>;
    type Out = ();

    fn process(&mut self, _: Vec<u8>, ctx: &mut ProcessContext<'_, ()>) -> Result<()> {
        (self.claim)(ctx.side(&self.found)?.as_ref())?;
        ctx.count(HELD, 1);
        Ok(())
    }

    fn facts(&self) -> DoFnFacts {
        DoFnFacts::default().with_parameters(MARK)
    }
}

/// Checks that every assertion of a pipeline held, once.
///
/// # Errors
/// The first that was not checked, or more than once, by name and line; E303.
pub(super) fn check_all_held(pipeline: &Pipeline, metrics: &Metrics) -> Result<()> {
    let graph = pipeline.graph()?;
    for node in assertions(&graph) {
        let key = MetricKey { step: node.name.clone(), name: HELD.to_owned() };
        let count = metrics.counters.get(&key).copied().unwrap_or(0);
        if count != 1 {
            let message = format!("an assertion was found to hold {count} times, not once");
            let (file, line) = (node.location.file(), node.location.line());
            let error = Error::new(ErrorCode::ASSERTION, ErrorKind::User, message);
            return Err(error
                .at("step", &node.name)
                .at("recipe", format_args!("{file}:{line}"))
                .mend("a runner runs every step, and counts what has committed once"));
        }
    }
    Ok(())
}

/// The steps that check assertions.
pub(super) fn assertions(graph: &Graph) -> impl Iterator<Item = &Node> {
    graph.nodes.iter().filter(|node| match &node.operation {
        Operation::ParDo(pardo) => pardo.facts().dofn.parameters == MARK,
        _ => false,
    })
}
