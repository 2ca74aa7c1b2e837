//! Jobs, as every launcher speaks of them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Names a job in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one worker of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId {
    /// The job.
    pub job: JobId,
    /// Its place among the workers of the job, from 0.
    pub index: u32,
}

/// What a worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Virtual cores.
    pub vcpus: f64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// GPUs.
    pub gpus: u32,
}

/// One job that is to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// A name that no other submission has: by it a job is found whose answer was lost. Letters,
    /// digits, `-` and `_`, at most 128.
    pub name: String,
    /// The number of workers.
    pub workers: NonZeroU32,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The environment of the command, without secrets: everybody who may describe the job sees it.
    pub environment: BTreeMap<String, String>,
    /// The variable in which each worker finds its index; absent if there is only one.
    pub index_variable: &'static str,
    /// What each worker may use.
    pub resources: Resources,
    /// How often a worker is started that the place itself has ended, or that asks for it.
    pub attempts: NonZeroU32,
    /// After so many seconds a worker is ended.
    pub timeout_s: Option<u64>,
    /// Names for accounts and searches.
    pub tags: BTreeMap<String, String>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It is this job.
    As(JobId),
    /// The answer was lost: it may have been submitted or not.
    Unknown,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobState {
    /// It waits for capacity.
    Waiting,
    /// Some of its workers are being started.
    Starting,
    /// Some of its workers run.
    Running,
    /// All workers have ended well.
    Succeeded,
    /// It has ended, and at least one worker not well.
    Failed,
}

impl JobState {
    /// Whether it has ended.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// How many workers of a job stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCounts {
    /// Waiting for capacity.
    pub waiting: u32,
    /// Being started.
    pub starting: u32,
    /// Running.
    pub running: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Ended otherwise.
    pub failed: u32,
}

impl StateCounts {
    /// The sum of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            starting: self.starting + other.starting,
            running: self.running + other.running,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
        }
    }
}

/// What a launcher knows of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// What the place says about that; may be empty.
    pub reason: String,
    /// Its workers.
    pub workers: StateCounts,
}

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// By itself, with this exit code.
    Exit(i32),
    /// It took more memory than it was given, and the place has said so.
    OutOfMemory,
    /// It was killed, and nobody says why.
    Killed,
    /// Its machine was taken away.
    Reclaimed,
    /// It did not start: an image that cannot be pulled, a program that is not there.
    CannotStart,
    /// It ran for longer than it was allowed.
    Timeout,
    /// It was asked to stop.
    Stopped,
    /// Something else; the reason says what.
    Other,
}

impl Cause {
    /// Whether the program itself has broken off, be it by a signal of its own: nobody has ended it,
    /// and it has not said how it ended.
    pub const fn is_crash(self) -> bool {
        match self {
            Self::Exit(code) => !matches!(code, 0 | 10 | 13 | 14 | 137 | 143 | 200..=209),
            Self::Other => true,
            _ => false,
        }
    }
}

/// How a worker has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerEnd {
    /// The worker.
    pub worker: WorkerId,
    /// How often it was started.
    pub attempts: u32,
    /// Why the last attempt ended.
    pub cause: Cause,
    /// What the place says.
    pub reason: String,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The text, without its end of line.
    pub text: String,
}

/// Why a job does not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What is wrong, in one sentence.
    pub finding: String,
    /// What was seen.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub mend: String,
    /// Whether waiting may help.
    pub may_pass: bool,
}
