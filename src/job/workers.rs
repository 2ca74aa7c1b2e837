//! Workers elsewhere: how a bake is written by other processes, and how they build it again.
//!
//! The driver scans and plans, and keeps the plan in the run store. A worker is started by the same
//! binary, reads what the driver was asked for and what it has planned, builds the same pipeline, and
//! compares fingerprints before it touches anything.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::bake::BakePlan;
use ::beam::BeamRunner;
use batch::aws::RUN_TAG;
use batch::launch::Launcher;
use batch::{BatchOptions, BatchRunner, StepFilter, WorkEnd, WorkerSettings, dispel, work};
use chunks::{DoneUnits, Machine};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use dataflow::options::RunOptions;
use dataflow::plan::StageGraph;
use dataflow::prelude::Pipeline;
use dataflow::runner::Runner;
use direct::DirectRunner;
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::bake::Bake;
use crate::job::beam::{Beam, end_job};
use crate::job::destination::Destination;
use crate::job::process::this_binary;
use crate::job::resume::Resumption;
use crate::job::run_store::{PastRun, RunStore};
use crate::job::validate::validating;
use crate::job::write::{ScannedBake, WRITE_PARTITIONS};

/// The folder within a run in which driver and workers meet.
pub(super) const MEETING_PLACE: &str = "batch";
/// How long workers may take to go home that nobody drives any more.
pub(super) const DISPEL_PATIENCE: Duration = Duration::from_secs(120);

/// How long a worker waits for new keys when its own have ended: it costs money meanwhile, and is started
/// again as often as its place allows.
const WORKER_CREDENTIAL_GRACE_MS: u64 = 15 * 60 * 1000;

/// Stores as a worker reaches them: it waits a quarter of an hour for new keys when its own have ended.
pub fn patient_worker(store: StoreOptions) -> StoreOptions {
    store.with_credential_grace_ms(WORKER_CREDENTIAL_GRACE_MS)
}

/// Workers that are started elsewhere, and what they are told.
#[derive(Debug, Clone)]
pub struct Workers {
    launcher: Arc<dyn Launcher>,
    options: BatchOptions,
    arguments: Vec<String>,
    binary: Option<String>,
    host: String,
    is_elsewhere: bool,
    remote: Option<Arc<dyn StepFilter>>,
}

/// What of a bake workers do; each part is a pipeline of its own, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// What is baked is written.
    Write,
    /// What was written is read, and checked.
    Validate,
    /// A coarser level of a pyramid is written.
    Level {
        /// Its number.
        level: u32,
        /// What it was planned for.
        machine: Machine,
        /// The run in which it is committed.
        commits: String,
    },
}

impl Part {
    /// What the place of this part is called, beside those of others.
    pub(super) fn folder(&self) -> String {
        match self {
            Self::Write => "write".to_owned(),
            Self::Validate => "validate".to_owned(),
            Self::Level { level, .. } => format!("level-{level}"),
        }
    }

    /// The place within a run where driver and workers of this part meet.
    fn meeting_place(&self, run: &Location) -> Location {
        match self {
            Self::Write => meeting_place(run),
            Self::Validate => run.join(MEETING_PLACE).join("validate"),
            Self::Level { level, .. } => run.join(MEETING_PLACE).join(&format!("level-{level}")),
        }
    }

    /// What is added to the name of its jobs.
    pub(super) fn suffix(&self) -> String {
        match self {
            Self::Write => String::new(),
            Self::Validate => "-validate".to_owned(),
            Self::Level { level, .. } => format!("-level-{level}"),
        }
    }
}

/// Whether this is the name of a folder in which those of another part than the write meet.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with("level-") || name == "validate"
}

/// What a worker needs to build the pipeline of a part again; the plan lies in the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteJob {
    /// The arguments of the command.
    pub arguments: Vec<String>,
    /// The place of the bake among those of a recipe.
    pub place: usize,
    part: Part,
    sources: Vec<String>,
    run: String,
}

impl Workers {
    /// Workers of this launcher, whose command builds its jobs from these arguments.
    ///
    /// # Errors
    /// Arguments with secrets: whoever may look at the run store could read them.
    pub fn new(
        launcher: Arc<dyn Launcher>,
        options: BatchOptions,
        arguments: Vec<String>,
    ) -> Result<Self> {
        if let Some(secret) = arguments.iter().find(|it| redact(it) != **it) {
            let message = "an argument holds a secret, which workers would have to be told";
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
            return Err(error
                .at("argument", secret)
                .mend("name where the secret is read from: --bearer HOST=env:NAME, or a recipe"));
        }
        let (binary, host, is_elsewhere) = (None, String::new(), false);
        Ok(Self { launcher, options, arguments, binary, host, is_elsewhere, remote: None })
    }

    /// Runs only the stages there that have such a step; all others stay with the driver.
    #[must_use]
    pub fn with_remote(mut self, steps: Arc<dyn StepFilter>) -> Self {
        self.remote = Some(steps);
        self
    }

    /// Says that the workers see no files of this machine.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.is_elsewhere = true;
        self
    }

    /// Says which binary the driver is, by version and digest, and on which machine.
    #[must_use]
    pub fn with_origin(mut self, binary: Option<String>, host: String) -> Self {
        (self.binary, self.host) = (binary, host);
        self
    }

    /// The most of them at once.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.options.max_workers.get())
    }

    /// The driver's binary, by version and digest, where that is known.
    pub(super) fn binary(&self) -> Option<&str> {
        self.binary.as_deref()
    }

    /// The name under which users choose them.
    pub fn name(&self) -> &'static str {
        self.launcher.name()
    }

    /// Whether some step of a pipeline is for workers.
    fn have_part_in(&self, pipeline: &Pipeline) -> Result<bool> {
        let Some(remote) = &self.remote else { return Ok(true) };
        let graph = pipeline.compile_for(&DirectRunner::new())?;
        Ok(graph.steps().iter().any(|step| remote.has(&step.name)))
    }

    /// The runner of a part of a write that is recorded in `run`.
    fn runner(
        &self,
        bake: &Bake,
        sources: &[Location],
        run: &RunStore,
        part: &Part,
    ) -> Result<BatchRunner> {
        if self.is_elsewhere {
            let places = sources.iter().chain([&bake.destination]);
            check_reachable(places)?;
        }
        let job = WriteJob::told(bake, (&self.arguments, sources), run, part)?;
        let runner = self.runner_of((run.location(), part), &bake.store, bake.threads, job)?;
        Ok(runner.with_cancel(bake.cancel.clone()).with_leave(bake.about.leave.clone()))
    }

    /// The runner of a part of a run whose records lie in this folder; `job` is what its workers build the
    /// pipeline from, with so many threads each.
    ///
    /// # Errors
    /// A folder of this machine, where workers see none.
    pub(super) fn runner_of(
        &self,
        (run, part): (&Location, &Part),
        store: &StoreOptions,
        threads: NonZeroUsize,
        job: Value,
    ) -> Result<BatchRunner> {
        if self.is_elsewhere {
            check_reachable([run])?;
        }
        let mut options = self.options.clone();
        options.threads = threads;
        let name = run.file_name();
        options.name = format!("levain-{name}{}", part.suffix());
        options.tags.insert(RUN_TAG.to_owned(), name.to_owned());
        let runner = BatchRunner::new(&part.meeting_place(run), store, options);
        let launcher = Arc::clone(&self.launcher);
        let mut runner = runner.with_launcher(launcher, job, self.binary.clone());
        if let Some(steps) = &self.remote {
            runner = runner.with_remote(Arc::clone(steps));
        }
        Ok(runner.with_host(&self.host))
    }
}

/// Where driver and workers of a run meet.
pub(super) fn meeting_place(run: &Location) -> Location {
    run.join(MEETING_PLACE)
}

impl WriteJob {
    /// What the workers of a part of a bake are told, as JSON.
    fn told(
        bake: &Bake,
        (arguments, sources): (&[String], &[Location]),
        run: &RunStore,
        part: &Part,
    ) -> Result<Value> {
        let job = Self {
            arguments: arguments.to_vec(),
            place: bake.place,
            part: part.clone(),
            sources: sources.iter().map(ToString::to_string).collect(),
            run: run.location().to_string(),
        };
        serde_json::to_value(job)
            .map_err(|why| Error::internal(format!("a job has no JSON: {why}")))
    }

    /// The job that a run store keeps.
    ///
    /// # Errors
    /// A job of another version or kind.
    pub fn from_value(job: Value) -> Result<Self> {
        serde_json::from_value(job).map_err(|why| {
            let message = format!("the job of the run cannot be read: {why}");
            Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
                .mend("give the workers the binary that the driver runs")
        })
    }

    /// Works on the run at `root`, for which `bake` was built from the arguments of this job.
    ///
    /// # Errors
    /// A plan that is another one here, a store that fails.
    pub fn work(&self, bake: &Bake, root: &Location, settings: &WorkerSettings) -> Result<WorkEnd> {
        let bake = &bake.clone().with_store(patient_worker(bake.store.clone()));
        let pipeline = self.pipeline(bake)?;
        let meeting_place = batch::RunStore::open(root, &bake.store)?;
        // Any batch runner compiles in the same way, whoever starts its workers.
        let compiler = BatchRunner::new(root, &StoreOptions::default(), BatchOptions::default());
        let graph = pipeline.compile_for(&compiler)?;
        let options = bake.run_options(&graph)?;
        let settings = WorkerSettings {
            binary: this_binary(),
            memory_bytes: options.memory_bytes,
            threads: bake.threads,
            ..settings.clone()
        };
        work(&meeting_place, &graph, &settings)
    }

    /// What a worker of a runner of Beam runs, for which `bake` was built from the arguments of this job.
    ///
    /// # Errors
    /// A plan that cannot be read here, a store that fails.
    pub fn graph(&self, bake: &Bake) -> Result<(StageGraph, RunOptions)> {
        let graph = self.pipeline(bake)?.compile_for(&BeamRunner::at(""))?;
        let options = bake.run_options(&graph)?.with_partition_count(WRITE_PARTITIONS);
        Ok((graph, options))
    }

    /// The pipeline of the part, built again.
    fn pipeline(&self, bake: &Bake) -> Result<Pipeline> {
        let run = RunStore::at(&Location::parse(&self.run)?, &bake.store)?;
        let plan: BakePlan = run.plan()?;
        let sources = self.sources.iter().map(|it| Location::parse(it)).collect::<Result<_>>()?;
        let scanned = ScannedBake::new(bake.clone(), sources, plan);
        Ok(match &self.part {
            Part::Write => scanned.pipeline(scanned.open(&run)?, run.done()?, &run).0.1,
            Part::Validate => {
                let unfinished = scanned.open(&run)?.target.unfinished()?;
                validating(scanned.look_at(unfinished).chunks()?).0
            }
            Part::Level { level, machine, commits } => {
                bake.level_pipeline(*level, *machine, &Location::parse(commits)?)?.pipeline
            }
        })
    }
}

impl Bake {
    /// Writes with workers elsewhere; memory and threads are those of each of them.
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.about.binary = workers.binary().map(str::to_owned);
        self.workers = Some(workers);
        self
    }

    /// Writes on a runner of Beam; memory and threads are those of each worker process.
    #[must_use]
    pub fn with_beam(mut self, beam: Beam) -> Self {
        self.beam = Some(beam);
        self
    }

    /// Whether other processes than this one may write.
    pub(super) fn has_other_writers(&self) -> bool {
        self.workers.is_some() || self.beam.is_some()
    }

    /// The name under which users choose who writes.
    pub(super) fn runner_name(&self) -> &'static str {
        name_of(self.workers.as_ref(), self.beam.as_ref())
    }

    /// Says which of the bakes of one command this is.
    #[must_use]
    pub fn with_place(mut self, place: usize) -> Self {
        self.place = place;
        self
    }

    /// The run that is gone on with as it is, and the units that were there when it began: one of
    /// workers that has no end yet, whose driver is gone.
    pub(super) fn take_up(
        &self,
        found: Option<&Resumption>,
    ) -> Result<Option<(RunStore, DoneUnits)>> {
        let (Some(Resumption::Continued(past)), Some(_)) = (found, &self.workers) else {
            return Ok(None);
        };
        let meeting_place = meeting_place(past.location());
        if !batch::RunStore::open(&meeting_place, &self.store)?.is_open()? {
            return Ok(None);
        }
        let run = RunStore::at(past.location(), &self.store)?;
        let done = run.done()?;
        Ok(Some((run, done)))
    }

    /// Sees to it that no worker of an earlier run is at work on the destination.
    pub(super) fn end_workers(&self, past: &PastRun) -> Result<()> {
        if !past.has_ended() {
            end_job(past.location(), &self.store)?;
        }
        let place = meeting_place(past.location());
        let (folders, _) = Objects::open(&place, &self.store)?.list_folder("")?;
        let parts = folders.iter().map(|name| name.trim_end_matches('/'));
        let parts = parts.filter(|name| is_part(name)).map(|name| place.join(name));
        for place in parts.chain([place.clone()]) {
            dispel(&batch::RunStore::open(&place, &self.store)?, DISPEL_PATIENCE)?;
        }
        Ok(())
    }

    /// Removes what workers have left of writes that were cut short: of those that were killed, others
    /// have written the same units, and nobody else looks after their remains.
    pub(super) fn sweep_after_workers(&self, destination: &Destination) -> Result<()> {
        if self.has_other_writers() { destination.sweep() } else { Ok(()) }
    }

    /// What does a part of a write that is recorded in `run`.
    pub(super) fn part_runner(
        &self,
        sources: &[Location],
        run: &RunStore,
        part: &Part,
        pipeline: &Pipeline,
    ) -> Result<Box<dyn Runner>> {
        if let Some(beam) = &self.beam {
            beam.check_reachable(sources.iter().chain([&self.destination]))?;
            let job = WriteJob::told(self, (beam.arguments(), sources), run, part)?;
            let place = (run.location(), part);
            return Ok(Box::new(beam.runner(place, &self.store, job, &self.cancel)?));
        }
        match &self.workers {
            Some(workers) if *part == Part::Write || workers.have_part_in(pipeline)? => {
                Ok(Box::new(workers.runner(self, sources, run, part)?))
            }
            _ => Ok(Box::new(self.runner())),
        }
    }
}

/// The name under which users choose who runs a job.
pub(super) fn name_of(workers: Option<&Workers>, beam: Option<&Beam>) -> &'static str {
    if beam.is_some() { "beam" } else { workers.map_or("direct", Workers::name) }
}

/// Refuses files of this machine, which workers elsewhere do not see.
///
/// # Errors
/// The first of them.
pub fn check_reachable<'a>(places: impl IntoIterator<Item = &'a Location>) -> Result<()> {
    let Some(local) = places.into_iter().find(|it| it.is_local_path().is_some()) else {
        return Ok(());
    };
    let message = "the workers see no files of this machine";
    Err(Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
        .at("file", local)
        .mend("put sources and destination into an object store, or use --runner procs"))
}

/// The folder of the logs of workers of this machine.
pub fn log_folder(destination: &str) -> PathBuf {
    let place = Location::parse(destination).and_then(|it| RunStore::folder(&it)).ok();
    let local = place.as_ref().and_then(Location::is_local_path).map(PathBuf::from);
    local.unwrap_or_else(|| std::env::temp_dir().join("levain-logs")).join("logs")
}
