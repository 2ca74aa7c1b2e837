//! The conformance suite on the batch runner: worker processes over files and on the emulator of AWS Batch,
//! threads over servers.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use dataflow::testing::s3_servers;
use levain::batch::aws::{AwsLauncher, BatchApi, BatchSettings, CallOptions};
use levain::batch::launch::Launcher;
use levain::batch::{BatchOptions, BatchRunner};
use levain::dataflow::runner::{Capabilities, CompileOptions, JobObserver, StageGraph};
use levain::dataflow::testing::conformance::{Case, cases};
use levain::objects::{AwsAccess, Location, Objects, StoreOptions};
use levain::prelude::*;
use serde_json::Value;

use super::rebuilt::Rebuilt;
use crate::aws::emulator::{Emulator, QUEUE};
use crate::command::say;
use crate::made::Folder;

/// Rows that look into the process in which their steps run, and so see nothing of other ones. Each
/// holds where workers are threads.
const SEEN_IN_PROCESS: [&str; 7] = ["CO13", "LC1", "LC2", "LC3", "LC5", "ME6", "PA1"];
/// Rows at once: most of a row is waiting.
const ROWS_AT_ONCE: usize = 3;

/// Checks rows, several at once, each on the runner that is made for it, and says which ones hold.
fn check(place: &str, rows: &[&'static Case], runner_of: impl Fn(&'static Case) -> Tested + Sync) {
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let (passed, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..ROWS_AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut outcome = case.check(&*runner_of(case));
                    // A server that was seen to break its promise proves nothing about the row.
                    if outcome.as_ref().is_err_and(breaks_promise) {
                        say(&format!("{place}: {} again: the store does not create once", case.id));
                        outcome = case.check(&*runner_of(case));
                    }
                    match outcome {
                        Ok(()) => passed.lock().expect("a lock").push(case.id),
                        Err(error) => {
                            failures.lock().expect("a lock").push(format!("{}: {error}", case.id));
                        }
                    }
                }
            });
        }
    });
    let mut passed = passed.into_inner().expect("a lock");
    let failures = failures.into_inner().expect("a lock");
    passed.sort_unstable();
    let seconds = began.elapsed().as_secs();
    say(&format!("{place}: {} rows hold, in {seconds} s: {}", passed.len(), passed.join(" ")));
    assert!(failures.is_empty(), "{place}:\n{}", failures.join("\n\n"));
}

type Tested = Box<dyn Runner>;

/// Whether the probe of a run has found that a key had two winners, as it does now and then on moto.
fn breaks_promise(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported
        && error.message().contains("does not create objects once")
}

/// Every row where `LEVAIN_TEST_WHOLE` is set, else one in so many: what differs is the place, not the row.
#[expect(clippy::disallowed_methods, reason = "how much is tested is told by the environment")]
fn drawn(one_in: usize) -> impl Iterator<Item = &'static Case> {
    cases().step_by(if std::env::var("LEVAIN_TEST_WHOLE").is_ok() { 1 } else { one_in })
}

fn beyond_processes(case: &&'static Case) -> bool {
    !SEEN_IN_PROCESS.contains(&case.id)
}

#[test]
fn rows_hold_on_worker_processes_over_files() {
    let folder = Folder::new();
    let rows = cases().filter(beyond_processes).collect::<Vec<_>>();
    check("worker processes over files", &rows, |case| {
        Box::new(Rebuilt::new(case.id, folder.text("runs"), folder.path("logs")))
    });
}

/// A launcher whose jobs are processes of an emulator.
fn launcher(emulator: &Emulator) -> Arc<dyn Launcher> {
    let settings = BatchSettings {
        queue: vec![QUEUE.to_owned()],
        image: Some("levain:tests".to_owned()),
        register_job_definition: true,
        region: Some("us-east-1".to_owned()),
        endpoint: Some(emulator.url()),
        requests_per_second: 1000.0,
        ..BatchSettings::default()
    };
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let access = AwsAccess::of_variables(&keys);
    let api = BatchApi::with_access(access, &settings, CallOptions::default().of_run());
    Arc::new(AwsLauncher::new(api.expect("a region"), settings).expect("settings"))
}

#[test]
fn rows_hold_on_the_emulator_of_aws_batch_over_files() {
    let Some(emulator) = Emulator::start(&["--fast"]) else { return };
    let (folder, launcher) = (Folder::new(), launcher(&emulator));
    let rows = drawn(6).filter(beyond_processes).collect::<Vec<_>>();
    check("emulator of AWS Batch over files", &rows, |case| {
        let mut rebuilt = Rebuilt::new(case.id, folder.text("runs"), folder.path("logs"));
        rebuilt.launcher = Arc::clone(&launcher);
        Box::new(rebuilt)
    });
    say(&format!("calls: {:?}", emulator.calls()));
}

#[test]
fn rows_hold_on_the_emulator_of_aws_batch_over_two_s3_servers() {
    for (server, endpoint) in s3_servers() {
        let variables = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        let Some(emulator) = Emulator::start_with(&["--fast"], &variables) else { return };
        let (bucket, launcher) = (Bucket::open("emulated", server, &endpoint), launcher(&emulator));
        let folder = Folder::new();
        let rows = drawn(24).filter(beyond_processes).collect::<Vec<_>>();
        check(&format!("emulator of AWS Batch over {server}"), &rows, |case| {
            let mut rebuilt = Rebuilt::new(case.id, bucket.place.clone(), folder.path("logs"));
            rebuilt.launcher = Arc::clone(&launcher);
            rebuilt.store = bucket.store.clone();
            Box::new(rebuilt)
        });
    }
}

/// A part of the bucket of a server.
#[derive(Debug)]
struct Bucket {
    place: String,
    store: StoreOptions,
    objects: Objects,
}

impl Bucket {
    fn open(name: &str, server: &str, endpoint: &str) -> Self {
        let store = StoreOptions::default()
            .with_endpoint(endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let place = format!("s3://levain-test/conformance/{name}-{}", server.to_lowercase());
        let root = Location::parse(&place).expect("a location");
        let objects = Objects::open(&root, &store).expect("a store");
        objects.delete_all("").expect("what an earlier test left can be deleted");
        Self { place, store, objects }
    }
}

/// Gives each pipeline a run of its own in a store, on threads as workers.
#[derive(Debug, Clone)]
struct Served {
    bucket: Arc<Bucket>,
    run_count: Arc<AtomicUsize>,
    /// What all runs have asked of the store.
    requests: Arc<AtomicU64>,
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
        let run = self.run_count.fetch_add(1, Ordering::Relaxed).to_string();
        let root = Location::parse(&format!("{}/{run}", self.bucket.place))?;
        let mut batch = BatchOptions::nearby();
        batch.max_workers = NonZeroU32::new(2).expect("not zero");
        batch.threads = NonZeroUsize::new(2).expect("not zero");
        let outcome =
            BatchRunner::new(&root, &self.bucket.store, batch).run(graph, options, observer);
        let asked = self.bucket.objects.try_get(&format!("{run}/requests.json"))?;
        let asked: Value = serde_json::from_slice(&asked.unwrap_or_default()).unwrap_or_default();
        for who in ["driver", "workers"] {
            let kinds = ["puts", "gets", "lists", "deletes"];
            let count = kinds.map(|kind| asked[who][kind].as_u64().unwrap_or(0)).iter().sum();
            self.requests.fetch_add(count, Ordering::Relaxed);
        }
        // Servers that are made for tests look at all their objects for each list.
        self.bucket.objects.delete_all(&run)?;
        outcome
    }
}

#[test]
fn the_suite_holds_over_two_s3_servers() {
    for (server, endpoint) in s3_servers() {
        let bucket = Arc::new(Bucket::open("threads", server, &endpoint));
        let (run_count, requests) = (Arc::default(), Arc::default());
        let served = Served { bucket, run_count, requests };
        check(&format!("threads over {server}"), &drawn(4).collect::<Vec<_>>(), |_| {
            Box::new(served.clone())
        });
        let runs = served.run_count.load(Ordering::Relaxed);
        let requests = served.requests.load(Ordering::Relaxed);
        say(&format!("{runs} runs, {requests} requests"));
    }
}
