//! What the receivers of one bundle share.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blob::Payloads;
use crate::cancel::CancelToken;
use crate::dofn::{OnCommit, SideInputs};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{CollectionId, ElementPlace, LeftOut, NodeId, Noted, Shown, Side, Views};
use crate::memory::MemoryBudget;
use crate::metrics::{Metrics, Recorder, StepMetrics};
use crate::receiver::BATCH_ELEMENTS;
use crate::shuffle::{EdgeId, Prepared, RawValuesBuilder, RecordSink, Scratch};

/// The name of a step, for errors and metrics.
#[derive(Debug, Clone)]
pub struct StepInfo {
    /// The full name.
    pub name: String,
    /// The line of the recipe.
    pub location: &'static Location<'static>,
}

impl StepInfo {
    /// Adds step and recipe line to an error; one that names a step keeps its own.
    #[must_use]
    pub fn locate(&self, error: Error) -> Error {
        if error.place("step").is_some() {
            return error;
        }
        let (file, line) = (self.location.file(), self.location.line());
        error.at("step", &self.name).at("recipe", format_args!("{file}:{line}"))
    }
}

/// A part of an input: elements before it, and elements in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Elements before it.
    pub done: u64,
    /// Elements in it.
    pub pending: u64,
}

impl Span {
    /// The whole input.
    const ALL: Self = Self { done: 0, pending: u64::MAX };
}

/// What the receivers of one bundle share. Clones share it.
#[derive(Clone)]
pub struct Env {
    /// The budget of the run.
    pub budget: MemoryBudget,
    /// Where spilled data goes.
    pub scratch: Scratch,
    /// How payloads travel.
    pub payloads: Payloads,
    /// The request to stop.
    pub cancel: CancelToken,
    /// The side inputs of the run.
    pub views: Views,
    /// Whether every element is noted before it is processed, so that a failure can name it.
    pub notes_elements: bool,
    /// Which part of the input is read: all of it, or only what failed before.
    pub span: Span,
    /// The elements that are not processed.
    pub left_out: Arc<LeftOut>,
    bundle: Arc<Bundle>,
}

struct Bundle {
    steps: Arc<[StepInfo]>,
    current: AtomicU32,
    is_feeding: AtomicBool,
    done: AtomicU64,
    pending: AtomicU64,
    noted: Mutex<Notes>,
    outcome: Mutex<Outcome>,
}

/// Which elements are worked on, and which of them failed.
#[derive(Default)]
struct Notes {
    elements: BTreeMap<NodeId, Noted>,
    culprit: Option<Noted>,
    left_out_count: usize,
}

#[derive(Default)]
struct Outcome {
    metrics: Metrics,
    /// What code without a context has counted.
    of_steps: BTreeMap<NodeId, StepMetrics>,
    elements: BTreeMap<CollectionId, u64>,
    on_commit: Vec<(NodeId, OnCommit)>,
    sinks: BTreeMap<EdgeId, Box<dyn RecordSink>>,
}

impl Env {
    /// What a bundle of these steps shares, one step for each node of the graph.
    pub fn new(
        steps: Arc<[StepInfo]>,
        budget: MemoryBudget,
        scratch: Scratch,
        payloads: Payloads,
        cancel: CancelToken,
        views: Views,
    ) -> Self {
        let bundle = Bundle {
            steps,
            current: AtomicU32::new(0),
            is_feeding: AtomicBool::new(false),
            done: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            noted: Mutex::default(),
            outcome: Mutex::default(),
        };
        Self {
            budget,
            scratch,
            payloads,
            cancel,
            views,
            notes_elements: false,
            span: Span::ALL,
            left_out: Arc::default(),
            bundle: Arc::new(bundle),
        }
    }

    /// The same, noting the elements of what `failed` was being processed, and reading no others.
    #[must_use]
    pub fn noting(mut self, failed: Span) -> Self {
        // Without a batch on its way, the failure came while one was being gathered.
        let pending = if failed.pending == 0 { BATCH_ELEMENTS as u64 } else { failed.pending };
        self.span = Span { pending, ..failed };
        self.notes_elements = true;
        self
    }

    /// The same, element by element: all are noted but those of `left_out`, which are passed over.
    #[must_use]
    pub fn careful(mut self, left_out: &Arc<LeftOut>) -> Self {
        self.left_out = Arc::clone(left_out);
        self.notes_elements = true;
        self
    }

    /// Whether the whole input is read.
    pub fn reads_all(&self) -> bool {
        self.span == Span::ALL
    }

    /// Elements of the input to pass over before the part that is read.
    pub fn skip(&self) -> u64 {
        self.span.done
    }

    /// The most elements of the input to read.
    pub fn span_limit(&self) -> usize {
        usize::try_from(self.span.pending).unwrap_or(usize::MAX)
    }

    /// Elements of the input that have been processed, and those that are being processed.
    pub fn progress(&self) -> Span {
        let done = self.bundle.done.load(Ordering::Relaxed);
        Span { done, pending: self.bundle.pending.load(Ordering::Relaxed) }
    }

    /// Says whether elements are on their way: only then can one of them be what fails.
    pub fn set_feeding(&self, is_feeding: bool) {
        self.bundle.is_feeding.store(is_feeding, Ordering::Relaxed);
    }

    /// Whether elements are on their way, or were when a failure came.
    pub fn is_feeding(&self) -> bool {
        self.bundle.is_feeding.load(Ordering::Relaxed)
    }

    /// Says that the next `count` elements of the input are being processed.
    pub fn begin_batch(&self, count: usize) {
        self.bundle.pending.store(count as u64, Ordering::Relaxed);
    }

    /// Says that they have been processed.
    pub fn end_batch(&self) {
        let count = self.bundle.pending.swap(0, Ordering::Relaxed);
        self.bundle.done.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes which element a node works on; `None` when it works on no single one.
    pub fn note_element(&self, node: NodeId, element: Option<Noted>) {
        let mut notes = self.notes();
        match element {
            Some(element) => notes.elements.insert(node, element),
            None => notes.elements.remove(&node),
        };
    }

    /// Whether an element is to be passed over.
    ///
    /// # Errors
    /// Another element in the place of the one that was to be.
    pub fn leaves_out(&self, place: ElementPlace, shown: impl FnOnce() -> Shown) -> Result<bool> {
        let Some(is_same) = self.left_out.is_same(place, shown) else { return Ok(false) };
        let mut notes = self.notes();
        notes.left_out_count += 1;
        // Nothing fails now that an element could be blamed for.
        notes.elements.remove(&place.node);
        if is_same { Ok(true) } else { Err(LeftOut::missed()) }
    }

    /// Returns an error if not all elements have come that were to be passed over.
    ///
    /// # Errors
    /// Elements that come another time in other places.
    pub fn check_left_out(&self) -> Result<()> {
        if self.notes().left_out_count == self.left_out.len() {
            Ok(())
        } else {
            Err(LeftOut::missed())
        }
    }

    /// The element for which the bundle failed, if it was one.
    pub fn culprit(&self) -> Option<Noted> {
        self.notes().culprit.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.bundle.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds step, recipe line and element to an error of `node`.
    ///
    /// One that names a step is from further down the chain and stays as it is; a request to stop
    /// is nobody's fault.
    #[must_use]
    pub fn blame(&self, node: NodeId, error: Error) -> Error {
        if error.place("step").is_some() || error.kind() == ErrorKind::Cancelled {
            return error;
        }
        let error = self.step(node).locate(error);
        let mut notes = self.notes();
        notes.culprit = notes.elements.get(&node).cloned();
        match notes.culprit.as_ref().and_then(|element| element.shown.as_ref()) {
            Some(shown) => error.at("element", &shown.preview),
            None => error,
        }
    }

    /// The step of a node.
    pub fn step(&self, node: NodeId) -> &StepInfo {
        &self.bundle.steps[node.0 as usize]
    }

    /// The node whose code runs, or ran when a panic began.
    pub fn current(&self) -> NodeId {
        NodeId(self.bundle.current.load(Ordering::Relaxed))
    }

    /// Notes that code of `node` runs now, and returns which node's code ran before.
    pub fn enter(&self, node: NodeId) -> NodeId {
        NodeId(self.bundle.current.swap(node.0, Ordering::Relaxed))
    }

    /// The loaded side inputs of these views.
    pub fn sides(&self, sides: &[Side]) -> SideInputs {
        self.views.select(sides)
    }

    /// An empty group of values.
    pub fn group_builder(&self) -> RawValuesBuilder {
        RawValuesBuilder::new(&self.budget, &self.scratch)
    }

    /// Adds numbers that count when the bundle commits.
    pub fn add_metrics(&self, metrics: &Metrics) {
        self.lock().metrics.merge(metrics);
    }

    /// Adds elements of a collection that this bundle has made.
    pub fn add_elements(&self, of: CollectionId, count: u64) {
        *self.lock().elements.entry(of).or_default() += count;
    }

    /// Takes how many elements of each collection this bundle has made.
    pub fn take_elements(&self) -> BTreeMap<CollectionId, u64> {
        std::mem::take(&mut self.lock().elements)
    }

    /// Takes what code that runs without a context counts.
    pub fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::clone(&self.bundle) as _
    }

    /// Keeps what is to be called when the bundle has committed.
    pub(crate) fn add_on_commit(&self, node: NodeId, callbacks: Vec<OnCommit>) {
        self.lock().on_commit.extend(callbacks.into_iter().map(|callback| (node, callback)));
    }

    /// Takes what is to be called now that the bundle has committed.
    pub(crate) fn take_on_commit(&self) -> Vec<(NodeId, OnCommit)> {
        std::mem::take(&mut self.lock().on_commit)
    }

    /// Takes the sink that an earlier chain has left for this edge, if one has.
    pub fn take_sink(&self, edge: EdgeId) -> Option<Box<dyn RecordSink>> {
        self.lock().sinks.remove(&edge)
    }

    /// Leaves a sink to the next chain, or to the end of the bundle.
    pub fn leave_sink(&self, sink: Box<dyn RecordSink>) {
        self.lock().sinks.insert(sink.edge(), sink);
    }

    /// What the bundle has made: its numbers, and its records, to be committed.
    ///
    /// # Errors
    /// A disk that fails while spilling.
    pub fn take_outcome(&self) -> Result<(Metrics, Vec<Box<dyn Prepared>>)> {
        let (mut metrics, of_steps, sinks) = {
            let mut outcome = self.lock();
            let Outcome { metrics, of_steps, sinks, .. } = &mut *outcome;
            (std::mem::take(metrics), std::mem::take(of_steps), std::mem::take(sinks))
        };
        for (node, counted) in &of_steps {
            metrics.merge(&counted.of_step(&self.step(*node).name));
        }
        let prepared = sinks.into_values().map(RecordSink::finish).collect::<Result<_>>()?;
        Ok((metrics, prepared))
    }

    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.bundle.lock()
    }
}

impl Bundle {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Bundle {
    fn record(&self, change: &mut dyn FnMut(&mut StepMetrics)) {
        let current = NodeId(self.current.load(Ordering::Relaxed));
        change(self.lock().of_steps.entry(current).or_default());
    }

    fn step_name(&self) -> String {
        self.steps[self.current.load(Ordering::Relaxed) as usize].name.clone()
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("budget", &self.budget).finish_non_exhaustive()
    }
}
