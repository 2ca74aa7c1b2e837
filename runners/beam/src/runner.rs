//! The runner: submits a pipeline, and is its workers or says where they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::unbounded;
use dataflow::bundle::{Results, Setting};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::MemoryBudget;
use dataflow::metrics::Metrics;
use dataflow::options::RunOptions;
use dataflow::plan::{CompileOptions, Stage, StageGraph};
use dataflow::runner::{Capabilities, JobEvent, JobObserver, JobReport, Runner, StageFacts};
use dataflow::shuffle::ShuffleCounts;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::capabilities::RunnerKind;
use crate::environment::WorkerEnvironment;
use crate::harness::Store;
use crate::job::{JobServer, OnSubmit, Submission};
use crate::loopback::Work;
use crate::metrics::count_moved;
use crate::payload::PayloadWay;
use crate::pool::Pool;
use crate::shared::{Handover, SharedStore, dismiss, release};
use crate::submit::{announce_finalization, translate, validate};

/// Threads that move messages; bundles have their own.
const IO_THREADS: usize = 2;

/// How long workers may take to end when a job is over.
const DISMISS_PATIENCE: Duration = Duration::from_secs(30);

/// Runs pipelines on a runner of Beam that a job server speaks for.
///
/// Unless another environment is named, the workers are threads of this process (*loopback*): the
/// runner must be able to reach it.
#[derive(Debug, Clone)]
pub struct BeamRunner {
    endpoint: String,
    job_name: String,
    pipeline_options: BTreeMap<String, String>,
    kind: Option<RunnerKind>,
    environment: WorkerEnvironment,
    payload_way: PayloadWay,
    briefing: Option<Briefing>,
    on_submit: OnSubmit,
    cancel: CancelToken,
}

/// What workers of other processes need.
#[derive(Debug, Clone)]
struct Briefing {
    /// From what they build the pipeline.
    job: String,
    store: Arc<dyn SharedStore>,
}

impl BeamRunner {
    /// A runner behind the job server at `HOST:PORT`.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            job_name: "levain".to_owned(),
            pipeline_options: BTreeMap::new(),
            kind: None,
            environment: WorkerEnvironment::Loopback,
            payload_way: PayloadWay::default(),
            briefing: None,
            on_submit: OnSubmit::default(),
            cancel: CancelToken::default(),
        }
    }

    /// Names the job, for the pages of the runner.
    #[must_use]
    pub fn with_job_name(mut self, name: impl Into<String>) -> Self {
        self.job_name = name.into();
        self
    }

    /// Passes an option of Beam on, by its name in snake case: `parallelism`.
    #[must_use]
    pub fn with_pipeline_option(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.pipeline_options.insert(name.into(), value.into());
        self
    }

    /// Says which runner it is; where that is not said, its job server is asked.
    #[must_use]
    pub fn with_kind(mut self, kind: RunnerKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Lets workers of other processes run the bundles. They are told `job`, from which they build the
    /// same pipeline, and share `store` with this process.
    ///
    /// `job` travels as an option of the pipeline, which pages and logs of runners show: it must hold no
    /// secret.
    #[must_use]
    pub fn with_environment(
        mut self,
        environment: WorkerEnvironment,
        job: impl Into<String>,
        store: Arc<dyn SharedStore>,
    ) -> Self {
        self.environment = environment;
        self.briefing = Some(Briefing { job: job.into(), store });
        self
    }

    /// Says how payloads travel between workers of this process; others must be told by their job.
    #[must_use]
    pub fn with_payload_way(mut self, way: PayloadWay) -> Self {
        self.payload_way = way;
        self
    }

    /// Calls this with what the runner calls the job, once it runs; an error ends the run.
    #[must_use]
    pub fn with_on_submit(
        mut self,
        call: impl Fn(&str) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_submit = OnSubmit(Some(Arc::new(call)));
        self
    }

    /// Cancels the job when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The job, with workers in this environment.
    fn submission(&self, graph: &StageGraph, pool: Option<&str>) -> Result<Submission> {
        let pipeline = translate(graph, self.environment.told(pool))?;
        validate(&pipeline)?;
        let job = self.briefing.as_ref().filter(|_| pool.is_none()).map(|it| it.job.clone());
        let (name, options) = (self.job_name.clone(), self.pipeline_options.clone());
        let on_submit = self.on_submit.clone();
        Ok(Submission { pipeline, name, options, job, on_submit })
    }

    /// Submits the job, and follows it to its end.
    async fn follow(&self, graph: &StageGraph, mut job: Submission) -> Result<Metrics> {
        let server = JobServer::connect(&self.endpoint).await?;
        let looks_like = server.kind().await?;
        // What is said of it holds over what its options look like.
        let kind = self.kind.or(looks_like);
        if let Some(kind) = kind {
            tracing::debug!(kind = kind.name(), "the job server speaks for a runner that is known");
            kind.check(graph)?;
        }
        if kind.is_some_and(RunnerKind::asks_what_announces) {
            announce_finalization(&mut job.pipeline)?;
            validate(&job.pipeline)?;
        }
        server.run(job, &self.cancel).await
    }

    /// Submits the pipeline and waits for its end, while threads of this process do what the runner
    /// wants.
    fn run_here(
        &self,
        graph: &StageGraph,
        (setting, bundles): (&Setting, &CancelToken),
        runtime: &Handle,
    ) -> Result<JobReport> {
        let (wanted, workers) = unbounded();
        let start = move |endpoints| {
            let closed = |_| Error::internal("the job is over, and starts no more workers");
            wanted.send(endpoints).map_err(closed)
        };
        let pool = Pool::open(runtime, "127.0.0.1:0", start)?;
        let job = self.submission(graph, Some(pool.address()))?;
        let (store, (stop, stopped)) = (Store::default(), watch::channel(false));
        let (store, lost) = (&store, Mutex::default());
        let work = Work { graph, setting, bundles, store, runtime, stopped, lost };
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| work.all(&workers));
            let outcome = runtime.block_on(self.follow(graph, job));
            if outcome.is_err() {
                bundles.cancel();
            }
            stop.send_replace(true);
            outcome
        });
        let lost = work.lost.into_inner().unwrap_or_default();
        let mut metrics = outcome.map_err(|error| match lost {
            Some(lost) if error.cause().is_none() => error.caused_by(lost),
            _ => error,
        })?;
        metrics.merge(&store.late());
        let results = Results::of(graph, store.take(setting)?);
        Ok(report(graph, metrics, setting, results))
    }

    /// Submits the pipeline and waits for its end, while other processes do what the runner wants.
    fn run_elsewhere(
        &self,
        graph: &StageGraph,
        setting: &Setting,
        (runtime, briefing): (&Handle, &Briefing),
    ) -> Result<JobReport> {
        let job = self.submission(graph, None)?;
        let outcome = runtime.block_on(self.follow(graph, job)).and_then(|mut metrics| {
            let handover = Handover::new(&briefing.store);
            metrics.merge(&handover.late()?);
            Ok(report(graph, metrics, setting, Results::of(graph, handover.take(setting)?)))
        });
        let cleared = match outcome {
            Ok(_) => release(&briefing.store, DISMISS_PATIENCE),
            Err(_) => dismiss(&briefing.store, DISMISS_PATIENCE),
        };
        if let Err(error) = cleared {
            tracing::warn!(%error, "what the workers have shared is left over");
        }
        outcome
    }
}

fn report(
    graph: &StageGraph,
    mut metrics: Metrics,
    setting: &Setting,
    results: Results,
) -> JobReport {
    count_moved(graph, &mut metrics);
    let counts = ShuffleCounts { shuffled_bytes: 0, spilled_bytes: 0 };
    JobReport::new(metrics, counts, setting.budget().peak_bytes(), results)
}

/// Threads that move messages.
///
/// # Errors
/// A machine that gives no more threads.
pub(crate) fn start_runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .thread_name("levain-beam-io")
        .enable_all()
        .build()
        .map_err(|why| Error::internal(format!("cannot start threads: {why}")))
}

/// How bundles of ours are compiled, by drivers and workers: the runner fuses as it likes, and what is
/// lifted is said when the pipeline is translated.
const COMPILE_OPTIONS: CompileOptions = CompileOptions { fuse: false, lift: false };

/// What the bundles of a process share.
pub(crate) fn setting_of(options: &RunOptions, cancel: &CancelToken) -> Setting {
    let budget = options.memory_bytes.map(|limit| MemoryBudget::new(limit, 0));
    let budget = budget.unwrap_or_else(MemoryBudget::unlimited);
    let (setting, _) = Setting::in_process(options, budget, 1);
    setting.with_cancel(cancel).with_held_callbacks()
}

impl Runner for BeamRunner {
    fn name(&self) -> &'static str {
        "beam"
    }

    fn capabilities(&self) -> Capabilities {
        self.kind.map_or(Capabilities::BOUNDED, RunnerKind::capabilities)
    }

    fn compile_options(&self) -> CompileOptions {
        COMPILE_OPTIONS
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        options.require_stop(self.name())?;
        if self.endpoint.trim().is_empty() {
            return Err(without_endpoint());
        }
        let bundles = self.cancel.child();
        let setting = setting_of(&self.payload_way.applied(options), &bundles);
        let runtime = start_runtime()?;
        let stages = StageFacts::of(graph);
        let fingerprint = graph.fingerprint().to_string();
        observer.observe(&JobEvent::JobStarted { stages, fingerprint });
        let outcome = match (&self.environment, &self.briefing) {
            (WorkerEnvironment::Loopback, _) => {
                self.run_here(graph, (&setting, &bundles), runtime.handle())
            }
            (_, Some(briefing)) => {
                self.run_elsewhere(graph, &setting, (runtime.handle(), briefing))
            }
            (_, None) => Err(Error::internal("workers elsewhere were told no job")),
        };
        // Connections of the runner to the pool may stay open for as long as it likes.
        runtime.shutdown_background();
        if outcome.is_ok() {
            // What a runner does stage by stage is not told; once the job is done, all are.
            for Stage { id: stage, .. } in graph.stages().iter().cloned() {
                observer.observe(&JobEvent::StageStarted { stage, bundle_count: 0 });
                observer.observe(&JobEvent::StageFinished { stage });
            }
        }
        outcome
    }
}

fn without_endpoint() -> Error {
    let message = "it is not said where the job server of Beam listens";
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
        .mend("give its address: --endpoint HOST:PORT, or the setting beam.endpoint")
}
