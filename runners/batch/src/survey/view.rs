//! A run at a moment: where its stages stand, who works on it, who drives it.

use std::time::Duration;

use dataflow::error::Result;
use dataflow::plan::StageId;
use serde::Serialize;

use crate::store::{
    LeaderRecord, ResultRecord, RunStore, StageProgress, StateRecord, WorkerBeat, keys, silence,
};

/// What can be seen of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunView {
    /// What its driver has said last, with the commits since; nothing before it has said anything.
    pub state: Option<StateRecord>,
    /// Its workers, as far as they have beaten.
    pub workers: Vec<WorkerView>,
    /// Its last driver.
    pub driver: Option<DriverView>,
    /// Whether it was asked to stop.
    pub is_cancelled: bool,
    /// How its stages ended: `SUCCEEDED`, `FAILED`, `CANCELLED`; nothing while they go on. What a command
    /// does after its last stage is not seen here.
    pub end: Option<String>,
}

/// A worker, each start counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerView {
    /// Its name: `<index>-<attempt>-<eight digits>`.
    pub name: String,
    /// The name of its job.
    pub job: String,
    /// Its place among the workers of the job.
    pub index: u32,
    /// What it is at: stages and tasks.
    pub tasks: Vec<(String, u32)>,
    /// Tasks that it has done.
    pub done: u64,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Whether it has beaten lately and has not gone home.
    pub is_living: bool,
}

/// A driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DriverView {
    /// The machine, as it calls itself.
    pub host: String,
    /// The process.
    pub process: u32,
    /// When it took over, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whether it has beaten lately.
    pub is_living: bool,
}

impl RunView {
    /// Whether somebody works on the run or drives it.
    pub fn is_living(&self) -> bool {
        self.driver.as_ref().is_some_and(|it| it.is_living)
            || self.workers.iter().any(|it| it.is_living)
    }
}

impl RunStore {
    /// The run as it is now. Who lives is told by the clock of this machine.
    ///
    /// Cost: lists of its root, its leases, its heartbeats and the commits of open stages; a read for each
    /// worker.
    ///
    /// # Errors
    /// No run, one of another version, a store that fails.
    pub fn view(&self) -> Result<RunView> {
        let silence = silence(self.run_record()?.options.heartbeat_ms);
        let root = self.list_root()?;
        let has = |key: &str| root.iter().any(|it| it == key);
        let mut state =
            if has(keys::STATE) { self.read::<StateRecord>(keys::STATE)? } else { None };
        if let Some(state) = &mut state {
            self.count_commits(state)?;
        }
        let end = if has(keys::RESULT) { self.read::<ResultRecord>(keys::RESULT)? } else { None };
        let beats = self.list(keys::HEARTBEATS)?;
        let is_fresh = |at_ms: i64| {
            Duration::from_millis(u64::try_from(objects::now_ms() - at_ms).unwrap_or(0)) <= silence
        };
        let written: Vec<(&str, i64)> =
            beats.iter().map(|it| (it.key.as_str(), it.last_modified_ms)).collect();
        let fresh = |key: &str| written.iter().any(|(own, at)| *own == key && is_fresh(*at));
        let of_workers = beats.iter().filter(|it| it.key.contains("/w-"));
        let read = self.read_all::<WorkerBeat>(of_workers.map(|it| it.key.clone()))?;
        let mut workers: Vec<WorkerView> =
            read.into_iter().filter_map(|(key, beat)| worker_of(&key, beat, fresh(&key))).collect();
        workers
            .sort_by(|a, b| (&a.job, a.index, a.started_ms).cmp(&(&b.job, b.index, b.started_ms)));
        let driver = self.last_driver(fresh)?;
        let is_cancelled = has(keys::CANCEL);
        Ok(RunView { state, workers, driver, is_cancelled, end: end.map(|it| it.state) })
    }

    /// Commits may be there that the driver has not told of.
    fn count_commits(&self, state: &mut StateRecord) -> Result<()> {
        for stage in &mut state.stages {
            let id = stage.stage.strip_prefix('s').and_then(|it| it.parse().ok()).map(StageId);
            if let Some(id) = id.filter(|_| stage.progress == StageProgress::Running) {
                let commits = self.list(&keys::commits(id))?.len() as u64;
                stage.done = commits.max(stage.done).min(stage.tasks);
            }
        }
        Ok(())
    }

    fn last_driver(&self, fresh: impl Fn(&str) -> bool) -> Result<Option<DriverView>> {
        let leases = self.list(keys::LEASES)?;
        let epochs = leases.iter().filter_map(|it| Some(keys::task_of(&it.key)?.0));
        let Some(epoch) = epochs.max() else { return Ok(None) };
        let record: Option<LeaderRecord> = self.read(&keys::lease(epoch))?;
        Ok(record.map(|it| DriverView {
            host: it.host,
            process: it.process,
            since_ms: it.since_ms,
            is_living: fresh(&keys::leader_heartbeat(epoch)),
        }))
    }
}

fn worker_of(key: &str, beat: WorkerBeat, is_fresh: bool) -> Option<WorkerView> {
    let name = key.rsplit('/').next()?.strip_prefix("w-")?.to_owned();
    let tasks = beat.tasks.iter().map(|(stage, task)| (StageId(*stage).to_string(), *task));
    Some(WorkerView {
        name,
        tasks: tasks.collect(),
        is_living: is_fresh && !beat.has_ended,
        job: beat.job,
        index: beat.index,
        done: beat.done_count,
        started_ms: beat.started_ms,
    })
}
