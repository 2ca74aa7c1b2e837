//! Which tasks there are, and which one is next for this worker.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::error::Result;
use dataflow::plan::{StageGraph, StageId};

use super::beat::Living;
use crate::leader::merged_by;
use crate::store::{Bundle, Decision, RunStore, StagePlan, keys};

/// What a merge takes besides what grows with it: a request, and the blocks of the runs that it reads.
const MERGE_BYTES: u64 = 8 << 20;

/// The stages that were planned, as this worker has seen them.
#[derive(Debug, Default)]
pub(super) struct Board {
    stages: BTreeMap<StageId, Open>,
    seen: BTreeSet<String>,
    pub(super) is_over: bool,
}

/// A stage whose tasks are open.
#[derive(Debug)]
struct Open {
    plan: StagePlan,
    decided: Decision,
    committed: BTreeSet<u32>,
    /// Tasks that this worker has begun, be it that they run, have ended or have failed.
    begun: BTreeSet<u32>,
    is_done: bool,
}

/// What decides which tasks are for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picker<'a> {
    /// The name of the worker: what it has begun and is not at any more is free.
    pub(super) worker: &'a str,
    pub(super) index: u32,
    pub(super) slots: u32,
    pub(super) rung: u32,
    /// The workers that live; tasks that they have begun are theirs.
    pub(super) living: &'a Living,
}

impl Board {
    /// Looks at what has changed; true if something has.
    ///
    /// Cost: a list of the root, of plans, and of the commits of every open stage.
    ///
    /// # Errors
    /// A store that fails.
    pub(super) fn look(&mut self, store: &RunStore, is_local: bool) -> Result<bool> {
        let root = store.list_root()?;
        self.is_over = root.iter().any(|key| key == keys::CANCEL || key == keys::RESULT);
        let mut has_changed = self.is_over;
        let plans = store.list(keys::PLANS)?;
        let new = plans.into_iter().map(|facts| facts.key).filter(|key| !self.seen.contains(key));
        let new: Vec<String> = new.collect();
        // A plan sorts behind its extensions; it must come first.
        let (plans, extensions): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|key| !key.contains(".x"));
        has_changed |= !plans.is_empty() || !extensions.is_empty();
        for (key, plan) in store.read_all::<StagePlan>(plans)? {
            if let Some(stage) = keys::stage_of(&key).filter(|_| plan.is_local == is_local) {
                self.stages.insert(stage, Open::new(plan));
            }
            self.seen.insert(key);
        }
        for (key, decision) in store.read_all::<Decision>(extensions)? {
            if let Some(open) = keys::stage_of(&key).and_then(|stage| self.stages.get_mut(&stage)) {
                open.decide(decision);
            }
            self.seen.insert(key);
        }
        for (&stage, open) in &mut self.stages {
            if open.is_done {
                continue;
            }
            let before = open.committed.len();
            let commits = store.list(&keys::commits(stage))?;
            open.committed =
                commits.iter().filter_map(|it| Some(keys::task_of(&it.key)?.0)).collect();
            open.is_done = open.committed.len() == open.plan.tasks.len();
            has_changed |= open.committed.len() > before;
        }
        Ok(has_changed)
    }

    /// The next task for a worker, which begins it: one that nobody is at, its own first.
    ///
    /// Cost: a list of the claims of each stage that has open tasks.
    ///
    /// # Errors
    /// A store that fails.
    pub(super) fn pick(
        &mut self,
        store: &RunStore,
        picker: Picker<'_>,
    ) -> Result<Option<(StageId, u32)>> {
        for (&stage, open) in &mut self.stages {
            if let Some(task) = open.next(store, stage, picker)? {
                open.begun.insert(task);
                return Ok(Some((stage, task)));
            }
        }
        Ok(None)
    }

    /// The bundles of a task.
    pub(super) fn bundles(&self, stage: StageId, task: u32) -> Vec<Bundle> {
        let planned = self.stages.get(&stage).and_then(|open| open.plan.tasks.get(task as usize));
        planned.map(|task| task.bundles.clone()).unwrap_or_default()
    }

    /// The bytes that the hungriest of the tasks declares that a worker of this rung may begin.
    pub(super) fn largest_need(&self, graph: &StageGraph, rung: u32) -> u64 {
        let open = self.stages.iter().filter(|(_, open)| open.open_tasks(rung).next().is_some());
        let need = |stage: StageId| match merged_by(stage) {
            Some(_) => MERGE_BYTES,
            None => graph.stage(stage).working_bytes,
        };
        open.map(|(&stage, _)| need(stage)).max().unwrap_or(0)
    }

    /// Puts a task back that has come to no end here; it may be begun again, by whomever.
    pub(super) fn leave(&mut self, stage: StageId, task: u32) {
        if let Some(open) = self.stages.get_mut(&stage) {
            open.begun.remove(&task);
        }
    }

    /// Notes that a task is committed, by whomever.
    pub(super) fn note_committed(&mut self, stage: StageId, task: u32) {
        if let Some(open) = self.stages.get_mut(&stage) {
            open.committed.insert(task);
        }
    }
}

impl Open {
    fn new(plan: StagePlan) -> Self {
        let (committed, begun) = (BTreeSet::new(), BTreeSet::new());
        Self { plan, decided: Decision::default(), committed, begun, is_done: false }
    }

    fn decide(&mut self, decision: Decision) {
        self.decided.least_rungs.extend(decision.least_rungs);
        self.decided.speculate.extend(decision.speculate);
        self.decided.given_up.extend(decision.given_up);
    }

    /// The tasks that a worker of this rung may begin.
    fn open_tasks(&self, rung: u32) -> impl Iterator<Item = u32> + '_ {
        let count = if self.is_done { 0 } else { self.plan.tasks.len() as u32 };
        (0..count).filter(move |task| {
            let least_rung = self.decided.least_rungs.get(task).copied().unwrap_or(0);
            !self.committed.contains(task)
                && !self.begun.contains(task)
                && !self.decided.given_up.contains(task)
                && least_rung <= rung
        })
    }

    fn next(&self, store: &RunStore, stage: StageId, picker: Picker<'_>) -> Result<Option<u32>> {
        let open: Vec<u32> = self.open_tasks(picker.rung).collect();
        if open.is_empty() {
            return Ok(None);
        }
        let claims = store.list(&keys::claims(stage))?;
        let taken = claims.iter().filter_map(|claim| {
            let (task, worker) = keys::task_of(&claim.key)?;
            let is_others = worker != picker.worker;
            (is_others && picker.living.has(worker, claim.last_modified_ms)).then_some(task)
        });
        let taken: BTreeSet<u32> = taken.collect();
        let is_free = |task: &u32| !taken.contains(task) || self.decided.speculate.contains(task);
        let is_own = |task: &u32| task % picker.slots.max(1) == picker.index;
        if let Some(own) = open.iter().copied().find(|task| is_own(task) && is_free(task)) {
            return Ok(Some(own));
        }
        // Workers begin with those of others at different tasks.
        let from = open.partition_point(|&task| task < picker.start(self.plan.tasks.len()));
        let (later, sooner) = (open[from..].iter(), open[..from].iter());
        Ok(later.chain(sooner).copied().find(is_free))
    }
}

impl Picker<'_> {
    fn start(&self, task_count: usize) -> u32 {
        (task_count as u64 * u64::from(self.index) / u64::from(self.slots.max(1))) as u32
    }
}
