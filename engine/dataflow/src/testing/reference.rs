//! The runner that everything is compared with.

use crate::bundle::{BundleProcessor, Results, Setting};
use crate::error::Result;
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::options::RunOptions;
use crate::plan::{CompileOptions, StageGraph};
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
        let mut metrics = Metrics::default();
        for stage in graph.stages() {
            let processor = BundleProcessor::new(graph, stage, &setting);
            let inputs = processor.prepare()?;
            let (id, bundle_count) = (stage.id, inputs.len());
            observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            for input in inputs {
                let report = processor.run(input)?;
                metrics.merge(&report.metrics);
                observer.observe(&JobEvent::BundleFinished { stage: id, report });
            }
            observer.observe(&JobEvent::StageFinished { stage: id });
        }
        let results = Results::gather(graph, &setting)?;
        Ok(JobReport::new(metrics, shuffle.counts(), setting.budget().peak_bytes(), results))
    }
}
