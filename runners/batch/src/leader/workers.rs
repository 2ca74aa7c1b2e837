//! The workers of a run: as many as there is work for, started where they are to run.

mod silent;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::plan::StageId;
use dataflow::runner::{JobEvent, JobObserver, WorkerCounts};

use super::lease::{Lease, Now};
use super::refusals::Refusals;
use crate::launch::{Cause, JobId, JobState, JobStatus, Launcher, Submitted, WorkerEnd};
use crate::options::BatchOptions;
use crate::store::{Intent, JobRecord, RunStore, keys};

/// Workers are only added by at least this part of those that are there.
const FEW: u64 = 4;
/// A job that was not told of for so many times the lag of its place is not there.
const LAGS: u32 = 2;
/// Submissions that may end one after the other without a single task done.
const VAIN_LIMIT: u32 = 3;
/// Lines of the log of a worker that ended badly.
const LOG_LINES: usize = 10;

/// Tasks that workers were at when they ended.
#[derive(Debug, Default)]
pub(crate) struct Interrupted {
    /// For want of memory.
    pub(crate) hungry: Vec<Hungry>,
    /// For another reason; once for each start of a worker.
    pub(crate) crashed: Vec<Crash>,
}

/// A task that a worker was at when it broke off.
#[derive(Debug, Clone)]
pub(crate) struct Crash {
    pub(crate) stage: StageId,
    pub(crate) task: u32,
    /// All tasks that the same start of the worker was at.
    pub(crate) beside: Vec<(StageId, u32)>,
    /// Why the worker has ended.
    pub(crate) reason: String,
    /// What it has printed last.
    pub(crate) log: String,
}

/// A task that has run out of memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hungry {
    pub(crate) stage: StageId,
    pub(crate) task: u32,
    /// The rung of the worker on the ladder of memory, if it is known.
    pub(crate) rung: Option<u32>,
    /// The most that the worker has held, as far as it came to say so; zero if nobody knows.
    pub(crate) peak_bytes: u64,
}

/// Who works on the run.
pub(crate) enum Crew<'a> {
    /// Threads of this process; each says how it ended.
    Threads(&'a Receiver<Result<()>>),
    /// Processes that a launcher has started.
    Launched(Box<Launched<'a>>),
}

impl Crew<'_> {
    /// Looks after the workers; the tasks that they were at when they ended.
    ///
    /// # Errors
    /// Workers that cannot be started, or that end again and again.
    pub(crate) fn tend(
        &mut self,
        demand: &BTreeMap<u32, u64>,
        has_progress: bool,
    ) -> Result<Interrupted> {
        match self {
            Self::Threads(ended) => match ended.try_recv() {
                Ok(end) => end.map(|()| Interrupted::default()),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(Interrupted::default()),
            },
            Self::Launched(launched) => launched.tend(demand, has_progress),
        }
    }

    /// What was submitted and has not ended.
    pub(crate) fn jobs(&self) -> Vec<JobRecord> {
        match self {
            Self::Threads(_) => Vec::new(),
            Self::Launched(launched) => launched.jobs(),
        }
    }

    /// Waits, but not longer than until a worker of this process ends.
    pub(crate) fn wait(&self, pause: Duration) -> Result<()> {
        match self {
            Self::Threads(ended) => match ended.recv_timeout(pause) {
                Ok(end) => end,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
            },
            Self::Launched(_) => {
                crate::pause(pause);
                Ok(())
            }
        }
    }

    /// The highest rung of the ladder of memory.
    pub(crate) fn top_rung(&self) -> u32 {
        match self {
            Self::Threads(_) => 0,
            Self::Launched(launched) => launched.top_rung(),
        }
    }

    /// What a worker of a rung is given, in MiB; nothing where workers are threads.
    pub(crate) fn memory_mib(&self, rung: u32) -> Option<u64> {
        match self {
            Self::Threads(_) => None,
            Self::Launched(launched) => Some(launched.options.memory_mib(rung)),
        }
    }
}

/// A submission, and what is known of it.
#[derive(Debug, Clone)]
struct Sent {
    name: String,
    id: Option<JobId>,
    workers: u32,
    rung: u32,
    sent: Instant,
    since_ms: i64,
    /// When it was last told of, or sent.
    told: Instant,
    status: Option<JobStatus>,
    failed_seen: BTreeSet<u32>,
    /// Whether a driver before this one has submitted it.
    is_earlier: bool,
    /// Since when its workers are being started, or run.
    begun: Option<Instant>,
    /// Whether one of its workers has ever said a word.
    is_heard: bool,
}

impl Sent {
    fn has_ended(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.state.has_ended())
    }
}

/// Workers that a launcher has started.
pub(crate) struct Launched<'a> {
    store: &'a RunStore,
    lease: &'a Lease,
    launcher: Arc<dyn Launcher>,
    options: &'a BatchOptions,
    sent: Vec<Sent>,
    /// The number of the next submission.
    number: usize,
    describe: Now,
    /// Submissions that have ended since the last progress.
    vain: u32,
    last_end: Option<WorkerEnd>,
    observer: &'a dyn JobObserver,
    /// What the observer was told last.
    said: Option<(WorkerCounts, String)>,
    /// Why a job does not start, once that was looked into.
    finding: Option<(JobId, String)>,
    /// What workers were at that have ended, and is not told of yet.
    interrupted: Interrupted,
    has_warned: bool,
    refusals: Refusals,
}

impl<'a> Launched<'a> {
    /// Goes on with the submissions of drivers before this one.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn take_up(
        store: &'a RunStore,
        lease: &'a Lease,
        launcher: Arc<dyn Launcher>,
        options: &'a BatchOptions,
        observer: &'a dyn JobObserver,
    ) -> Result<Self> {
        let submissions = store.list(keys::SUBMISSIONS)?;
        let intents = submissions.iter().map(|it| it.key.clone());
        let intents: Vec<String> = intents.filter(|key| key.ends_with(".intent")).collect();
        let mut sent = Vec::new();
        for (key, intent) in store.read_all::<Intent>(intents)? {
            let id: Option<JobId> = store.read(&keys::job(&key))?;
            sent.push(Sent {
                name: intent.name,
                id,
                workers: intent.workers,
                rung: intent.rung,
                sent: Instant::now(),
                since_ms: objects::now_ms(),
                told: Instant::now(),
                status: None,
                failed_seen: BTreeSet::new(),
                is_earlier: true,
                begun: None,
                is_heard: false,
            });
        }
        let describe = Now::every(Duration::from_millis(options.describe_ms));
        let (number, vain, last_end, has_warned) = (sent.len(), 0, None, false);
        Ok(Self {
            store,
            lease,
            launcher,
            options,
            sent,
            number,
            describe,
            vain,
            last_end,
            observer,
            said: None,
            finding: None,
            interrupted: Interrupted::default(),
            has_warned,
            refusals: Refusals::default(),
        })
    }

    fn top_rung(&self) -> u32 {
        self.options.memory_ladder_mib.len().saturating_sub(1) as u32
    }

    fn tend(&mut self, demand: &BTreeMap<u32, u64>, has_progress: bool) -> Result<Interrupted> {
        if has_progress {
            self.vain = 0;
        }
        if self.describe.is() {
            self.look()?;
        }
        let Interrupted { hungry, crashed } = &self.interrupted;
        if !hungry.is_empty() || !crashed.is_empty() {
            // What becomes of these tasks decides which workers are wanted.
            return Ok(std::mem::take(&mut self.interrupted));
        }
        for (&rung, &tasks) in demand.iter().rev() {
            self.staff(rung, tasks)?;
        }
        Ok(Interrupted::default())
    }

    /// Asks the launcher what has become of the workers.
    fn look(&mut self) -> Result<()> {
        self.find_lost()?;
        let is_live = |sent: &&Sent| !sent.has_ended();
        let ids: Vec<JobId> =
            self.sent.iter().filter(is_live).filter_map(|sent| sent.id.clone()).collect();
        let told = self.launcher.describe(&ids);
        let told = match told {
            Ok(told) => told,
            // The workers go on without us; so do we without knowing.
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the launcher cannot be asked now");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let heard: BTreeSet<JobId> = told.iter().map(|status| status.id.clone()).collect();
        for status in told {
            let Some(at) = self.sent.iter().position(|it| it.id.as_ref() == Some(&status.id))
            else {
                continue;
            };
            let has_ended = status.state.has_ended();
            // What fails here is asked again: the status is noted last.
            if status.workers.failed > self.sent[at].failed_seen.len() as u32 {
                for end in self.launcher.failed_workers(&status.id)? {
                    let index = end.worker.index;
                    if !self.sent[at].failed_seen.contains(&index) {
                        self.note_end(at, end)?;
                        self.sent[at].failed_seen.insert(index);
                    }
                }
            }
            if status.state > JobState::Waiting && !has_ended {
                self.sent[at].begun.get_or_insert_with(Instant::now);
            }
            self.sent[at].status = Some(status);
            self.sent[at].told = Instant::now();
            // What ended before this driver began says nothing of whether workers work now, and an end for
            // want of memory leads to another worker than before.
            if has_ended && !self.sent[at].is_earlier && self.interrupted.hungry.is_empty() {
                self.vain += 1;
            }
        }
        self.look_at_silent(&heard)?;
        self.end_silent()?;
        self.say();
        self.check_start()
    }

    /// Notes how a worker has ended, and what each of its starts was at.
    fn note_end(&mut self, at: usize, end: WorkerEnd) -> Result<()> {
        tracing::info!(job = %end.worker.job, index = end.worker.index, cause = ?end.cause,
            reason = %end.reason, "a worker has ended");
        let log = self.last_words(&end);
        self.observer.observe(&JobEvent::WorkerEnded {
            worker: format!("{}:{}", end.worker.job, end.worker.index),
            reason: end.reason.clone(),
            log: log.clone(),
        });
        let is_hungry = matches!(end.cause, Cause::OutOfMemory | Cause::Exit(OOM_EXIT));
        let (name, index) = (self.sent[at].name.clone(), end.worker.index);
        if end.cause == Cause::Exit(OTHER_BINARY_EXIT) {
            let message =
                "the workers run another binary than the driver, or build another pipeline";
            let error = Error::new(ErrorCode::FINGERPRINT, ErrorKind::Conflict, message)
                .at("job", &end.worker.job)
                .at("reason", &end.reason)
                .mend("give the workers an image with the binary that the driver runs");
            return Err(self.with_log(error, &end));
        }
        let (is_crash, reason) = (end.cause.is_crash(), end.reason.clone());
        self.last_end = Some(end);
        let (signs, rung) = (self.signs()?, Some(self.sent[at].rung));
        let (names, peak_bytes) = (signs.starts(&name, index), signs.peak_bytes(&name, index));
        // What it was at is told by its claims: a heartbeat may come too late to say so.
        let claims = self.store.list(keys::CLAIMS)?;
        let mut of_start: BTreeMap<&str, Vec<(StageId, u32)>> = BTreeMap::new();
        let mut ended = Vec::new();
        for claim in &claims {
            let Some((stage, task, worker)) = keys::claim_of(&claim.key) else { continue };
            if names.contains(worker) {
                of_start.entry(worker).or_default().push((stage, task));
                ended.push(&claim.key);
            }
        }
        for beside in of_start.into_values() {
            for &(stage, task) in &beside {
                if is_hungry {
                    self.interrupted.hungry.push(Hungry { stage, task, rung, peak_bytes });
                } else if is_crash {
                    let (beside, reason, log) = (beside.clone(), reason.clone(), log.join("\n"));
                    self.interrupted.crashed.push(Crash { stage, task, beside, reason, log });
                }
            }
        }
        // It has ended, as its place says: others need not wait until it has been silent for long enough.
        ended.into_iter().try_for_each(|key| self.store.delete(key))?;
        Ok(())
    }

    /// Looks for submissions whose answer was lost.
    fn find_lost(&mut self) -> Result<()> {
        for sent in self.sent.iter_mut().filter(|sent| sent.id.is_none()) {
            let found = self.launcher.find(&sent.name)?;
            let Some((first, others)) = found.split_first() else { continue };
            sent.id = Some(first.clone());
            if !others.is_empty() {
                self.launcher.stop(others, "submitted twice")?;
            }
        }
        Ok(())
    }

    /// Submits workers for so many open tasks, unless there are enough.
    fn staff(&mut self, rung: u32, tasks: u64) -> Result<()> {
        let live = self.sent.iter().filter(|sent| sent.rung >= rung && !sent.has_ended());
        let live: u32 = live.map(Sent::live_workers).sum();
        let all: u32 = self.sent.iter().filter(|it| !it.has_ended()).map(Sent::live_workers).sum();
        let free = self.options.max_workers.get().saturating_sub(all);
        let wanted = tasks.div_ceil(u64::from(self.options.threads.get() as u32));
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let missing = wanted.saturating_sub(live).min(free);
        // A few more are not worth a submission: those that are there will come to what is left.
        let is_worth_it = u64::from(missing) * FEW >= u64::from(live);
        let Some(workers) = NonZeroU32::new(missing).filter(|_| is_worth_it) else {
            return Ok(());
        };
        // Workers may have gone home because the run was cancelled, and have seen it first.
        if self.refusals.is_pausing() || self.store.has(keys::CANCEL)? {
            return Ok(());
        }
        if self.vain > VAIN_LIMIT {
            return Err(self.lost());
        }
        self.submit(workers, rung)
    }

    fn submit(&mut self, workers: NonZeroU32, rung: u32) -> Result<()> {
        let number = self.number;
        self.number += 1;
        let name = format!("{}-{}-{number:04}", self.options.name, self.lease.epoch);
        let key = format!("{}/{:06}.{number:04}.intent", keys::SUBMISSIONS, self.lease.epoch);
        let intent = Intent { v: 1, name: name.clone(), workers: workers.get(), rung };
        self.store.create(&key, &intent)?;
        let submission = self.options.submission(self.store, &name, workers, rung);
        let id = match self.launcher.submit(&submission) {
            Ok(Submitted::As(id)) => {
                self.store.create(&keys::job(&key), &id)?;
                Some(id)
            }
            Ok(Submitted::Unknown) => None,
            Err(error) => {
                // Nothing was submitted: nobody is to look for it.
                self.store.delete(&key)?;
                return self.refused(error);
            }
        };
        self.refusals.accepted();
        tracing::info!(name = %name, workers, rung, "workers submitted");
        self.sent.push(Sent {
            name,
            id,
            workers: workers.get(),
            rung,
            sent: Instant::now(),
            since_ms: objects::now_ms(),
            told: Instant::now(),
            status: None,
            failed_seen: BTreeSet::new(),
            is_earlier: false,
            begun: None,
            is_heard: false,
        });
        self.say();
        Ok(())
    }

    /// Ends the run, or asks again later.
    fn refused(&mut self, error: Error) -> Result<()> {
        if self.options.fail_fast_launch {
            return Err(error);
        }
        let is_nobody_there = self.sent.iter().all(Sent::has_ended);
        let pause = Duration::from_millis(self.options.describe_ms);
        self.refusals.note(self.store, error, is_nobody_there, pause)
    }

    /// Explains workers that do not start, and gives up after a while.
    fn check_start(&mut self) -> Result<()> {
        let is_waiting =
            |sent: &&Sent| sent.status.as_ref().is_some_and(|it| it.state == JobState::Waiting);
        let has_started = self.sent.iter().any(|sent| {
            sent.status
                .as_ref()
                .is_some_and(|it| !it.state.has_ended() && it.state > JobState::Waiting)
        });
        let Some(oldest) = self.sent.iter().find(is_waiting).filter(|_| !has_started) else {
            self.has_warned = false;
            return Ok(());
        };
        let (waited, Some(id)) = (oldest.sent.elapsed(), oldest.id.clone()) else { return Ok(()) };
        let limit = |ms: u64| waited >= Duration::from_millis(ms);
        if !limit(self.options.runnable_warn_ms) {
            return Ok(());
        }
        let is_last = limit(self.options.runnable_fail_ms);
        if self.has_warned && !is_last {
            return Ok(());
        }
        self.has_warned = true;
        let found = self.launcher.diagnose(&id)?;
        let why = found.as_ref().map_or("nobody says why", |it| it.finding.as_str());
        self.finding = Some((id.clone(), why.to_owned()));
        self.say();
        if !is_last {
            tracing::warn!(job = %id, waited_s = waited.as_secs(), why, "workers do not start");
            // Waiting may help; another place may do so sooner.
            let may_pass = found.as_ref().is_none_or(|found| found.may_pass);
            if may_pass && let Some(place) = self.launcher.fall_back() {
                tracing::warn!(place, "workers are started elsewhere from now on");
                self.launcher.stop(&[id], "started elsewhere")?;
            }
            return Ok(());
        }
        let message = format!("no worker has started for {} s: {why}", waited.as_secs());
        let mut error = Error::new(ErrorCode::NOT_STARTING, ErrorKind::ResourceExhausted, message);
        error = error.at("job", id);
        if let Some(found) = found {
            // A role has one place: what else is said of it is not kept.
            error = error.at("evidence", found.evidence.join("\n")).mend(found.mend);
        }
        Err(error.mend("run `levain doctor --hello`; what is done is kept, resume the run later"))
    }

    fn lost(&self) -> Error {
        let message = "workers end again and again without having done a task";
        let error = Error::new(ErrorCode::WORKERS_LOST, ErrorKind::ResourceExhausted, message);
        let error = error.mend("look at the log of a worker; what is done is kept, resume the run");
        let Some(end) = &self.last_end else { return error };
        self.with_log(error.at("job", &end.worker.job).at("reason", &end.reason), end)
    }

    /// Shows the last lines of a worker's log; logs that cannot be read hide no error.
    fn with_log(&self, error: Error, end: &WorkerEnd) -> Error {
        let lines = self.last_words(end);
        if lines.is_empty() { error } else { error.at("log", lines.join("\n")) }
    }

    /// What a worker has printed last; nothing of one whose end is told by its place alone, or whose log
    /// cannot be read, which is no reason to keep silent about its end.
    fn last_words(&self, end: &WorkerEnd) -> Vec<String> {
        if matches!(end.cause, Cause::Stopped | Cause::Reclaimed) {
            return Vec::new();
        }
        match self.launcher.logs(&end.worker, LOG_LINES) {
            Ok(lines) => lines.into_iter().map(|line| line.text).collect(),
            Err(error) => {
                tracing::debug!(%error, "the log of a worker cannot be read");
                Vec::new()
            }
        }
    }

    /// Waits until all workers have gone home, which the store has told them; stops those that
    /// stay.
    ///
    /// # Errors
    /// A launcher that cannot be asked.
    pub(crate) fn dismiss(&mut self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(self.options.describe_ms / 20);
        loop {
            self.find_lost()?;
            let live: Vec<JobId> = self
                .sent
                .iter()
                .filter(|sent| !sent.has_ended())
                .filter_map(|sent| sent.id.clone())
                .collect();
            let known = self.launcher.describe(&live)?;
            let unheard: Vec<&JobId> =
                live.iter().filter(|id| known.iter().all(|it| it.id != **id)).collect();
            let live: Vec<&JobStatus> = known.iter().filter(|it| !it.state.has_ended()).collect();
            if live.is_empty() && !self.has_living(&unheard)? {
                return Ok(());
            }
            // What has not started cannot go home, and would start for nothing.
            let is_late = began.elapsed() > patience;
            let stays = live.iter().filter(|it| is_late || it.state == JobState::Waiting);
            let stays: Vec<JobId> = stays.map(|it| it.id.clone()).collect();
            if !stays.is_empty() {
                self.launcher.stop(&stays, "the run is over")?;
            }
            if is_late {
                return Ok(());
            }
            crate::pause(pause);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

/// A worker ends so before the kernel ends it for want of memory.
pub(crate) const OOM_EXIT: i32 = 14;
/// A worker ends so if it is not the driver's binary, or has built another pipeline.
pub(crate) const OTHER_BINARY_EXIT: i32 = 13;
