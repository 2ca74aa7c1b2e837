//! What the receivers of one bundle share.

use std::collections::BTreeMap;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cancel::CancelToken;
use crate::dofn::SideInputs;
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::receiver::BATCH_ELEMENTS;
use crate::shuffle::{Prepared, RawValuesBuilder, ReadFault, RecordSink};
use crate::view::ViewId;

/// A loaded side input whose type the graph has forgotten.
pub(crate) type AnyValue = Arc<dyn std::any::Any + Send + Sync>;

/// The side inputs that are loaded, shared by all bundles of a run.
#[derive(Debug, Clone, Default)]
pub struct Views(Arc<Mutex<BTreeMap<ViewId, AnyValue>>>);

impl Views {
    /// The value of a view, loaded by the first who asks.
    ///
    /// # Errors
    /// What `load` returns.
    pub fn get_or_load(&self, id: ViewId, load: impl FnOnce() -> Result<AnyValue>) -> Result<()> {
        let mut loaded = self.lock();
        if let std::collections::btree_map::Entry::Vacant(place) = loaded.entry(id) {
            place.insert(load()?);
        }
        Ok(())
    }

    /// Forgets a view; its memory is free once the last bundle that uses it has ended.
    pub fn release(&self, id: ViewId) {
        self.lock().remove(&id);
    }

    fn select(&self, ids: &[ViewId]) -> SideInputs {
        let loaded = self.lock();
        let found = ids.iter().filter_map(|id| Some((*id, Arc::clone(loaded.get(id)?))));
        SideInputs(found.collect())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ViewId, AnyValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a step, for errors and metrics.
#[derive(Debug, Clone)]
pub struct StepInfo {
    /// The full name.
    pub name: String,
    /// The line of the recipe.
    pub location: &'static Location<'static>,
}

/// A part of an input: elements before it, and elements in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Elements before it.
    pub done: u64,
    /// Elements in it.
    pub pending: u64,
}

/// What the receivers of one bundle share. Clones share it.
#[derive(Clone)]
pub struct Env {
    /// The budget of the run.
    pub budget: MemoryBudget,
    /// Where spilled data goes.
    pub scratch_folder: Option<PathBuf>,
    /// The request to stop.
    pub cancel: CancelToken,
    /// The side inputs of the run.
    pub views: Views,
    /// Whether every element is noted before it is processed, so that a failure can name it.
    pub notes_elements: bool,
    /// Which part of the input is read: all of it, or only what failed before.
    pub span: Span,
    /// Where iterators over groups leave an error.
    pub fault: ReadFault,
    bundle: Arc<Bundle>,
}

struct Bundle {
    steps: Arc<[StepInfo]>,
    current: AtomicU32,
    done: AtomicU64,
    pending: AtomicU64,
    noted: Mutex<BTreeMap<NodeId, String>>,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    metrics: Metrics,
    prepared: Vec<Box<dyn Prepared>>,
}

impl Env {
    /// What a bundle of these steps shares, one step for each node of the graph.
    pub fn new(steps: Arc<[StepInfo]>, budget: MemoryBudget, views: Views) -> Self {
        let bundle = Bundle {
            steps,
            current: AtomicU32::new(0),
            done: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            noted: Mutex::default(),
            outcome: Mutex::default(),
        };
        Self {
            budget,
            scratch_folder: None,
            cancel: CancelToken::default(),
            views,
            notes_elements: false,
            span: Span { done: 0, pending: u64::MAX },
            fault: ReadFault::default(),
            bundle: Arc::new(bundle),
        }
    }

    /// The same, spilling into this folder and stopping with this token.
    #[must_use]
    pub fn within(mut self, scratch_folder: Option<PathBuf>, cancel: CancelToken) -> Self {
        self.scratch_folder = scratch_folder;
        self.cancel = cancel;
        self
    }

    /// The same surroundings for another bundle.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let steps = Arc::clone(&self.bundle.steps);
        Self::new(steps, self.budget.clone(), self.views.clone())
            .within(self.scratch_folder.clone(), self.cancel.clone())
    }

    /// Reads only what `failed` was being processed, and notes its elements.
    #[must_use]
    pub fn noting(mut self, failed: Span) -> Self {
        // Without a batch on its way, the failure came while one was being gathered.
        let pending = if failed.pending == 0 { BATCH_ELEMENTS as u64 } else { failed.pending };
        self.span = Span { pending, ..failed };
        self.notes_elements = true;
        self
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

    /// Says that the next `count` elements of the input are being processed.
    pub fn begin_batch(&self, count: usize) {
        self.bundle.pending.store(count as u64, Ordering::Relaxed);
    }

    /// Says that they have been processed.
    pub fn end_batch(&self) {
        let count = self.bundle.pending.swap(0, Ordering::Relaxed);
        self.bundle.done.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes which element a node works on.
    pub fn note_element(&self, node: NodeId, preview: String) {
        self.bundle.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(node, preview);
    }

    /// Adds step, recipe line and element to an error of `node`; one that names a step is from
    /// further down the chain and stays as it is.
    pub fn blame(&self, node: NodeId, error: Error) -> Error {
        if error.place("step").is_some() {
            return error;
        }
        let step = self.step(node);
        let (file, line) = (step.location.file(), step.location.line());
        let error = error.at("step", &step.name).at("recipe", format_args!("{file}:{line}"));
        let noted = self.bundle.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(&node).map_or(error.clone(), |element| error.at("element", element))
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
    pub fn sides(&self, ids: &[ViewId]) -> SideInputs {
        self.views.select(ids)
    }

    /// An empty group of values.
    pub fn group_builder(&self) -> RawValuesBuilder {
        RawValuesBuilder::new(&self.budget, self.scratch_folder.clone())
    }

    /// Adds numbers that count when the bundle commits.
    pub fn add_metrics(&self, metrics: &Metrics) {
        self.lock().metrics.merge(metrics);
    }

    /// Ends a sink; its records are seen when the bundle commits.
    ///
    /// # Errors
    /// A disk that fails while spilling.
    pub fn finish_sink(&self, sink: Box<dyn RecordSink>) -> Result<()> {
        let prepared = sink.finish()?;
        self.lock().prepared.push(prepared);
        Ok(())
    }

    /// What the bundle has made: its numbers, and its records, to be committed.
    pub fn take_outcome(&self) -> (Metrics, Vec<Box<dyn Prepared>>) {
        let outcome = std::mem::take(&mut *self.lock());
        (outcome.metrics, outcome.prepared)
    }

    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.bundle.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("budget", &self.budget).finish_non_exhaustive()
    }
}
