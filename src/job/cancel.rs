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
use crate::job::workers::{MEETING_PLACE, is_part};

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
        for (_, place) in self.meeting_places(store)? {
            batch::cancel(&place, why)?;
        }
        Ok(())
    }

    /// Asks the driver of workers to go; these go on with the stages that are open.
    ///
    /// # Errors
    /// A run without workers that outlive their driver, a store that fails.
    pub fn leave_to_workers(&self, store: &StoreOptions, why: &str) -> Result<()> {
        let has_such = self.again().is_some_and(|again| again.runner == "batch");
        let places = self.meeting_places(store)?;
        if !has_such || places.is_empty() {
            let message = "the run has no workers that could be kept without their driver";
            let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
            return Err(error
                .at("run", &self.summary.folder)
                .mend("cancel it whole; workers of AWS Batch alone outlive their driver"));
        }
        places.iter().try_for_each(|(_, place)| batch::leave(place, why).map(drop))
    }

    /// Where driver and workers of the run meet, with the names of its parts: that of the write, which has
    /// none, then those that follow it. Empty for a run of one process.
    ///
    /// # Errors
    /// A store that fails.
    pub fn meeting_places(&self, store: &StoreOptions) -> Result<Vec<(String, batch::RunStore)>> {
        let root = self.summary.folder.join(MEETING_PLACE);
        let (mut parts, _) = Objects::open(&root, store)?.list_folder("")?;
        parts.iter_mut().for_each(|name| *name = name.trim_end_matches('/').to_owned());
        parts.retain(|name| is_part(name));
        let mut places = Vec::new();
        for part in [String::new()].into_iter().chain(parts) {
            let place = batch::RunStore::open(&root.join(&part), store)?;
            if place.has_begun()? {
                places.push((part, place));
            }
        }
        Ok(places)
    }

    /// The one of the part that goes on, or of the write if none does.
    ///
    /// # Errors
    /// A store that fails.
    pub fn current_place(&self, store: &StoreOptions) -> Result<Option<(String, batch::RunStore)>> {
        let mut places = self.meeting_places(store)?;
        for (at, (_, place)) in places.iter().enumerate() {
            if place.is_open()? {
                return Ok(Some(places.swap_remove(at)));
            }
        }
        Ok(places.into_iter().next())
    }

    /// What was submitted for the run, by all of its drivers.
    ///
    /// # Errors
    /// A store that fails.
    pub fn jobs(&self, store: &StoreOptions) -> Result<Vec<RunJob>> {
        let mut jobs = Vec::new();
        for (_, place) in self.meeting_places(store)? {
            jobs.extend(place.jobs()?);
        }
        Ok(jobs)
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
