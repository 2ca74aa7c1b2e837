//! A job: what was asked for, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::resources::Resources;
use crate::retry::{Ending, Retry};
use crate::run::Run;
use crate::status::{Counts, Status};

/// Places of jobs: an array stands before its children, and those in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The number of the submission.
    pub(crate) serial: u64,
    /// The place in an array, for a child.
    pub(crate) index: Option<u32>,
}

/// What was asked for; children of an array share it.
#[derive(Debug)]
pub(crate) struct Spec {
    /// The id of the job, or of the array.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) definition_arn: String,
    pub(crate) definition_name: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) command: Vec<String>,
    /// Each name once, the last value of it.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) resources: Resources,
    pub(crate) retry: Retry,
    pub(crate) timeout_s: Option<u64>,
    pub(crate) depends: Vec<Dependency>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) propagates_tags: bool,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) share: Option<String>,
    pub(crate) priority: Option<i64>,
    /// What the definition says of the container besides.
    pub(crate) container: Map<String, Value>,
}

/// What must have ended well before a job starts.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The job, but for [`DependencyKind::Sequential`].
    pub(crate) serial: Option<u64>,
    /// The id as it was sent.
    pub(crate) id: Option<String>,
    pub(crate) kind: DependencyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    /// The whole job.
    Whole,
    /// The child of the same index.
    NToN,
    /// The child before this one.
    Sequential,
}

/// One run of a job's command.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) task_id: String,
    /// Absent if the command never started.
    pub(crate) log_stream: Option<String>,
    pub(crate) started_ms: u64,
    /// Absent while it runs.
    pub(crate) stopped_ms: Option<u64>,
    pub(crate) ending: Ending,
}

/// What an array knows of its children.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub(crate) size: u32,
    pub(crate) counts: Counts,
    /// As it was at some moment: what is shown.
    pub(crate) shown: Counts,
    pub(crate) shown_ms: u64,
}

/// A job, an array, or a child of one.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: Key,
    pub(crate) spec: Arc<Spec>,
    pub(crate) status: Status,
    pub(crate) status_reason: Option<String>,
    pub(crate) created_ms: u64,
    /// When it got to its status.
    pub(crate) entered_ms: u64,
    pub(crate) started_ms: Option<u64>,
    pub(crate) stopped_ms: Option<u64>,
    /// The last one may still run.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) is_cancelled: bool,
    pub(crate) is_terminated: bool,
    pub(crate) array: Option<Array>,
    pub(crate) run: Option<Run>,
    /// Other tags than those of the submission, where somebody has changed them.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// Until when it stays RUNNABLE although it could start; absent if nothing was drawn yet.
    pub(crate) held_until_ms: Option<u64>,
    /// How long after its end it is forgotten; absent if nothing was drawn yet.
    pub(crate) vanishes_after_ms: Option<u64>,
}

impl Job {
    pub(crate) fn new(key: Key, spec: Arc<Spec>, now_ms: u64) -> Self {
        Self {
            key,
            spec,
            status: Status::Submitted,
            status_reason: None,
            created_ms: now_ms,
            entered_ms: now_ms,
            started_ms: None,
            stopped_ms: None,
            attempts: Vec::new(),
            is_cancelled: false,
            is_terminated: false,
            array: None,
            run: None,
            tags: None,
            held_until_ms: None,
            vanishes_after_ms: None,
        }
    }

    /// The id of the job, `array:index` for a child.
    pub(crate) fn id(&self) -> String {
        match self.key.index {
            Some(index) => format!("{}:{index}", self.spec.id),
            None => self.spec.id.clone(),
        }
    }

    /// What the job is called where chance is drawn: the same in every run of a test.
    pub(crate) fn place(&self, attempt: usize) -> String {
        let index = self.key.index.map_or(String::new(), |index| format!(":{index}"));
        format!("{}{index}#{attempt}", self.spec.name)
    }

    /// The number of the attempt that runs or comes next, from 1.
    pub(crate) fn attempt_number(&self) -> usize {
        let is_running = self.attempts.last().is_some_and(|it| it.stopped_ms.is_none());
        self.attempts.len() + usize::from(!is_running)
    }
}
