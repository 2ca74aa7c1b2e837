//! The runner: opens a run, drives it, and brings its results home.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use dataflow::bundle::{Failures, Results, Setting};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::MemoryBudget;
use dataflow::metrics::Metrics;
use dataflow::options::RunOptions;
use dataflow::plan::{CompileOptions, StageGraph, StageId};
use dataflow::runner::{Capabilities, JobEvent, JobObserver, JobReport, Runner, StageFacts};
use dataflow::shuffle::{InProcessShuffle, Scratch};
use objects::{Location, StoreOptions};
use serde_json::Value;

use crate::exchange::{Exchange, TaskShuffle};
use crate::launch::Launcher;
use crate::leader::{Crew, Drive, Launched, Lease, Spending, drive};
use crate::options::BatchOptions;
use crate::store::{
    Numbers, Requests, RequestsRecord, ResultRecord, RunRecord, RunStore, WorkerBeat,
    WorkerOptions, keys, probe, silence,
};
use crate::worker::{WorkerSettings, work};

/// Partitions of an edge for each task of the stage that reads it.
const PARTITIONS_A_TASK: usize = 4;
/// Fewer make no task worth its start.
const LEAST_KEYED_PARTITIONS: usize = 64;
/// How long workers may take to go home once a run is over.
const DISMISSAL: Duration = Duration::from_secs(30);

/// Runs pipelines with workers that speak to each other only through an object store.
#[derive(Debug, Clone)]
pub struct BatchRunner {
    root: Location,
    store: StoreOptions,
    options: BatchOptions,
    workers: Workers,
    job: Value,
    binary: Option<String>,
    host: String,
    remote: Option<Arc<dyn StepFilter>>,
    cancel: CancelToken,
    leave: CancelToken,
    compile_options: CompileOptions,
}

/// Where the workers come from.
#[derive(Debug, Clone)]
enum Workers {
    /// Threads of this process: a closure that a test has made is on every worker.
    Threads(NonZeroU32),
    Launched(Arc<dyn Launcher>),
}

/// Chooses steps by name.
pub trait StepFilter: std::fmt::Debug + Send + Sync {
    /// Whether this step, by its full name, is one of them.
    fn has(&self, step: &str) -> bool;

    /// Whether the stage of this step stays with the driver, whatever else is in it.
    fn keeps(&self, _step: &str) -> bool {
        false
    }
}

impl BatchRunner {
    /// A runner whose run lies below `root`: a new one, or one that is gone on with. Its workers
    /// are threads of this process until a launcher is named.
    pub fn new(root: &Location, store: &StoreOptions, options: BatchOptions) -> Self {
        let workers = Workers::Threads(options.max_workers);
        Self {
            root: root.clone(),
            store: store.clone(),
            options,
            workers,
            job: Value::Null,
            binary: None,
            host: String::new(),
            remote: None,
            cancel: CancelToken::default(),
            leave: CancelToken::default(),
            compile_options: CompileOptions { fuse: true, lift: true },
        }
    }

    /// Starts workers with this launcher; `job` is what they need to build the pipeline again,
    /// `binary` this one by its version and digest.
    #[must_use]
    pub fn with_launcher(
        mut self,
        launcher: Arc<dyn Launcher>,
        job: Value,
        binary: Option<String>,
    ) -> Self {
        (self.workers, self.job, self.binary) = (Workers::Launched(launcher), job, binary);
        self
    }

    /// Says on which machine the driver is.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Runs the stages remotely that have such a step, unless one of their steps keeps them here, and all
    /// others here.
    #[must_use]
    pub fn with_remote(mut self, steps: Arc<dyn StepFilter>) -> Self {
        self.remote = Some(steps);
        self
    }

    /// Stops when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Leaves the run to another driver when this token is cancelled: E507 then, and nothing of it is
    /// stopped but what ends with its launcher.
    #[must_use]
    pub fn with_leave(mut self, leave: CancelToken) -> Self {
        self.leave = leave;
        self
    }

    /// Compiles pipelines in another way, to compare; the results are the same.
    #[must_use]
    pub fn with_compile_options(mut self, options: CompileOptions) -> Self {
        self.compile_options = options;
        self
    }

    /// The stages that stay here.
    fn local_stages(&self, graph: &StageGraph) -> BTreeSet<StageId> {
        let Some(remote) = &self.remote else { return BTreeSet::new() };
        let name = |node: &dataflow::graph::NodeId| graph.steps()[node.0 as usize].name.as_str();
        let is_remote = |stage: &&dataflow::plan::Stage| {
            let mut steps = stage.members.iter().map(name);
            steps.clone().any(|step| remote.has(step)) && !steps.any(|step| remote.keeps(step))
        };
        let stages = graph.stages().iter();
        stages.filter(|stage| !is_remote(stage)).map(|stage| stage.id).collect()
    }

    fn worker_options(&self, options: &RunOptions) -> WorkerOptions {
        let task_limit = self.task_limit();
        let asked = options.partition_count.map(usize::from);
        let partition_count = asked.unwrap_or(task_limit);
        let keyed = (PARTITIONS_A_TASK * task_limit).max(LEAST_KEYED_PARTITIONS);
        let batch = &self.options;
        WorkerOptions {
            partition_count,
            keyed_partition_count: asked.unwrap_or(keyed),
            bundle_elements: options.bundle_elements.map(usize::from),
            on_error: options.on_error,
            retries: options.retries.clone(),
            tasks_max: batch.tasks_max,
            idle_ms: batch.idle_ms,
            look_ms: batch.look_ms,
            heartbeat_ms: batch.heartbeat_ms,
            leader_lost_ms: batch.leader_lost_ms,
            needs_same_binary: batch.needs_same_binary,
        }
    }

    /// The most tasks of a stage.
    fn task_limit(&self) -> usize {
        let BatchOptions { max_workers, threads, tasks_per_thread, .. } = &self.options;
        max_workers.get() as usize * threads.get() * tasks_per_thread.get()
    }

    /// Begins the run, or finds that it is the one that is there.
    fn begin(
        &self,
        store: &RunStore,
        graph: &StageGraph,
        options: &RunOptions,
    ) -> Result<RunRecord> {
        let new = RunRecord::new(
            graph.fingerprint().to_string(),
            self.job.clone(),
            self.binary.clone(),
            self.worker_options(options),
        );
        if store.create(keys::RUN, &new)? {
            return Ok(new);
        }
        let there: RunRecord = store
            .read_named(keys::RUN)?
            .ok_or_else(|| Error::internal("the record of the run came and went"))?;
        there.check_version(store)?;
        if there.fingerprint != new.fingerprint {
            let message = "the run that is there is of another pipeline";
            return Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Conflict, message)
                .at("run", store.root())
                .mend("begin a new run"));
        }
        if let Some(ended) = store.read::<ResultRecord>(keys::RESULT)? {
            let message =
                format!("another process has brought the run to its end: {}", ended.state);
            return Err(Error::new(ErrorCode::LOCKED, ErrorKind::AlreadyExists, message)
                .at("run", store.root())
                .mend("run the command again: it sees what there is now"));
        }
        let there = self.own_binary(store, there, &new)?;
        // Whoever cancelled it has had his way; this is somebody else's wish.
        store.delete(keys::CANCEL)?;
        store.delete(keys::LEAVE)?;
        Ok(there)
    }

    /// Refuses to go on with a run of another binary, or takes it over where this one is trusted.
    fn own_binary(&self, store: &RunStore, there: RunRecord, new: &RunRecord) -> Result<RunRecord> {
        let (began, own) = (there.binary.as_ref(), new.binary.as_ref());
        if began.is_none() || own.is_none() || began == own {
            return Ok(there);
        }
        if self.options.needs_same_binary {
            there.check_binary("this", own.map(String::as_str))?;
        }
        // Its workers are of this binary from now on.
        let mut taken = RunRecord { binary: new.binary.clone(), ..there };
        taken.options.needs_same_binary = self.options.needs_same_binary;
        store.put(keys::RUN, &taken)?;
        Ok(taken)
    }

    fn end(&self, store: &RunStore, outcome: &Result<(Metrics, Failures)>) -> Result<()> {
        let (state, error) = match outcome {
            Ok(_) => ("SUCCEEDED", None),
            // What was stopped can be gone on with, so it has no end yet.
            Err(error) if error.kind() == ErrorKind::Cancelled || is_of_place(error) => {
                return store.put(keys::CANCEL, &error.to_string());
            }
            Err(error) => ("FAILED", Some(error.clone())),
        };
        let ended_ms = objects::now_ms();
        store.create(
            keys::RESULT,
            &ResultRecord { v: 1, state: state.to_owned(), error, ended_ms },
        )?;
        Ok(())
    }
}

fn nothing_remote(graph: &StageGraph) -> Error {
    let names: Vec<&str> = graph.steps().iter().map(|step| step.name.as_str()).collect();
    let message = "no step has the name of those that are to run remotely";
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
        .mend(format!("the steps are: {}", names.join(", ")))
}

/// Keeps what the run has asked of the store: the driver, and all workers together.
fn note_requests(store: &RunStore) -> Result<()> {
    let beats = store.list(keys::HEARTBEATS)?.into_iter().map(|it| it.key);
    let beats = store.read_all::<WorkerBeat>(beats.filter(|key| key.contains("/w-")))?;
    let mut workers = Requests::default();
    beats.iter().for_each(|(_, beat)| workers += beat.requests);
    let worker_count = beats.len();
    let driver = store.requests();
    store.put(keys::REQUESTS, &RequestsRecord { v: 1, driver, workers, worker_count })
}

/// Whether an error says nothing about the pipeline: another attempt may come to an end.
fn is_of_place(error: &Error) -> bool {
    (500..700).contains(&error.code().number()) || error.is_transient()
}

impl Runner for BatchRunner {
    fn name(&self) -> &'static str {
        match &self.workers {
            Workers::Threads(_) => "batch",
            Workers::Launched(launcher) => launcher.name(),
        }
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
        let store = RunStore::open(&self.root, &self.store)?;
        probe(&store)?;
        let lease = Lease::take(&store, &self.host, silence(self.options.heartbeat_ms))?;
        let run = self.begin(&store, graph, options)?;
        let budget = MemoryBudget::new(options.memory_bytes.unwrap_or(u64::MAX), 0);
        let scratch = Scratch::new(options.scratch_folder.clone());
        let exchange = Arc::new(Exchange::new(&store, graph, &budget, &scratch));
        let local = self.local_stages(graph);
        if local.len() == graph.stages().len() && self.remote.is_some() {
            return Err(nothing_remote(graph));
        }
        let plan = Drive {
            store: &store,
            graph,
            exchange: &exchange,
            lease: &lease,
            observer,
            cancel: &self.cancel,
            leave: &self.leave,
            on_error: run.options.on_error,
            retries: &run.options.retries,
            local: &local,
            task_limit: self.task_limit(),
            heartbeat: Duration::from_millis(self.options.heartbeat_ms),
            look: (
                Duration::from_millis(self.options.look_ms.0),
                Duration::from_millis(self.options.look_ms.1),
            ),
            merge_above: self.options.merge_above,
            max_wall: self.options.max_wall,
            spending: Spending::of(&self.options),
            count_every: Duration::from_millis(self.options.heartbeat_ms),
        };
        let stages = StageFacts::of(graph);
        let fingerprint = graph.fingerprint().to_string();
        observer.observe(&JobEvent::JobStarted { stages, fingerprint });
        let outcome = self.run_crew(&plan, &lease, options);
        // What made the run fail is told, whatever else fails then.
        let noted = note_requests(&store);
        let (mut metrics, failures) = outcome?;
        noted?;
        let after = store.list(keys::AFTER)?.into_iter().map(|it| it.key);
        for (_, numbers) in store.read_all::<Numbers>(after)? {
            metrics.merge(&numbers.metrics()?);
        }
        let (setting, shuffle) = Setting::in_process(options, budget.clone(), 1);
        let outputs = InProcessShuffle::new(budget.clone(), scratch);
        let setting = setting.with_store(Arc::new(TaskShuffle::new(&exchange, outputs)));
        let results = Results::gather(graph, &setting)?;
        store.tidy()?;
        let report = JobReport::new(metrics, shuffle.counts(), budget.peak_bytes(), results);
        Ok(report.with_failures(failures))
    }
}

impl BatchRunner {
    /// Drives the run with its workers at work, and sends them home.
    fn run_crew(
        &self,
        plan: &Drive<'_>,
        lease: &Lease,
        options: &RunOptions,
    ) -> Result<(Metrics, Failures)> {
        let store = plan.store;
        let stop = CancelToken::default();
        std::thread::scope(|scope| {
            let (_beating, silent) = bounded::<()>(0);
            let every = Duration::from_millis(self.options.heartbeat_ms);
            scope.spawn(move || lease.run(every, &silent));
            let (sender, ended) = unbounded();
            let start = |settings: WorkerSettings| {
                let (sender, graph): (Sender<_>, _) = (sender.clone(), plan.graph);
                let store = store.apart();
                scope.spawn(move || {
                    let end = work(&store, graph, &settings).map(drop);
                    // Nobody listens once the run is over.
                    drop(sender.send(end));
                });
            };
            let here = |job: &str| {
                let mut settings = WorkerSettings::new(job, self.options.threads);
                settings.memory_bytes = options.memory_bytes;
                settings.scratch_folder.clone_from(&options.scratch_folder);
                settings.stop = stop.child();
                settings.stays = true;
                settings
            };
            if !plan.local.is_empty() {
                start(WorkerSettings { is_local: true, ..here("driver") });
            }
            let outcome = self.drive_crew(plan, lease, &ended, |count| {
                for index in 0..count {
                    start(WorkerSettings { index, slots: count, ..here("threads") });
                }
            });
            stop.cancel();
            outcome
        })
    }

    fn drive_crew(
        &self,
        plan: &Drive<'_>,
        lease: &Lease,
        ended: &Receiver<Result<()>>,
        start_threads: impl FnOnce(u32),
    ) -> Result<(Metrics, Failures)> {
        let store = plan.store;
        let mut crew = match &self.workers {
            Workers::Threads(count) => {
                start_threads(count.get());
                Crew::Threads(ended)
            }
            Workers::Launched(launcher) => {
                let launcher = Arc::clone(launcher);
                let launched =
                    Launched::take_up(store, lease, launcher, &self.options, plan.observer)?;
                Crew::Launched(Box::new(launched))
            }
        };
        let outcome = drive(plan, &mut crew);
        if outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::LOCKED) {
            // Another driver has taken over, or is to: the run is his, and so are the workers.
            lease.release()?;
            return outcome;
        }
        let ended = self.end(store, &outcome);
        if let Crew::Launched(launched) = &mut crew {
            launched.dismiss(DISMISSAL)?;
        }
        ended?;
        lease.release()?;
        outcome
    }
}
