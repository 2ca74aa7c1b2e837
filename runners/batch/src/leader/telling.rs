//! Tells whoever looks on where the run stands.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow::error::Result;
use dataflow::plan::{StageGraph, StageId};
use dataflow::runner::StageFacts;

use super::lease::Now;
use crate::store::{JobRecord, RunStore, StagePlan, StageProgress, StageRecord, StateRecord, keys};

/// What is told, and when it is written next.
pub(super) struct Telling {
    state: StateRecord,
    places: BTreeMap<StageId, usize>,
    /// Whether something has changed that is worth a request at once.
    is_urgent: bool,
    /// Whether anything has changed.
    has_changed: bool,
    next: Now,
}

impl Telling {
    /// Tells of the stages of a graph; what changes all the time is written every so often.
    pub(super) fn new(
        graph: &StageGraph,
        epoch: u32,
        is_local: impl Fn(StageId) -> bool,
        every: Duration,
    ) -> Self {
        let facts = StageFacts::of(graph);
        let places = facts.iter().enumerate().map(|(place, it)| (it.stage, place)).collect();
        let record = |it: StageFacts| StageRecord {
            stage: it.stage.to_string(),
            is_local: is_local(it.stage),
            steps: it.steps,
            after: it.after.iter().map(ToString::to_string).collect(),
            progress: StageProgress::Waiting,
            tasks: 0,
            done: 0,
            bytes_written: 0,
            began_ms: None,
            ended_ms: None,
        };
        let state = StateRecord::new(epoch, facts.into_iter().map(record).collect());
        Self { state, places, is_urgent: true, has_changed: true, next: Now::every(every) }
    }

    /// Learns how many tasks a stage had that a driver before this one has finished.
    pub(super) fn take_up(&mut self, store: &RunStore, id: StageId) -> Result<()> {
        let plan: Option<StagePlan> = store.read(&keys::plan(id))?;
        let tasks = plan.map_or(0, |plan| plan.tasks.len() as u64);
        self.change(id, |stage| {
            (stage.tasks, stage.done, stage.progress) = (tasks, tasks, StageProgress::Done);
        });
        Ok(())
    }

    pub(super) fn begin(&mut self, id: StageId, tasks: usize) {
        self.change(id, |stage| {
            (stage.tasks, stage.progress) = (tasks as u64, StageProgress::Running);
            stage.began_ms = Some(objects::now_ms());
        });
        self.is_urgent = true;
    }

    pub(super) fn commit(&mut self, id: StageId, bytes_written: u64, quarantined: u64) {
        self.change(id, |stage| {
            stage.done += 1;
            stage.bytes_written += bytes_written;
        });
        self.state.quarantined += quarantined;
    }

    pub(super) fn finish(&mut self, id: StageId) {
        self.change(id, |stage| {
            stage.progress = StageProgress::Done;
            stage.ended_ms = Some(objects::now_ms());
        });
        self.is_urgent = true;
    }

    pub(super) fn fail(&mut self, id: StageId) {
        self.change(id, |stage| stage.progress = StageProgress::Failed);
        self.is_urgent = true;
    }

    fn change(&mut self, id: StageId, change: impl FnOnce(&mut StageRecord)) {
        let place = self.places.get(&id);
        if let Some(stage) = place.and_then(|&place| self.state.stages.get_mut(place)) {
            change(stage);
            self.has_changed = true;
        }
    }

    /// Writes what has changed, if it is time.
    ///
    /// # Errors
    /// A store that fails.
    pub(super) fn tell(&mut self, store: &RunStore, jobs: Vec<JobRecord>) -> Result<()> {
        if jobs != self.state.jobs {
            self.state.jobs = jobs;
            (self.is_urgent, self.has_changed) = (true, true);
        }
        if !self.has_changed || !(self.next.is() || self.is_urgent) {
            return Ok(());
        }
        self.state.at_ms = objects::now_ms();
        store.put(keys::STATE, &self.state)?;
        (self.is_urgent, self.has_changed) = (false, false);
        Ok(())
    }
}
