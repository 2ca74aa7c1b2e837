//! The runner: its threads, its budget, its report.

use std::num::NonZeroUsize;

use dataflow::bundle::{Results, Setting};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::MemoryBudget;
use dataflow::options::RunOptions;
use dataflow::plan::{CompileOptions, StageGraph};
use dataflow::runner::{Capabilities, JobObserver, JobReport, Runner};

use crate::schedule;

/// Partitions of a shuffle for each thread: uneven ones are evened out by taking the next.
const PARTITIONS_A_THREAD: usize = 4;
const LEAST_PARTITIONS: usize = 16;
/// Enough that the keys of one partition lie in a cache while they are grouped.
const KEYED_PARTITIONS: usize = 256;

/// Runs pipelines on threads of this process.
#[derive(Debug, Clone)]
pub struct DirectRunner {
    threads: NonZeroUsize,
    compile_options: CompileOptions,
    cancel: CancelToken,
}

impl Default for DirectRunner {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectRunner {
    /// A runner that uses all cores.
    pub fn new() -> Self {
        Self {
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            compile_options: CompileOptions { fuse: true, lift: true },
            cancel: CancelToken::default(),
        }
    }

    /// Uses so many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Compiles pipelines in another way, to compare; the results are the same.
    #[must_use]
    pub fn with_compile_options(mut self, options: CompileOptions) -> Self {
        self.compile_options = options;
        self
    }

    /// Stops when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The least memory in which this runner can run a plan.
    pub fn least_memory_bytes(graph: &StageGraph) -> u64 {
        graph.stages().iter().map(|stage| stage.working_bytes).max().unwrap_or(0)
    }

    fn budget(&self, graph: &StageGraph, options: &RunOptions) -> Result<MemoryBudget> {
        let Some(limit) = options.memory_bytes else { return Ok(MemoryBudget::unlimited()) };
        let least = Self::least_memory_bytes(graph);
        if limit < least {
            let message = format!("{limit} bytes of memory do not suffice for this pipeline");
            let error =
                Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
            return Err(error.mend(format!("allow at least {least} bytes")));
        }
        // Every thread can work while shuffles are held, as long as that leaves half for them.
        let all_threads = least.saturating_mul(self.threads.get() as u64);
        Ok(MemoryBudget::new(limit, least.max(all_threads.min(limit / 2))))
    }
}

impl Runner for DirectRunner {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    fn compile_options(&self) -> CompileOptions {
        self.compile_options
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        let budget = self.budget(graph, options)?;
        let partition_count = (PARTITIONS_A_THREAD * self.threads.get()).max(LEAST_PARTITIONS);
        let (setting, shuffle) = Setting::in_process(options, budget, partition_count);
        let keyed_count = partition_count.max(KEYED_PARTITIONS);
        let setting = setting.with_keyed_partitions(options, keyed_count).with_cancel(&self.cancel);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.get())
            .thread_name(|index| format!("levain-{index}"))
            .build()
            .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
        let (metrics, failures) = schedule::run(graph, &setting, &pool, observer)?;
        let results = Results::gather(graph, &setting)?;
        let peak_bytes = setting.budget().peak_bytes();
        let report = JobReport::new(metrics, shuffle.counts(), peak_bytes, results);
        Ok(report.with_failures(failures))
    }
}
