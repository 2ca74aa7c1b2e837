//! A stage that is open: its tasks, who has won them, and what was decided about the others.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::bundle::{Failure, Failures};
use dataflow::error::{Error, Result};
use dataflow::metrics::Metrics;
use dataflow::options::Retries;
use dataflow::plan::StageId;

use super::failures::{Attempts, Verdict};
use crate::store::{Commit, Decision, DoneIndex, Numbers, RunStore, StagePlan, TaskFailure, keys};

/// Segments of a stage that the driver holds while it is open, about 10 MB; those of further commits stay
/// in the store until the stage ends.
const SEGMENTS_HELD: usize = 250_000;

/// A stage that is open.
#[derive(Debug)]
pub(crate) struct OpenStage {
    pub(crate) id: StageId,
    pub(crate) plan: StagePlan,
    winners: BTreeMap<u32, Commit>,
    /// Segments in the indexes of winners that are held.
    held_segments: usize,
    attempts: BTreeMap<u32, Attempts>,
    seen_failures: BTreeSet<String>,
    /// Every decision so far.
    decided: Decision,
    decision_count: u32,
    /// What was seen and not told yet, because looking failed half way.
    news: News,
}

/// What has happened since the last look.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) committed: Vec<Commit>,
    pub(crate) failed: Vec<Failure>,
    /// Tasks that ran out of memory, and what their workers held.
    pub(crate) hungry: Vec<(u32, u64)>,
}

impl OpenStage {
    /// Opens a stage, or goes on with one that another driver has opened.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn open(store: &RunStore, id: StageId, plan: StagePlan) -> Result<Self> {
        let key = keys::plan(id);
        let plan = if store.create(&key, &plan)? {
            plan
        } else {
            let there = store.read_named(&key)?;
            there.ok_or_else(|| Error::internal(format!("the plan {key} came and went")))?
        };
        let extensions = store.list(keys::PLANS)?.into_iter().map(|it| it.key);
        let extensions: Vec<String> = extensions
            .filter(|key| keys::stage_of(key) == Some(id) && key.contains(".x"))
            .collect();
        let mut stage = Self {
            id,
            plan,
            winners: BTreeMap::new(),
            held_segments: 0,
            attempts: BTreeMap::new(),
            seen_failures: BTreeSet::new(),
            decided: Decision::default(),
            decision_count: extensions.len() as u32,
            news: News::default(),
        };
        for (_, decision) in store.read_all::<Decision>(extensions)? {
            stage.note(&decision);
        }
        Ok(stage)
    }

    /// Looks for new commits and failures.
    ///
    /// Cost: two lists, and a read for each object that is new.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn look(&mut self, store: &RunStore, retries: &Retries) -> Result<News> {
        let commits = store.list(&keys::commits(self.id))?;
        let is_new = |key: &String| {
            keys::task_of(key).is_some_and(|(task, _)| !self.winners.contains_key(&task))
        };
        let new: Vec<String> = commits.into_iter().map(|it| it.key).filter(is_new).collect();
        for (key, mut commit) in store.read_all::<Commit>(new)? {
            if let Some((task, _)) = keys::task_of(&key) {
                self.held_segments += commit.index.len();
                if self.held_segments > SEGMENTS_HELD {
                    self.held_segments -= commit.index.len();
                    commit.leave_index(&key);
                }
                self.news.committed.push(commit.clone());
                self.winners.insert(task, commit);
            }
        }
        let failures = store.list(&keys::failures(self.id))?.into_iter().map(|it| it.key);
        let new: Vec<String> = failures.filter(|key| !self.seen_failures.contains(key)).collect();
        for (key, failed) in store.read_all::<TaskFailure>(new)? {
            if let Some((task, attempt)) = keys::task_of(&key).filter(|it| self.is_open(it.0)) {
                let (attempts, peak_bytes) =
                    (self.attempts.entry(task).or_default(), failed.peak_bytes);
                match attempts.judge(attempt.to_owned(), failed, retries) {
                    Verdict::Again => {}
                    Verdict::MoreMemory => self.news.hungry.push((task, peak_bytes)),
                    Verdict::Failed(failure) => {
                        self.decided.given_up.insert(task);
                        self.news.failed.push(*failure);
                    }
                }
            }
            self.seen_failures.insert(key);
        }
        Ok(std::mem::take(&mut self.news))
    }

    /// The tasks that are neither committed nor given up, and the rung that each needs.
    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..self.plan.tasks.len() as u32)
            .filter(|&task| self.is_open(task))
            .map(|task| (task, self.decided.least_rungs.get(&task).copied().unwrap_or(0)))
    }

    /// Whether a task is neither committed nor given up.
    pub(crate) fn is_open(&self, task: u32) -> bool {
        !self.winners.contains_key(&task) && !self.decided.given_up.contains(&task)
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_settled(&self) -> bool {
        self.open_tasks().next().is_none()
    }

    /// Whether all tasks are committed.
    pub(crate) fn is_complete(&self) -> bool {
        self.winners.len() == self.plan.tasks.len()
    }

    /// The commits, by task.
    pub(crate) fn winners(&self) -> &BTreeMap<u32, Commit> {
        &self.winners
    }

    /// How long each task took that is committed, in milliseconds.
    pub(crate) fn wall_times_ms(&self) -> Vec<u64> {
        self.winners.values().map(|commit| commit.wall_ms).collect()
    }

    /// The tasks that the idle may run though somebody has begun them.
    pub(crate) fn speculated(&self) -> &BTreeSet<u32> {
        &self.decided.speculate
    }

    /// Tells workers what was decided.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn decide(&mut self, store: &RunStore, decision: &Decision) -> Result<()> {
        // Another driver may have decided too: both decisions hold, under keys of their own.
        while !store.create(&keys::extension(self.id, self.decision_count), decision)? {
            self.decision_count += 1;
        }
        self.decision_count += 1;
        self.note(decision);
        Ok(())
    }

    fn note(&mut self, decision: &Decision) {
        for (&task, &rung) in &decision.least_rungs {
            let known = self.decided.least_rungs.entry(task).or_default();
            *known = rung.max(*known);
        }
        self.decided.speculate.extend(&decision.speculate);
        self.decided.given_up.extend(&decision.given_up);
        self.decided.alone.extend(&decision.alone);
    }

    /// Writes what the stage has left, as one index: where it lies now, merged or not.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn finish(&self, store: &RunStore, merged: Option<&Self>) -> Result<()> {
        let (mut metrics, mut failures, mut read_count) =
            (Metrics::default(), Failures::default(), 0);
        for commit in self.winners.values() {
            metrics.merge(&commit.numbers.clone().metrics()?);
            failures.merge(commit.failures.clone());
            read_count += commit.read_count;
        }
        let mut tasks = Vec::new();
        for (&task, commit) in &merged.unwrap_or(self).winners {
            tasks.push((task, commit.key.clone(), commit.segments(store)?));
        }
        let index = DoneIndex::encoded(tasks, Numbers::of(&metrics), failures, read_count)?;
        // One that is there says the same: both were made of the same commits.
        store.create_bytes(&keys::done(self.id), index).map(drop)
    }
}
