//! What a worker is told when it is started.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use dataflow::cancel::CancelToken;

use crate::random;

/// Who a worker is and what it may use.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The name of the submission that it belongs to.
    pub job: String,
    /// Its place among the workers of that submission, from 0.
    pub index: u32,
    /// How often it was started, from 1.
    pub attempt: u32,
    /// The workers of the submission: each begins with its own part of the tasks.
    pub slots: u32,
    /// Its rung on the ladder of memory, from 0.
    pub rung: u32,
    /// Tasks that compute at once.
    pub threads: NonZeroUsize,
    /// Bytes that may be held at once; `None` sets no limit.
    pub memory_bytes: Option<u64>,
    /// The binary that this is, by its version and digest, where that is known.
    pub binary: Option<String>,
    /// Where it may spill.
    pub scratch_folder: Option<PathBuf>,
    /// After so long its place ends it: no task is begun that would not end before.
    pub timeout: Option<Duration>,
    /// Whether it runs the stages that stay with the driver, and no others.
    pub is_local: bool,
    /// Whether it stays until the run is over: nobody would start another one.
    pub stays: bool,
    /// Asks the worker to go home: what it does is dropped.
    pub stop: CancelToken,
}

impl WorkerSettings {
    /// The only worker of a submission.
    pub fn new(job: impl Into<String>, threads: NonZeroUsize) -> Self {
        Self {
            job: job.into(),
            index: 0,
            attempt: 1,
            slots: 1,
            rung: 0,
            threads,
            memory_bytes: None,
            binary: None,
            scratch_folder: None,
            timeout: None,
            is_local: false,
            stays: false,
            stop: CancelToken::default(),
        }
    }

    /// A name that no other worker has: `<slot>-<attempt>-<eight digits>`.
    pub(super) fn new_name(&self) -> String {
        format!("{}-{}-{}", self.index, self.attempt, random::hex())
    }
}
