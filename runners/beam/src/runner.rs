//! The runner: submits a pipeline, and is its workers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, unbounded};
use dataflow::bundle::{Results, Setting};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, Result};
use dataflow::memory::MemoryBudget;
use dataflow::options::RunOptions;
use dataflow::plan::{CompileOptions, Stage, StageGraph};
use dataflow::runner::{Capabilities, JobEvent, JobObserver, JobReport, Runner, StageFacts};
use dataflow::shuffle::ShuffleCounts;
use prost::Message as _;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::harness::{Endpoints, Store, Worker};
use crate::job::{JobServer, Submission};
use crate::pool::Pool;
use crate::proto::pipeline::{ApiServiceDescriptor, Environment, ExternalPayload};
use crate::submit::{translate, urns, validate};

/// Threads that move messages; bundles have their own.
const IO_THREADS: usize = 2;

/// Runs pipelines on a runner of Beam that a job server speaks for.
///
/// The workers are threads of this process (*loopback*): the runner must be able to reach it.
#[derive(Debug, Clone)]
pub struct BeamRunner {
    endpoint: String,
    job_name: String,
    pipeline_options: BTreeMap<String, String>,
    cancel: CancelToken,
}

impl BeamRunner {
    /// A runner behind the job server at `HOST:PORT`.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            job_name: "levain".to_owned(),
            pipeline_options: BTreeMap::new(),
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

    /// Cancels the job when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Submits the pipeline and waits for its end, while `work` does what the runner wants.
    fn submit(&self, graph: &StageGraph, setting: &Setting, runtime: &Handle) -> Result<JobReport> {
        let (wanted, workers) = unbounded();
        let pool = Pool::open(runtime, wanted)?;
        let pipeline = translate(graph, external(pool.address()))?;
        validate(&pipeline)?;
        let name = self.job_name.clone();
        let job = Submission { pipeline, name, options: self.pipeline_options.clone() };
        let (store, (stop, stopped)) = (Store::default(), watch::channel(false));
        let work = Work { graph, setting, store: &store, runtime, stopped, lost: Mutex::default() };
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| work.all(&workers));
            let outcome = runtime.block_on(async {
                let server = JobServer::connect(&self.endpoint).await?;
                server.run(job, &self.cancel).await
            });
            if outcome.is_err() {
                setting.stop();
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
        let counts = ShuffleCounts { shuffled_bytes: 0, spilled_bytes: 0 };
        Ok(JobReport::new(metrics, counts, setting.budget().peak_bytes(), results))
    }
}

/// What workers need, whoever wants them.
struct Work<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    store: &'a Store,
    runtime: &'a Handle,
    stopped: watch::Receiver<bool>,
    /// Why a worker has ended early.
    lost: Mutex<Option<Error>>,
}

impl Work<'_> {
    /// Starts workers as they are wanted, until the job is over.
    fn all(&self, wanted: &Receiver<Endpoints>) {
        let Self { graph, setting, store, runtime, .. } = *self;
        let period = std::time::Duration::from_millis(20);
        std::thread::scope(|scope| {
            while !*self.stopped.borrow() {
                let Ok(endpoints) = wanted.recv_timeout(period) else { continue };
                let stop = self.stopped.clone();
                scope.spawn(move || {
                    let worker = Worker { graph, setting, store, runtime, stop };
                    if let Err(error) = worker.serve(&endpoints) {
                        tracing::warn!(worker = %endpoints.worker_id, %error, "a worker has ended");
                        let mut lost = self.lost.lock().unwrap_or_else(|it| it.into_inner());
                        lost.get_or_insert(error);
                    }
                });
            }
        });
    }
}

/// An environment whose workers a pool starts.
fn external(address: &str) -> Environment {
    let endpoint = Some(ApiServiceDescriptor { url: address.to_owned() });
    Environment {
        urn: urns::EXTERNAL.to_owned(),
        payload: ExternalPayload { endpoint }.encode_to_vec(),
        capabilities: urns::CAPABILITIES.map(str::to_owned).to_vec(),
        dependencies: Vec::new(),
    }
}

impl Runner for BeamRunner {
    fn name(&self) -> &'static str {
        "beam"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    /// The runner fuses as it likes; what is lifted is said when the pipeline is translated.
    fn compile_options(&self) -> CompileOptions {
        CompileOptions { fuse: false, lift: false }
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        options.require_stop(self.name())?;
        let budget = options.memory_bytes.map(|limit| MemoryBudget::new(limit, 0));
        let budget = budget.unwrap_or_else(MemoryBudget::unlimited);
        let (setting, _) = Setting::in_process(options, budget, 1);
        let setting = setting.with_cancel(&self.cancel).with_held_callbacks();
        let runtime = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("levain-beam-io")
            .enable_all()
            .build()
            .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
        let stages = StageFacts::of(graph);
        let fingerprint = graph.fingerprint().to_string();
        observer.observe(&JobEvent::JobStarted { stages, fingerprint });
        let outcome = self.submit(graph, &setting, runtime.handle());
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
