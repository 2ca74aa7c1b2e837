//! The runner that everything is compared with.

use std::collections::BTreeSet;

use crate::bundle::{
    BundleProcessor, BundleReport, BundleTask, Failure, Failures, Results, Setback, Setting,
};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::options::{OnError, RunOptions};
use crate::plan::{CompileOptions, Stage, StageGraph, StageId};
use crate::runner::{Capabilities, JobEvent, JobObserver, JobReport, Runner};

/// Runs one transform after the other on one thread: unfused, unlifted, every element encoded at
/// every edge, all memory granted.
///
/// Slow and plain on purpose. What other runners do differently must not be seen in results.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReferenceRunner;

impl Runner for ReferenceRunner {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    fn compile_options(&self) -> CompileOptions {
        CompileOptions { fuse: false, lift: false }
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        let (setting, shuffle) = Setting::in_process(options, MemoryBudget::unlimited(), 1);
        let mut run = ReferenceRun {
            graph,
            setting: &setting,
            observer,
            metrics: Metrics::default(),
            quarantined: Failures::default(),
            failed: Failures::default(),
        };
        run.all_stages()?;
        let ReferenceRun { metrics, quarantined, failed, .. } = run;
        if let Some(error) = failed.into_error() {
            return Err(quarantined.beside(error, "quarantine"));
        }
        let results = Results::gather(graph, &setting)?;
        let report =
            JobReport::new(metrics, shuffle.counts(), setting.budget().peak_bytes(), results);
        Ok(report.with_failures(quarantined))
    }
}

struct ReferenceRun<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    observer: &'a dyn JobObserver,
    metrics: Metrics,
    quarantined: Failures,
    failed: Failures,
}

impl ReferenceRun<'_> {
    /// Runs all stages, or as many as the policy lets run after a failure.
    fn all_stages(&mut self) -> Result<()> {
        let mut finished = BTreeSet::<StageId>::new();
        for stage in self.graph.stages() {
            let goes_on = self.failed.is_empty() || self.setting.on_error() == OnError::Continue;
            if goes_on && stage.after.is_subset(&finished) && self.stage(stage)? {
                finished.insert(stage.id);
                self.observer.observe(&JobEvent::StageFinished { stage: stage.id });
            }
        }
        Ok(())
    }

    /// Runs the bundles of a stage; whether all of them have committed.
    fn stage(&mut self, stage: &Stage) -> Result<bool> {
        let processor = BundleProcessor::new(self.graph, stage, self.setting);
        let id = stage.id;
        let inputs = match processor.prepare() {
            Ok(inputs) => inputs,
            Err(error) => return self.fail(id, Failure::new(error, 1)).map(|()| false),
        };
        let bundle_count = inputs.len();
        self.observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
        let mut is_whole = true;
        for input in inputs {
            match self.bundle(processor, BundleTask::new(input)) {
                Ok(report) => self.commit(id, report),
                Err(failure) => {
                    is_whole = false;
                    self.fail(id, failure)?;
                    if self.setting.on_error() != OnError::Continue {
                        break;
                    }
                }
            }
        }
        Ok(is_whole)
    }

    fn bundle(
        &self,
        processor: BundleProcessor<'_>,
        mut task: BundleTask,
    ) -> Result<BundleReport, Failure> {
        loop {
            match processor.attempt(&mut task) {
                Ok(report) => return Ok(report),
                Err(Setback::Failed(failure)) => return Err(*failure),
                Err(Setback::Again(error)) => {
                    let stage = processor.stage();
                    self.observer.observe(&JobEvent::BundleRetried { stage, error });
                }
            }
        }
    }

    fn commit(&mut self, stage: StageId, report: BundleReport) {
        self.metrics.merge(&report.metrics);
        for failure in report.failures.kept().iter().cloned() {
            self.observer.observe(&JobEvent::ElementQuarantined { stage, failure });
        }
        self.quarantined.merge(report.failures.clone());
        self.observer.observe(&JobEvent::BundleFinished { stage, report });
    }

    /// Keeps a failure; a request to stop ends the run at once.
    fn fail(&mut self, stage: StageId, failure: Failure) -> Result<(), Error> {
        if failure.error.kind() == ErrorKind::Cancelled {
            return Err(failure.error);
        }
        self.observer.observe(&JobEvent::BundleFailed { stage, failure: failure.clone() });
        self.failed.push(failure);
        Ok(())
    }
}
