//! The conformance suite on the batch runner: worker processes over files, threads over servers.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};

use dataflow::testing::s3_servers;
use levain::batch::{BatchOptions, BatchRunner};
use levain::dataflow::runner::{Capabilities, CompileOptions, JobObserver, StageGraph};
use levain::dataflow::testing::conformance::cases;
use levain::objects::{Location, Objects, StoreOptions};
use levain::prelude::*;

use super::rebuilt::Rebuilt;
use crate::made::Folder;

/// Rows that look into the process in which their steps run, and so see nothing of other ones. Each
/// holds where workers are threads.
const SEEN_IN_PROCESS: [&str; 7] = ["CO13", "LC1", "LC2", "LC3", "LC5", "ME6", "PA1"];

#[test]
fn rows_hold_on_worker_processes_over_files() {
    let folder = Folder::new();
    let (mut passed, mut failures) = (0, Vec::new());
    for case in cases().filter(|case| !SEEN_IN_PROCESS.contains(&case.id)) {
        let runner = Rebuilt::new(case.id, folder.text("runs"), folder.path("logs"));
        match case.check(&runner) {
            Ok(()) => passed += 1,
            Err(error) => failures.push(format!("{}: {error}", case.id)),
        }
    }
    println!("batch, worker processes over files: {passed} rows hold");
    assert!(failures.is_empty(), "{} rows do not hold:\n{}", failures.len(), failures.join("\n\n"));
}

/// Gives each pipeline a run of its own in a store, on threads as workers.
#[derive(Debug)]
struct Served {
    place: String,
    store: StoreOptions,
    count: AtomicUsize,
}

impl Runner for Served {
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
        let root = Location::parse(&format!("{}/{number}", self.place))?;
        let mut batch = BatchOptions::nearby();
        batch.max_workers = NonZeroU32::new(2).expect("not zero");
        batch.threads = NonZeroUsize::new(2).expect("not zero");
        BatchRunner::new(&root, &self.store, batch).run(graph, options, observer)
    }
}

/// Every row where `LEVAIN_TEST_WHOLE` is set, which takes a quarter of an hour, else one in twelve: what
/// differs is the store, not the row.
#[test]
#[expect(clippy::disallowed_methods, reason = "how much is tested is told by the environment")]
fn the_suite_holds_over_two_s3_servers() {
    let one_in = if std::env::var("LEVAIN_TEST_WHOLE").is_ok() { 1 } else { 12 };
    for (server, endpoint) in s3_servers() {
        let store = StoreOptions::default()
            .with_endpoint(&endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let place = format!("s3://levain-test/conformance-{}", server.to_lowercase());
        let root = Location::parse(&place).expect("a location");
        let bucket = Objects::open(&root, &store).expect("a store");
        bucket.delete_all("").expect("what an earlier test left can be deleted");
        let runner = Served { place, store, count: AtomicUsize::new(0) };
        let (mut passed, mut failures) = (0, Vec::new());
        for case in cases().step_by(one_in) {
            match case.check(&runner) {
                Ok(()) => passed += 1,
                Err(error) => failures.push(format!("{}: {error}", case.id)),
            }
        }
        assert!(failures.is_empty(), "{server}:\n{}", failures.join("\n"));
        println!("batch over {server}: {passed} rows hold");
    }
}
