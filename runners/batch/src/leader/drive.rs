//! The loop of the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow::bundle::{Failure, Failures};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::options::{OnError, Retries};
use dataflow::plan::{StageGraph, StageId};
use dataflow::runner::{Attempt, BundleReport, JobEvent, JobObserver};
use dataflow::shuffle::EdgeId;

use super::lease::{Lease, Now};
use super::merging::{merge_of, merged_by, plan_merge};
use super::plan::plan_stage;
use super::speculate::slow_tasks;
use super::spending::Spending;
use super::stage::{News, OpenStage};
use super::telling::Telling;
use super::workers::{Crash, Crew, Hungry, Interrupted};
use crate::exchange::Exchange;
use crate::options::{LOOK_SHARE, LOOK_SHARE_MOST};
use crate::store::{Commit, Decision, DoneIndex, RunStore, keys};

/// The longest pause while the store or the launcher cannot be asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// A task that so many workers were at when they ended is what ends them.
const CRASHES_LIMIT: u32 = 3;
/// Attempts with the most memory of the ladder: the last rung is repeated once.
const LAST_RUNG_ATTEMPTS: usize = 2;
/// Between two looks at how long tasks take.
const STRAGGLER_CHECK: Duration = Duration::from_secs(10);
/// Between two looks at who holds the lease.
const LEASE_CHECK: Duration = Duration::from_secs(2);

/// What the driver of a run stands on.
pub(crate) struct Drive<'a> {
    pub(crate) store: &'a RunStore,
    pub(crate) graph: &'a StageGraph,
    pub(crate) exchange: &'a Arc<Exchange>,
    pub(crate) lease: &'a Lease,
    pub(crate) observer: &'a dyn JobObserver,
    pub(crate) cancel: &'a CancelToken,
    /// Asks the driver to go and to leave the run as it is.
    pub(crate) leave: &'a CancelToken,
    pub(crate) on_error: OnError,
    /// How often tasks are tried again whose errors are transient.
    pub(crate) retries: &'a Retries,
    /// The stages that the driver's own worker runs.
    pub(crate) local: &'a BTreeSet<StageId>,
    /// The most tasks of a stage.
    pub(crate) task_limit: usize,
    /// What takes more requests to read is merged first.
    pub(crate) merge_above: u64,
    /// Between two words about where the run stands.
    pub(crate) heartbeat: Duration,
    /// Between two looks at the store: the least, and the most where nothing changes.
    pub(crate) look: (Duration, Duration),
    /// After so long the run is stopped.
    pub(crate) max_wall: Option<Duration>,
    /// What the run may cost, if there is a limit.
    pub(crate) spending: Option<Spending<'a>>,
    /// Between two looks at what it has cost.
    pub(crate) count_every: Duration,
}

/// Drives all stages to their end; the numbers of all commits, and the elements that were left out.
///
/// # Errors
/// What made the run fail, by the policy for errors.
pub(crate) fn drive(plan: &Drive<'_>, crew: &mut Crew<'_>) -> Result<(Metrics, Failures)> {
    let every = plan.heartbeat;
    let is_local = |stage: StageId| plan.local.contains(&stage);
    let mut state = State {
        plan,
        telling: Telling::new(plan.graph, plan.lease.epoch, is_local, every),
        open: BTreeMap::new(),
        merging: BTreeMap::new(),
        finished: BTreeSet::new(),
        broken: BTreeSet::new(),
        released: BTreeSet::new(),
        metrics: Metrics::default(),
        quarantined: Failures::default(),
        failed: Failures::default(),
        hungry: Vec::new(),
        starved: BTreeMap::new(),
        crashed: BTreeMap::new(),
        straggling: Now::every(STRAGGLER_CHECK),
        counting: Now::every(plan.count_every),
        is_ending: false,
    };
    let run = state.run(crew);
    // Whoever has taken over tells how it goes on; who looks on is not worth an error.
    let is_ours = run.as_ref().err().is_none_or(|error| error.code() != ErrorCode::LOCKED);
    if is_ours && let Err(error) = state.telling.tell(plan.store, Vec::new()) {
        tracing::debug!(%error, "where the run stands is not told");
    }
    let State { failed, quarantined, metrics, finished, .. } = state;
    if let Some(error) = failed.into_error() {
        return Err(quarantined.beside(error, "quarantine"));
    }
    run?;
    // Whatever made it stop early, a part of the results must not pass for all of them.
    if finished.len() < plan.graph.stages().len() {
        return Err(Error::internal("the run ended before all stages had run"));
    }
    Ok((metrics, quarantined))
}

/// What a look at everything has come to.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Something has happened.
    News,
    Nothing,
    /// There is nothing left to wait for.
    Over,
}

struct State<'a> {
    plan: &'a Drive<'a>,
    telling: Telling,
    open: BTreeMap<StageId, OpenStage>,
    /// Stages that are complete while what they have left is merged, by the number of the merge.
    merging: BTreeMap<StageId, OpenStage>,
    finished: BTreeSet<StageId>,
    /// Stages that cannot begin, or that have tasks that failed.
    broken: BTreeSet<StageId>,
    /// Stages whose records are deleted.
    released: BTreeSet<StageId>,
    metrics: Metrics,
    /// Elements that were left out of bundles that have committed.
    quarantined: Failures,
    failed: Failures,
    /// Tasks that ran out of memory, and are not given more yet.
    hungry: Vec<Hungry>,
    /// The attempts of each task that ran out of memory: the rung of the worker, what it had and held.
    starved: BTreeMap<(StageId, u32), Vec<(u32, String)>>,
    /// How many workers have ended at a task that is not done.
    crashed: BTreeMap<(StageId, u32), u32>,
    /// When it is looked for tasks that take too long.
    straggling: Now,
    /// When it is looked at what the run has cost.
    counting: Now,
    /// Nothing is begun any more.
    is_ending: bool,
}

impl State<'_> {
    fn run(&mut self, crew: &mut Crew<'_>) -> Result<()> {
        self.take_up()?;
        let (least, most) = self.plan.look;
        let (mut pause, mut lease, began) = (least, Now::every(LEASE_CHECK), Instant::now());
        loop {
            self.plan.cancel.check()?;
            if self.plan.leave.is_cancelled() {
                return Err(left(self.plan.store));
            }
            if self.plan.max_wall.is_some_and(|limit| began.elapsed() > limit) {
                return Err(over_time(began.elapsed()));
            }
            let looked = Instant::now();
            pause = match self.turn(&mut lease, crew) {
                Ok(Turn::Over) => return Ok(()),
                Ok(Turn::News) => least,
                Ok(Turn::Nothing) => {
                    let share = (looked.elapsed() * LOOK_SHARE).min(LOOK_SHARE_MOST);
                    (pause * 2).min(most).max(share)
                }
                // Workers go on meanwhile; what was seen and not told yet is kept.
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the run cannot be watched now");
                    (pause * 2).clamp(most, PATIENCE)
                }
                Err(error) => return Err(error),
            };
            crew.wait(pause)?;
        }
    }

    /// Looks at everything once, and does what follows.
    fn turn(&mut self, lease: &mut Now, crew: &mut Crew<'_>) -> Result<Turn> {
        if lease.is() {
            self.plan.lease.check()?;
            if self.plan.store.has(keys::CANCEL)? {
                let message = "the run was cancelled";
                return Err(Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, message)
                    .at("run", self.plan.store.root())
                    .mend("what is done is kept: the same command with --resume goes on"));
            }
            if self.plan.store.has(keys::LEAVE)? {
                return Err(left(self.plan.store));
            }
        }
        if let Some(spending) = &self.plan.spending
            && self.counting.is()
        {
            spending.check(self.plan.store)?;
        }
        let has_changed = self.look()?;
        self.open_stages()?;
        let is_stopped = self.is_ending
            && matches!(self.plan.on_error, OnError::Stop | OnError::Quarantine { .. });
        if self.open.is_empty() || is_stopped {
            return Ok(Turn::Over);
        }
        let Interrupted { hungry, crashed } = crew.tend(&self.demand(), has_changed)?;
        self.hungry.extend(hungry);
        self.feed(crew)?;
        crashed.into_iter().try_for_each(|crash| self.crash(crash))?;
        if self.straggling.is() {
            self.speculate()?;
        }
        self.telling.tell(self.plan.store, crew.jobs())?;
        Ok(if has_changed { Turn::News } else { Turn::Nothing })
    }

    /// Lets the idle begin what takes much longer than the rest.
    fn speculate(&mut self) -> Result<()> {
        let store = self.plan.store;
        for stage in self.open.values_mut() {
            if slow_tasks(stage, |_| Some(i64::MAX)).is_empty() {
                continue;
            }
            let claims = store.list(&keys::claims(stage.id))?;
            let now_ms = store.written_ms(&self.plan.lease.heartbeat_key())?;
            let mut first_ms: BTreeMap<u32, i64> = BTreeMap::new();
            for (task, at_ms) in claims
                .iter()
                .filter_map(|it| Some((keys::task_of(&it.key)?.0, it.last_modified_ms)))
            {
                let first = first_ms.entry(task).or_insert(at_ms);
                *first = at_ms.min(*first);
            }
            let speculate = slow_tasks(stage, |task| Some(now_ms - first_ms.get(&task)?));
            if !speculate.is_empty() {
                stage.decide(store, &Decision { v: 1, speculate, ..Decision::default() })?;
            }
        }
        Ok(())
    }

    /// Learns what a driver before this one has finished.
    fn take_up(&mut self) -> Result<()> {
        for facts in self.plan.store.list(keys::DONE)? {
            let Some(stage) = keys::stage_of(&facts.key) else { continue };
            let index = DoneIndex::read(self.plan.store, stage)?;
            self.metrics.merge(&index.metrics()?);
            self.quarantined.merge(index.failures().clone());
            self.telling.take_up(self.plan.store, stage)?;
            self.finished.insert(stage);
        }
        Ok(())
    }

    /// Opens every stage whose inputs are complete.
    fn open_stages(&mut self) -> Result<()> {
        let plan = self.plan;
        for stage in plan.graph.stages() {
            let id = stage.id;
            let is_known = self.open.contains_key(&id)
                || self.open.contains_key(&merge_of(id))
                || self.finished.contains(&id)
                || self.broken.contains(&id);
            let is_ready = stage.after.iter().all(|before| self.finished.contains(before));
            if is_known || !is_ready || self.is_ending {
                continue;
            }
            let is_local = plan.local.contains(&id);
            let tasks = plan_stage(stage, plan.exchange, plan.task_limit, is_local)?;
            let open = OpenStage::open(plan.store, id, tasks)?;
            let bundle_count = open.plan.tasks.len();
            plan.observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            self.telling.begin(id, bundle_count);
            self.open.insert(id, open);
            if bundle_count == 0 {
                self.close(id)?;
                return self.open_stages();
            }
        }
        Ok(())
    }

    /// Looks at every open stage; true if something has changed.
    fn look(&mut self) -> Result<bool> {
        let mut has_changed = false;
        let open: Vec<StageId> = self.open.keys().copied().collect();
        for id in open {
            let Some(stage) = self.open.get_mut(&id) else { continue };
            let News { committed, failed, hungry } =
                stage.look(self.plan.store, self.plan.retries)?;
            has_changed |= !committed.is_empty() || !failed.is_empty() || !hungry.is_empty();
            let hungry = hungry.into_iter();
            let of_stage = |(task, peak_bytes)| Hungry { stage: id, task, rung: None, peak_bytes };
            self.hungry.extend(hungry.map(of_stage));
            for commit in committed {
                self.commit(id, commit)?;
            }
            for failure in failed {
                self.fail(id, failure)?;
            }
            let is_settled = self.open.get(&id).is_some_and(OpenStage::is_settled);
            if is_settled {
                self.close(id)?;
            }
        }
        Ok(has_changed)
    }

    fn commit(&mut self, stage: StageId, commit: Commit) -> Result<()> {
        if merged_by(stage).is_some() {
            return Ok(());
        }
        let metrics = commit.numbers.metrics()?;
        self.metrics.merge(&metrics);
        self.telling.commit(stage, metrics.counter("bytes_written"), commit.failures.count());
        for failure in commit.failures.kept().iter().cloned() {
            self.plan.observer.observe(&JobEvent::ElementQuarantined { stage, failure });
        }
        self.quarantined.merge(commit.failures.clone());
        let attempt = Attempt {
            worker: commit.worker,
            began_ms: u64::try_from(commit.started_ms).unwrap_or(0),
            // Clocks of two machines differ by more than a task waits.
            waited_ms: None,
            took_ms: commit.wall_ms,
        };
        self.plan.observer.observe(&JobEvent::BundleAttempted { stage, attempt });
        let report =
            BundleReport { metrics, read_count: commit.read_count, failures: commit.failures };
        self.plan.observer.observe(&JobEvent::BundleFinished { stage, report });
        let OnError::Quarantine { limit } = self.plan.on_error else { return Ok(()) };
        // Each worker has counted what it has left out; only here they come together.
        if self.quarantined.count() > limit
            && let Some(last) = self.quarantined.kept().last().cloned()
        {
            let policy = format!("quarantine, limit {limit}: this is one more");
            let error = last.error.at("policy", policy);
            let error = error.mend("mend the element, or raise the limit");
            return self.fail(stage, Failure::new(error, last.attempts));
        }
        Ok(())
    }

    /// Keeps a failure, and ends the run as far as the policy says.
    fn fail(&mut self, stage: StageId, failure: Failure) -> Result<()> {
        let policy = self.plan.on_error;
        self.telling.fail(stage);
        if self.failed.is_empty() || matches!(policy, OnError::Finish | OnError::Continue) {
            self.plan.observer.observe(&JobEvent::BundleFailed { stage, failure: failure.clone() });
            self.failed.push(failure);
        }
        if policy == OnError::Continue {
            return Ok(());
        }
        self.is_ending = true;
        if policy != OnError::Finish {
            return Ok(());
        }
        // What nobody has begun is not begun any more.
        for stage in self.open.values_mut() {
            let claims = self.plan.store.list(&keys::claims(stage.id))?;
            let claimed: BTreeSet<u32> =
                claims.iter().filter_map(|it| Some(keys::task_of(&it.key)?.0)).collect();
            let given_up = stage.open_tasks().map(|(task, _)| task);
            let given_up = given_up.filter(|task| !claimed.contains(task)).collect();
            stage.decide(self.plan.store, &Decision { v: 1, given_up, ..Decision::default() })?;
        }
        Ok(())
    }

    /// Ends a stage of which nothing is open any more.
    fn close(&mut self, id: StageId) -> Result<()> {
        let Some(stage) = self.open.get(&id) else { return Ok(()) };
        if !stage.is_complete() {
            self.open.remove(&id);
            self.merging.remove(&id);
            self.broken.insert(merged_by(id).unwrap_or(id));
            return Ok(());
        }
        let store = self.plan.store;
        if let Some(merged) = merged_by(id) {
            let Some(original) = self.merging.get(&id) else { return Ok(()) };
            original.finish(store, Some(stage))?;
            for commit in original.winners().values() {
                commit.key.iter().try_for_each(|key| store.delete(key))?;
            }
            self.open.remove(&id);
            self.merging.remove(&id);
            return self.finish(merged);
        }
        if let Some(merge) = plan_merge(stage, store, self.plan.merge_above)? {
            let merge = OpenStage::open(store, merge_of(id), merge)?;
            if let Some(original) = self.open.remove(&id) {
                self.merging.insert(merge.id, original);
            }
            self.open.insert(merge.id, merge);
            return Ok(());
        }
        stage.finish(store, None)?;
        self.open.remove(&id);
        self.finish(id)
    }

    fn finish(&mut self, id: StageId) -> Result<()> {
        self.finished.insert(id);
        self.telling.finish(id);
        self.plan.observer.observe(&JobEvent::StageFinished { stage: id });
        // A stage may be shorter than the time between two counts.
        if let Some(spending) = &self.plan.spending {
            spending.check(self.plan.store)?;
        }
        self.release()
    }

    /// Deletes the records of stages that nobody reads any more.
    fn release(&mut self) -> Result<()> {
        let graph = self.plan.graph;
        let is_read = |edge: EdgeId| {
            let collection = graph.edge(edge).collection;
            let is_result = graph.graph().collection(collection).is_result;
            is_result || graph.readers(edge).any(|reader| !self.finished.contains(&reader.id))
        };
        let idle: Vec<StageId> = graph
            .stages()
            .iter()
            .filter(|it| self.finished.contains(&it.id) && !self.released.contains(&it.id))
            .filter(|it| !it.outputs.iter().any(|&edge| is_read(edge)))
            .map(|it| it.id)
            .collect();
        for stage in idle {
            if let Some(&edge) = graph.stage(stage).outputs.first() {
                for key in self.plan.exchange.index(edge)?.objects() {
                    self.plan.store.delete(key)?;
                }
            }
            self.released.insert(stage);
        }
        Ok(())
    }

    /// The open tasks that workers elsewhere are to run, by the rung that they need.
    fn demand(&self) -> BTreeMap<u32, u64> {
        let mut demand = BTreeMap::new();
        for stage in self.open.values().filter(|stage| !stage.plan.is_local) {
            for (_, rung) in stage.open_tasks() {
                *demand.entry(rung).or_default() += 1;
            }
        }
        demand
    }

    /// Counts one more worker that has ended at a task, and gives a task up that ends them all. Which of
    /// several tasks it was nobody knows: from then on they are run alone.
    fn crash(&mut self, crash: Crash) -> Result<()> {
        let Crash { stage: id, task, beside, reason, log } = crash;
        let is_open = |&(id, task): &(StageId, u32)| {
            self.open.get(&id).is_some_and(|stage| stage.is_open(task))
        };
        let is_alone = beside.iter().all(|it| *it == (id, task) || !is_open(it));
        let Some(stage) = self.open.get_mut(&id).filter(|stage| stage.is_open(task)) else {
            return Ok(());
        };
        let count = self.crashed.entry((id, task)).or_default();
        if *count == 0 {
            let alone = BTreeSet::from([task]);
            stage.decide(self.plan.store, &Decision { v: 1, alone, ..Decision::default() })?;
        }
        *count = if is_alone { *count + 1 } else { (*count).max(1) };
        if *count < CRASHES_LIMIT {
            return Ok(());
        }
        let message = format!("a task has ended {count} workers that were at it");
        let steps = self.plan.graph.stages().iter().find(|it| it.id == id).map(|it| {
            let names = it.members.iter().map(|&it| &self.plan.graph.steps()[it.0 as usize].name);
            names.map(String::as_str).collect::<Vec<_>>().join(", ")
        });
        let error = Error::new(ErrorCode::WORKERS_LOST, ErrorKind::User, message)
            .at("stage", id)
            .at("task", task)
            .at("steps", steps.unwrap_or_default())
            .at("reason", reason);
        let error = if log.is_empty() { error } else { error.at("log", log) };
        let error = error.mend("levain logs RUN shows more; what other tasks have done is kept");
        let (given_up, attempts) = (BTreeSet::from([task]), *count);
        stage.decide(self.plan.store, &Decision { v: 1, given_up, ..Decision::default() })?;
        self.fail(id, Failure::new(error, attempts))
    }

    /// Gives tasks that ran out of memory the next rung of the ladder, the last one once more.
    fn feed(&mut self, crew: &Crew<'_>) -> Result<()> {
        while let Some(Hungry { stage: id, task, rung, peak_bytes }) = self.hungry.pop() {
            let Some(stage) = self.open.get_mut(&id) else { continue };
            let Some((_, least_rung)) = stage.open_tasks().find(|it| it.0 == task) else {
                continue;
            };
            let (rung, top) = (rung.unwrap_or(least_rung).max(least_rung), crew.top_rung());
            let starved = self.starved.entry((id, task)).or_default();
            starved.push((rung, attempt_text(crew.memory_mib(rung), peak_bytes)));
            let last_count = starved.iter().filter(|(rung, _)| *rung >= top).count();
            // Beside others it may have had too little of what suffices for it alone, and takes them along to
            // the next rung: one task at a time is slower, and comes to its end.
            let alone = BTreeSet::from([task]);
            if rung < top {
                let least_rungs = BTreeMap::from([(task, rung + 1)]);
                let decision = Decision { v: 1, least_rungs, alone, ..Decision::default() };
                stage.decide(self.plan.store, &decision)?;
            } else if last_count < LAST_RUNG_ATTEMPTS {
                stage.decide(self.plan.store, &Decision { v: 1, alone, ..Decision::default() })?;
            } else {
                let (error, attempts) = (starved_error(id, task, starved), starved.len() as u32);
                let given_up = BTreeSet::from([task]);
                let decision = Decision { v: 1, given_up, ..Decision::default() };
                stage.decide(self.plan.store, &decision)?;
                self.fail(id, Failure::new(error, attempts))?;
            }
        }
        Ok(())
    }
}

/// The run is in other hands from now on, be it nobody's.
fn left(store: &RunStore) -> Error {
    let message = "the driver was asked to leave the run to another";
    Error::new(ErrorCode::LOCKED, ErrorKind::Conflict, message)
        .at("run", store.root())
        .mend("`levain resume RUN` takes it up")
}

/// What an attempt had that ran out of memory, and what it held.
fn attempt_text(memory_mib: Option<u64>, peak_bytes: u64) -> String {
    let given = memory_mib.map_or_else(|| "all there is".to_owned(), |it| format!("{it} MiB"));
    match peak_bytes >> 20 {
        0 => given,
        peak_mib => format!("{given} (held {peak_mib} MiB)"),
    }
}

fn starved_error(stage: StageId, task: u32, attempts: &[(u32, String)]) -> Error {
    let attempts: Vec<&str> = attempts.iter().map(|(_, text)| text.as_str()).collect();
    let message = "a task needs more memory than workers may be given";
    Error::new(ErrorCode::WORKER_MEMORY, ErrorKind::ResourceExhausted, message)
        .at("stage", stage)
        .at("task", task)
        .at("attempts", attempts.join(", "))
        .mend("add a rung to the ladder of memory, or plan with less memory a task")
}

fn over_time(elapsed: Duration) -> Error {
    let message = format!("the run took longer than it may, {} s", elapsed.as_secs());
    Error::new(ErrorCode::RUN_LIMIT, ErrorKind::Cancelled, message)
        .mend("resume it with a higher limit: what is done is kept")
}
