//! Where workers come from: the contract of launchers, and what they say of jobs.
//!
//! A launcher starts processes and says what became of them. It never knows stages, tasks or the
//! run store: whether work is done is decided by commits alone.

mod job;
mod procs;

use std::fmt::Debug;
use std::time::Duration;

use dataflow::error::Result;

pub use job::{
    Cause, Diagnosis, JobId, JobState, JobStatus, LogLine, Resources, StateCounts, Submission,
    Submitted, WorkerEnd, WorkerId,
};
pub use procs::{ProcessLauncher, STAY_VARIABLE};

/// Starts workers in some place, and says what becomes of them.
///
/// What must hold: a submission that was accepted runs its command once for each worker, with its
/// environment and [`Submission::index_variable`]; a submission whose answer was lost can be found
/// by its name; stopping twice, or what has ended, is harmless. A transient error is one of kind
/// [`Transient`](dataflow::error::ErrorKind::Transient), and the caller tries again; waiting and
/// rates are the launcher's own affair.
pub trait Launcher: Debug + Send + Sync {
    /// The name under which users choose it.
    fn name(&self) -> &'static str;

    /// How long the place may take to tell of a job that is there: one that it has not told of for
    /// longer is not there, or not any more.
    fn lag(&self) -> Duration;

    /// Submits one job of so many workers.
    ///
    /// # Errors
    /// A request that was refused: nothing was submitted then. An answer that was lost is
    /// [`Submitted::Unknown`], and no error.
    fn submit(&self, submission: &Submission) -> Result<Submitted>;

    /// The jobs of this name, oldest first; empty does not mean that there are none, if the place
    /// is slow to tell.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn find(&self, name: &str) -> Result<Vec<JobId>>;

    /// The jobs whose names begin so, that have not ended.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn find_live(&self, prefix: &str) -> Result<Vec<JobId>>;

    /// What is known of these jobs; one that is not known (yet, or any more) is left out.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn describe(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>>;

    /// How the workers of a job have ended that did not end well, so far.
    ///
    /// Cost: requests in the number of those workers.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn failed_workers(&self, job: &JobId) -> Result<Vec<WorkerEnd>>;

    /// Asks jobs to end, whatever they do; does not wait for it.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn stop(&self, jobs: &[JobId], reason: &str) -> Result<()>;

    /// The last lines of a worker's log, at most so many, oldest first.
    ///
    /// # Errors
    /// A place that cannot be asked; a log that does not exist yet is empty.
    fn logs(&self, worker: &WorkerId, line_limit: usize) -> Result<Vec<LogLine>>;

    /// Why a job does not start, where the place can tell.
    ///
    /// # Errors
    /// A place that cannot be asked.
    fn diagnose(&self, job: &JobId) -> Result<Option<Diagnosis>>;

    /// Goes on to the next of several places (a queue), for what is submitted from now on; its name,
    /// or nothing where there is no other.
    fn fall_back(&self) -> Option<String> {
        None
    }
}
