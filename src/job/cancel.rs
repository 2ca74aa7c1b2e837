//! Runs that are asked to stop by another process: an object in their records says so.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use batch::RunJob;
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Objects, StoreOptions};
use serde_json::json;

use crate::job::history::Run;
use crate::job::run_store::{End, RunStore};
use crate::job::workers::MEETING_PLACE;

/// The object that asks.
pub(super) const CANCEL: &str = "cancel";
/// Between two looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(1000);

/// Does work that stops when another process asks the run to, by cancelling `cancel`.
///
/// Cost: a request for facts every second.
pub(super) fn stoppable<T>(records: &Objects, cancel: &CancelToken, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        // Dropped with this closure, which ends the thread that looks.
        let (_works, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                match records.facts(CANCEL) {
                    Ok(_) => return cancel.cancel(),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => tracing::debug!(%error, "nobody knows whether to stop"),
                }
            }
        });
        work()
    })
}

impl Run {
    /// Asks a run that has no end to stop, whoever drives it and wherever; nobody is waited for.
    ///
    /// # Errors
    /// A store that fails.
    pub fn cancel(&self, store: &StoreOptions, why: &str) -> Result<()> {
        let body = json!({ "v": 1, "why": why, "at_ms": crate::job::now_ms() });
        self.objects().put(CANCEL, body.to_string().into()).wait()?;
        if let Some(meeting_place) = self.meeting_place(store)? {
            batch::cancel(&meeting_place, why)?;
        }
        Ok(())
    }

    /// Asks the driver of workers to go; these go on with the stages that are open.
    ///
    /// # Errors
    /// A run without workers that outlive their driver, a store that fails.
    pub fn leave_to_workers(&self, store: &StoreOptions, why: &str) -> Result<()> {
        let has_such = self.again().is_some_and(|again| again.runner == "batch");
        let (true, Some(meeting_place)) = (has_such, self.meeting_place(store)?) else {
            let message = "the run has no workers that could be kept without their driver";
            let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
            return Err(error
                .at("run", &self.summary.folder)
                .mend("cancel it whole; workers of AWS Batch alone outlive their driver"));
        };
        batch::leave(&meeting_place, why).map(drop)
    }

    /// Where driver and workers of the run meet; nothing for a run of one process.
    ///
    /// # Errors
    /// A store that fails.
    pub fn meeting_place(&self, store: &StoreOptions) -> Result<Option<batch::RunStore>> {
        let root = self.summary.folder.join(MEETING_PLACE);
        let meeting_place = batch::RunStore::open(&root, store)?;
        Ok(meeting_place.has_begun()?.then_some(meeting_place))
    }

    /// What was submitted for the run, by all of its drivers.
    ///
    /// # Errors
    /// A store that fails.
    pub fn jobs(&self, store: &StoreOptions) -> Result<Vec<RunJob>> {
        self.meeting_place(store)?.map_or(Ok(Vec::new()), |place| place.jobs())
    }

    /// Notes that a run was cancelled whose driver is gone: nobody else would.
    ///
    /// # Errors
    /// A store that fails.
    pub fn end_cancelled(&self, store: &StoreOptions) -> Result<()> {
        let run = RunStore::at(&self.summary.folder, store)?;
        let message = "the run was cancelled, and nobody drove it";
        let error = Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, message);
        run.end(End { state: "CANCELLED", error: Some(&error), has_remains: true })
    }
}
