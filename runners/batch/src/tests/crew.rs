//! A place for workers as these tests want it: they are threads, which begin, die and are told of as a test
//! says.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::options::RunOptions;
use dataflow::prelude::Pipeline;
use dataflow::runner::{JobReport, NoObserver};
use objects::{Location, StoreOptions};
use serde_json::Value;

use crate::launch::{
    Cause, Diagnosis, JobId, JobState, JobStatus, Launcher, LogLine, StateCounts, Submission,
    Submitted, WorkerEnd, WorkerId,
};
use crate::{BatchOptions, BatchRunner, RunStore, WorkerSettings, work};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
#[track_caller]
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Lets a task take a while.
pub(super) fn take(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::thread::park_timeout(time.saturating_sub(began.elapsed()));
    }
}

/// One start of a worker, as the steps of its pipeline see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Body {
    /// The number of its submission.
    pub(super) job: usize,
    pub(super) memory_mib: u64,
    stop: CancelToken,
    end: Arc<Mutex<Option<Cause>>>,
}

impl Body {
    /// Ends the worker in the midst of what it does, as its place would.
    pub(super) fn die(&self, cause: Cause) -> Error {
        self.end_as(cause);
        self.stop.cancel();
        self.stop.check().expect_err("it was just cancelled")
    }

    /// Says how it has ended, unless that was said before.
    fn end_as(&self, cause: Cause) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }

    fn end(&self) -> Option<Cause> {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds the pipeline of a run for a worker, and for its driver.
type Recipe = dyn Fn(&Body) -> Pipeline + Send + Sync;

/// How many workers there are.
#[derive(Debug, Default)]
pub(super) struct Tally {
    live: AtomicU32,
    most: AtomicU32,
}

impl Tally {
    pub(super) fn live(&self) -> u32 {
        self.live.load(Ordering::SeqCst)
    }

    /// The most there were at once.
    pub(super) fn most(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }
}

/// The place.
pub(super) struct Crew {
    root: Location,
    recipe: Box<Recipe>,
    /// The place ends a worker after so long.
    timeout: Option<Duration>,
    /// Whether the place tells what becomes of jobs; else that is denied.
    tells: bool,
    tally: Arc<Tally>,
    jobs: Mutex<Vec<Job>>,
}

#[derive(Debug)]
struct Job {
    submission: Submission,
    workers: Vec<Body>,
}

impl Crew {
    pub(super) fn new(
        name: &str,
        tally: &Arc<Tally>,
        recipe: impl Fn(&Body) -> Pipeline + Send + Sync + 'static,
    ) -> Self {
        let root = Location::parse(&format!("memory://crew-{name}/run")).expect("a location");
        let (timeout, tells) = (None, true);
        let (recipe, tally, jobs) = (Box::new(recipe), Arc::clone(tally), Mutex::default());
        Self { root, recipe, timeout, tells, tally, jobs }
    }

    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    pub(super) fn silent(self) -> Self {
        Self { tells: false, ..self }
    }

    /// Options under which a test takes no longer than it must.
    pub(super) fn options(workers: u32) -> BatchOptions {
        let mut options = BatchOptions::nearby();
        options.max_workers = workers.try_into().expect("not zero");
        (options.look_ms, options.describe_ms, options.heartbeat_ms) = ((1, 10), 10, 50);
        options
    }

    /// Runs the pipeline in this place.
    pub(super) fn run(
        self: &Arc<Self>,
        batch: BatchOptions,
        options: &RunOptions,
    ) -> Result<JobReport> {
        let launcher: Arc<dyn Launcher> = Arc::<Self>::clone(self);
        let runner = BatchRunner::new(&self.root, &StoreOptions::default(), batch);
        let runner = runner.with_launcher(launcher, Value::Null, None);
        let report = (self.recipe)(&Body::default()).run_with(&runner, options, &NoObserver);
        let has_ended = |job: &Job| job.workers.iter().all(|body| body.end().is_some());
        until("the end of all workers", || {
            self.tally.live() == 0 && self.jobs().iter().all(has_ended)
        });
        report
    }

    /// The memory of every submission so far, in MiB.
    pub(super) fn memories(&self) -> Vec<u64> {
        self.jobs().iter().map(|job| job.submission.resources.memory_mib).collect()
    }

    /// How the workers of every submission have ended.
    pub(super) fn ends(&self) -> Vec<Vec<Cause>> {
        let ends = |job: &Job| job.workers.iter().filter_map(Body::end).collect();
        self.jobs().iter().map(ends).collect()
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, submission: &Submission, index: u32, job: usize) -> Body {
        let memory_mib = submission.resources.memory_mib;
        let body = Body { job, memory_mib, ..Body::default() };
        let graph = {
            let compiler =
                BatchRunner::new(&self.root, &StoreOptions::default(), BatchOptions::default());
            (self.recipe)(&body).compile_for(&compiler).expect("it compiles")
        };
        let told = |name: &str| submission.environment[name].clone();
        let settings = WorkerSettings {
            index,
            slots: submission.workers.get(),
            rung: told("LEVAIN_RUNG").parse().expect("a number"),
            timeout: self.timeout,
            stop: body.stop.clone(),
            ..WorkerSettings::new(told("LEVAIN_JOB"), std::num::NonZeroUsize::MIN)
        };
        let (root, own, tally) = (self.root.clone(), body.clone(), Arc::clone(&self.tally));
        let live = tally.live.fetch_add(1, Ordering::SeqCst) + 1;
        tally.most.fetch_max(live, Ordering::SeqCst);
        std::thread::spawn(move || {
            let end = RunStore::open(&root, &StoreOptions::default())
                .and_then(|store| work(&store, &graph, &settings));
            // Once it is told of, another one may come.
            tally.live.fetch_sub(1, Ordering::SeqCst);
            own.end_as(Cause::Exit(if end.is_ok() { 0 } else { 10 }));
        });
        if let Some(timeout) = self.timeout {
            let own = body.clone();
            std::thread::spawn(move || {
                let began = Instant::now();
                until("the end of a worker", || own.end().is_some() || began.elapsed() > timeout);
                if own.end().is_none() {
                    drop(own.die(Cause::Timeout));
                }
            });
        }
        body
    }

    fn denied(action: &str) -> Error {
        let message = format!("{action} is denied");
        Error::new(ErrorCode::LAUNCHER_DENIED, ErrorKind::PermissionDenied, message)
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Job {
    fn status(&self) -> JobStatus {
        let mut workers = StateCounts::default();
        for body in &self.workers {
            let place = match body.end() {
                None => &mut workers.running,
                Some(Cause::Exit(0)) => &mut workers.succeeded,
                Some(_) => &mut workers.failed,
            };
            *place += 1;
        }
        let state = match (workers.running, workers.failed) {
            (0, 0) => JobState::Succeeded,
            (0, _) => JobState::Failed,
            _ => JobState::Running,
        };
        let name = self.submission.name.clone();
        JobStatus { id: JobId(name.clone()), name, state, reason: String::new(), workers }
    }
}

impl Launcher for Crew {
    fn name(&self) -> &'static str {
        "crew"
    }

    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    fn submit(&self, submission: &Submission) -> Result<Submitted> {
        let job = self.jobs().len();
        let workers = (0..submission.workers.get()).map(|index| self.start(submission, index, job));
        let workers = workers.collect();
        self.jobs().push(Job { submission: submission.clone(), workers });
        Ok(Submitted::As(JobId(submission.name.clone())))
    }

    fn find(&self, name: &str) -> Result<Vec<JobId>> {
        if !self.tells {
            return Err(Self::denied("find"));
        }
        let is_it = |job: &&Job| job.submission.name == name;
        Ok(self.jobs().iter().filter(is_it).map(|job| job.status().id).collect())
    }

    fn find_live(&self, _: &str) -> Result<Vec<JobId>> {
        Ok(Vec::new())
    }

    fn describe(&self, ids: &[JobId]) -> Result<Vec<JobStatus>> {
        let told = self.jobs().iter().map(Job::status).collect::<Vec<_>>();
        Ok(told.into_iter().filter(|it| self.tells && ids.contains(&it.id)).collect())
    }

    fn failed_workers(&self, id: &JobId) -> Result<Vec<WorkerEnd>> {
        let jobs = self.jobs();
        let job = jobs.iter().find(|job| job.submission.name == id.0).expect("it was submitted");
        let ends = job.workers.iter().enumerate().filter_map(|(index, body)| {
            let cause = body.end().filter(|cause| *cause != Cause::Exit(0))?;
            let worker = WorkerId { job: id.clone(), index: index as u32 };
            Some(WorkerEnd { worker, attempts: 1, cause, reason: format!("{cause:?}") })
        });
        Ok(ends.collect())
    }

    fn stop(&self, ids: &[JobId], _: &str) -> Result<()> {
        let jobs = self.jobs();
        for job in jobs.iter().filter(|job| ids.contains(&job.status().id)) {
            for body in &job.workers {
                drop(body.die(Cause::Stopped));
            }
        }
        Ok(())
    }

    fn logs(&self, _: &WorkerId, _: usize) -> Result<Vec<LogLine>> {
        Ok(Vec::new())
    }

    fn diagnose(&self, _: &JobId) -> Result<Option<Diagnosis>> {
        Ok(None)
    }
}
