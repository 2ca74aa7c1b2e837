//! Workers that are told what to do by the runner, as those of other processes are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::unbounded;
use dataflow::blob::{BlobStore, ScratchBlobs};
use dataflow::cancel::CancelToken;
use dataflow::options::RunOptions;
use dataflow::prelude::*;
use dataflow::shuffle::Scratch;
use dataflow::testing::{each, map};
use tokio::runtime::Runtime;

use super::Sum;
use super::fake::{FakeRunner, Mischief};
use crate::pool::Pool;
use crate::runner::start_runtime;
use crate::shared::Handover;
use crate::{BeamRunner, BeamWorker, SharedStore, WorkerEnvironment, WorkerFlags, dismiss};

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all share, in memory.
#[derive(Debug)]
struct Shared {
    kept: Mutex<BTreeMap<String, Bytes>>,
    /// How many names there ever were.
    put_count: Mutex<usize>,
    blobs: Arc<ScratchBlobs>,
}

impl Shared {
    fn new() -> Arc<Self> {
        let blobs = Arc::new(ScratchBlobs::new(Scratch::default()));
        Arc::new(Self { kept: Mutex::default(), put_count: Mutex::default(), blobs })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedStore for Shared {
    fn put(&self, name: &str, body: Bytes) -> Result<()> {
        *self.put_count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.lock().insert(name.to_owned(), body);
        Ok(())
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let folder = format!("{folder}/");
        Ok(self.lock().keys().filter(|name| name.starts_with(&folder)).cloned().collect())
    }

    fn get(&self, name: &str) -> Result<Bytes> {
        let found = self.lock().get(name).cloned();
        found.ok_or_else(|| Error::internal(format!("there is no `{name}`")))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.blobs) as Arc<dyn BlobStore>
    }

    fn clear(&self) -> Result<()> {
        self.lock().clear();
        Ok(())
    }
}

/// Numbers below `text`, squared and summed by whether they are even.
fn squares(text: &str) -> (Pipeline, Collected<(bool, i64)>) {
    let pipeline = Pipeline::new();
    let count: i64 = text.parse().expect("tests tell numbers");
    let numbers = pipeline.apply(Create::of(0..count));
    let squares = numbers.apply_named("Square", map(|n: i64| (n % 2 == 0, n * n)));
    let sums = squares.apply_named("Sum", CombinePerKey::of(Sum)).collect();
    (pipeline, sums)
}

/// A pool whose workers do this with what they are told.
struct Workers {
    pool: Pool,
    runtime: Option<Runtime>,
}

impl Workers {
    fn start(work: impl Fn(BeamWorker) -> Result<()> + Clone + Send + Sync + 'static) -> Self {
        let runtime = start_runtime().expect("threads");
        let start = move |endpoints| {
            let flags = WorkerFlags::of(endpoints)?;
            let work = work.clone();
            std::thread::spawn(move || {
                let worker = BeamWorker::open(&flags, &CancelToken::default());
                // What becomes of a worker, its runner tells.
                drop(worker.and_then(work));
            });
            Ok(())
        };
        let pool = Pool::open(runtime.handle(), "127.0.0.1:0", start).expect("a port");
        Self { pool, runtime: Some(runtime) }
    }

    fn runner(&self, fake: &FakeRunner, job: &str, shared: &Arc<Shared>) -> BeamRunner {
        let environment = WorkerEnvironment::External(self.pool.address().to_owned());
        let shared = Arc::clone(shared) as Arc<dyn SharedStore>;
        BeamRunner::at(&fake.endpoint).with_environment(environment, job, shared)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Works with the pipeline that the job tells, where `more` is added to what it says.
fn work(worker: BeamWorker, shared: &Arc<Shared>, more: &str) -> Result<()> {
    let (pipeline, _) = squares(&format!("{}{more}", worker.job()));
    let graph = pipeline.compile_for(&BeamRunner::at(""))?;
    let shared = Arc::clone(shared) as Arc<dyn SharedStore>;
    worker.serve(&graph, &RunOptions::default(), &shared)
}

#[test]
fn results_of_workers_elsewhere_come_back_through_what_all_share() {
    let (fake, shared) = (FakeRunner::start(Mischief::None), Shared::new());
    let own = Arc::clone(&shared);
    let workers = Workers::start(move |worker| work(worker, &own, ""));
    let (pipeline, sums) = squares("10");
    let report = pipeline.run(&workers.runner(&fake, "10", &shared)).expect("it runs");
    let sums: BTreeMap<bool, i64> = report.get(&sums).expect("asked for").iter().collect();
    assert_eq!(sums, [(true, 4 + 16 + 36 + 64), (false, 1 + 9 + 25 + 49 + 81)].into());
    let squared = report.metrics.elements.iter().find(|(key, _)| key.step == "Square");
    assert_eq!(squared.map(|(_, count)| *count), Some(10), "numbers come by the runner");
    assert!(*shared.put_count.lock().expect("nobody panicked") > 0, "workers have put results");
    assert!(shared.lock().is_empty(), "nothing is left when the job is over");
}

#[test]
fn a_worker_of_another_recipe_is_refused_with_both_fingerprints() {
    let (fake, shared) = (FakeRunner::start(Mischief::None), Shared::new());
    let own = Arc::clone(&shared);
    let workers = Workers::start(move |worker| work(worker, &own, "0"));
    let (pipeline, _) = squares("10");
    let runner = workers.runner(&fake, "10", &shared);
    let error = pipeline.run(&runner).expect_err("the worker has built another one");
    assert_eq!(error.code(), ErrorCode::FINGERPRINT, "{error}");
    let print = |text: &str| {
        let graph = squares(text).0.compile_for(&runner).expect("compiles");
        graph.fingerprint().to_string()
    };
    assert_eq!(error.place("driver"), Some(print("10").as_str()), "{error}");
    assert_eq!(error.place("worker"), Some(print("100").as_str()), "{error}");
    assert_eq!(error.place("job"), Some("job"), "what the runner calls it: {error}");
    let mend = "run the same program with the same arguments on both sides";
    assert!(error.to_string().contains(mend), "{error}");
}

#[test]
fn a_worker_that_cannot_build_the_pipeline_says_why() {
    let (fake, shared) = (FakeRunner::start(Mischief::None), Shared::new());
    let workers = Workers::start(|worker| {
        let message = format!("there is no file `{}`", worker.job());
        let error = Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message);
        worker.refuse(&error)
    });
    let (pipeline, _) = squares("10");
    let error = pipeline.run(&workers.runner(&fake, "plan.json", &shared)).expect_err("none works");
    assert_eq!(error.code(), ErrorCode::STORE_NOT_FOUND, "{error}");
    assert_eq!(error.message(), "there is no file `plan.json`");
}

#[test]
fn a_job_of_another_program_tells_a_worker_nothing() {
    let fake = FakeRunner::start(Mischief::None);
    let flags = ["--id=w".to_owned(), format!("--provision_endpoint={}", fake.endpoint)];
    let flags = WorkerFlags::parse(&flags).expect("flags");
    let error = BeamWorker::open(&flags, &CancelToken::default()).expect_err("no job");
    assert_eq!(error.code(), ErrorCode::FINGERPRINT);
    assert_eq!(error.place("option"), Some("levain_job"));
}

#[test]
fn workers_are_told_that_a_job_is_over_and_waited_for() {
    let kept = Shared::new();
    let shared = Arc::clone(&kept) as Arc<dyn SharedStore>;
    let handover = Handover::new(&shared);
    let worker = handover.enter().expect("it begins");
    shared.put("results/0/0/a/0", Bytes::from("a result")).expect("kept");
    let works = handover.clone();
    let ended = std::thread::spawn(move || {
        while !works.is_stopped().expect("can be asked") {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        works.leave(&worker)
    });
    dismiss(&shared, Duration::from_secs(600)).expect("all have ended");
    ended.join().expect("a thread").expect("it has left");
    assert!(handover.is_stopped().expect("can be asked"), "one that comes late does not begin");
    assert_eq!(kept.lock().keys().collect::<Vec<_>>(), ["stopped/now"]);
}

/// Says when it runs, and waits until its bundle is to stop; whether it was told so.
fn waiting(
    begins: impl Fn() + Send + Sync + 'static,
    ends: impl Fn(bool) + Send + Sync + 'static,
) -> Pipeline {
    let pipeline = Pipeline::new();
    let number = pipeline.apply(Create::of([1i64]));
    let wait = each(move |number: i64, ctx| {
        begins();
        let began = Instant::now();
        while !ctx.cancel_token().is_cancelled() && began.elapsed() < PATIENCE {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        ends(ctx.cancel_token().is_cancelled());
        ctx.output(number)
    });
    number.apply_named("Wait", wait);
    pipeline
}

#[test]
fn a_bundle_ends_when_its_runner_is_killed() {
    let fake = FakeRunner::start(Mischief::None);
    // Those of a machine that is lost hear nothing of the driver: it shares another place with them.
    let (of_driver, of_workers) = (Shared::new(), Shared::new());
    let (told, ended) = unbounded();
    let (kill, shared) = (fake.killer(), Arc::clone(&of_workers) as Arc<dyn SharedStore>);
    let workers = Workers::start(move |worker| {
        let told = told.clone();
        let pipeline = waiting(kill.clone(), move |is_told| {
            told.send(is_told).expect("the test waits");
        });
        let graph = pipeline.compile_for(&BeamRunner::at(""))?;
        worker.serve(&graph, &RunOptions::default(), &shared)
    });
    let pipeline = waiting(|| (), |_| ());
    let error = pipeline.run(&workers.runner(&fake, "", &of_driver)).expect_err("it was killed");
    assert_eq!(error.code(), ErrorCode::JOB_FAILED, "{error}");
    let is_told = ended.recv_timeout(PATIENCE * 2).expect("the bundle ends");
    assert!(is_told, "the bundle goes on, though nobody reads what it puts out");
}

#[test]
fn a_job_is_done_when_no_bundle_of_it_runs() {
    let (fake, shared) = (FakeRunner::start(Mischief::None), Shared::new());
    let own = Arc::clone(&shared);
    let workers = Workers::start(move |worker| work(worker, &own, ""));
    // One of a machine that the runner has lost, and that has not heard of it.
    let handover = Handover::new(&(Arc::clone(&shared) as Arc<dyn SharedStore>));
    let lost = [handover.begin_bundle(), handover.begin_bundle()].map(|it| it.expect("it begins"));
    let (left, has_left) = unbounded();
    let ended = std::thread::spawn(move || {
        let began = Instant::now();
        while !handover.is_stopped()? && began.elapsed() < PATIENCE {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        left.send(()).expect("the test waits");
        drop(lost);
        Ok::<(), Error>(())
    });
    let (pipeline, _) = squares("10");
    pipeline.run(&workers.runner(&fake, "10", &shared)).expect("it runs");
    has_left.try_recv().expect("the job is done while a bundle of it may write");
    ended.join().expect("a thread").expect("it has left");
    assert!(shared.lock().is_empty(), "nothing is left when the job is over");
}
