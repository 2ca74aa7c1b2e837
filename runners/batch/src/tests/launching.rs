//! Launchers that refuse, and jobs that never say a word.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::{Retries, RunOptions};
use dataflow::prelude::{
    Collected, CombineFn, CombineGlobally, Create, DoFn, ParDo, Pipeline, ProcessContext, Reshuffle,
};
use dataflow::runner::{JobReport, NoObserver};
use objects::{Location, StoreOptions};
use serde_json::Value;

use crate::launch::{
    Diagnosis, JobId, JobState, JobStatus, Launcher, LogLine, StateCounts, Submission, Submitted,
    WorkerEnd, WorkerId,
};
use crate::{
    Account, BatchOptions, BatchRunner, CostLimit, RunStore, WorkEnd, WorkerSettings, work,
};

/// Adds numbers.
#[derive(Debug, Clone)]
struct Added;

impl CombineFn for Added {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, number: i64) {
        *sum += number;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn extract(&self, sum: i64) -> i64 {
        sum
    }
}

fn sum() -> (Pipeline, Collected<i64>) {
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..100i64)).apply(Reshuffle);
    let sum = numbers.apply(CombineGlobally::of(Added)).collect();
    (pipeline, sum)
}

/// Refuses the first submissions, lets the next ones say nothing, and works from then on.
#[derive(Debug, Default)]
struct Odd {
    refused: usize,
    silent: usize,
    count: AtomicUsize,
    jobs: Mutex<Vec<Job>>,
}

#[derive(Debug)]
struct Job {
    id: JobId,
    worker: Option<std::thread::JoinHandle<()>>,
    is_stopped: bool,
}

impl Odd {
    fn submitted(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// Is the worker that a submission asks for.
fn worker_of(submission: &Submission) -> std::thread::JoinHandle<()> {
    let root = submission.environment["LEVAIN_RUN_URI"].clone();
    let job = submission.name.clone();
    std::thread::spawn(move || {
        let root = Location::parse(&root).expect("a location");
        let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
        let compiler = BatchRunner::new(&root, &StoreOptions::default(), BatchOptions::nearby());
        let graph = sum().0.compile_for(&compiler).expect("a plan");
        work(&store, &graph, &WorkerSettings::new(job, NonZeroUsize::MIN)).expect("it works");
    })
}

impl Launcher for Odd {
    fn name(&self) -> &'static str {
        "odd"
    }

    fn lag(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn submit(&self, submission: &Submission) -> Result<Submitted> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if number < self.refused {
            let message = "batch:SubmitJob is denied";
            return Err(Error::new(ErrorCode::LAUNCHER_DENIED, ErrorKind::Unsupported, message));
        }
        let is_silent = number < self.refused + self.silent;
        let worker = (!is_silent).then(|| worker_of(submission));
        let id = JobId(submission.name.clone());
        let job = Job { id: id.clone(), worker, is_stopped: false };
        self.jobs.lock().expect("no test panics").push(job);
        Ok(Submitted::As(id))
    }

    fn find(&self, name: &str) -> Result<Vec<JobId>> {
        let jobs = self.jobs.lock().expect("no test panics");
        Ok(jobs.iter().map(|it| it.id.clone()).filter(|id| id.0 == name).collect())
    }

    fn find_live(&self, _: &str) -> Result<Vec<JobId>> {
        Ok(Vec::new())
    }

    fn describe(&self, ids: &[JobId]) -> Result<Vec<JobStatus>> {
        let jobs = self.jobs.lock().expect("no test panics");
        let of = jobs.iter().filter(|job| ids.contains(&job.id)).map(|job| {
            let has_ended = job.is_stopped
                || job.worker.as_ref().is_some_and(std::thread::JoinHandle::is_finished);
            let one = u32::from(has_ended);
            let workers =
                StateCounts { running: 1 - one, succeeded: one, ..StateCounts::default() };
            let state = if has_ended { JobState::Succeeded } else { JobState::Running };
            let (id, name) = (job.id.clone(), job.id.0.clone());
            JobStatus { id, name, state, reason: String::new(), workers }
        });
        Ok(of.collect())
    }

    fn failed_workers(&self, _: &JobId) -> Result<Vec<WorkerEnd>> {
        Ok(Vec::new())
    }

    fn stop(&self, ids: &[JobId], _: &str) -> Result<()> {
        let mut jobs = self.jobs.lock().expect("no test panics");
        jobs.iter_mut().filter(|job| ids.contains(&job.id)).for_each(|job| job.is_stopped = true);
        Ok(())
    }

    fn logs(&self, _: &WorkerId, _: usize) -> Result<Vec<LogLine>> {
        Ok(Vec::new())
    }

    fn diagnose(&self, _: &JobId) -> Result<Option<Diagnosis>> {
        Ok(None)
    }
}

/// Runs the sum with such a launcher, and options that are changed so.
fn run(
    launcher: &Arc<Odd>,
    change: impl FnOnce(&mut BatchOptions),
) -> (tempfile::TempDir, Result<(JobReport, Vec<i64>)>) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = Location::parse(&folder.path().join("run").to_string_lossy()).expect("a path");
    let mut options = BatchOptions::nearby();
    options.max_workers = NonZeroU32::MIN;
    options.describe_ms = 20;
    options.heartbeat_ms = 50;
    options.idle_ms = 60_000;
    change(&mut options);
    let runner = BatchRunner::new(&root, &StoreOptions::default(), options);
    let known: Arc<dyn Launcher> = Arc::<Odd>::clone(launcher);
    let runner = runner.with_launcher(known, Value::Null, None);
    let (pipeline, sum) = sum();
    let report = pipeline.run_with(&runner, &RunOptions::default(), &NoObserver);
    let got = report.and_then(|report| {
        let sums = report.get(&sum)?.iter().collect();
        Ok((report, sums))
    });
    (folder, got)
}

fn refusals(folder: &tempfile::TempDir) -> Vec<(String, u32)> {
    let root = Location::parse(&folder.path().join("run").to_string_lossy()).expect("a path");
    let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
    store.refusals().expect("they can be read").into_iter().collect()
}

#[test]
fn a_submission_that_is_refused_is_made_again() {
    let launcher = Arc::new(Odd { refused: 2, ..Odd::default() });
    let (folder, got) = run(&launcher, |_| {});
    assert_eq!(got.expect("it runs").1, [4950]);
    assert_eq!(launcher.submitted(), 3);
    let text = "E509: batch:SubmitJob is denied".to_owned();
    assert_eq!(refusals(&folder), [(text, 2)], "each error once, with its count");
    assert!(!folder.path().join("run/b/000001.0000.intent").exists(), "nobody looks for it");
}

#[test]
fn refusals_in_a_row_end_a_run_that_nobody_works_on() {
    let launcher = Arc::new(Odd { refused: usize::MAX, ..Odd::default() });
    let (_, got) = run(&launcher, |_| {});
    let error = got.expect_err("nobody works");
    assert_eq!((error.code(), launcher.submitted()), (ErrorCode::LAUNCHER_DENIED, 3));
    assert!(error.place("refused").is_some_and(|told| told.ends_with("is denied ×3")), "{error}");
}

#[test]
fn the_first_refusal_ends_a_run_that_is_to_fail_fast() {
    let launcher = Arc::new(Odd { refused: 2, ..Odd::default() });
    let (_, got) = run(&launcher, |options| options.fail_fast_launch = true);
    let error = got.expect_err("it was refused");
    assert_eq!((error.code(), launcher.submitted()), (ErrorCode::LAUNCHER_DENIED, 1));
    assert_eq!(error.message(), "batch:SubmitJob is denied");
}

#[test]
fn a_job_that_says_nothing_is_ended_and_submitted_again() {
    let launcher = Arc::new(Odd { silent: 2, ..Odd::default() });
    let (_, got) = run(&launcher, |options| options.startup_ms = 100);
    assert_eq!(got.expect("it runs").1, [4950]);
    assert_eq!(launcher.submitted(), 3);
    let jobs = launcher.jobs.lock().expect("no test panics");
    let stopped: Vec<bool> = jobs.iter().map(|job| job.is_stopped).collect();
    assert_eq!(&stopped[..2], [true, true], "what is silent is ended");
}

#[test]
fn jobs_that_all_say_nothing_end_the_run() {
    let launcher = Arc::new(Odd { silent: usize::MAX, ..Odd::default() });
    let (_, got) = run(&launcher, |options| options.startup_ms = 40);
    let error = got.expect_err("nobody works");
    assert_eq!((error.code(), launcher.submitted()), (ErrorCode::WORKERS_LOST, 4));
    assert!(error.place("reason").is_some_and(|why| why.contains("has started within")), "{error}");
}

#[test]
fn a_run_that_costs_more_than_it_may_is_stopped() {
    let most = |most| {
        let per_hour = 3.6e6;
        CostLimit { most, vcpu_hour: per_hour, gib_hour: 0.0, put_1k: 0.0, get_1k: 0.0 }
    };
    // A worker that says nothing costs nothing; this one costs 1 a millisecond.
    let launcher = Arc::new(Odd::default());
    let (_, got) = run(&launcher, |options| options.max_cost = Some(most(1e9)));
    assert_eq!(got.expect("it runs").1, [4950]);
    let launcher = Arc::new(Odd::default());
    let (folder, got) = run(&launcher, |options| {
        options.max_cost = Some(CostLimit { put_1k: 1e6, ..most(1.0) });
    });
    let error = got.expect_err("it costs too much");
    assert_eq!((error.code(), error.code().exit_code()), (ErrorCode::RUN_LIMIT, 9));
    assert!(!folder.path().join("run/result.json").exists(), "it can be gone on with");
}

/// The parts of a bake are runs of one account.
#[test]
fn runs_of_one_account_are_counted_together() {
    // Only requests cost, and next to nothing.
    let limit = CostLimit { most: 50.0, vcpu_hour: 0.0, gib_hour: 0.0, put_1k: 1e-6, get_1k: 0.0 };
    let run_of = |account: &Account| {
        let account = account.clone();
        let (_, got) = run(&Arc::new(Odd::default()), move |options| {
            (options.max_cost, options.account) = (Some(limit), account);
        });
        got
    };
    let account = Account::default();
    run_of(&account).expect("it costs little");
    assert!(account.note("another", 100.0) > 100.0, "what it has cost is noted");
    let error = run_of(&account).expect_err("another run has spent what both may");
    assert_eq!(error.code(), ErrorCode::RUN_LIMIT, "{error}");
}

#[test]
fn a_worker_whose_driver_is_silent_ends_when_it_has_nothing_to_do() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = Location::parse(&folder.path().to_string_lossy()).expect("a path");
    let store = StoreOptions::default();
    let runner = BatchRunner::new(&root, &store, BatchOptions::nearby());
    let (pipeline, _) = sum();
    pipeline.run_with(&runner, &RunOptions::default(), &NoObserver).expect("it runs");
    let met = RunStore::open(&root, &store).expect("a store");
    // Its end is taken back, and no driver comes.
    met.delete("result.json").expect("a store");
    let mut record = met.run_record().expect("a run");
    (record.options.idle_ms, record.options.leader_lost_ms) = (600_000, 50);
    met.put("run.json", &record).expect("a store");
    let graph = pipeline.compile_for(&runner).expect("a plan");
    let began = Instant::now();
    let end = work(&met, &graph, &WorkerSettings::new("job", NonZeroUsize::MIN));
    assert_eq!(end.expect("it works"), WorkEnd::Idle);
    assert!(began.elapsed() < Duration::from_secs(60), "it has waited for `idle`");
}

/// Fails in passing for ever, each time with other words.
#[derive(Clone)]
struct Flaky(Arc<AtomicUsize>);

impl DoFn for Flaky {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, format!("attempt {number}")))
    }
}

#[test]
fn tasks_are_tried_again_as_often_as_their_step_may() {
    for (steps, want) in [(None, 1), (Some(("Flaky", 1)), 4), (Some(("Other", 1)), 1)] {
        let tried = Arc::new(AtomicUsize::new(0));
        let pipeline = Pipeline::new();
        let one = pipeline.apply(Create::of([1i64]));
        one.apply_named("Flaky", ParDo::of(Flaky(Arc::clone(&tried))));
        let retries = Retries {
            count: 0,
            steps: steps.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = Location::parse(&folder.path().to_string_lossy()).expect("a path");
        let mut options = BatchOptions::nearby();
        options.max_workers = NonZeroU32::MIN;
        let runner = BatchRunner::new(&root, &StoreOptions::default(), options);
        let options = RunOptions::default().with_retries(retries);
        pipeline.run_with(&runner, &options, &NoObserver).expect_err("it fails");
        // So often in each attempt of the task, and so many attempts of it.
        assert_eq!(tried.load(Ordering::Relaxed), want, "{steps:?}");
    }
}
