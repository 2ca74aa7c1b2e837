//! The door for runners: what a runner is given, and what it says.
//!
//! A runner gets a [`StageGraph`] and decides where bundles run, when, how many at once, and how
//! often again. It never decides what they do. `examples/custom_runner.rs` is a whole runner.

use std::fmt;
use std::sync::Arc;

use crate::element::Element;
use crate::error::{Error, Result};
use crate::pcollection::Collected;
use crate::pipeline::Pipeline;
use crate::plan::compile;
use crate::shuffle::{Iterable, ShuffleCounts};

pub use crate::bundle::{
    BundleInput, BundleProcessor, BundleReport, BundleTask, Failure, Failures, Results, Setback,
    Setting,
};
pub use crate::cancel::CancelToken;
pub use crate::capability::{Capabilities, Capability};
pub use crate::memory::MemoryBudget;
pub use crate::metrics::Metrics;
pub use crate::options::{OnError, RunOptions};
pub use crate::plan::{CompileOptions, Stage, StageGraph, StageId};

/// Offers machines to a pipeline.
pub trait Runner: Send + Sync {
    /// The name under which users choose it.
    fn name(&self) -> &'static str;

    /// What it offers; a plan that needs more is refused before anything runs.
    fn capabilities(&self) -> Capabilities;

    /// How pipelines are to be compiled for it.
    fn compile_options(&self) -> CompileOptions;

    /// Runs all stages, each after those it waits for.
    ///
    /// # Errors
    /// What made the run fail: the first error, with step, recipe line and element.
    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport>;
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JobEvent {
    /// A job begins, of these stages.
    JobStarted {
        /// The stages, each after all that it needs.
        stages: Vec<StageFacts>,
        /// The identity of the plan.
        fingerprint: String,
    },
    /// A stage begins, with so many bundles.
    StageStarted {
        /// The stage.
        stage: StageId,
        /// The number of its bundles.
        bundle_count: usize,
    },
    /// A worker was busy with an attempt of a bundle, whatever came of it; said before that.
    BundleAttempted {
        /// The stage.
        stage: StageId,
        /// Where and when.
        attempt: Attempt,
    },
    /// A bundle has committed.
    BundleFinished {
        /// The stage.
        stage: StageId,
        /// What it says of itself.
        report: BundleReport,
    },
    /// A bundle has failed and is tried again.
    BundleRetried {
        /// The stage.
        stage: StageId,
        /// Why.
        error: Error,
    },
    /// An element was left out of a bundle that has committed.
    ElementQuarantined {
        /// The stage.
        stage: StageId,
        /// The element, and why.
        failure: Failure,
    },
    /// A bundle has failed and is not tried again.
    BundleFailed {
        /// The stage.
        stage: StageId,
        /// Why.
        failure: Failure,
    },
    /// Where workers stand that were started elsewhere; said when it changes.
    WorkersChanged {
        /// How many stand where.
        workers: WorkerCounts,
        /// Why those wait that do; empty if nobody says so.
        reason: String,
    },
    /// A worker that was started elsewhere has ended, and not well.
    WorkerEnded {
        /// The worker, as its place calls it.
        worker: String,
        /// Why it has ended.
        reason: String,
        /// What it has printed last.
        log: Vec<String>,
    },
    /// All bundles of a stage have committed.
    StageFinished {
        /// The stage.
        stage: StageId,
    },
}

/// How many workers that were started elsewhere stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// Waiting for a place to run.
    pub waiting: u32,
    /// Being started.
    pub starting: u32,
    /// Running.
    pub running: u32,
}

/// What a stage is, without its graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageFacts {
    /// The id.
    pub stage: StageId,
    /// The full names of the transforms that run in it, inputs before what reads them.
    pub steps: Vec<String>,
    /// The stages that must be done before it.
    pub after: Vec<StageId>,
    /// Bytes that one of its bundles needs before it starts.
    pub working_bytes: u64,
}

impl StageFacts {
    /// The facts of all stages of a graph.
    pub fn of(graph: &StageGraph) -> Vec<Self> {
        let names = |stage: &Stage| {
            let members = stage.members.iter();
            members.map(|&member| graph.graph().node(member).name.clone()).collect()
        };
        let facts = graph.stages().iter().map(|stage| Self {
            stage: stage.id,
            steps: names(stage),
            after: stage.after.iter().copied().collect(),
            working_bytes: stage.working_bytes,
        });
        facts.collect()
    }
}

/// An attempt of a bundle: where it ran, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The thread, process or machine that ran it.
    pub worker: String,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// Milliseconds between the moment at which it could have begun and its beginning, where the
    /// runner knows them.
    pub waited_ms: Option<u64>,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Is told what happens in a run, from any thread; it should return quickly.
pub trait JobObserver: Send + Sync {
    /// Takes an event.
    fn observe(&self, event: &JobEvent);
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl JobObserver for NoObserver {
    fn observe(&self, _: &JobEvent) {}
}

/// What a finished run says.
#[derive(Clone)]
pub struct JobReport {
    /// The numbers of all committed bundles.
    pub metrics: Metrics,
    /// What the shuffle has moved.
    pub shuffle: ShuffleCounts,
    /// The most bytes that were accounted for at once.
    pub peak_bytes: u64,
    /// The elements that are missing in the results, if the policy was quarantine.
    pub failures: Failures,
    results: Arc<Results>,
}

/// How a run that has not failed came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobOutcome {
    /// The results are whole.
    Done,
    /// Within its policy, but so many elements were left out.
    WithHoles {
        /// Elements in quarantine.
        quarantined: u64,
    },
}

impl JobOutcome {
    /// The exit code of a process that ends with this.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::WithHoles { .. } => 3,
        }
    }
}

impl JobReport {
    /// The report of a run with these results.
    pub fn new(
        metrics: Metrics,
        shuffle: ShuffleCounts,
        peak_bytes: u64,
        results: Results,
    ) -> Self {
        let (failures, results) = (Failures::default(), Arc::new(results));
        Self { metrics, shuffle, peak_bytes, failures, results }
    }

    /// The same, with the elements that were left out.
    #[must_use]
    pub fn with_failures(mut self, failures: Failures) -> Self {
        self.failures = failures;
        self
    }

    /// How it came out.
    pub fn outcome(&self) -> JobOutcome {
        match self.failures.count() {
            0 => JobOutcome::Done,
            quarantined => JobOutcome::WithHoles { quarantined },
        }
    }

    /// The elements of a collection that was asked for, in no order.
    ///
    /// # Errors
    /// A collection that was not asked for before the run.
    pub fn get<T: Element>(&self, of: &Collected<T>) -> Result<Iterable<T>> {
        self.results.get(of)
    }
}

impl fmt::Debug for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the run is over: {} bytes at most", self.peak_bytes)?;
        writeln!(f, "  shuffled {} bytes", self.shuffle.shuffled_bytes)?;
        writeln!(f, "  spilled  {} bytes", self.shuffle.spilled_bytes)?;
        if let JobOutcome::WithHoles { quarantined } = self.outcome() {
            writeln!(f, "  {quarantined} elements are missing, in quarantine")?;
        }
        for (key, count) in &self.metrics.counters {
            writeln!(f, "  {}/{} {count}", key.step, key.name)?;
        }
        Ok(())
    }
}

impl Pipeline {
    /// Compiles this pipeline for a runner and runs it there, with the options' defaults.
    ///
    /// # Errors
    /// A mistake of the recipe, or whatever makes the run fail.
    pub fn run(&self, runner: &dyn Runner) -> Result<JobReport> {
        self.run_with(runner, &RunOptions::default(), &NoObserver)
    }

    /// Compiles this pipeline for a runner and runs it there.
    ///
    /// # Errors
    /// A mistake of the recipe, or whatever makes the run fail.
    pub fn run_with(
        &self,
        runner: &dyn Runner,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        self.note_run();
        let mut compile_options = runner.compile_options();
        if matches!(options.on_error, OnError::Quarantine { .. }) {
            // What is combined before the shuffle is part of a group: it can be neither left out
            // alone, nor would it be the same whatever the bundles.
            compile_options.lift = false;
        }
        runner.run(&self.compile_with(runner, compile_options)?, options, observer)
    }

    /// Compiles this pipeline for a runner.
    ///
    /// # Errors
    /// A mistake of the recipe, or a transform that needs more than the runner offers.
    pub fn compile_for(&self, runner: &dyn Runner) -> Result<StageGraph> {
        self.compile_with(runner, runner.compile_options())
    }

    fn compile_with(&self, runner: &dyn Runner, options: CompileOptions) -> Result<StageGraph> {
        let graph = compile(self, options)?;
        graph.check_runnable(runner.name(), runner.capabilities())?;
        Ok(graph)
    }
}
