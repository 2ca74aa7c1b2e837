//! A pipeline of one's own, run with records: on threads of this process, or by workers that build it
//! again.
//!
//! What a bake has, for any pipeline: a folder for each run with what was asked, the plan, the report and,
//! where workers meet, what they have committed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use ::beam::BeamRunner;
use batch::{BatchOptions, BatchRunner, WorkEnd, WorkerSettings, dispel, work};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use dataflow::metrics::Metrics;
use dataflow::options::{OnError, Retries, RunOptions};
use dataflow::pipeline::Pipeline;
use dataflow::plan::{CompileOptions, StageGraph};
use dataflow::runner::{JobObserver, JobReport, Runner};
use direct::DirectRunner;
use objects::{Location, StoreOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::job::about::RunAbout;
use crate::job::beam::{Beam, end_job};
use crate::job::history::Run;
use crate::job::memory::{MemoryLimit, check_enough};
use crate::job::pipeline_report::Telling;
use crate::job::process::this_binary;
use crate::job::reporting::{Ended, RunPlace};
use crate::job::run_store::{End, RunStore};
use crate::job::workers::{DISPEL_PATIENCE, Part, Workers, meeting_place, name_of};
use crate::report::{Recorded, Recorder, RunState};

/// The version of the form of a plan.
pub const PLAN_VERSION: u32 = 1;
/// What was asked of a recipe.
const RECIPE: &str = "recipe.json";

/// A pipeline that runs with records, as a bake does.
///
/// Runs lie in `<place>/<name>.levain/`, each in a folder of its own.
#[derive(Debug, Clone)]
pub struct PipelineRun {
    pub(super) name: String,
    pipeline: Pipeline,
    place: Location,
    pub(super) asked: RecipeRecord,
    store: StoreOptions,
    pub(super) about: RunAbout,
    pub(super) memory: MemoryLimit,
    pub(super) threads: NonZeroUsize,
    scratch_folder: Option<PathBuf>,
    on_error: OnError,
    retries: Retries,
    cancel: CancelToken,
    pub(super) workers: Option<Workers>,
    beam: Option<Beam>,
}

/// What a recipe was asked for: enough to build its pipeline again, in workers and when a run is gone on
/// with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecipeRecord {
    /// The version of this form.
    pub v: u32,
    /// The name of the recipe.
    pub recipe: String,
    /// Its own options, as JSON.
    pub options: Value,
    /// The words of the command line, without the program.
    #[serde(default)]
    pub words: Vec<String>,
    /// The settings that hold, as `KEY=VALUE`.
    #[serde(default)]
    pub settings: Vec<String>,
}

impl RecipeRecord {
    /// The version of its form.
    pub const VERSION: u32 = 1;

    /// What the run in this folder was asked for.
    ///
    /// # Errors
    /// A run of no recipe, one of another version, a store that fails.
    pub fn read(run: &Location, store: &StoreOptions) -> Result<Self> {
        let objects = objects::Objects::open(run, store)?;
        let Some(body) = objects.try_get(RECIPE)? else {
            let message = "the run is none of a recipe";
            return Err(Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
                .at("run", run)
                .mend("name a run of this recipe"));
        };
        let value = serde_json::from_slice(&body).map_err(|why| why.to_string());
        Self::of(value).map_err(|error| error.at("run", run))
    }

    /// What the job of a run of workers says.
    ///
    /// # Errors
    /// A job of another kind or version.
    pub fn from_job(job: Value) -> Result<Self> {
        Self::of(Ok(job))
    }

    /// This, or nothing but the name where options, words or settings hold a secret: what lies in the
    /// folder of a run may be read by others.
    fn without_secrets(&self) -> Result<Self> {
        let text = serde_json::to_string(self)
            .map_err(|why| Error::internal(format!("options have no JSON: {why}")))?;
        if redact(&text) == text {
            return Ok(self.clone());
        }
        let (v, recipe) = (self.v, self.recipe.clone());
        Ok(Self { v, recipe, ..Self::default() })
    }

    fn of(value: std::result::Result<Value, String>) -> Result<Self> {
        let read: std::result::Result<Self, String> =
            value.and_then(|value| serde_json::from_value(value).map_err(|why| why.to_string()));
        let why = match read {
            Ok(record) if record.v == Self::VERSION => return Ok(record),
            Ok(record) => {
                format!("it has version {}, this program reads {}", record.v, Self::VERSION)
            }
            Err(why) => why,
        };
        let message = format!("what the recipe was asked for cannot be read: {why}");
        Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
            .mend("use the binary that has begun the run"))
    }
}

/// What a finished run of a pipeline says.
#[derive(Debug, Clone)]
pub struct PipelineReport {
    /// The identity of the pipeline.
    pub fingerprint: String,
    /// Where the records of the run lie.
    pub run: RunPlace,
    /// The numbers and results of the run; nothing if it had succeeded before.
    pub job: Option<JobReport>,
    /// What became of the request to go on with a run, in a sentence, if there was one.
    pub resumed: Option<String>,
}

impl PipelineReport {
    /// The numbers of all steps; empty for a run that had succeeded before.
    pub fn metrics(&self) -> Metrics {
        self.job.as_ref().map(|job| job.metrics.clone()).unwrap_or_default()
    }

    /// Elements that were left out, where that was allowed.
    pub fn quarantined(&self) -> u64 {
        self.job.as_ref().map_or(0, |job| job.failures.count())
    }
}

impl PipelineRun {
    /// Runs of this name, whose records lie below `place`.
    ///
    /// `name` is part of names of folders: letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// A name with other signs.
    pub fn new(name: &str, pipeline: Pipeline, place: &Location) -> Result<Self> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            pipeline,
            place: place.clone(),
            asked: RecipeRecord {
                v: RecipeRecord::VERSION,
                recipe: name.to_owned(),
                ..RecipeRecord::default()
            },
            store: StoreOptions::default(),
            about: RunAbout::default(),
            memory: MemoryLimit::of_machine(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            scratch_folder: None,
            on_error: OnError::Stop,
            retries: Retries::default(),
            cancel: CancelToken::default(),
            workers: None,
            beam: None,
        })
    }

    /// Sets what the recipe was asked for, from which workers build the pipeline again.
    #[must_use]
    pub fn with_asked(mut self, asked: RecipeRecord) -> Self {
        self.asked = asked;
        self
    }

    /// Says how stores are reached.
    #[must_use]
    pub fn with_store(mut self, store: StoreOptions) -> Self {
        self.store = store;
        self
    }

    /// Says what the records of the run tell of its start.
    #[must_use]
    pub fn with_about(mut self, about: RunAbout) -> Self {
        self.about = about;
        self
    }

    /// Sets the greatest resident memory; that of each worker, where there are some.
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryLimit) -> Self {
        self.memory = memory;
        self
    }

    /// Sets the threads that compute; those of each worker, where there are some.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the folder under which spilled data goes.
    #[must_use]
    pub fn with_scratch_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch_folder = Some(folder.into());
        self
    }

    /// Sets what is done about bundles and elements that fail.
    #[must_use]
    pub fn with_on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Sets how often is tried again what fails in passing.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Stops when this token is cancelled.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Runs with workers elsewhere, which build the same pipeline from what the recipe was asked for.
    #[must_use]
    pub fn with_workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Runs on a runner of Beam, whose workers build the same pipeline from what the recipe was asked for.
    #[must_use]
    pub fn with_beam(mut self, beam: Beam) -> Self {
        self.beam = Some(beam);
        self
    }

    /// The name under which users choose who runs it.
    pub(super) fn runner_name(&self) -> &'static str {
        name_of(self.workers.as_ref(), self.beam.as_ref())
    }

    /// The folder of all runs of this name.
    pub fn folder_of(place: &Location, name: &str) -> Location {
        place.join(&format!("{name}.levain"))
    }

    /// The plan: its stages, for the runner that was chosen.
    ///
    /// # Errors
    /// A mistake of the recipe, or a step that needs more than runners offer.
    pub fn plan(&self) -> Result<StageGraph> {
        let graph = self.pipeline.compile_for(&self.direct_runner())?;
        self.beam.as_ref().map_or(Ok(()), |beam| beam.check(&graph))?;
        Ok(graph)
    }

    /// What a worker of a runner of Beam runs of this pipeline.
    ///
    /// # Errors
    /// A mistake of the recipe, or too little memory.
    pub fn graph_for_beam(&self) -> Result<(StageGraph, RunOptions)> {
        let graph = self.pipeline.compile_for(&BeamRunner::at(""))?;
        let options = self.run_options(&graph)?;
        Ok((graph, options))
    }

    /// Runs the pipeline, as a new run.
    ///
    /// # Errors
    /// A mistake of the recipe, or whatever makes the run fail.
    pub fn run(&self, observer: &dyn JobObserver) -> Result<PipelineReport> {
        let run = RunStore::new(&self.place.join(&self.name), &self.store)?;
        self.run_in(&run, None, observer)
    }

    /// Goes on with a run of this pipeline that has failed, was stopped or killed.
    ///
    /// What its workers have committed stays. A run of one process keeps nothing to go on with: it is run
    /// anew. Of a run that has succeeded nothing is done.
    ///
    /// # Errors
    /// A run of another pipeline or binary, or whatever makes the run fail.
    pub fn resume(&self, past: &Run, observer: &dyn JobObserver) -> Result<PipelineReport> {
        let folder = &past.summary.folder;
        if past.summary.state == Some(RunState::Succeeded) {
            return Ok(PipelineReport {
                fingerprint: self.plan()?.fingerprint().to_string(),
                run: RunPlace {
                    id: past.summary.id.clone(),
                    folder: folder.to_string(),
                    unreported: None,
                },
                job: None,
                resumed: Some(format!("the run {} has succeeded already", past.summary.id)),
            });
        }
        let store = batch::RunStore::open(&meeting_place(folder), &self.store)?;
        if self.workers.is_some() && store.reopen()? {
            let run = RunStore::at(folder, &self.store)?;
            let note = format!("goes on with the run {}", past.summary.id);
            // It is compiled as it was: how is part of what its workers have been told.
            let own = self.clone().with_on_error(store.run_record()?.options.on_error);
            return own.run_in(&run, Some(note), observer);
        }
        dispel(&store, DISPEL_PATIENCE)?;
        if past.summary.state.is_none() {
            end_job(folder, &self.store)?;
        }
        let report = self.run(observer)?;
        let note = format!("of the run {} nothing was kept to go on with", past.summary.id);
        Ok(PipelineReport { resumed: Some(note), ..report })
    }

    /// Works on the run at `root`, whose pipeline this is.
    ///
    /// # Errors
    /// A plan or a binary that is another one here, a store that fails.
    pub fn work(&self, root: &Location, settings: &WorkerSettings) -> Result<WorkEnd> {
        let store = batch::RunStore::open(root, &self.store)?;
        let policy = store.run_record()?.options.on_error;
        // Any batch runner compiles in the same way, whoever starts its workers.
        let compiler = BatchRunner::new(root, &self.store, BatchOptions::default());
        let compiler = compiler.with_compile_options(compile_options(policy));
        let graph = self.pipeline.compile_for(&compiler)?;
        let settings = WorkerSettings {
            binary: this_binary(),
            memory_bytes: self.run_options(&graph)?.memory_bytes,
            scratch_folder: self.scratch_folder.clone(),
            threads: self.threads,
            ..settings.clone()
        };
        work(&store, &graph, &settings)
    }

    fn direct_runner(&self) -> DirectRunner {
        DirectRunner::new()
            .with_threads(self.threads)
            .with_cancel(self.cancel.clone())
            .with_compile_options(compile_options(self.on_error))
    }

    fn runner(&self, run: &RunStore) -> Result<Box<dyn Runner>> {
        let job = serde_json::to_value(&self.asked)
            .map_err(|why| Error::internal(format!("a job has no JSON: {why}")))?;
        if let Some(beam) = &self.beam {
            let place = (run.location(), &Part::Write);
            return Ok(Box::new(beam.runner(place, &self.store, job, &self.cancel)?));
        }
        let Some(workers) = &self.workers else { return Ok(Box::new(self.direct_runner())) };
        let runner =
            workers.runner_of((run.location(), &Part::Write), &self.store, self.threads, job)?;
        let runner = runner.with_compile_options(compile_options(self.on_error));
        Ok(Box::new(runner.with_cancel(self.cancel.clone())))
    }

    fn run_options(&self, graph: &StageGraph) -> Result<RunOptions> {
        let accounted_bytes = self.memory.accounted_bytes()?;
        check_enough(self.memory, accounted_bytes, DirectRunner::least_memory_bytes(graph))?;
        let mut options = RunOptions::default().with_memory_bytes(accounted_bytes);
        options.scratch_folder.clone_from(&self.scratch_folder);
        Ok(options.with_on_error(self.on_error).with_retries(self.retries.clone()))
    }

    /// Runs in a folder of records: a new one, or that of a run that is gone on with, as `resumed` says.
    fn run_in(
        &self,
        run: &RunStore,
        resumed: Option<String>,
        observer: &dyn JobObserver,
    ) -> Result<PipelineReport> {
        let runner = self.runner(run)?;
        let graph = self.pipeline.compile_for(runner.as_ref())?;
        let fingerprint = graph.fingerprint().to_string();
        let options = self.run_options(&graph)?;
        let recorder = Recorder::new(crate::job::now_ms());
        let telling = Telling::new(self, run, &recorder);
        if resumed.is_none() {
            run.put_document(RECIPE, &self.asked.without_secrets()?)?;
            run.put_plan(&plan_json(&graph))?;
            let about = RunAbout { binary: this_binary(), ..self.about.clone() };
            run.begin(&self.place.join(&self.name), &fingerprint, &about)?;
        } else {
            run.reopen()?;
        }
        let observer = Recorded { observer, recorder: &recorder };
        match runner.run(&graph, &options, &observer) {
            Ok(job) => {
                run.end(End { state: "SUCCEEDED", error: None, has_remains: false })?;
                let told = telling.tell(Ended::Well { job: &job, note: resumed.as_deref() });
                Ok(PipelineReport { fingerprint, run: told, job: Some(job), resumed })
            }
            // The run is in other hands.
            Err(error) if error.code() == ErrorCode::LOCKED => Err(error),
            Err(error) => {
                let is_stopped = error.kind() == ErrorKind::Cancelled;
                let state = if is_stopped { "CANCELLED" } else { "FAILED" };
                // A full disk takes no record either; the error that matters is the first one.
                drop(run.end(End { state, error: Some(&error), has_remains: false }));
                Err(telling.tell_failure(error))
            }
        }
    }
}

/// Quarantine leaves groups out whole, so nothing may be combined before it is grouped.
fn compile_options(policy: OnError) -> CompileOptions {
    CompileOptions { fuse: true, lift: !matches!(policy, OnError::Quarantine { .. }) }
}

/// A plan as JSON, for others: `docs/schemas/plan.schema.json`.
pub fn plan_json(graph: &StageGraph) -> Value {
    let stages = graph.stages().iter().map(|stage| {
        let steps = stage.members.iter().map(|&node| {
            let step = &graph.steps()[node.0 as usize];
            step.name.as_str()
        });
        let edge = |id: &dataflow::shuffle::EdgeId| id.to_string();
        json!({
            "stage": stage.id.to_string(),
            "after": stage.after.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reads": stage.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "leaves": stage.outputs.iter().map(edge).collect::<Vec<_>>(),
            "task_bytes": stage.working_bytes,
        })
    });
    let (fingerprint, stages) = (graph.fingerprint().to_string(), stages.collect::<Vec<_>>());
    json!({ "v": PLAN_VERSION, "fingerprint": fingerprint, "stages": stages })
}

fn check_name(name: &str) -> Result<()> {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_sign) {
        return Ok(());
    }
    let message = format!("`{name}` is no name of runs");
    Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
        .mend("use letters, digits, `-`, `_` and `.`: --name word_count"))
}

#[cfg(test)]
mod tests {
    use basic::Count;
    use dataflow::prelude::{Create, Pipeline};

    use super::*;

    #[test]
    fn the_form_of_a_plan_is_as_it_was() {
        let pipeline = Pipeline::new();
        let words = pipeline.apply(Create::of(["to".to_owned(), "be".to_owned()]));
        words.apply(Count::per_element());
        let place = Location::parse("memory://plans").expect("a location");
        let run = PipelineRun::new("words", pipeline, &place).expect("a name");
        let plan = serde_json::to_string_pretty(&plan_json(&run.plan().expect("a plan")));
        let want = include_str!("plan.v1.json").trim_end();
        assert_eq!(plan.expect("JSON"), want, "the form has changed: that needs a new version");
    }

    #[test]
    fn names_of_runs_are_plain() {
        for name in ["words", "a-b_c.1"] {
            check_name(name).expect(name);
        }
        for name in ["", "a/b", ".hidden", "a b", "..", "ä"] {
            check_name(name).expect_err(name);
        }
    }

    #[test]
    fn what_holds_a_secret_is_not_kept() {
        let mut asked =
            RecipeRecord { v: 1, recipe: "words".to_owned(), ..RecipeRecord::default() };
        asked.options = json!({ "files": ["s3://texts/a"] });
        assert_eq!(asked.without_secrets().expect("JSON"), asked);
        asked.options = json!({ "files": ["https://host/a?token=geheim"] });
        let kept = asked.without_secrets().expect("JSON");
        assert_eq!((kept.options, kept.recipe.as_str()), (Value::Null, "words"));
        let newer = json!({ "v": 2, "recipe": "words", "options": {} });
        let refused = RecipeRecord::from_job(newer).expect_err("another version");
        assert_eq!(refused.code(), ErrorCode::FINGERPRINT);
    }
}
