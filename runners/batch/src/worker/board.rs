//! Which tasks there are, and which one is next for this worker.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::error::Result;
use dataflow::plan::{StageGraph, StageId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

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
#[derive(Debug, Clone)]
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
    pub(super) index: u32,
    pub(super) slots: u32,
    pub(super) rung: u32,
    /// Its name: what it has begun and is not at any more is free, and by it the order follows in which it
    /// looks at the tasks of others.
    pub(super) worker: &'a str,
    /// The workers that live; tasks that they have begun are theirs.
    pub(super) living: &'a Living,
    /// Whether it is at no task.
    pub(super) is_idle: bool,
}

/// A task that a worker begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) stage: StageId,
    pub(super) task: u32,
    /// Whether others may begin it at the same moment, and should not.
    pub(super) is_contested: bool,
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
    pub(super) fn pick(&mut self, store: &RunStore, picker: Picker<'_>) -> Result<Option<Pick>> {
        for (&stage, open) in &mut self.stages {
            if let Some(task) = open.next(store, stage, picker)? {
                open.begun.insert(task);
                let is_contested = !picker.owns(task) && !open.decided.speculate.contains(&task);
                return Ok(Some(Pick { stage, task, is_contested }));
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

    /// Whether a task is run with no other beside it.
    pub(super) fn is_alone(&self, stage: StageId, task: u32) -> bool {
        self.stages.get(&stage).is_some_and(|open| open.decided.alone.contains(&task))
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
        self.decided.alone.extend(decision.alone);
    }

    /// The tasks that a worker of this rung may begin.
    fn open_tasks(&self, rung: u32) -> impl Iterator<Item = u32> + '_ {
        let count = if self.is_done { 0 } else { self.plan.tasks.len() as u32 };
        (0..count).filter(move |task| {
            !self.committed.contains(task)
                && !self.begun.contains(task)
                && !self.decided.given_up.contains(task)
                && self.least_rung(*task) <= rung
        })
    }

    fn next(&self, store: &RunStore, stage: StageId, picker: Picker<'_>) -> Result<Option<u32>> {
        if self.open_tasks(picker.rung).next().is_none() {
            return Ok(None);
        }
        let claims = store.list(&keys::claims(stage))?;
        let taken = claims.iter().filter_map(|claim| {
            let (task, worker) = keys::task_of(&claim.key)?;
            // What it has put back itself is not taken.
            let is_other = worker != picker.worker;
            (is_other && picker.living.has(worker, claim.last_modified_ms)).then_some(task)
        });
        Ok(self.choose(&taken.collect(), picker))
    }

    /// The first of the own tasks of a worker that is free, else one of those of others; such as are run
    /// alone come last, those first that need the least: each may be the last that this worker does.
    fn choose(&self, taken: &BTreeSet<u32>, picker: Picker<'_>) -> Option<u32> {
        let is_free = |task: &u32| {
            let is_nobodys = !taken.contains(task) || self.decided.speculate.contains(task);
            is_nobodys && (picker.is_idle || !self.decided.alone.contains(task))
        };
        let place = |task: &u32| {
            let suspected = self.decided.alone.contains(task).then(|| self.least_rung(*task));
            let is_others = !picker.owns(*task);
            let order = if is_others { picker.rank(*task) } else { u64::from(*task) };
            (suspected, is_others, order)
        };
        self.open_tasks(picker.rung).filter(is_free).min_by_key(place)
    }

    /// The rung of the ladder of memory that a task needs.
    fn least_rung(&self, task: u32) -> u32 {
        self.decided.least_rungs.get(&task).copied().unwrap_or(0)
    }
}

impl Picker<'_> {
    fn owns(&self, task: u32) -> bool {
        task % self.slots.max(1) == self.index
    }

    /// Where a task of others stands in the order of this worker. Each has an order of its own: those that
    /// look at the same moment seldom begin the same task.
    fn rank(&self, task: u32) -> u64 {
        xxh3_64_with_seed(self.worker.as_bytes(), u64::from(task))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use crate::store::StageTask;

    use super::*;

    const TASKS: u32 = 1000;
    const WORKERS: u32 = 100;

    /// A number below `end` that follows from these two.
    fn drawn(a: u64, b: u64, end: u64) -> u64 {
        xxh3_64_with_seed(&a.to_le_bytes(), b) % end
    }

    fn open() -> Open {
        let tasks = vec![StageTask { bundles: Vec::new() }; TASKS as usize];
        Open::new(StagePlan { v: 1, stage: "s000".to_owned(), is_local: false, tasks })
    }

    /// Tasks that are begun a second time where a hundred workers start within four seconds, tasks take a
    /// second, some a third more or less, and a claim is seen `lag_ms` after it was looked for others.
    fn begun_twice(lag_ms: u64, choose: Choose) -> u32 {
        let (mut boards, living) = (vec![open(); WORKERS as usize], Living::default());
        let names: Vec<String> = (0..WORKERS).map(|index| format!("{index}-1")).collect();
        // Moments at which a worker has room, claims and commits with the moments at which they are seen.
        let mut turns: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
        let (mut claims, mut commits) = (Vec::<(u64, u32)>::new(), BTreeMap::<u32, u64>::new());
        let (mut free_at, mut twice) = (vec![0; WORKERS as usize], 0);
        for index in 0..WORKERS {
            let start = drawn(u64::from(index), 1, 4000);
            turns.extend([Reverse((start, index)), Reverse((start + lag_ms + 1, index))]);
        }
        while let Some(Reverse((now, index))) = turns.pop() {
            let at = index as usize;
            let seen = commits.iter().filter(|(_, end)| **end <= now).map(|(task, _)| *task);
            boards[at].committed = seen.collect();
            if boards[at].committed.len() == TASKS as usize {
                continue;
            }
            let taken = claims.iter().filter(|claim| claim.0 <= now).map(|claim| claim.1).collect();
            let worker = names[at].as_str();
            let picker =
                Picker { index, slots: WORKERS, rung: 0, worker, living: &living, is_idle: true };
            let Some(task) = choose(&boards[at], &taken, picker) else {
                turns.push(Reverse((now + 500, index)));
                continue;
            };
            boards[at].begun.insert(task);
            twice += u32::from(claims.iter().any(|claim| claim.1 == task));
            claims.push((now + lag_ms, task));
            let takes = 700 + drawn(u64::from(task), u64::from(index) + 2, 600);
            let end = (now + lag_ms).max(free_at[at]) + takes;
            free_at[at] = end;
            let first = commits.entry(task).or_insert(end);
            *first = end.min(*first);
            turns.push(Reverse((end, index)));
        }
        twice
    }

    type Choose = fn(&Open, &BTreeSet<u32>, Picker<'_>) -> Option<u32>;

    /// The rule that was rejected: of the tasks of others the next one from a place of ones own on.
    fn choose_next(open: &Open, taken: &BTreeSet<u32>, picker: Picker<'_>) -> Option<u32> {
        let place = TASKS * picker.index / picker.slots;
        let free = || open.open_tasks(picker.rung).filter(|task| !taken.contains(task));
        let own = free().find(|task| picker.owns(*task));
        own.or_else(|| free().find(|task| *task >= place)).or_else(|| free().next())
    }

    #[test]
    fn few_tasks_are_begun_twice() {
        for lag_ms in [60, 200] {
            let [own, next] =
                [Open::choose, choose_next].map(|rule: Choose| begun_twice(lag_ms, rule));
            assert!(3 * own < 2 * next && own <= TASKS / 10, "{lag_ms} ms: {own} and {next}");
        }
    }

    #[test]
    fn own_tasks_come_first_and_then_those_of_others_in_an_order_of_ones_own() {
        let (board, living) = (open(), Living::default());
        let picker =
            |worker| Picker { index: 3, slots: 4, rung: 0, worker, living: &living, is_idle: true };
        assert_eq!(board.choose(&BTreeSet::new(), picker("a")), Some(3));
        let own: BTreeSet<u32> = (0..TASKS).filter(|task| task % 4 == 3).collect();
        let of = |worker| board.choose(&own, picker(worker)).expect("tasks of others");
        assert_ne!(of("a"), of("b"));
        assert_eq!(board.choose(&(0..TASKS).collect(), picker("a")), None);
    }

    #[test]
    fn a_task_that_is_run_alone_waits_until_its_worker_is_idle() {
        let (mut board, living) = (open(), Living::default());
        let (index, slots, rung, worker) = (3, 4, 1, "a");
        let picker = |is_idle| Picker { index, slots, rung, worker, living: &living, is_idle };
        board.decide(Decision { alone: BTreeSet::from([3, 11]), ..Decision::default() });
        let least_rungs = BTreeMap::from([(3, 1)]);
        board.decide(Decision { least_rungs, ..Decision::default() });
        assert_eq!(board.choose(&BTreeSet::new(), picker(false)), Some(7));
        assert_eq!(board.choose(&BTreeSet::new(), picker(true)), Some(7));
        let others: BTreeSet<u32> = (0..TASKS).filter(|task| ![3, 11].contains(task)).collect();
        assert_eq!(board.choose(&others, picker(false)), None);
        assert_eq!(board.choose(&others, picker(true)), Some(11), "the other needs more");
    }
}
