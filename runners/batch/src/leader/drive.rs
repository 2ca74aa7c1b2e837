//! The loop of the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dataflow::bundle::{Failure, Failures};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::options::OnError;
use dataflow::plan::{StageGraph, StageId};
use dataflow::runner::{BundleReport, JobEvent, JobObserver};
use dataflow::shuffle::EdgeId;

use super::lease::{Lease, Now};
use super::plan::plan_stage;
use super::stage::{News, OpenStage};
use super::workers::Crew;
use crate::exchange::Exchange;
use crate::store::{Commit, Decision, DoneIndex, RunStore, keys};

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
    pub(crate) on_error: OnError,
    /// The stages that the driver's own worker runs.
    pub(crate) local: &'a BTreeSet<StageId>,
    /// The most tasks of a stage.
    pub(crate) task_limit: usize,
    /// Between two looks at the store: the least, and the most where nothing changes.
    pub(crate) look: (Duration, Duration),
    /// After so long the run is stopped.
    pub(crate) max_wall: Option<Duration>,
}

/// Drives all stages to their end; the numbers of all commits, and the elements that were left out.
///
/// # Errors
/// What made the run fail, by the policy for errors.
pub(crate) fn drive(plan: &Drive<'_>, crew: &mut Crew<'_>) -> Result<(Metrics, Failures)> {
    let mut state = State {
        plan,
        open: BTreeMap::new(),
        finished: BTreeSet::new(),
        broken: BTreeSet::new(),
        released: BTreeSet::new(),
        metrics: Metrics::default(),
        quarantined: Failures::default(),
        failed: Failures::default(),
        hungry: Vec::new(),
        is_ending: false,
    };
    let run = state.run(crew);
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

struct State<'a> {
    plan: &'a Drive<'a>,
    open: BTreeMap<StageId, OpenStage>,
    finished: BTreeSet<StageId>,
    /// Stages that cannot begin, or that have tasks that failed.
    broken: BTreeSet<StageId>,
    /// Stages whose records are deleted.
    released: BTreeSet<StageId>,
    metrics: Metrics,
    /// Elements that were left out of bundles that have committed.
    quarantined: Failures,
    failed: Failures,
    /// Tasks that ran out of memory.
    hungry: Vec<(StageId, u32)>,
    /// Nothing is begun any more.
    is_ending: bool,
}

impl State<'_> {
    fn run(&mut self, crew: &mut Crew<'_>) -> Result<()> {
        self.take_up()?;
        self.open_stages()?;
        let (least, most) = self.plan.look;
        let (mut pause, mut lease, began) =
            (least, Now::every(LEASE_CHECK), std::time::Instant::now());
        loop {
            self.plan.cancel.check()?;
            if self.plan.max_wall.is_some_and(|limit| began.elapsed() > limit) {
                return Err(over_time(began.elapsed()));
            }
            if lease.is() {
                self.plan.lease.check()?;
            }
            let has_changed = self.look()?;
            if self.open.is_empty() {
                return Ok(());
            }
            if self.is_ending
                && matches!(self.plan.on_error, OnError::Stop | OnError::Quarantine { .. })
            {
                return Ok(());
            }
            let mut hungry = crew.tend(&self.demand(), has_changed)?;
            hungry.append(&mut self.hungry);
            self.feed(&hungry, crew.top_rung())?;
            pause = if has_changed { least } else { (pause * 2).min(most) };
            crew.wait(pause)?;
        }
    }

    /// Learns what a driver before this one has finished.
    fn take_up(&mut self) -> Result<()> {
        for facts in self.plan.store.list(keys::DONE)? {
            let Some(stage) = keys::stage_of(&facts.key) else { continue };
            let index = DoneIndex::read(self.plan.store, stage)?;
            self.metrics.merge(&index.metrics()?);
            self.quarantined.merge(index.failures().clone());
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
            let News { committed, failed, hungry } = stage.look(self.plan.store)?;
            has_changed |= !committed.is_empty() || !failed.is_empty() || !hungry.is_empty();
            self.hungry.extend(hungry.into_iter().map(|task| (id, task)));
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
        if has_changed {
            self.open_stages()?;
        }
        Ok(has_changed)
    }

    fn commit(&mut self, stage: StageId, commit: Commit) -> Result<()> {
        let metrics = commit.numbers.metrics()?;
        self.metrics.merge(&metrics);
        for failure in commit.failures.kept().iter().cloned() {
            self.plan.observer.observe(&JobEvent::ElementQuarantined { stage, failure });
        }
        self.quarantined.merge(commit.failures.clone());
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
        let Some(stage) = self.open.remove(&id) else { return Ok(()) };
        if !stage.is_complete() {
            self.broken.insert(id);
            return Ok(());
        }
        stage.finish(self.plan.store)?;
        self.finished.insert(id);
        self.plan.observer.observe(&JobEvent::StageFinished { stage: id });
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
            self.released.insert(stage);
            let Some(&edge) = graph.stage(stage).outputs.first() else { continue };
            for key in self.plan.exchange.index(edge)?.objects() {
                self.plan.store.objects().delete(key)?;
            }
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

    /// Gives tasks that ran out of memory the next rung of the ladder.
    fn feed(&mut self, hungry: &[(StageId, u32)], top_rung: u32) -> Result<()> {
        for &(id, task) in hungry {
            let Some(stage) = self.open.get_mut(&id) else { continue };
            let Some((_, rung)) = stage.open_tasks().find(|it| it.0 == task) else { continue };
            if rung >= top_rung {
                let message = "a task needs more memory than workers may be given";
                let error =
                    Error::new(ErrorCode::WORKER_MEMORY, ErrorKind::ResourceExhausted, message)
                        .at("stage", id)
                        .at("task", task)
                        .mend(
                            "add a rung to the ladder of memory, or plan with less memory a task",
                        );
                let given_up = BTreeSet::from([task]);
                stage
                    .decide(self.plan.store, &Decision { v: 1, given_up, ..Decision::default() })?;
                self.fail(id, Failure::new(error, rung + 1))?;
                continue;
            }
            let least_rungs = BTreeMap::from([(task, rung + 1)]);
            stage
                .decide(self.plan.store, &Decision { v: 1, least_rungs, ..Decision::default() })?;
        }
        Ok(())
    }
}

fn over_time(elapsed: Duration) -> Error {
    let message = format!("the run took longer than it may, {} s", elapsed.as_secs());
    Error::new(ErrorCode::RUN_LIMIT, ErrorKind::Cancelled, message)
        .mend("resume it with a higher limit: what is done is kept")
}
