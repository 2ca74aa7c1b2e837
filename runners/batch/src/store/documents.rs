//! The documents of a run store, all JSON with a version number.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::time::Duration;

use dataflow::bundle::{BundleInput, Failure};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::{OnError, Retries};
use dataflow::shuffle::EdgeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Requests, RunStore};

/// The version of the form of a run store.
pub(crate) const VERSION: u32 = 1;

/// What a run is: enough for a worker to build the same pipeline, and to know that it is the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// The version of the form.
    pub v: u32,
    /// The fingerprint of the plan.
    pub fingerprint: String,
    /// How the command builds the pipeline again; whatever it needs, without secrets.
    pub job: Value,
    /// The driver's binary, by its version and digest, where that is known.
    pub binary: Option<String>,
    /// What workers are to do as the driver does.
    pub options: WorkerOptions,
    /// When it was begun, in milliseconds since 1970.
    pub created_ms: i64,
}

impl RunRecord {
    pub(crate) fn new(
        fingerprint: String,
        job: Value,
        binary: Option<String>,
        options: WorkerOptions,
    ) -> Self {
        let created_ms = objects::now_ms();
        Self { v: VERSION, fingerprint, job, binary, options, created_ms }
    }

    /// Refuses another binary than the one that began the run, where that matters.
    ///
    /// # Errors
    /// E113, which names both.
    pub(crate) fn check_binary(&self, role: &str, own: Option<&str>) -> Result<()> {
        let (Some(began), Some(own)) = (self.binary.as_deref(), own) else { return Ok(()) };
        if began == own {
            return Ok(());
        }
        if !self.options.needs_same_binary {
            tracing::warn!(driver = began, own, "this is another binary than the driver's");
            return Ok(());
        }
        let message = "this is another binary than the one that has begun the run";
        Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Conflict, message)
            .at("driver", began)
            .at(role, own)
            .mend("use the binary that has begun the run; --other-binary trusts this one"))
    }

    /// Refuses a run store of another version.
    ///
    /// # Errors
    /// E113.
    pub(crate) fn check_version(&self, store: &RunStore) -> Result<()> {
        if self.v == VERSION {
            return Ok(());
        }
        let message =
            format!("the run store has version {}, and this binary reads {VERSION}", self.v);
        Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
            .at("run", store.root())
            .mend("use the binary that began the run, or begin a new run"))
    }
}

/// What all workers of a run have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// Partitions of edges without keys.
    pub partition_count: usize,
    /// Partitions of edges with keys.
    pub keyed_partition_count: usize,
    /// The most elements of a bundle.
    pub bundle_elements: Option<usize>,
    /// What is done about elements that fail.
    pub on_error: OnError,
    /// How often bundles and tasks are tried again whose errors are transient.
    #[serde(default)]
    pub retries: Retries,
    /// A worker that has found nothing to do for so long goes home, in milliseconds.
    pub idle_ms: u64,
    /// After so many tasks a worker goes home, and another one is started if there is more to do.
    pub tasks_max: Option<NonZeroU64>,
    /// Between two looks at the store, in milliseconds; the least and, where nothing changes, the
    /// most.
    pub look_ms: (u64, u64),
    /// Between two heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// A worker whose driver has been silent for so long goes home once it has nothing to do.
    pub leader_lost_ms: u64,
    /// Whether a worker of another binary is refused though it builds the same pipeline: the code of
    /// closures is no part of a fingerprint.
    #[serde(default)]
    pub needs_same_binary: bool,
}

/// Silence of so many heartbeats is that of the dead.
const SILENT_BEATS: u32 = 6;

/// How long somebody may be silent who lives, where heartbeats have this distance.
pub(crate) fn silence(heartbeat_ms: u64) -> Duration {
    Duration::from_millis(heartbeat_ms) * SILENT_BEATS
}

/// Who drives a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaderRecord {
    /// The version of the form.
    pub v: u32,
    /// The machine, as it calls itself.
    pub host: String,
    /// The process.
    pub process: u32,
    /// When it took over, in milliseconds since 1970.
    pub since_ms: i64,
}

impl LeaderRecord {
    pub(crate) fn here(host: String) -> Self {
        let (process, since_ms) = (std::process::id(), objects::now_ms());
        Self { v: VERSION, host, process, since_ms }
    }
}

/// The tasks of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagePlan {
    pub(crate) v: u32,
    /// The name of the stage.
    pub(crate) stage: String,
    /// Whether the driver itself runs the tasks.
    pub(crate) is_local: bool,
    pub(crate) tasks: Vec<StageTask>,
}

/// One task: bundles that are committed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageTask {
    pub(crate) bundles: Vec<Bundle>,
}

/// The input of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bundle {
    /// The one empty element.
    Impulse,
    /// An edge, and a partition of it.
    Partition(u32, usize),
    /// What the tasks of these numbers have left, to be merged.
    Merge(u32, u32),
}

impl Bundle {
    /// The input, if this is a bundle of a pipeline.
    pub(crate) fn input(self) -> Option<BundleInput> {
        match self {
            Self::Impulse => Some(BundleInput::Impulse),
            Self::Partition(edge, partition) => {
                Some(BundleInput::Partition { edge: EdgeId(edge), partition })
            }
            Self::Merge(..) => None,
        }
    }
}

/// What the driver has decided about the tasks of a stage since it was planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    pub(crate) v: u32,
    /// Tasks that need workers of at least this rung of the ladder of memory.
    pub(crate) least_rungs: BTreeMap<u32, u32>,
    /// Tasks that may be run by whoever is idle, though somebody else has begun.
    pub(crate) speculate: BTreeSet<u32>,
    /// Tasks that have failed for good.
    pub(crate) given_up: BTreeSet<u32>,
    /// Tasks that are run with no other beside them: a worker has ended that was at several.
    #[serde(default)]
    pub(crate) alone: BTreeSet<u32>,
}

/// Why an attempt of a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureClass {
    /// It would fail in the same way again.
    User,
    /// Memory ran short, and the worker has seen it come.
    OomGuard,
    /// A later attempt may succeed.
    Transient,
}

/// An attempt of a task that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskFailure {
    pub(crate) v: u32,
    pub(crate) class: FailureClass,
    pub(crate) worker: String,
    pub(crate) failure: Failure,
    pub(crate) peak_bytes: u64,
}

/// What a worker says of itself while it lives.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct WorkerBeat {
    pub(crate) v: u32,
    /// Its place in its job: the names of the job and its index.
    pub(crate) job: String,
    pub(crate) index: u32,
    pub(crate) rung: u32,
    /// What it is doing: stages and tasks.
    pub(crate) tasks: Vec<(u32, u32)>,
    pub(crate) done_count: u64,
    pub(crate) started_ms: i64,
    /// What it has asked of the store.
    #[serde(default)]
    pub(crate) requests: Requests,
    /// The most memory that its process has held at once.
    #[serde(default)]
    pub(crate) peak_bytes: u64,
    /// Whether it has gone home.
    pub(crate) has_ended: bool,
}

/// A submission that is about to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) v: u32,
    /// The name by which the job is found.
    pub(crate) name: String,
    pub(crate) workers: u32,
    pub(crate) rung: u32,
}

/// What a run has asked of its store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RequestsRecord {
    /// The version of the form.
    pub v: u32,
    /// The driver.
    pub driver: Requests,
    /// All workers together.
    pub workers: Requests,
    /// How many there were, each start counted.
    pub worker_count: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResultRecord {
    pub(crate) v: u32,
    /// `SUCCEEDED`, `FAILED` or `CANCELLED`.
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<dataflow::error::Error>,
    pub(crate) ended_ms: i64,
}
