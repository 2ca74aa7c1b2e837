//! The tasks of a run, one by one.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::error::Result;
use dataflow::plan::StageId;
use serde::Serialize;

use crate::leader::merged_by;
use crate::store::{Commit, Decision, RunStore, StagePlan, TaskFailure, keys};

/// A task, and what became of it so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskRow {
    /// The stage; of tasks that merge what a stage has left, that stage.
    pub stage: String,
    /// Whether it merges what the stage has left for the next one.
    pub is_merge: bool,
    /// Its number within the stage.
    pub task: u32,
    /// Where it stands.
    pub state: TaskState,
    /// How often it was begun, as far as that is still known.
    pub attempts: u64,
    /// The worker whose attempt counts, or is the last one: `<index>-<attempt>-<eight digits>`.
    pub worker: Option<String>,
    /// The job and the index of the worker whose attempt counts.
    pub place: Option<String>,
    /// When that attempt began, in milliseconds since 1970, by the clock of its worker.
    pub started_ms: Option<i64>,
    /// How long the task waited after its stage was open, in milliseconds.
    pub wait_ms: Option<u64>,
    /// How long the attempt took, in milliseconds.
    pub exec_ms: Option<u64>,
    /// The most bytes that its worker had accounted for by then.
    pub peak_bytes: Option<u64>,
    /// Elements that were read.
    pub read: Option<u64>,
    /// Bytes that were written into the destination.
    pub written_bytes: Option<u64>,
    /// Bytes of records that were left for other stages.
    pub left_bytes: Option<u64>,
    /// Elements that were left out.
    pub quarantined: Option<u64>,
    /// The rung on the ladder of memory.
    pub rung: u32,
    /// What the last attempt that failed has said.
    pub error: Option<String>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Nobody has begun it.
    Open,
    /// Somebody has begun it.
    Begun,
    /// It is committed.
    Done,
    /// It has failed for good, or was given up.
    Failed,
}

impl TaskState {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl RunStore {
    /// All tasks that were planned so far, by stage and number.
    ///
    /// Cost: three lists for each stage, a read for each commit and each failure. Memory: a row for each
    /// task.
    ///
    /// # Errors
    /// A store that fails.
    pub fn tasks(&self) -> Result<Vec<TaskRow>> {
        let plans = self.list(keys::PLANS)?;
        let written: BTreeMap<String, i64> =
            plans.iter().map(|it| (it.key.clone(), it.last_modified_ms)).collect();
        let (extensions, plans): (Vec<String>, Vec<String>) =
            plans.into_iter().map(|it| it.key).partition(|key| key.contains(".x"));
        let mut given_up: BTreeSet<(StageId, u32)> = BTreeSet::new();
        for (key, decision) in self.read_all::<Decision>(extensions)? {
            let stage = keys::stage_of(&key);
            given_up.extend(decision.given_up.iter().filter_map(|task| Some((stage?, *task))));
        }
        let mut rows = Vec::new();
        for (key, plan) in self.read_all::<StagePlan>(plans)? {
            let Some(id) = keys::stage_of(&key) else { continue };
            let open_since_ms = written.get(&key).copied();
            let mut own = self.tasks_of(id, plan.tasks.len() as u32, open_since_ms)?;
            for row in &mut own {
                if row.state < TaskState::Done && given_up.contains(&(id, row.task)) {
                    row.state = TaskState::Failed;
                }
            }
            rows.extend(own);
        }
        rows.sort_by(|a, b| (&a.stage, a.is_merge, a.task).cmp(&(&b.stage, b.is_merge, b.task)));
        Ok(rows)
    }

    fn tasks_of(
        &self,
        id: StageId,
        count: u32,
        open_since_ms: Option<i64>,
    ) -> Result<Vec<TaskRow>> {
        let mut rows: Vec<TaskRow> = (0..count).map(|task| TaskRow::open(id, task)).collect();
        let mut attempts: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for claim in self.list(&keys::claims(id))? {
            let Some((task, worker)) = keys::task_of(&claim.key) else { continue };
            attempts.entry(task).or_default().insert(worker.to_owned());
            if let Some(row) = rows.get_mut(task as usize) {
                (row.state, row.worker) = (TaskState::Begun, Some(worker.to_owned()));
            }
        }
        let failures = self.list(&keys::failures(id))?.into_iter().map(|it| it.key);
        for (key, failed) in self.read_all::<TaskFailure>(failures)? {
            let Some((task, worker)) = keys::task_of(&key) else { continue };
            attempts.entry(task).or_default().insert(worker.to_owned());
            if let Some(row) = rows.get_mut(task as usize) {
                row.error = Some(failed.failure.error.message().to_owned());
                row.worker = Some(failed.worker);
                row.peak_bytes = Some(failed.peak_bytes);
            }
        }
        let commits = self.list(&keys::commits(id))?.into_iter().map(|it| it.key);
        for (key, commit) in self.read_all::<Commit>(commits)? {
            let Some((task, _)) = keys::task_of(&key) else { continue };
            attempts.entry(task).or_default().insert(commit.attempt.clone());
            if let Some(row) = rows.get_mut(task as usize) {
                row.commit(commit, open_since_ms)?;
            }
        }
        for (task, names) in attempts {
            if let Some(row) = rows.get_mut(task as usize) {
                row.attempts = names.len() as u64;
            }
        }
        Ok(rows)
    }
}

impl TaskRow {
    fn open(id: StageId, task: u32) -> Self {
        let merged = merged_by(id);
        Self {
            stage: merged.unwrap_or(id).to_string(),
            is_merge: merged.is_some(),
            task,
            state: TaskState::Open,
            attempts: 0,
            worker: None,
            place: None,
            started_ms: None,
            wait_ms: None,
            exec_ms: None,
            peak_bytes: None,
            read: None,
            written_bytes: None,
            left_bytes: None,
            quarantined: None,
            rung: 0,
            error: None,
        }
    }

    fn commit(&mut self, commit: Commit, open_since_ms: Option<i64>) -> Result<()> {
        let waited = open_since_ms.map(|since| commit.started_ms - since);
        self.state = TaskState::Done;
        self.written_bytes = Some(commit.numbers.metrics()?.counter("bytes_written"));
        self.worker = Some(commit.worker);
        self.place = commit.place;
        self.started_ms = Some(commit.started_ms);
        // Two clocks: one that is late must not wait for less than no time.
        self.wait_ms = waited.map(|it| u64::try_from(it).unwrap_or(0));
        self.exec_ms = Some(commit.wall_ms);
        self.peak_bytes = Some(commit.peak_bytes);
        self.read = Some(commit.read_count);
        self.left_bytes = Some(commit.bytes);
        self.quarantined = Some(commit.failures.count());
        self.rung = commit.rung;
        Ok(())
    }
}
