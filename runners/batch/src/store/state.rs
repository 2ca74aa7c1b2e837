//! Where a run stands, as its driver has last seen it: for whoever looks on. Nothing is decided by it.

use serde::{Deserialize, Serialize};

use crate::launch::{JobState, StateCounts};
use crate::store::documents::VERSION;

/// Where a run stands, in the words of its driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateRecord {
    /// The version of the form.
    pub v: u32,
    /// When the driver wrote this, in milliseconds since 1970, by its clock.
    pub at_ms: i64,
    /// Which of the drivers of the run it is, from 1.
    pub epoch: u32,
    /// All stages, each after those that it needs.
    pub stages: Vec<StageRecord>,
    /// What was submitted and has not ended.
    pub jobs: Vec<JobRecord>,
    /// Elements that were left out so far.
    pub quarantined: u64,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageRecord {
    /// Its name.
    pub stage: String,
    /// The full names of its steps.
    pub steps: Vec<String>,
    /// The stages that must be done before it.
    pub after: Vec<String>,
    /// Whether it runs with the driver, and not on workers.
    pub is_local: bool,
    /// Where it stands.
    pub progress: StageProgress,
    /// Its tasks; 0 before they are known.
    pub tasks: u64,
    /// Those that are committed.
    pub done: u64,
    /// Bytes that these have written into the destination.
    pub bytes_written: u64,
    /// When it began, in milliseconds since 1970.
    pub began_ms: Option<i64>,
    /// When it was done.
    pub ended_ms: Option<i64>,
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageProgress {
    /// What it needs is not done.
    Waiting,
    /// Its tasks are open.
    Running,
    /// All of its tasks are committed.
    Done,
    /// A task of it has failed for good.
    Failed,
}

/// A submission of workers that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// The name by which its place knows it.
    pub name: String,
    /// Its id there, if that is known.
    pub id: Option<String>,
    /// Where it stands; nothing before its place has told.
    pub state: Option<JobState>,
    /// Its workers.
    pub workers: StateCounts,
    /// What its place says, or what was found to be the reason why it waits; may be empty.
    pub reason: String,
    /// When it was submitted, in milliseconds since 1970.
    pub since_ms: i64,
}

impl StateRecord {
    pub(crate) fn new(epoch: u32, stages: Vec<StageRecord>) -> Self {
        Self { v: VERSION, at_ms: 0, epoch, stages, jobs: Vec::new(), quarantined: 0 }
    }

    /// How many workers stand where, of all jobs together.
    pub fn workers(&self) -> StateCounts {
        self.jobs.iter().fold(StateCounts::default(), |sum, job| sum.with(job.workers))
    }
}

impl StageRecord {
    /// Tasks that are done, in percent; of a stage without tasks, that of its progress.
    pub fn percent(&self) -> u64 {
        match (self.progress, self.tasks) {
            (StageProgress::Done, _) => 100,
            (_, 0) => 0,
            (_, tasks) => 100 * self.done / tasks,
        }
    }
}
