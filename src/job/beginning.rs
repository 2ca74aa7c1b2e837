//! Says that a run has begun, once its runner has the right to it.

use std::sync::atomic::{AtomicBool, Ordering};

use dataflow::runner::{JobEvent, JobObserver};

use crate::job::about::RunAbout;
use crate::job::run_store::RunStore;

/// Tells what happens to another observer, and of the first job that a run has begun.
pub(super) struct Beginning<'a> {
    run: &'a RunStore,
    about: &'a RunAbout,
    observer: &'a dyn JobObserver,
    is_taken_up: bool,
    has_begun: AtomicBool,
}

impl<'a> Beginning<'a> {
    pub(super) fn new(
        run: &'a RunStore,
        about: &'a RunAbout,
        observer: &'a dyn JobObserver,
    ) -> Self {
        let (is_taken_up, has_begun) = (false, AtomicBool::new(false));
        Self { run, about, observer, is_taken_up, has_begun }
    }

    /// Says whether another driver has begun the run.
    pub(super) fn with_taken_up(mut self, is_taken_up: bool) -> Self {
        self.is_taken_up = is_taken_up;
        self
    }
}

impl JobObserver for Beginning<'_> {
    fn observe(&self, event: &JobEvent) {
        let is_begin = matches!(event, JobEvent::JobStarted { .. });
        if is_begin && !self.has_begun.swap(true, Ordering::Relaxed) {
            // A run that is taken up may have had an end, and has none any more; what fails here is
            // written anew when it ends.
            if self.is_taken_up
                && let Err(error) = self.run.reopen()
            {
                tracing::warn!(%error, "an earlier end of the run is still told");
            }
            self.about.on_begin.call(self.run.location());
        }
        self.observer.observe(event);
    }
}
