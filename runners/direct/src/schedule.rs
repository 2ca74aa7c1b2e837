//! Which bundle runs when.
//!
//! One coordinator, on the caller's thread, keeps all state; bundles run on the pool and report
//! through a channel. So nothing is locked, and no compute thread ever waits for another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, unbounded};
use dataflow::bundle::{
    BundleProcessor, BundleReport, BundleTask, Failure, Failures, Setback, Setting,
};
use dataflow::error::{Error, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::options::OnError;
use dataflow::plan::{Stage, StageGraph, StageId};
use dataflow::runner::{Attempt, JobEvent, JobObserver, StageFacts};

/// A bundle that is to be run, for the first time or again.
#[derive(Debug)]
struct Task {
    stage: StageId,
    bundle: BundleTask,
    /// Since when it could run.
    ready: Instant,
}

impl Task {
    fn new(stage: StageId, bundle: BundleTask) -> Self {
        Self { stage, bundle, ready: Instant::now() }
    }
}

/// The task for another attempt, where and when this one ran, and what came of it.
type Attempted = (Task, Attempt, Result<BundleReport, Setback>);

/// Runs all stages; the numbers of all committed bundles, and the elements that were left out.
pub(crate) fn run(
    graph: &StageGraph,
    setting: &Setting,
    pool: &rayon::ThreadPool,
    observer: &dyn JobObserver,
) -> Result<(Metrics, Failures)> {
    let (sender, done) = unbounded();
    let mut schedule = Schedule {
        graph,
        setting,
        observer,
        ready: VecDeque::new(),
        open: BTreeMap::new(),
        finished: BTreeSet::new(),
        broken: BTreeSet::new(),
        running: 0,
        is_ending: false,
        metrics: Metrics::default(),
        quarantined: Failures::default(),
        failed: Failures::default(),
        stopped: None,
    };
    let stages = StageFacts::of(graph);
    let fingerprint = graph.fingerprint().to_string();
    observer.observe(&JobEvent::JobStarted { stages, fingerprint });
    schedule.open_stages();
    pool.in_place_scope(|scope| {
        let threads = pool.current_num_threads();
        loop {
            schedule.start_tasks(threads, scope, &sender);
            if schedule.running == 0 {
                break;
            }
            schedule.take_report(&done);
        }
    });
    let Schedule { failed, quarantined, stopped, .. } = schedule;
    if let Some(error) = failed.into_error() {
        return Err(quarantined.beside(error, "quarantine"));
    }
    if let Some(error) = stopped {
        return Err(error);
    }
    // Whatever made it stop early, a part of the results must not pass for all of them.
    if schedule.finished.len() < graph.stages().len() {
        return Err(Error::internal("the run ended before all stages had run"));
    }
    Ok((schedule.metrics, quarantined))
}

struct Schedule<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    observer: &'a dyn JobObserver,
    ready: VecDeque<Task>,
    /// Bundles that are not done, of every stage that has begun.
    open: BTreeMap<StageId, usize>,
    finished: BTreeSet<StageId>,
    /// Stages that cannot begin.
    broken: BTreeSet<StageId>,
    running: usize,
    /// Nothing is started any more.
    is_ending: bool,
    metrics: Metrics,
    /// Elements that were left out of bundles that have committed.
    quarantined: Failures,
    failed: Failures,
    /// The request to stop, once a bundle has followed it.
    stopped: Option<Error>,
}

impl<'a> Schedule<'a> {
    /// Begins every stage whose inputs are complete.
    fn open_stages(&mut self) {
        let graph = self.graph;
        let next = |schedule: &Self| {
            let mut stages = graph.stages().iter();
            stages.find(|stage| !schedule.is_ending && schedule.can_open(stage))
        };
        while let Some(stage) = next(self) {
            let id = stage.id;
            let _span = tracing::debug_span!("stage", stage = %id).entered();
            let inputs = match self.processor(stage).prepare() {
                Ok(inputs) => inputs,
                Err(error) => {
                    self.broken.insert(id);
                    self.fail(id, Failure::new(error, 1));
                    continue;
                }
            };
            let bundle_count = inputs.len();
            self.observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            self.open.insert(id, bundle_count);
            let bundles = inputs.into_iter().map(BundleTask::new);
            self.ready.extend(bundles.map(|bundle| Task::new(id, bundle)));
            if bundle_count == 0 {
                self.finish_stage(id);
            }
        }
    }

    fn can_open(&self, stage: &Stage) -> bool {
        let id = &stage.id;
        let has_begun = self.open.contains_key(id) || self.finished.contains(id);
        !has_begun
            && !self.broken.contains(id)
            && stage.after.iter().all(|before| self.finished.contains(before))
    }

    fn processor(&self, stage: &'a Stage) -> BundleProcessor<'a> {
        BundleProcessor::new(self.graph, stage, self.setting)
    }

    /// Starts as many tasks as there are threads and memory for.
    fn start_tasks<'scope>(
        &mut self,
        threads: usize,
        scope: &rayon::Scope<'scope>,
        sender: &Sender<Attempted>,
    ) where
        'a: 'scope,
    {
        while self.running < threads {
            let Some(next) = self.ready.front() else { return };
            let stage = self.graph.stage(next.stage);
            let Some(memory) = self.setting.budget().try_start(stage.working_bytes) else { return };
            let Some(mut task) = self.ready.pop_front() else { return };
            self.running += 1;
            let (processor, sender) = (self.processor(stage), sender.clone());
            scope.spawn(move |_| {
                let _span =
                    tracing::debug_span!("bundle", stage = %task.stage, input = ?task.bundle.input())
                        .entered();
                let (began, began_ms) = (Instant::now(), now_ms());
                let run = AssertUnwindSafe(|| processor.attempt(&mut task.bundle));
                let outcome = catch_unwind(run).unwrap_or_else(|_| {
                    let error = Error::internal("the engine panicked in a bundle");
                    Err(Setback::Failed(Box::new(Failure::new(error, 1))))
                });
                drop(memory);
                let attempt = Attempt {
                    worker: worker_name(),
                    began_ms,
                    waited_ms: Some(milliseconds(began.duration_since(task.ready))),
                    took_ms: milliseconds(began.elapsed()),
                };
                // The receiver lives until all reports have come.
                let sent = sender.send((task, attempt, outcome));
                debug_assert!(sent.is_ok(), "the coordinator waits for every report");
            });
        }
    }

    fn take_report(&mut self, done: &Receiver<Attempted>) {
        let Ok((mut task, attempt, outcome)) = done.recv() else {
            return self.end(Error::internal("bundles ended without a report"));
        };
        self.running -= 1;
        let stage = task.stage;
        self.observer.observe(&JobEvent::BundleAttempted { stage, attempt });
        match outcome {
            Ok(report) => self.commit(stage, report),
            // Another attempt would be a start.
            Err(Setback::Again(error)) if self.is_ending => {
                self.fail(stage, Failure::new(error, task.bundle.tried()));
            }
            Err(Setback::Again(error)) => {
                tracing::warn!(stage = %stage, %error, "bundle tried again");
                self.observer.observe(&JobEvent::BundleRetried { stage, error });
                task.ready = Instant::now();
                self.ready.push_back(task);
            }
            Err(Setback::Failed(failure)) => self.fail(stage, *failure),
        }
    }

    fn commit(&mut self, stage: StageId, report: BundleReport) {
        self.metrics.merge(&report.metrics);
        for failure in report.failures.kept().iter().cloned() {
            tracing::warn!(stage = %stage, error = %failure, "element put in quarantine");
            self.observer.observe(&JobEvent::ElementQuarantined { stage, failure });
        }
        self.quarantined.merge(report.failures.clone());
        self.observer.observe(&JobEvent::BundleFinished { stage, report });
        let left = self.open.get_mut(&stage).map_or(0, |left| {
            *left -= 1;
            *left
        });
        if left == 0 {
            self.finish_stage(stage);
            self.open_stages();
        }
    }

    fn finish_stage(&mut self, id: StageId) {
        self.open.remove(&id);
        self.finished.insert(id);
        self.observer.observe(&JobEvent::StageFinished { stage: id });
        let stage = self.graph.stage(id);
        let is_done =
            |edge| self.graph.readers(edge).all(|reader| self.finished.contains(&reader.id));
        for &view in &stage.views {
            if self.graph.view_edge(view).is_some_and(is_done) {
                self.setting.release_view(view);
            }
        }
        let views = stage.views.iter().filter_map(|&view| self.graph.view_edge(view));
        for edge in stage.inputs.iter().copied().chain(views).filter(|&edge| is_done(edge)) {
            let collection = self.graph.edge(edge).collection;
            if !self.graph.graph().collection(collection).is_result {
                self.setting.store().release(edge);
            }
        }
    }

    /// Keeps a failure, and ends the run as far as the policy says.
    ///
    /// What follows from a stop is no failure; nor is what comes after the failure that made it.
    fn fail(&mut self, stage: StageId, failure: Failure) {
        if failure.error.kind() == ErrorKind::Cancelled {
            return self.end(failure.error);
        }
        let policy = self.setting.on_error();
        let is_first = self.failed.is_empty();
        if is_first || matches!(policy, OnError::Finish | OnError::Continue) {
            self.observer.observe(&JobEvent::BundleFailed { stage, failure: failure.clone() });
            self.failed.push(failure);
        }
        match policy {
            OnError::Continue => {}
            OnError::Finish => self.start_no_more(),
            _ => {
                self.start_no_more();
                self.setting.stop();
            }
        }
    }

    /// Ends the run because something asked for it.
    fn end(&mut self, error: Error) {
        self.stopped.get_or_insert(error);
        self.start_no_more();
        self.setting.stop();
    }

    fn start_no_more(&mut self) {
        self.is_ending = true;
        self.ready.clear();
    }
}

/// The thread of the pool that this is.
fn worker_name() -> String {
    rayon::current_thread_index().map_or("thread".to_owned(), |index| format!("thread {index}"))
}

fn now_ms() -> u64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
