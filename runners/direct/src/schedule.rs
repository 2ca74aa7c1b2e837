//! Which bundle runs when.
//!
//! One coordinator, on the caller's thread, keeps all state; bundles run on the pool and report
//! through a channel. So nothing is locked, and no compute thread ever waits for another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, unbounded};
use dataflow::bundle::{BundleInput, BundleProcessor, BundleReport, Setting};
use dataflow::error::{Error, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::plan::{Stage, StageGraph, StageId};
use dataflow::runner::{JobEvent, JobObserver};

/// How often a bundle is tried that fails with transient errors.
const ATTEMPT_LIMIT: u32 = 3;

/// A bundle that is to be run, and for which time.
#[derive(Debug, Clone, Copy)]
struct Task {
    stage: StageId,
    input: BundleInput,
    attempt: u32,
}

/// Runs all stages; the numbers of all committed bundles.
pub(crate) fn run(
    graph: &StageGraph,
    setting: &Setting,
    pool: &rayon::ThreadPool,
    observer: &dyn JobObserver,
) -> Result<Metrics> {
    let (sender, done) = unbounded();
    let mut schedule = Schedule {
        graph,
        setting,
        observer,
        ready: VecDeque::new(),
        open: BTreeMap::new(),
        finished: BTreeSet::new(),
        running: 0,
        metrics: Metrics::default(),
        failure: None,
    };
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
    if let Some(error) = schedule.failure {
        return Err(error);
    }
    // Whatever made it stop early, a part of the results must not pass for all of them.
    if schedule.finished.len() < graph.stages().len() {
        return Err(Error::internal("the run ended before all stages had run"));
    }
    Ok(schedule.metrics)
}

struct Schedule<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    observer: &'a dyn JobObserver,
    ready: VecDeque<Task>,
    /// Bundles that are not done, of every stage that has begun.
    open: BTreeMap<StageId, usize>,
    finished: BTreeSet<StageId>,
    running: usize,
    metrics: Metrics,
    failure: Option<Error>,
}

impl<'a> Schedule<'a> {
    /// Begins every stage whose inputs are complete.
    fn open_stages(&mut self) {
        let graph = self.graph;
        while let Some(stage) = graph.stages().iter().find(|stage| self.can_open(stage)) {
            let id = stage.id;
            let _span = tracing::debug_span!("stage", stage = %id).entered();
            let inputs = match self.processor(stage).prepare() {
                Ok(inputs) => inputs,
                Err(error) => return self.fail(error),
            };
            let bundle_count = inputs.len();
            self.observer.observe(&JobEvent::StageStarted { stage: id, bundle_count });
            self.open.insert(id, bundle_count);
            self.ready.extend(inputs.into_iter().map(|input| Task {
                stage: id,
                input,
                attempt: 1,
            }));
            if bundle_count == 0 {
                self.finish_stage(id);
            }
        }
    }

    fn can_open(&self, stage: &Stage) -> bool {
        let is_new = !self.open.contains_key(&stage.id) && !self.finished.contains(&stage.id);
        is_new && stage.after.iter().all(|before| self.finished.contains(before))
    }

    fn processor(&self, stage: &'a Stage) -> BundleProcessor<'a> {
        BundleProcessor::new(self.graph, stage, self.setting)
    }

    /// Starts as many tasks as there are threads and memory for.
    fn start_tasks<'scope>(
        &mut self,
        threads: usize,
        scope: &rayon::Scope<'scope>,
        sender: &Sender<(Task, Result<BundleReport>)>,
    ) where
        'a: 'scope,
    {
        while self.running < threads && self.failure.is_none() {
            let Some(&task) = self.ready.front() else { return };
            let stage = self.graph.stage(task.stage);
            let Some(memory) = self.setting.budget().try_start(stage.working_bytes) else { return };
            self.ready.pop_front();
            self.running += 1;
            let (processor, sender) = (self.processor(stage), sender.clone());
            scope.spawn(move |_| {
                let _span =
                    tracing::debug_span!("bundle", stage = %task.stage, input = ?task.input)
                        .entered();
                let run = AssertUnwindSafe(|| processor.run(task.input));
                let outcome = catch_unwind(run)
                    .unwrap_or_else(|_| Err(Error::internal("the engine panicked in a bundle")));
                drop(memory);
                // The receiver lives until all reports have come.
                let sent = sender.send((task, outcome));
                debug_assert!(sent.is_ok(), "the coordinator waits for every report");
            });
        }
    }

    fn take_report(&mut self, done: &Receiver<(Task, Result<BundleReport>)>) {
        let Ok((task, outcome)) = done.recv() else {
            return self.fail(Error::internal("bundles ended without a report"));
        };
        self.running -= 1;
        let stage = task.stage;
        match outcome {
            Ok(report) => {
                self.metrics.merge(&report.metrics);
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
            Err(error) if error.is_transient() && task.attempt < ATTEMPT_LIMIT => {
                tracing::warn!(stage = %stage, attempt = task.attempt, %error, "bundle tried again");
                self.observer.observe(&JobEvent::BundleRetried { stage, error });
                self.ready.push_back(Task { attempt: task.attempt + 1, ..task });
            }
            Err(error) => self.fail(error),
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

    /// Keeps the error that made the run fail, and stops what runs.
    fn fail(&mut self, error: Error) {
        let is_cause = self.failure.as_ref().is_none_or(|known| {
            known.kind() == ErrorKind::Cancelled && error.kind() != ErrorKind::Cancelled
        });
        if is_cause {
            self.failure = Some(error);
        }
        self.setting.stop();
        self.ready.clear();
    }
}
