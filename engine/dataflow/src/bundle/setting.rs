//! What all bundles of a run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::blob::{BlobStore, Payloads, ScratchBlobs};
use crate::cancel::CancelToken;
use crate::graph::{Env, Views};
use crate::memory::MemoryBudget;
use crate::options::{OnError, Retries, RunOptions};
use crate::plan::StageGraph;
use crate::shuffle::{InProcessShuffle, RawValuesBuilder, Scratch, Shelf, ShuffleStore};
use crate::view::ViewId;

/// Where the bundles of a run keep their records and what they may use.
#[derive(Clone)]
pub struct Setting {
    pub(super) store: Arc<dyn ShuffleStore>,
    pub(super) budget: MemoryBudget,
    pub(super) partition_count: usize,
    pub(super) keyed_partition_count: usize,
    pub(super) bundle_elements: usize,
    pub(super) views: Views,
    pub(super) cancel: CancelToken,
    pub(super) checks_elements: bool,
    pub(super) holds_callbacks: bool,
    pub(super) on_error: OnError,
    pub(super) retries: Retries,
    /// Elements of the whole run that were to be put in quarantine.
    quarantined: Arc<AtomicU64>,
    scratch: Scratch,
    payloads: Payloads,
}

impl Setting {
    /// A setting in this process, and its shuffle; `partition_count` is used where the options
    /// leave it open.
    pub fn in_process(
        options: &RunOptions,
        budget: MemoryBudget,
        partition_count: usize,
    ) -> (Self, InProcessShuffle) {
        let scratch = Scratch::new(options.scratch_folder.clone());
        let store = InProcessShuffle::new(budget.clone(), scratch.clone());
        let payloads = match options.element_limit_bytes {
            Some(limit_bytes) => Payloads::InElements { limit_bytes },
            None => Payloads::Aside(Arc::new(ScratchBlobs::new(scratch.clone()))),
        };
        let setting = Self {
            store: Arc::new(store.clone()),
            budget,
            partition_count: options.partition_count.map_or(partition_count, usize::from),
            keyed_partition_count: options.partition_count.map_or(partition_count, usize::from),
            bundle_elements: options.bundle_elements.map_or(usize::MAX, usize::from),
            views: Views::default(),
            cancel: CancelToken::default(),
            checks_elements: false,
            holds_callbacks: false,
            on_error: options.on_error,
            retries: options.retries.clone(),
            quarantined: Arc::default(),
            payloads,
            scratch,
        };
        (setting, store)
    }

    /// Lets the run be stopped by this token.
    #[must_use]
    pub fn with_cancel(mut self, cancel: &CancelToken) -> Self {
        self.cancel = cancel.child();
        self
    }

    /// Keeps the records of the run in another store.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn ShuffleStore>) -> Self {
        self.store = store;
        self
    }

    /// Puts the payloads of the run aside into another store, where they are put aside.
    #[must_use]
    pub fn with_blobs(mut self, blobs: Arc<dyn BlobStore>) -> Self {
        if matches!(self.payloads, Payloads::Aside(_)) {
            self.payloads = Payloads::Aside(blobs);
        }
        self
    }

    /// Sends every element through its coder, also within stages, and fails the run where a coder
    /// is not what it says it is or a step changes an element that it shares with others.
    ///
    /// For tests: it takes a multiple of the time.
    #[must_use]
    pub fn with_checked_elements(mut self) -> Self {
        self.checks_elements = true;
        self
    }

    /// Leaves the callbacks of bundles to the runner, for commits that others may win: it calls
    /// [`BundleProcessor::finalize`](crate::bundle::BundleProcessor::finalize) for those that count.
    #[must_use]
    pub fn with_held_callbacks(mut self) -> Self {
        self.holds_callbacks = true;
        self
    }

    /// The same with side inputs of its own, for runners that give each bundle its own.
    #[must_use]
    pub fn with_own_views(mut self) -> Self {
        self.views = Views::default();
        self
    }

    /// An empty group of values, to be kept in the memory and the folder of the run.
    pub fn group_builder(&self) -> RawValuesBuilder {
        RawValuesBuilder::new(&self.budget, &self.scratch)
    }

    /// Divides what is ordered by key into `count` partitions, where the options leave it open.
    ///
    /// Many make groups that lie in a cache; few bundles combine more before they write.
    #[must_use]
    pub fn with_keyed_partitions(mut self, options: &RunOptions, count: usize) -> Self {
        if options.partition_count.is_none() {
            self.keyed_partition_count = count;
        }
        self
    }

    /// The budget.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// The shuffle.
    pub fn store(&self) -> &dyn ShuffleStore {
        self.store.as_ref()
    }

    /// Forgets a side input that no stage reads any more.
    pub fn release_view(&self, view: ViewId) {
        self.views.release(view);
    }

    /// Stops all bundles of this run between two batches; a parent token runs on.
    pub fn stop(&self) {
        self.cancel.cancel();
    }

    /// What the run does about bundles that fail.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// Counts one more element in quarantine; where it is one too many, the limit.
    pub(super) fn count_quarantined(&self) -> Result<(), u64> {
        let OnError::Quarantine { limit } = self.on_error else { return Err(0) };
        if self.quarantined.fetch_add(1, Ordering::Relaxed) < limit { Ok(()) } else { Err(limit) }
    }

    /// Where the tables of one side input go.
    pub(super) fn shelf(&self) -> Shelf {
        Shelf::new(&self.budget, &self.scratch)
    }

    /// What the receivers of one new bundle share.
    pub(super) fn env(&self, graph: &StageGraph) -> Env {
        Env::new(
            Arc::clone(graph.steps()),
            self.budget.clone(),
            self.scratch.clone(),
            self.payloads.clone(),
            self.cancel.clone(),
            self.views.clone(),
        )
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("partition_count", &self.partition_count)
            .field("bundle_elements", &self.bundle_elements)
            .finish_non_exhaustive()
    }
}
