//! Pipelines on workers that are threads, over stores in memory and in folders.

mod coming_and_going;
mod crew;
mod launching;
mod requests;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};

use dataflow::error::{ErrorCode, Result};
use dataflow::options::RunOptions;
use dataflow::plan::{CompileOptions, StageGraph};
use dataflow::prelude::{Create, GroupByKey, Pipeline, Reshuffle};
use dataflow::runner::{Capabilities, JobObserver, JobReport, NoObserver, Runner};
use dataflow::testing::conformance::{Matrix, Outcome};
use objects::{Location, StoreOptions};

use crate::{BatchOptions, BatchRunner, RunStore, WorkerSettings, work};

/// Gives each run a store of its own.
struct Afresh {
    place: String,
    workers: u32,
    merge_above: u64,
    count: AtomicUsize,
}

impl Afresh {
    fn new(place: impl Into<String>, workers: u32) -> Self {
        let (count, merge_above) = (AtomicUsize::new(0), BatchOptions::default().merge_above);
        Self { place: place.into(), workers, merge_above, count }
    }

    fn next(&self) -> Result<BatchRunner> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let root = Location::parse(&format!("{}/{number:04}", self.place))?;
        let mut options = BatchOptions::nearby();
        options.max_workers = NonZeroU32::new(self.workers).expect("not zero");
        options.threads = NonZeroUsize::new(2).expect("not zero");
        options.look_ms = (1, 20);
        options.merge_above = self.merge_above;
        Ok(BatchRunner::new(&root, &StoreOptions::default(), options))
    }
}

impl Runner for Afresh {
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
        self.next()?.run(graph, options, observer)
    }
}

#[track_caller]
fn check(runner: &Afresh) {
    let matrix = Matrix::of(&[runner]);
    let failed: Vec<String> = matrix.runners[0]
        .outcomes
        .iter()
        .filter_map(|(id, _, outcome)| match outcome {
            Outcome::Failed(error) => Some(format!("{id}: {error}")),
            _ => None,
        })
        .collect();
    assert!(failed.is_empty(), "{} rows do not hold:\n{}", failed.len(), failed.join("\n\n"));
}

#[test]
fn the_conformance_suite_holds_on_three_workers_over_memory() {
    check(&Afresh::new("memory://batch-conformance", 3));
}

#[test]
fn the_conformance_suite_holds_where_every_shuffle_has_two_levels() {
    let mut runner = Afresh::new("memory://batch-two-levels", 2);
    runner.merge_above = 0;
    check(&runner);
}

#[test]
fn the_conformance_suite_holds_on_one_worker_over_files() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    check(&Afresh::new(folder.path().to_string_lossy(), 1));
}

#[test]
fn a_worker_of_another_pipeline_names_plans_and_binaries() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = Location::parse(&folder.path().to_string_lossy()).expect("a path");
    let store = StoreOptions::default();
    let runner = BatchRunner::new(&root, &store, BatchOptions::nearby());
    let grouped = Pipeline::new();
    grouped.apply(Create::of([(1i64, 2i64)])).apply(GroupByKey);
    grouped.run_with(&runner, &RunOptions::default(), &NoObserver).expect("it runs");
    let other = Pipeline::new();
    other.apply(Create::of([(1i64, 2i64)])).apply(Reshuffle);
    let graph = other.compile_for(&runner).expect("a plan");
    let mut settings = WorkerSettings::new("job", NonZeroUsize::MIN);
    settings.binary = Some("1.1 xxh3:bb".to_owned());
    let met = RunStore::open(&root, &store).expect("a store");
    let mut record = met.run_record().expect("a run");
    record.binary = Some("1.0 xxh3:aa".to_owned());
    met.put("run.json", &record).expect("a store");
    let error = work(&met, &graph, &settings).expect_err("it is another pipeline");
    assert_eq!(error.code(), ErrorCode::FINGERPRINT);
    let place = |role: &str| error.place(role).unwrap_or_default().to_owned();
    let want = grouped.compile_for(&runner).expect("a plan").fingerprint().to_string();
    assert_eq!(place("driver"), format!("plan {want}, binary 1.0 xxh3:aa"));
    assert_eq!(place("worker"), format!("plan {}, binary 1.1 xxh3:bb", graph.fingerprint()));
}
