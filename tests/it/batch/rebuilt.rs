//! Cases of the conformance suite with workers that are processes: each builds the pipelines of its case
//! again, works on the one whose fingerprint is that of the run, and runs those before it by itself.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use levain::batch::launch::{Launcher, ProcessLauncher};
use levain::batch::{BatchOptions, BatchRunner, RunStore, WorkerSettings, work};
use levain::dataflow::runner::{Capabilities, CompileOptions, JobObserver, NoObserver, StageGraph};
use levain::dataflow::testing::conformance::cases;
use levain::objects::{Location, StoreOptions};
use levain::prelude::*;
use serde_json::Value;

/// Names the case of a worker.
const CASE: &str = "LEVAIN_TEST_CASE";
/// Where the test of the workers stands.
const WORKER_TEST: &str = "batch::rebuilt::a_worker_of_a_case_builds_it_again";

/// Gives every pipeline of a case a run of its own, with two worker processes.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) case: &'static str,
    pub(super) place: String,
    pub(super) store: StoreOptions,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) count: AtomicUsize,
}

impl Rebuilt {
    pub(super) fn new(case: &'static str, place: String, logs: PathBuf) -> Self {
        let launcher = Arc::new(ProcessLauncher::new(logs));
        let (store, count) = (StoreOptions::default(), AtomicUsize::new(0));
        Self { case, place, store, launcher, count }
    }
}

impl Runner for Rebuilt {
    fn name(&self) -> &'static str {
        "batch"
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
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let root = Location::parse(&format!("{}/{}-{number}", self.place, self.case))?;
        let mut batch = BatchOptions::nearby();
        batch.max_workers = NonZeroU32::new(2).expect("not zero");
        batch.threads = NonZeroUsize::new(2).expect("not zero");
        batch.command = worker_command();
        batch.environment = BTreeMap::from([(CASE.to_owned(), self.case.to_owned())]);
        let runner = BatchRunner::new(&root, &self.store, batch);
        let runner = runner.with_launcher(Arc::clone(&self.launcher), Value::Null, None);
        runner.run(graph, options, observer)
    }
}

/// This binary as a worker.
fn worker_command() -> Vec<String> {
    let binary = std::env::current_exe().expect("a path");
    let words = [&*binary.to_string_lossy(), WORKER_TEST, "--exact", "--nocapture"];
    words.map(str::to_owned).to_vec()
}

/// Is a worker of the run of this fingerprint, and runs all else itself.
struct Within {
    store: RunStore,
    fingerprint: String,
    settings: WorkerSettings,
}

impl Runner for Within {
    fn name(&self) -> &'static str {
        "batch"
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
        if graph.fingerprint().to_string() != self.fingerprint {
            return DirectRunner::new().run(graph, options, observer);
        }
        work(&self.store, graph, &self.settings).expect("a worker works");
        std::process::exit(0)
    }
}

/// The worker: no test unless a driver has started it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a worker is told by its environment what to do")]
fn a_worker_of_a_case_builds_it_again() {
    let told = |name: &str| std::env::var(name).ok();
    let number = |name: &str| told(name).and_then(|text| text.parse().ok());
    let (Some(id), Some(root)) = (told(CASE), told("LEVAIN_RUN_URI")) else { return };
    let root = Location::parse(&root).expect("a location");
    let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
    let run = store.run_record().expect("a run");
    let settings = WorkerSettings {
        index: number(levain::batch::INDEX_VARIABLE).unwrap_or(0),
        attempt: number("AWS_BATCH_JOB_ATTEMPT").unwrap_or(1),
        slots: number("LEVAIN_SLOTS").unwrap_or(1),
        ..WorkerSettings::new(told("LEVAIN_JOB").expect("a job"), NonZeroUsize::MIN)
    };
    let within = Within { store, fingerprint: run.fingerprint, settings };
    if id == POISONED {
        poisoned().0.run(&within).expect("a worker does not see the end of its case");
        return;
    }
    let case = cases().find(|case| case.id == id).expect("a case");
    case.check(&within).expect("a worker does not see the end of its case");
}

/// Names the pipeline of which one task ends its worker.
const POISONED: &str = "poisoned";

/// Twenty elements, one of which no process survives.
fn poisoned() -> (Pipeline, Collected<i64>) {
    let pipeline = Pipeline::new();
    let elements = pipeline.apply(Create::of(0..20i64)).apply(Reshuffle);
    let survived = elements.apply(Map::of(|element: i64| {
        if element == 7 {
            std::process::abort();
        }
        element
    }));
    let survivors = survived.collect();
    (pipeline, survivors)
}

#[test]
fn a_task_that_ends_every_worker_is_named_and_the_others_are_done() {
    let folder = crate::made::Folder::new();
    let launcher = Arc::new(ProcessLauncher::new(folder.path("logs")));
    let mut batch = BatchOptions::nearby();
    batch.max_workers = NonZeroU32::new(2).expect("not zero");
    batch.threads = NonZeroUsize::MIN;
    batch.describe_ms = 50;
    batch.command = worker_command();
    batch.environment = BTreeMap::from([(CASE.to_owned(), POISONED.to_owned())]);
    let root = Location::parse(&folder.text("run")).expect("a path");
    let runner = BatchRunner::new(&root, &StoreOptions::default(), batch);
    let runner = runner.with_launcher(launcher, Value::Null, None);
    let options = RunOptions::default()
        .with_on_error(OnError::Continue)
        .with_partition_count(NonZeroUsize::new(20).expect("not zero"));
    let error = poisoned().0.run_with(&runner, &options, &NoObserver).expect_err("one task fails");
    assert_eq!(error.code(), ErrorCode::WORKERS_LOST, "{error}");
    assert!(error.place("steps").is_some_and(|steps| steps.contains("Map")), "{error}");
    let stage = error.place("stage").expect("the stage is named");
    let committed = crate::killing::file_count(&folder.path(&format!("run/c/{stage}")));
    let planned = std::fs::read(folder.path(&format!("run/p/{stage}.json"))).expect("a plan");
    let planned: Value = serde_json::from_slice(&planned).expect("JSON");
    let planned = planned["tasks"].as_array().expect("tasks").len();
    assert_eq!(committed, planned - 1, "all other tasks are done: {error}");
}
