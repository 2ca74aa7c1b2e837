//! Listens to a run and keeps what its report says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dataflow::error::{Error, ErrorKind};
use dataflow::runner::{
    Attempt, BundleReport, Failure, JobEvent, JobObserver, StageFacts, StageId,
};

use crate::report::failures::{Disposition, Kept, class_of};
use crate::report::model::{StageRow, StageState, TaskSummary, Timeline, WorkerRow};
use crate::report::timeline::Timelines;

/// Keeps what happens in a run; jobs that follow each other are phases of it.
///
/// Memory: a row a stage, at most some thousand spans and a thousand failures.
#[derive(Debug)]
pub struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began_ms: u64,
    phase: String,
    /// Jobs of each phase so far.
    jobs: BTreeMap<String, u32>,
    job: String,
    is_between_jobs: bool,
    stages: Vec<Row>,
    fingerprint: String,
    timelines: Timelines,
    retries: BTreeMap<String, u64>,
    /// Workers that have not ended well, each with the reasons; the first of them.
    ended: BTreeMap<String, Vec<String>>,
    ended_count: usize,
    kept: Kept,
}

/// Ends of workers that are told one by one.
const TOLD_ENDS: usize = 20;

#[derive(Debug)]
struct Row {
    job: String,
    stage: StageId,
    row: StageRow,
}

impl Recorder {
    /// A recorder of a run that begins at this time, in milliseconds since 1970.
    pub fn new(began_ms: u64) -> Self {
        let state = State {
            began_ms,
            phase: "run".to_owned(),
            jobs: BTreeMap::new(),
            job: "run".to_owned(),
            is_between_jobs: true,
            stages: Vec::new(),
            fingerprint: String::new(),
            timelines: Timelines::default(),
            retries: BTreeMap::new(),
            ended: BTreeMap::new(),
            ended_count: 0,
            kept: Kept::default(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Names the phase that jobs which begin from now on belong to.
    pub fn begin_phase(&self, name: &str) {
        let mut state = self.lock();
        state.phase = name.to_owned();
        // Runners that say nothing of a job begin it with its first stage.
        state.is_between_jobs = true;
    }

    /// When the run began, in milliseconds since 1970.
    pub fn began_ms(&self) -> u64 {
        self.lock().began_ms
    }

    /// Keeps an error that is none of a task.
    pub fn fail(&self, error: &Error) {
        if error.kind() != ErrorKind::Cancelled {
            self.lock().kept.push_of_run(error);
        }
    }

    /// Keeps that sources were left out because of these errors.
    pub fn leave_out(&self, errors: &[Error]) {
        self.keep(errors, Disposition::LeftOut);
    }

    /// Keeps that elements were filled because of these errors.
    pub fn fill(&self, errors: &[Error]) {
        self.keep(errors, Disposition::Filled);
    }

    fn keep(&self, errors: &[Error], disposition: Disposition) {
        let mut state = self.lock();
        for error in errors {
            state.kept.push(Failure::new(error.clone(), 1), None, disposition);
        }
    }

    pub(crate) fn recorded(&self) -> Recording {
        let state = self.lock();
        let stages = state.stages.iter().map(|row| row.row.clone()).collect::<Vec<_>>();
        Recording {
            tasks: stages.iter().fold(TaskSummary::default(), |sum, stage| add(sum, stage.tasks)),
            stages,
            fingerprint: state.fingerprint.clone(),
            timeline: state.timelines.timeline(),
            workers: state.timelines.workers(),
            retries_by_class: state.retries.clone(),
            warnings: state.warnings(),
            kept: state.kept.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a recorder has kept.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) stages: Vec<StageRow>,
    pub(crate) tasks: TaskSummary,
    pub(crate) fingerprint: String,
    pub(crate) timeline: Timeline,
    pub(crate) workers: Vec<WorkerRow>,
    pub(crate) retries_by_class: BTreeMap<String, u64>,
    /// What a user should know.
    pub(crate) warnings: Vec<String>,
    pub(crate) kept: Kept,
}

fn add(a: TaskSummary, b: TaskSummary) -> TaskSummary {
    TaskSummary {
        total: a.total + b.total,
        done: a.done + b.done,
        failed: a.failed + b.failed,
        retried: a.retried + b.retried,
        quarantined: a.quarantined + b.quarantined,
    }
}

impl State {
    fn begin_job(&mut self) {
        let number = self.jobs.entry(self.phase.clone()).or_insert(0);
        *number += 1;
        self.job = match number {
            1 => self.phase.clone(),
            number => format!("{} {number}", self.phase),
        };
        self.is_between_jobs = false;
    }

    fn add_stage(&mut self, facts: &StageFacts) {
        let row = StageRow {
            id: self.stage_id(facts.stage),
            steps: facts.steps.clone(),
            after: facts.after.iter().map(|stage| self.stage_id(*stage)).collect(),
            state: StageState::Waiting,
            tasks: TaskSummary::default(),
            read_count: 0,
            written_bytes: 0,
            task_bytes: facts.working_bytes,
            began_ms: None,
            ended_ms: None,
            busy_ms: 0,
            waited_ms: 0,
            slowest_ms: 0,
        };
        self.stages.push(Row { job: self.job.clone(), stage: facts.stage, row });
    }

    fn begin_stage(&mut self, stage: StageId, task_count: usize, now_ms: u64) {
        if self.is_between_jobs {
            self.begin_job();
        }
        if self.row(stage).is_none() {
            let (steps, after) = (Vec::new(), Vec::new());
            self.add_stage(&StageFacts { stage, steps, after, working_bytes: 0 });
        }
        if let Some(row) = self.row(stage) {
            row.state = StageState::Unfinished;
            row.began_ms = Some(now_ms);
            row.tasks.total = task_count as u64;
        }
    }

    fn row(&mut self, stage: StageId) -> Option<&mut StageRow> {
        let job = &self.job;
        let own = |row: &&mut Row| row.stage == stage && row.job == *job;
        self.stages.iter_mut().find(own).map(|row| &mut row.row)
    }

    fn stage_id(&self, stage: StageId) -> String {
        format!("{}/{stage}", self.job)
    }

    fn ended(&mut self, worker: &str, reason: &str) {
        if self.ended_count < TOLD_ENDS {
            self.ended.entry(worker.to_owned()).or_default().push(reason.to_owned());
        }
        self.ended_count += 1;
    }

    /// Which workers have ended otherwise than well, and why.
    fn warnings(&self) -> Vec<String> {
        let told = self.ended.iter().flat_map(|(worker, reasons)| {
            reasons.iter().map(move |reason| format!("worker {worker} has ended: {reason}"))
        });
        let more = self.ended_count.saturating_sub(TOLD_ENDS);
        let rest = (more > 0).then(|| format!("{more} more ends of workers are not told here"));
        told.chain(rest).collect()
    }

    fn attempted(&mut self, stage: StageId, attempt: &Attempt) {
        let from_ms = attempt.began_ms.saturating_sub(self.began_ms);
        let to_ms = from_ms + attempt.took_ms;
        let id = self.stage_id(stage);
        self.timelines.add(&attempt.worker, &id, from_ms, to_ms);
        if let Some(row) = self.row(stage) {
            row.busy_ms += attempt.took_ms;
            row.waited_ms += attempt.waited_ms.unwrap_or(0);
            row.slowest_ms = row.slowest_ms.max(attempt.took_ms);
        }
    }

    fn finished(&mut self, stage: StageId, report: &BundleReport) {
        if let Some(row) = self.row(stage) {
            row.tasks.done += 1;
            row.read_count += report.read_count;
            row.written_bytes += report.metrics.counter("bytes_written");
        }
    }

    fn failed(&mut self, stage: StageId, failure: &Failure, disposition: Disposition) {
        if let Some(row) = self.row(stage) {
            match disposition {
                Disposition::FailedRun => {
                    row.tasks.failed += 1;
                    row.state = StageState::Failed;
                }
                _ => row.tasks.quarantined += 1,
            }
        }
        let stage = self.stage_id(stage);
        self.kept.push(failure.clone(), Some(stage), disposition);
    }
}

/// Tells what happens to two: whoever shows it, and a recorder.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    /// Shows what happens.
    pub observer: &'a dyn JobObserver,
    /// Keeps it.
    pub recorder: &'a Recorder,
}

impl std::fmt::Debug for Recorded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorded").field("recorder", self.recorder).finish_non_exhaustive()
    }
}

impl JobObserver for Recorded<'_> {
    fn observe(&self, event: &JobEvent) {
        self.recorder.observe(event);
        self.observer.observe(event);
    }
}

impl JobObserver for Recorder {
    fn observe(&self, event: &JobEvent) {
        let now_ms = crate::job::now_ms();
        let mut state = self.lock();
        match event {
            JobEvent::JobStarted { stages, fingerprint } => {
                state.begin_job();
                fingerprint.clone_into(&mut state.fingerprint);
                stages.iter().for_each(|stage| state.add_stage(stage));
            }
            JobEvent::StageStarted { stage, bundle_count } => {
                state.begin_stage(*stage, *bundle_count, now_ms);
            }
            JobEvent::BundleAttempted { stage, attempt } => state.attempted(*stage, attempt),
            JobEvent::BundleFinished { stage, report } => state.finished(*stage, report),
            JobEvent::BundleRetried { stage, error } => {
                *state.retries.entry(class_of(error).to_owned()).or_default() += 1;
                if let Some(row) = state.row(*stage) {
                    row.tasks.retried += 1;
                }
            }
            JobEvent::ElementQuarantined { stage, failure } => {
                state.failed(*stage, failure, Disposition::Quarantined);
            }
            JobEvent::BundleFailed { stage, failure } => {
                state.failed(*stage, failure, Disposition::FailedRun);
            }
            JobEvent::WorkerEnded { worker, reason, .. } => state.ended(worker, reason),
            JobEvent::StageFinished { stage } => {
                if let Some(row) = state.row(*stage) {
                    row.state = StageState::Done;
                    row.ended_ms = Some(now_ms);
                }
            }
            _ => {}
        }
    }
}
