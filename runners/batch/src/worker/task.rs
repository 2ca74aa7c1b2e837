//! One attempt of one task: fetch, compute, leave, commit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dataflow::bundle::{BundleInput, BundleProcessor, BundleTask, Failure, Setback, Setting};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::options::Retries;
use dataflow::plan::{StageGraph, StageId};
use dataflow::runner::BundleReport;
use dataflow::shuffle::{InProcessShuffle, Scratch};
use rayon::ThreadPool;

use super::beat::Living;
use crate::exchange::{Exchange, StorePayloads, TaskShuffle, gather, upload};
use crate::leader::merged_by;
use crate::store::{Bundle, Commit, FailureClass, Numbers, RunStore, TaskFailure, keys};

/// What all tasks of a worker share.
pub(super) struct Bench<'a> {
    pub(super) store: &'a RunStore,
    pub(super) graph: &'a StageGraph,
    pub(super) setting: &'a Setting,
    pub(super) scratch: &'a Scratch,
    pub(super) exchange: &'a Arc<Exchange>,
    pub(super) pool: &'a ThreadPool,
    /// The name of the worker, under which it attempts tasks.
    pub(super) worker: &'a str,
    pub(super) rung: u32,
    /// The job and the index of the worker.
    pub(super) place: &'a str,
    /// How often tasks are tried again that fail in passing.
    pub(super) retries: &'a Retries,
    /// Whether there is nobody else for its tasks.
    pub(super) is_alone: bool,
    /// The most partitions of an edge.
    pub(super) partition_count: usize,
    /// Is held while side inputs are read: once is enough.
    pub(super) preparing: Mutex<()>,
    /// Is held while an object is written, so that the parts of one alone are in memory: 24 MiB, of what the
    /// limit of a worker leaves to its runtime.
    pub(super) uploading: Mutex<()>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TaskEnd {
    /// This attempt counts.
    Committed,
    /// Another one counts.
    Superseded,
    /// Somebody else has begun it before.
    Left,
    /// It failed, and the store says why.
    Failed {
        /// Whether this worker may try again.
        is_tried_again: bool,
    },
    /// The same, and this worker would fail at others as well.
    Unfit(Error),
    /// It was asked to stop.
    Stopped,
}

impl Bench<'_> {
    /// Attempts a task that this worker has failed at so often, unless one of the `rivals` has claimed it
    /// before.
    ///
    /// # Errors
    /// A store that fails: the attempt has no end then, and somebody will begin another.
    pub(super) fn attempt(
        &self,
        stage: StageId,
        task: u32,
        bundles: &[Bundle],
        failed_count: u32,
        rivals: Option<&Living>,
    ) -> Result<TaskEnd> {
        let claim = keys::claim(stage, task, self.worker);
        self.store.put(&claim, &())?;
        if let Some(rivals) = rivals
            && self.is_behind(stage, task, rivals)?
        {
            self.store.delete(&claim)?;
            return Ok(TaskEnd::Left);
        }
        if self.store.has(&keys::commit(stage, task))? {
            return Ok(TaskEnd::Superseded);
        }
        let failure = match self.run(stage, task, bundles) {
            Ok(true) => return Ok(TaskEnd::Committed),
            Ok(false) => return Ok(TaskEnd::Superseded),
            Err(failure) if failure.error.kind() == ErrorKind::Cancelled => {
                return Ok(TaskEnd::Stopped);
            }
            Err(failure) => self.explained(failure),
        };
        tracing::warn!(stage = %stage, task, error = %failure, "task failed");
        let is_unfit = !self.is_alone && is_of_worker(&failure.error);
        let class = match failure.error.is_transient() || is_unfit {
            true => FailureClass::Transient,
            false => FailureClass::User,
        };
        // The driver counts the attempts of all workers; one of them does not go on for ever.
        let step = failure.error.place("step");
        let is_tried_again =
            !is_unfit && class == FailureClass::Transient && failed_count < self.retries.of(step);
        let end = match is_unfit {
            true => TaskEnd::Unfit(failure.error.clone()),
            false => TaskEnd::Failed { is_tried_again },
        };
        let (worker, peak_bytes) = (self.worker.to_owned(), self.setting.budget().peak_bytes());
        let record = TaskFailure { v: 1, class, worker, failure, peak_bytes };
        let attempt = match failed_count {
            0 => self.worker.to_owned(),
            count => format!("{}~{count}", self.worker),
        };
        self.store.create(&keys::failure(stage, task, &attempt), &record)?;
        if !is_tried_again {
            // Nobody is at it any more: others need not wait until this worker is gone.
            self.store.delete(&claim)?;
        }
        Ok(end)
    }

    /// Says of a full disk what this worker has put there: others will need about as much.
    fn explained(&self, failure: Failure) -> Failure {
        if failure.error.code() != ErrorCode::STORE_FULL {
            return failure;
        }
        let spilled = format!("{} bytes so far", self.scratch.spilled_bytes());
        Failure::new(failure.error.at("spilled", spilled), failure.attempts)
    }

    /// Whether one of the living has claimed a task before this worker: of those that have looked at the same
    /// moment, each sees the claims of the others now, and the first of them goes on.
    fn is_behind(&self, stage: StageId, task: u32, living: &Living) -> Result<bool> {
        let claims = self.store.list(&keys::claims(stage))?;
        let of_task = claims.iter().filter_map(|claim| {
            let (claimed, worker) = keys::task_of(&claim.key)?;
            (claimed == task).then_some((claim.last_modified_ms, worker))
        });
        let own = of_task.clone().find(|(_, worker)| *worker == self.worker);
        let is_before = |it: &(i64, &str)| own.is_some_and(|own| *it < own);
        Ok(of_task.filter(is_before).any(|(at_ms, worker)| living.has(worker, at_ms)))
    }

    /// Runs the bundles of a task and commits them; false if another attempt has done so.
    fn run(&self, stage: StageId, task: u32, bundles: &[Bundle]) -> Result<bool, Failure> {
        let (began, mut commit) =
            (Instant::now(), Commit::new(self.worker, self.worker, self.rung));
        commit.place = Some(self.place.to_owned());
        let once = |error: Error| Failure::new(error, 1);
        let budget = self.setting.budget();
        let outputs =
            InProcessShuffle::starting_at(task as usize, budget.clone(), self.scratch.clone());
        if let (Some(merged), [Bundle::Merge(from, to)]) = (merged_by(stage), bundles) {
            let (store, count) = (self.store, self.partition_count);
            gather(store, self.graph, merged, *from..*to, &outputs, count).map_err(once)?;
            self.leave(&mut commit, (merged, stage), task, &outputs).map_err(once)?;
            commit.wall_ms = began.elapsed().as_millis() as u64;
            return self.store.create(&keys::commit(stage, task), &commit).map_err(once);
        }
        let bundles: Vec<BundleInput> = bundles.iter().filter_map(|it| it.input()).collect();
        let shuffle = Arc::new(TaskShuffle::new(self.exchange, outputs));
        let fetched: Arc<TaskShuffle> = Arc::clone(&shuffle);
        let payloads = Arc::new(StorePayloads::new(self.store, budget));
        let sent: Arc<StorePayloads> = Arc::clone(&payloads);
        let setting = self.setting.clone().with_store(fetched).with_blobs(sent);
        let plan = self.graph.stage(stage);
        let views = plan.views.iter().filter_map(|&view| self.graph.view_edge(view));
        shuffle.know(plan.inputs.iter().copied().chain(views)).map_err(once)?;
        let processor = BundleProcessor::new(self.graph, plan, &setting);
        {
            let _one = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
            processor.prepare().map_err(once)?;
        }
        shuffle.fetch(&bundles).map_err(once)?;
        let attempt = || bundles.iter().map(|&it| attempts(&processor, it)).collect();
        let done: Result<Vec<Done>, Box<Failure>> = self.pool.install(attempt);
        // Whatever came of it, nothing is written any more when the attempt has ended.
        let settled = payloads.settle();
        let (mut metrics, mut committed) = (Metrics::default(), Vec::new());
        for (bundle, report) in done.map_err(|failure| *failure)? {
            committed.push(bundle);
            metrics.merge(&report.metrics);
            commit.read_count += report.read_count;
            commit.failures.merge(report.failures);
        }
        settled.map_err(once)?;
        commit.count(&metrics);
        self.leave(&mut commit, (stage, stage), task, shuffle.outputs()).map_err(once)?;
        commit.wall_ms = began.elapsed().as_millis() as u64;
        commit.peak_bytes = budget.peak_bytes();
        let is_ours = self.store.create(&keys::commit(stage, task), &commit).map_err(once)?;
        if is_ours {
            let mut after = Metrics::default();
            committed.into_iter().for_each(|it| after.merge(&processor.finalize(it)));
            self.note_after(stage, task, &after).map_err(once)?;
        }
        Ok(is_ours)
    }

    /// Keeps what was counted after the commit of a task.
    fn note_after(&self, stage: StageId, task: u32, after: &Metrics) -> Result<()> {
        if *after == Metrics::default() {
            return Ok(());
        }
        self.store.put(&keys::after(stage, task), &Numbers::of(after))
    }

    /// Writes what the task leaves for others on the edges of a stage, under the number of the stage that
    /// it is a task of.
    fn leave(
        &self,
        commit: &mut Commit,
        (written, stage): (StageId, StageId),
        task: u32,
        outputs: &InProcessShuffle,
    ) -> Result<()> {
        let exported = outputs.export(&self.graph.stage(written).outputs)?;
        if exported.segments().is_empty() {
            return Ok(());
        }
        let key = keys::records(stage, task, self.worker);
        {
            let _one = self.uploading.lock().unwrap_or_else(PoisonError::into_inner);
            upload(self.store, &key, &exported)?;
        }
        commit.place(self.store, key, exported.bytes(), exported.segments())
    }
}

/// Whether an error is about what this worker has and others may have not: a full disk, keys that ended.
fn is_of_worker(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::STORE_FULL | ErrorCode::CREDENTIALS)
}

/// A bundle that was attempted with success, and what it says.
type Done = (BundleTask, BundleReport);

/// Attempts a bundle for as long as another attempt may help.
fn attempts(processor: &BundleProcessor<'_>, input: BundleInput) -> Result<Done, Box<Failure>> {
    let mut bundle = BundleTask::new(input);
    loop {
        match processor.attempt(&mut bundle) {
            Ok(report) => return Ok((bundle, report)),
            Err(Setback::Failed(failure)) => return Err(failure),
            Err(Setback::Again(error)) => {
                tracing::warn!(stage = %processor.stage(), %error, "bundle tried again");
            }
        }
    }
}
