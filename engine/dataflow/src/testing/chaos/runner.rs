//! Runs a pipeline in one of the many ways that the model allows, decided by one seed.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::shuffle::{ChaosShuffle, Fault};
use crate::bundle::{BundleInput, BundleProcessor, BundleReport, Results, Setting};
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::options::RunOptions;
use crate::plan::{CompileOptions, StageGraph, StageId};
use crate::runner::{Capabilities, JobEvent, JobObserver, JobReport, Runner};
use crate::testing::SplitMix64;

/// The most partitions of a shuffle, and the most elements between start and finish of a bundle.
const PARTITION_LIMIT: usize = 8;
const BUNDLE_LIMIT: usize = 7;
/// How often a bundle is made to fail before it may commit.
const FAULT_LIMIT: usize = 2;
/// Records after which a fault comes, unless the end comes before.
const FAULT_RECORDS: usize = 20;
/// How often a bundle is tried that fails by itself, with transient errors.
const ATTEMPT_LIMIT: u32 = 3;

/// A runner that does at random whatever a runner may do; one seed decides all of it.
///
/// It fuses or not and lifts or not; cuts bundles anywhere; gives elements, the values of a key,
/// side inputs and bundles in any order; runs stages in any order that their inputs allow; makes
/// bundles fail half way or at their end and runs them again; and sends every element through its
/// coder at every place, where it finds coders that are not deterministic and steps that change
/// what they share. It runs on one thread and holds everything in memory.
///
/// An error of a run names the seed as the place `seed`; the same seed gives the same run. Options
/// that are set win over chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChaosRunner {
    seed: u64,
}

impl ChaosRunner {
    /// The runner of this seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    fn run_all(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        // Chance decides when a bundle fails here, and an element must not be blamed for it.
        options.require_stop(self.name())?;
        let mut random = SplitMix64::new(self.seed);
        let store = ChaosShuffle::new(random.split());
        let mut options = options.clone();
        let number =
            |random: &mut SplitMix64, limit| NonZeroUsize::MIN.saturating_add(random.below(limit));
        let partitions = number(&mut random, PARTITION_LIMIT);
        options.partition_count.get_or_insert(partitions);
        let cut = number(&mut random, BUNDLE_LIMIT);
        if !random.once_in(3) {
            options.bundle_elements.get_or_insert(cut);
        }
        let (setting, _) = Setting::in_process(&options, MemoryBudget::unlimited(), 1);
        let setting = setting.with_store(Arc::new(store.clone())).with_checked_elements();
        let mut run = ChaosRun { graph, setting: &setting, store: &store, observer, random };
        let metrics = run.all_stages()?;
        let results = Results::gather(graph, &setting)?;
        Ok(JobReport::new(metrics, store.counts(), setting.budget().peak_bytes(), results))
    }
}

impl Runner for ChaosRunner {
    fn name(&self) -> &'static str {
        "chaos"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    fn compile_options(&self) -> CompileOptions {
        // The bits of a generator of its own: seeds that follow each other differ in both.
        let bits = SplitMix64::new(!self.seed).next_u64();
        CompileOptions { fuse: bits & 1 == 1, lift: bits & 2 == 2 }
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        let outcome = self.run_all(graph, options, observer);
        outcome.map_err(|error| error.at("seed", self.seed))
    }
}

/// A bundle that is to be run.
struct Task {
    stage: StageId,
    input: BundleInput,
}

struct ChaosRun<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    store: &'a ChaosShuffle,
    observer: &'a dyn JobObserver,
    random: SplitMix64,
}

impl ChaosRun<'_> {
    /// Runs the bundles of all stages whose inputs are complete, one at random after the other.
    fn all_stages(&mut self) -> Result<Metrics> {
        let (mut metrics, mut tasks) = (Metrics::default(), Vec::<Task>::new());
        let (mut open, mut finished) = (BTreeSet::new(), BTreeSet::new());
        loop {
            self.open_stages(&mut open, &finished, &mut tasks)?;
            if !tasks.is_empty() {
                let task = tasks.swap_remove(self.random.below(tasks.len()));
                let report = self.bundle(&task)?;
                metrics.merge(&report.metrics);
                let stage = task.stage;
                self.observer.observe(&JobEvent::BundleFinished { stage, report });
            }
            let is_done = |stage: &StageId| !tasks.iter().any(|task| task.stage == *stage);
            let done: Vec<StageId> = open.iter().copied().filter(is_done).collect();
            for stage in done {
                open.remove(&stage);
                finished.insert(stage);
                self.observer.observe(&JobEvent::StageFinished { stage });
            }
            if finished.len() == self.graph.stages().len() {
                return Ok(metrics);
            }
        }
    }

    fn open_stages(
        &mut self,
        open: &mut BTreeSet<StageId>,
        finished: &BTreeSet<StageId>,
        tasks: &mut Vec<Task>,
    ) -> Result<()> {
        for stage in self.graph.stages() {
            let is_new = !open.contains(&stage.id) && !finished.contains(&stage.id);
            if !is_new || !stage.after.is_subset(finished) {
                continue;
            }
            let inputs = BundleProcessor::new(self.graph, stage, self.setting).prepare()?;
            let (id, bundle_count) = (stage.id, inputs.len());
            self.observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            tasks.extend(inputs.into_iter().map(|input| Task { stage: id, input }));
            open.insert(id);
        }
        Ok(())
    }

    /// Runs a bundle until it commits: after the faults that chance has for it.
    fn bundle(&mut self, task: &Task) -> Result<BundleReport> {
        let stage = self.graph.stage(task.stage);
        let processor = BundleProcessor::new(self.graph, stage, self.setting);
        let mut faults_left = self.random.below(FAULT_LIMIT + 1);
        let mut attempt = 1;
        loop {
            let fault = (faults_left > 0).then(|| self.fault());
            faults_left = faults_left.saturating_sub(1);
            self.store.set_fault(fault);
            let outcome = processor.run(task.input);
            let error = match (outcome, self.store.take_failed()) {
                (Ok(report), _) => return Ok(report),
                (Err(error), true) => error,
                (Err(error), false) if error.is_transient() && attempt < ATTEMPT_LIMIT => {
                    attempt += 1;
                    error
                }
                (Err(error), false) => return Err(error),
            };
            self.retried(task.stage, error);
        }
    }

    fn fault(&mut self) -> Fault {
        let after = self.random.below(FAULT_RECORDS);
        match self.random.below(3) {
            0 => Fault::Read { after },
            1 => Fault::Write { after },
            _ => Fault::Finish,
        }
    }

    fn retried(&self, stage: StageId, error: Error) {
        self.observer.observe(&JobEvent::BundleRetried { stage, error });
    }
}
