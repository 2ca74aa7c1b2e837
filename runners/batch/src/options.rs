//! How many workers, how large, and how patient the driver is.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::launch::{Resources, Submission};
use crate::random;
use crate::store::RunStore;

/// The name of the variable in which a worker of many finds its index.
pub const INDEX_VARIABLE: &str = "AWS_BATCH_JOB_ARRAY_INDEX";

/// Between two looks at the run store lies at least so many times what the first one took: whoever only
/// looks leaves a slow store to those that have something to do there.
pub(crate) const LOOK_SHARE: u32 = 4;
/// And for that reason nobody waits longer.
pub(crate) const LOOK_SHARE_MOST: Duration = Duration::from_secs(1);

/// How a run uses its workers. None of it is part of a plan's identity.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchOptions {
    /// What the jobs of the run are called, before a number: letters, digits, `-` and `_`. No other
    /// run has this name.
    pub name: String,
    /// The most workers at once.
    pub max_workers: NonZeroU32,
    /// Tasks that compute at once in each worker.
    pub threads: NonZeroUsize,
    /// Memory of a worker, in MiB, rung by rung: a task whose worker has provably run out of memory
    /// gets the next one.
    pub memory_ladder_mib: Vec<u64>,
    /// What a worker may use of that, in percent.
    pub usable_percent: u64,
    /// Virtual cores of a worker.
    pub vcpus: f64,
    /// GPUs of a worker.
    pub gpus: u32,
    /// How often a worker is started that its place has ended.
    pub attempts: NonZeroU32,
    /// After so many seconds a worker is ended.
    pub timeout_s: Option<u64>,
    /// What a worker runs.
    pub command: Vec<String>,
    /// What it finds in its environment, without secrets.
    pub environment: BTreeMap<String, String>,
    /// Names for accounts and searches.
    pub tags: BTreeMap<String, String>,
    /// The most tasks of a stage, for each thread of each worker.
    pub tasks_per_thread: NonZeroUsize,
    /// After so many tasks a worker goes home, and another one is started if there is more to do.
    pub tasks_max: Option<NonZeroU64>,
    /// Records of a stage that take more requests to read are merged first.
    pub merge_above: u64,
    /// A worker that has found nothing to do for so long goes home, in milliseconds.
    pub idle_ms: u64,
    /// Between two looks at the run store, in milliseconds: the least, and the most where nothing
    /// changes.
    pub look_ms: (u64, u64),
    /// Between two questions to the launcher, in milliseconds.
    pub describe_ms: u64,
    /// Between two heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// A worker whose driver has been silent for so long goes home, in milliseconds.
    pub leader_lost_ms: u64,
    /// Workers that do not start for so long are explained, in milliseconds.
    pub runnable_warn_ms: u64,
    /// Workers that do not start for so long fail the run, in milliseconds.
    pub runnable_fail_ms: u64,
    /// After so long the run is stopped.
    pub max_wall: Option<Duration>,
    /// What the run may cost; one that has cost more is stopped.
    pub max_cost: Option<CostLimit>,
    /// Whom the limit is for: this run alone, or all runs that share an account.
    pub account: Account,
    /// A job of which no worker has said a word so long after it began is ended, and submitted again, in
    /// milliseconds.
    pub startup_ms: u64,
    /// Whether the first submission that is refused ends the run, with its whole error.
    pub fail_fast_launch: bool,
    /// Whether workers and later drivers of another binary are refused though they build the same
    /// pipeline: the code of closures is no part of a fingerprint.
    pub needs_same_binary: bool,
}

/// What a run may cost, and what resources cost, in whatever currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostLimit {
    /// The most.
    pub most: f64,
    /// Of an hour of one virtual core.
    pub vcpu_hour: f64,
    /// Of an hour of one GiB of memory.
    pub gib_hour: f64,
    /// Of 1000 requests that write or list.
    pub put_1k: f64,
    /// Of 1000 requests that read.
    pub get_1k: f64,
}

/// What the runs of one command have cost so far, each by its place; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Account(Arc<Mutex<BTreeMap<String, f64>>>);

impl Account {
    /// Notes what a run has cost so far, and says what all have.
    pub(crate) fn note(&self, run: &str, cost: f64) -> f64 {
        let mut costs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        costs.insert(run.to_owned(), cost);
        costs.values().sum()
    }
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            name: format!("levain-{}", random::hex()),
            max_workers: NonZeroU32::new(16).expect("not zero"),
            threads: NonZeroUsize::MIN,
            memory_ladder_mib: vec![2048],
            usable_percent: 100,
            vcpus: 1.0,
            gpus: 0,
            attempts: NonZeroU32::new(5).expect("not zero"),
            timeout_s: None,
            command: Vec::new(),
            environment: BTreeMap::new(),
            tags: BTreeMap::new(),
            tasks_per_thread: NonZeroUsize::new(8).expect("not zero"),
            tasks_max: None,
            merge_above: 500_000,
            idle_ms: 60_000,
            look_ms: (500, 5000),
            describe_ms: 5000,
            heartbeat_ms: 10_000,
            leader_lost_ms: 3_600_000,
            runnable_warn_ms: 120_000,
            runnable_fail_ms: 900_000,
            max_wall: None,
            max_cost: None,
            account: Account::default(),
            startup_ms: 600_000,
            fail_fast_launch: false,
            needs_same_binary: false,
        }
    }
}

impl BatchOptions {
    /// Those of workers on this machine, over a store that answers at once.
    pub fn nearby() -> Self {
        Self {
            look_ms: (2, 20),
            describe_ms: 200,
            heartbeat_ms: 1000,
            idle_ms: 10_000,
            leader_lost_ms: 30_000,
            runnable_warn_ms: 10_000,
            runnable_fail_ms: 60_000,
            ..Self::default()
        }
    }

    /// Lets driver and workers look at the run store at this distance while something changes, and
    /// ask and beat in proportion.
    pub fn with_look_ms(&mut self, look_ms: u64) {
        self.look_ms = (look_ms, 10 * look_ms);
        self.describe_ms = 10 * look_ms;
        self.heartbeat_ms = 20 * look_ms;
    }

    /// What a worker of a rung may use, in MiB.
    pub fn usable_mib(&self, rung: u32) -> u64 {
        self.memory_mib(rung) * self.usable_percent / 100
    }

    /// What a worker of a rung is given, in MiB.
    pub(crate) fn memory_mib(&self, rung: u32) -> u64 {
        let ladder = &self.memory_ladder_mib;
        ladder.get(rung as usize).or(ladder.last()).copied().unwrap_or(2048)
    }

    /// The request for so many workers of a rung.
    pub(crate) fn submission(
        &self,
        store: &RunStore,
        name: &str,
        workers: NonZeroU32,
        rung: u32,
    ) -> Submission {
        let memory_mib = self.memory_mib(rung);
        let own = [
            ("LEVAIN_RUN_URI", store.root().to_string()),
            ("LEVAIN_JOB", name.to_owned()),
            ("LEVAIN_SLOTS", workers.to_string()),
            ("LEVAIN_RUNG", rung.to_string()),
            ("LEVAIN_MEM_MIB", self.usable_mib(rung).to_string()),
            ("LEVAIN_THREADS", self.threads.to_string()),
            ("LEVAIN_INDEX_VARIABLE", INDEX_VARIABLE.to_owned()),
        ];
        let mut environment = self.environment.clone();
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let timeout =
            self.timeout_s.map(|limit| ("LEVAIN_TIMEOUT_S".to_owned(), limit.to_string()));
        environment.extend(timeout);
        Submission {
            name: name.to_owned(),
            workers,
            command: self.command.clone(),
            environment,
            index_variable: INDEX_VARIABLE,
            resources: Resources { vcpus: self.vcpus, memory_mib, gpus: self.gpus },
            attempts: self.attempts,
            timeout_s: self.timeout_s,
            tags: self.tags.clone(),
        }
    }
}
