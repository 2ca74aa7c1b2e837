//! The loop of a worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use dataflow::bundle::Setting;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::memory::MemoryBudget;
use dataflow::options::RunOptions;
use dataflow::plan::{StageGraph, StageId};
use dataflow::shuffle::Scratch;

use super::beat::Pulse;
use super::board::{Board, Pick, Picker};
use super::settings::WorkerSettings;
use super::task::{Bench, TaskEnd};
use super::time::Time;
use crate::exchange::Exchange;
use crate::options::{LOOK_SHARE, LOOK_SHARE_MOST};
use crate::store::{RunRecord, RunStore, WorkerBeat};

/// Tasks beside those that compute: they fetch or leave something.
const TASKS_AHEAD: usize = 1;

/// Why a worker went home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkEnd {
    /// The run is over, or was cancelled.
    Over,
    /// Nothing was left to do for long enough.
    Idle,
    /// It has done as many tasks as a worker may, or as end before its place ends it.
    Retired,
    /// It was asked to stop.
    Stopped,
}

/// Works on a run until there is nothing left to do.
///
/// `graph` is the plan of the run, built again by this process. Memory: what `settings` allow.
///
/// # Errors
/// A plan or a binary that is another one, a store that fails for good.
pub fn work(store: &RunStore, graph: &StageGraph, settings: &WorkerSettings) -> Result<WorkEnd> {
    let run = admitted(store, graph, settings.binary.as_deref())?;
    let options = &run.options;
    let floor = settings.memory_bytes.map_or(0, |limit| limit / 2);
    let budget = MemoryBudget::new(settings.memory_bytes.unwrap_or(u64::MAX), floor);
    let scratch = Scratch::new(settings.scratch_folder.clone());
    let mut engine = RunOptions::default().with_on_error(options.on_error);
    engine.retries = options.retries.clone();
    engine.bundle_elements = options.bundle_elements.and_then(std::num::NonZeroUsize::new);
    engine.scratch_folder.clone_from(&settings.scratch_folder);
    let (setting, _) = Setting::in_process(&engine, budget.clone(), options.partition_count);
    let setting = setting
        .with_keyed_partitions(&engine, options.keyed_partition_count)
        .with_held_callbacks()
        .with_cancel(&settings.stop);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads.get())
        .thread_name(|index| format!("levain-{index}"))
        .build()
        .map_err(|why| Error::internal(format!("cannot start threads: {why}")))?;
    let exchange = Arc::new(Exchange::new(store, graph, &budget, &scratch));
    let name = settings.new_name();
    let place = format!("{}:{}", settings.job, settings.index);
    let bench = Bench {
        store,
        graph,
        setting: &setting,
        scratch: &scratch,
        exchange: &exchange,
        pool: &pool,
        worker: &name,
        rung: settings.rung,
        place: &place,
        retries: &options.retries,
        is_alone: settings.is_local,
        partition_count: options.partition_count.max(options.keyed_partition_count),
        preparing: Mutex::default(),
        uploading: Mutex::default(),
    };
    tracing::info!(worker = %name, place = %place, rung = settings.rung, "a worker begins");
    let pulse = Pulse::new(name.clone(), first_beat(settings));
    let every = Duration::from_millis(options.heartbeat_ms);
    let end = std::thread::scope(|scope| {
        // Dropping it ends the heartbeat.
        let (_beating, stop) = bounded::<()>(0);
        let (pulse, bench) = (&pulse, &bench);
        scope.spawn(move || pulse.run(store, every, &stop));
        Shift::new(bench, settings, &run, pulse).work()
    });
    pulse.end(store)?;
    end
}

/// What the run is, if this process may work on it.
fn admitted(store: &RunStore, graph: &StageGraph, binary: Option<&str>) -> Result<RunRecord> {
    let run = store.run_record()?;
    if run.fingerprint == graph.fingerprint().to_string() {
        run.check_binary("worker", binary)?;
        return Ok(run);
    }
    let place = |fingerprint: &str, binary: Option<&str>| match binary {
        Some(binary) => format!("plan {fingerprint}, binary {binary}"),
        None => format!("plan {fingerprint}"),
    };
    let message = "this worker has built another pipeline than the driver";
    Err(Error::new(ErrorCode::FINGERPRINT, ErrorKind::Conflict, message)
        .at("driver", place(&run.fingerprint, run.binary.as_deref()))
        .at("worker", place(&graph.fingerprint().to_string(), binary))
        .mend("give the workers the binary that the driver runs"))
}

fn first_beat(settings: &WorkerSettings) -> WorkerBeat {
    WorkerBeat {
        v: 1,
        job: settings.job.clone(),
        index: settings.index,
        rung: settings.rung,
        started_ms: objects::now_ms(),
        ..WorkerBeat::default()
    }
}

type Ended = ((StageId, u32), Result<TaskEnd>);

/// The time from a worker's start to its end.
struct Shift<'a> {
    bench: &'a Bench<'a>,
    settings: &'a WorkerSettings,
    run: &'a RunRecord,
    pulse: &'a Pulse,
    board: Board,
    running: Vec<(StageId, u32)>,
    /// How often this worker has failed in passing at tasks.
    failed: BTreeMap<(StageId, u32), u32>,
    begun_count: u64,
    /// Why this worker must not begin any more.
    unfit: Option<Error>,
    time: Time,
    /// Since when there has been nothing to do.
    idle_since: Instant,
    look: Duration,
    looked: Instant,
    next_look: Instant,
}

impl<'a> Shift<'a> {
    fn new(
        bench: &'a Bench<'a>,
        settings: &'a WorkerSettings,
        run: &'a RunRecord,
        pulse: &'a Pulse,
    ) -> Self {
        let (now, look) = (Instant::now(), Duration::from_millis(run.options.look_ms.0));
        Self {
            bench,
            settings,
            run,
            pulse,
            board: Board::default(),
            running: Vec::new(),
            failed: BTreeMap::new(),
            begun_count: 0,
            unfit: None,
            time: Time::new(now, settings.timeout),
            idle_since: now,
            look,
            looked: now,
            next_look: now,
        }
    }

    fn work(mut self) -> Result<WorkEnd> {
        let (sender, ended) = unbounded();
        std::thread::scope(|scope| {
            let end = self.take_turns(scope, &sender, &ended);
            // What runs still sees that it is to stop; its threads end with the scope.
            self.bench.setting.stop();
            end
        })
    }

    fn take_turns<'scope>(
        &mut self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        sender: &Sender<Ended>,
        ended: &Receiver<Ended>,
    ) -> Result<WorkEnd>
    where
        'a: 'scope,
    {
        loop {
            if let Some(end) = self.end() {
                return Ok(end);
            }
            if self.running.is_empty()
                && let Some(error) = self.unfit.take()
            {
                return Err(error);
            }
            self.look_around()?;
            if !self.board.is_over {
                self.begin_tasks(scope, sender)?;
            }
            self.wait(ended)?;
        }
    }

    fn end(&self) -> Option<WorkEnd> {
        if self.settings.stop.is_cancelled() {
            return Some(WorkEnd::Stopped);
        }
        if self.board.is_over {
            return Some(WorkEnd::Over);
        }
        let options = &self.run.options;
        if self.running.is_empty() && self.has_done_its_part() {
            return Some(WorkEnd::Retired);
        }
        if !self.running.is_empty() || self.settings.stays {
            return None;
        }
        // Whoever has not looked since does not know that there is nothing to do.
        let idle = self.looked.saturating_duration_since(self.idle_since).as_millis() as u64;
        let is_abandoned = self.pulse.leader_silence().as_millis() as u64 > options.leader_lost_ms;
        (idle > options.idle_ms || is_abandoned).then_some(WorkEnd::Idle)
    }

    /// Whether the worker has done as many tasks as one may, or as end before its place ends it.
    fn has_done_its_part(&self) -> bool {
        let threads = self.settings.threads.get();
        self.run.options.tasks_max.is_some_and(|most| self.begun_count >= most.get())
            || !self.time.suffices(Instant::now(), threads)
    }

    /// Looks at the store when it is time; more seldom while nothing changes.
    fn look_around(&mut self) -> Result<()> {
        let (least, most) = self.run.options.look_ms;
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        let began = Instant::now();
        if began < self.due() {
            return Ok(());
        }
        self.look = match self.board.look(self.bench.store, self.settings.is_local) {
            Ok(true) => least,
            Ok(false) => (self.look * 2).min(most),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the run store cannot be read now");
                most
            }
            Err(error) => return Err(error),
        };
        self.looked = Instant::now();
        let share = (self.looked - began) * LOOK_SHARE;
        self.next_look = self.looked + self.look.max(share.min(LOOK_SHARE_MOST));
        Ok(())
    }

    /// When the store is looked at again: while no task could be begun, only whether the run is over
    /// matters.
    fn due(&self) -> Instant {
        let most = Duration::from_millis(self.run.options.look_ms.1);
        if self.has_room() { self.next_look } else { self.next_look.max(self.looked + most) }
    }

    /// Whether one more task may be begun.
    fn has_room(&self) -> bool {
        let slots = self.settings.threads.get() + TASKS_AHEAD;
        let is_alone = self.running.iter().any(|&(stage, task)| self.board.is_alone(stage, task));
        let has_time = !self.has_done_its_part() && self.unfit.is_none();
        self.running.len() < slots && has_time && !is_alone
    }

    fn begin_tasks<'scope>(
        &mut self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        sender: &Sender<Ended>,
    ) -> Result<()>
    where
        'a: 'scope,
    {
        while self.has_room() {
            let living = self.pulse.living();
            let picker = Picker {
                worker: self.bench.worker,
                index: self.settings.index,
                slots: self.settings.slots,
                rung: self.settings.rung,
                living: &living,
                is_idle: self.running.is_empty(),
            };
            // The budget is asked first: a task that was begun keeps others from it.
            let working_bytes = self.board.largest_need(self.bench.graph, self.settings.rung);
            let Some(memory) = self.bench.setting.budget().try_start(working_bytes) else {
                return self.check_memory(working_bytes);
            };
            let Some(pick) = self.board.pick(self.bench.store, picker)? else {
                return Ok(());
            };
            let Pick { stage, task, is_contested } = pick;
            let bundles = self.board.bundles(stage, task);
            self.running.push((stage, task));
            self.begun_count += 1;
            self.time.begin(Instant::now(), (stage, task));
            self.note_tasks();
            let failed_count = self.failed.get(&(stage, task)).copied().unwrap_or(0);
            let (bench, sender) = (self.bench, sender.clone());
            scope.spawn(move || {
                let _span = tracing::debug_span!("task", stage = %stage, task).entered();
                let rivals = is_contested.then_some(&living);
                let end = bench.attempt(stage, task, &bundles, failed_count, rivals);
                drop(memory);
                // The receiver lives until all have ended.
                let sent = sender.send(((stage, task), end));
                debug_assert!(sent.is_ok(), "the worker waits for every task");
            });
        }
        Ok(())
    }

    /// A task that does not fit while nothing runs never will.
    fn check_memory(&self, working_bytes: u64) -> Result<()> {
        if !self.running.is_empty() {
            return Ok(());
        }
        let limit = self.bench.setting.budget().limit_bytes();
        let message = format!("{limit} bytes of memory do not suffice for the tasks of this run");
        Err(Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message)
            .mend(format!("give workers at least {working_bytes} bytes more than they take idle")))
    }

    fn wait(&mut self, ended: &Receiver<Ended>) -> Result<()> {
        let left = self.due().saturating_duration_since(Instant::now());
        match ended.recv_timeout(left) {
            Ok(end) => self.take(end)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::internal("tasks ended without a word"));
            }
        }
        while let Ok(end) = ended.try_recv() {
            self.take(end)?;
        }
        Ok(())
    }

    fn take(&mut self, (place, end): Ended) -> Result<()> {
        self.running.retain(|running| *running != place);
        self.idle_since = Instant::now();
        self.time.end(self.idle_since, place);
        match end {
            Ok(end @ (TaskEnd::Committed | TaskEnd::Superseded)) => {
                tracing::debug!(stage = %place.0, task = place.1, ?end, "a task is done");
                self.board.note_committed(place.0, place.1);
                self.pulse.change(|beat| beat.done_count += 1);
            }
            Ok(TaskEnd::Failed { is_tried_again: true }) => {
                *self.failed.entry(place).or_default() += 1;
                self.board.leave(place.0, place.1);
            }
            Ok(TaskEnd::Failed { .. } | TaskEnd::Stopped) => {}
            Ok(TaskEnd::Left) => {
                self.board.leave(place.0, place.1);
                self.begun_count -= 1;
            }
            Ok(TaskEnd::Unfit(error)) => self.unfit = Some(error),
            Err(error) if error.is_transient() => {
                tracing::warn!(stage = %place.0, task = place.1, %error, "a task has no end");
                self.board.leave(place.0, place.1);
            }
            Err(error) => return Err(error),
        }
        self.note_tasks();
        Ok(())
    }

    fn note_tasks(&self) {
        let tasks = self.running.iter().map(|(stage, task)| (stage.0, *task)).collect();
        self.pulse.change(|beat| beat.tasks = tasks);
    }
}
