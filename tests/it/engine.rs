//! What the engine promises to authors of pipelines: the life of a DoFn, errors that say where,
//! retries, and what is refused.
//!
//! Each promise is checked on the direct runner and on the reference runner, which share nothing
//! but the bundle.

mod blame;
mod lifecycle;
mod parts;
mod policies;
mod refusals;
mod retries;
mod views;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use levain::dataflow::plan::CompileOptions;
use levain::dataflow::runner::NoObserver;
use levain::dataflow::testing::ReferenceRunner;
use levain::prelude::*;

/// One thread, one partition: bundles run in a known order.
fn in_order() -> (DirectRunner, RunOptions) {
    let runner = DirectRunner::new().with_threads(NonZeroUsize::MIN);
    (runner, RunOptions::default().with_partition_count(NonZeroUsize::MIN))
}

/// Runs the pipeline on both runners, the direct one fused and unfused; the outcomes.
fn run_everywhere(pipeline: &Pipeline) -> Vec<Result<JobReport>> {
    let (direct, options) = in_order();
    let unfused = CompileOptions { fuse: false, lift: false };
    let runners: [&dyn Runner; 3] =
        [&direct, &direct.clone().with_compile_options(unfused), &ReferenceRunner];
    runners.map(|runner| pipeline.run_with(runner, &options, &NoObserver)).into()
}

/// The elements of a collection, sorted.
fn sorted<T: Element + Ord>(report: &JobReport, of: &Collected<T>) -> Vec<T> {
    let mut values: Vec<T> = report.get(of).expect("asked for").iter().collect();
    values.sort();
    values
}

/// A list that DoFns and their clones write into.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().expect("no writer panics").push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no writer panics"))
    }
}
