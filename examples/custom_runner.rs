//! What is needed to run pipelines on machines of my own? All of a runner, in this file.
//!
//! `cargo run --example custom_runner`

use levain::dataflow::runner::{
    BundleProcessor, Capabilities, CompileOptions, JobEvent, JobObserver, MemoryBudget, Metrics,
    Results, Setting, StageGraph,
};
use levain::prelude::*;

/// Runs one stage after the other, and every bundle of a stage on a thread of its own.
#[derive(Debug)]
pub(crate) struct ThreadsRunner;

impl Runner for ThreadsRunner {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    fn compile_options(&self) -> CompileOptions {
        CompileOptions { fuse: true, lift: true }
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        options.require_stop(self.name())?;
        let (setting, shuffle) = Setting::in_process(options, MemoryBudget::unlimited(), 4);
        let mut metrics = Metrics::default();
        for stage in graph.stages() {
            let processor = BundleProcessor::new(graph, stage, &setting);
            let inputs = processor.prepare()?;
            let (id, bundle_count) = (stage.id, inputs.len());
            observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            let outcomes = std::thread::scope(|scope| {
                let start = |input| scope.spawn(move || processor.run(input));
                let bundles: Vec<_> = inputs.into_iter().map(start).collect();
                let join = |bundle: std::thread::ScopedJoinHandle<'_, _>| bundle.join();
                bundles.into_iter().map(join).collect::<Vec<_>>()
            });
            for outcome in outcomes {
                let report = outcome.expect("what panics in a bundle is returned as an error")?;
                metrics.merge(&report.metrics);
                observer.observe(&JobEvent::BundleFinished { stage: id, report });
            }
            observer.observe(&JobEvent::StageFinished { stage: id });
        }
        let results = Results::gather(graph, &setting)?;
        Ok(JobReport::new(metrics, shuffle.counts(), setting.budget().peak_bytes(), results))
    }
}

/// Counts letters on that runner.
pub(crate) fn run() -> Result<Vec<(String, u64)>> {
    let pipeline = Pipeline::new();
    let letters = pipeline.apply(Create::of(["b", "a", "n", "a", "n", "a"].map(str::to_owned)));
    let counts = letters.apply(Count::per_element()).collect();
    let report = pipeline.run(&ThreadsRunner)?;
    let mut counts: Vec<_> = report.get(&counts)?.iter().collect();
    counts.sort();
    Ok(counts)
}

#[expect(clippy::print_stdout, reason = "an example shows what came of it")]
fn main() -> Result<()> {
    println!("{:?}", run()?);
    Ok(())
}
