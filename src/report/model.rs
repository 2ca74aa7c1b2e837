//! What a report says, whatever runner it is of.
//!
//! `docs/schemas/report.schema.json` is this form for others; a change of it is a new version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the form of reports.
pub const REPORT_VERSION: u32 = 1;

/// All that is told of a run.
///
/// Times are milliseconds since 1970, durations milliseconds, sizes bytes. Lists are ordered by
/// what they name, so that the same events give the same report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form.
    pub v: u32,
    /// Which run it is.
    pub run: RunFacts,
    /// What it was to do.
    pub plan: PlanFacts,
    /// What stages have done.
    pub stages: Vec<StageRow>,
    /// What became of tasks, in all stages.
    pub tasks_summary: TaskSummary,
    /// When workers were busy, and with what.
    pub timeline: Timeline,
    /// What each worker has done.
    pub workers: Vec<WorkerRow>,
    /// How often tasks were tried again, by the class of the error.
    pub retries_by_class: BTreeMap<String, u64>,
    /// What failed.
    pub failures: FailureSummary,
    /// What was read.
    pub inputs: Inputs,
    /// What was written.
    pub outputs: Outputs,
    /// What it took.
    pub resources: Resources,
    /// What it has cost, where prices are configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// How it ended.
    pub exit: Exit,
}

/// How a run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunState {
    /// With all that was asked for, or what its policy allows to leave out.
    Succeeded,
    /// With an error.
    Failed,
    /// Because it was asked to stop.
    Cancelled,
}

impl RunState {
    /// Its name, as it stands in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Which run it is, and how it was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Its name; names sort by the time at which runs began.
    pub id: String,
    /// The command: `bake`, `rechunk`.
    pub kind: String,
    /// Where it ran: `direct`, `batch`.
    pub runner: String,
    /// Where its output lies.
    pub destination: String,
    /// The folder of its records.
    pub folder: String,
    /// When it began.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// The version of the program.
    pub version: String,
    /// The command line, without secrets; empty for a run that a program has started.
    pub command: Vec<String>,
    /// Settings that somebody has set, each with its value, layer and place; without secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// What a run was to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanFacts {
    /// The identity of the pipeline that wrote.
    pub fingerprint: String,
    /// Bytes of what is written, before compression.
    pub decoded_bytes: u64,
    /// Objects that were to be written, but metadata.
    pub unit_count: u64,
    /// How each array is written.
    pub arrays: Vec<ArrayPlan>,
}

/// How an array is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayPlan {
    /// The name of the array.
    pub name: String,
    /// The way that was chosen: `pull`, `held`, `shuffle`, `staged`...
    pub method: String,
    /// Why it was chosen.
    pub reason: String,
    /// Tasks that it was cut into.
    pub task_count: u64,
    /// Requests that read the sources, as they were predicted.
    pub source_gets: u64,
    /// Bytes that one task holds, as they were predicted.
    pub task_bytes: u64,
}

/// How far a stage came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// It has not begun.
    Waiting,
    /// It has begun, and was not done when the run ended.
    Unfinished,
    /// All its tasks have committed.
    Done,
    /// A task of it has failed.
    Failed,
}

/// What a stage was to do, and has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRow {
    /// The job and the stage: `scan/s000`. Jobs of a run follow each other.
    pub id: String,
    /// Transforms that run in it.
    pub steps: Vec<String>,
    /// The stages it waits for.
    pub after: Vec<String>,
    /// How far it came.
    pub state: StageState,
    /// Tasks: bundles of elements that commit whole or not at all.
    pub tasks: TaskSummary,
    /// Elements or groups that its tasks have read.
    pub read_count: u64,
    /// Bytes that it has written to stores.
    pub written_bytes: u64,
    /// Memory that one task needs before it starts.
    pub task_bytes: u64,
    /// When it began, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_ms: Option<u64>,
    /// When it was done, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Time that workers have spent on it.
    pub busy_ms: u64,
    /// Time that tasks have waited for a worker or for memory.
    pub waited_ms: u64,
    /// The longest attempt.
    pub slowest_ms: u64,
}

/// What became of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskSummary {
    /// Tasks of the stages that have begun.
    pub total: u64,
    /// Those that have committed.
    pub done: u64,
    /// Those that have failed for good.
    pub failed: u64,
    /// Attempts that failed in passing.
    pub retried: u64,
    /// Elements that were left out of tasks that have committed.
    pub quarantined: u64,
}

/// When workers were busy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timeline {
    /// Shorter gaps between attempts of one stage on one worker are not shown.
    pub resolution_ms: u64,
    /// Times at which a worker was busy, by worker, then in order.
    pub spans: Vec<Span>,
}

/// A time at which a worker was busy with one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The worker.
    pub worker: String,
    /// The stage, as in [`StageRow::id`].
    pub stage: String,
    /// From the beginning of the run on.
    pub from_ms: u64,
    /// From the beginning of the run on.
    pub to_ms: u64,
    /// Attempts within it.
    pub attempts: u64,
}

/// What a worker has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// Attempts of tasks that it has made.
    pub attempts: u64,
    /// Time that these took.
    pub busy_ms: u64,
}

/// What failed, in groups; `failures/` beside the report has each by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FailureSummary {
    /// Elements and tasks that failed for good.
    pub count: u64,
    /// Failures of one step, code and message are one group.
    pub groups: Vec<FailureGroup>,
}

/// Failures that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// Its name within the run: `G1`.
    pub id: String,
    /// The code of the error.
    pub code: String,
    /// The step, if the error is one of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What happened, to the first.
    pub message: String,
    /// How to mend it, if the error says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// How many there are among those that are kept.
    pub count: u64,
    /// The first elements, at most three.
    pub first: Vec<String>,
    /// The names of the first records in `failures/`, at most three.
    pub records: Vec<String>,
    /// Commands that look closer or go on.
    pub next: Vec<String>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inputs {
    /// How many sources.
    pub count: u64,
    /// Their bytes, as far as stores say them.
    pub bytes: u64,
    /// By what sources are known to be those that were scanned, and how many by each.
    pub trust: BTreeMap<String, u64>,
    /// The first sources.
    pub first: Vec<String>,
    /// Sources that were left out because they cannot be read.
    pub left_out: Vec<String>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outputs {
    /// Whether readers see it.
    pub is_visible: bool,
    /// A digest of all objects but metadata, by their places, lengths and checksums: the same for
    /// the same store. None of a run that has not written all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Objects that were to be written.
    pub chunks_expected: u64,
    /// Objects that were committed, now or by the run that this one went on from.
    pub chunks_written: u64,
    /// Of these, objects of which a part holds fill values because no source has it.
    pub chunks_filled: u64,
    /// Objects that are not there.
    pub chunks_missing: u64,
    /// Bytes of the committed objects.
    pub encoded_bytes: u64,
    /// The arrays, by name.
    pub arrays: Vec<ArrayOutput>,
}

/// What was written of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayOutput {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub dimensions: Vec<String>,
    /// Its shape.
    pub shape: Vec<u64>,
    /// The shape of what lies in one object: a chunk, or a shard.
    pub unit_shape: Vec<u64>,
    /// Objects that were to be written.
    pub expected: u64,
    /// Objects that were committed.
    pub written: u64,
    /// Of these, with fill values that no source has given.
    pub filled: u64,
    /// Objects that are not there.
    pub missing: u64,
    /// Bytes of the committed objects.
    pub encoded_bytes: u64,
    /// Where they lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<CompletenessMap>,
}

/// The objects of an array as a picture of few cells: rows are units along the first dimension that
/// has several, columns those of all others, one after the other. A cell stands for one unit or
/// several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletenessMap {
    /// The dimension from top to bottom; none where all units lie in one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_dimension: Option<String>,
    /// Units along it.
    pub row_units: u64,
    /// The dimensions from left to right.
    pub column_dimensions: Vec<String>,
    /// Units along them.
    pub column_units: u64,
    /// Row by row, a sign for each cell: `#` written, `o` written and partly of fill values,
    /// `+` not all written, `.` missing, `-` not of this run.
    pub rows: Vec<String>,
}

/// What a run took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// From the beginning to the end.
    pub wall_ms: u64,
    /// Time of all processors, where the system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Threads that computed.
    pub threads: u64,
    /// The greatest memory that was allowed.
    pub memory_limit_bytes: u64,
    /// The most that was accounted for at once; 0 of a run that failed.
    pub peak_accounted_bytes: u64,
    /// The greatest resident memory of the process, where the system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_resident_bytes: Option<u64>,
    /// Bytes that went through shuffles.
    pub shuffled_bytes: u64,
    /// Of these, bytes that were spilled to disk.
    pub spilled_bytes: u64,
}

/// What a run has cost, by the configured prices; no currency is known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// What each resource has cost.
    pub items: Vec<CostItem>,
    /// All of them.
    pub total: f64,
}

/// What one resource has cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostItem {
    /// The resource.
    pub what: String,
    /// How much of it.
    pub amount: f64,
    /// Its unit.
    pub unit: String,
    /// The price of a unit.
    pub price: f64,
    /// Amount by price.
    pub cost: f64,
    /// Whether the amount was counted, or predicted by the plan.
    pub basis: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its state.
    pub state: RunState,
    /// The exit code of a process that ends so.
    pub code: u8,
    /// The code of the error, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it ended, if not because it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the same command with `--resume` goes on.
    pub resumable: bool,
}
