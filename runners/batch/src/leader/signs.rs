//! What the store tells of the workers of jobs: by their heartbeats, where nobody else says anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dataflow::error::Result;

use super::lease::Lease;
use crate::store::{RunStore, WorkerBeat, keys, silence};

/// The last heartbeat of every start of every worker.
#[derive(Debug)]
pub(super) struct Signs {
    beats: Vec<Sign>,
    /// The last heartbeat of the driver, by the clock of the store.
    now_ms: i64,
    silence: Duration,
}

#[derive(Debug)]
struct Sign {
    /// The name of the start of a worker.
    worker: String,
    beat: WorkerBeat,
    at_ms: i64,
}

impl Signs {
    /// Reads all heartbeats, of drivers that let workers beat at this distance.
    ///
    /// Cost: a list, and a read for every worker.
    ///
    /// # Errors
    /// A store that fails.
    pub(super) fn read(store: &RunStore, lease: &Lease, heartbeat_ms: u64) -> Result<Self> {
        let listed = store.list(keys::HEARTBEATS)?;
        let times: BTreeMap<&str, i64> =
            listed.iter().map(|it| (it.key.as_str(), it.last_modified_ms)).collect();
        let own = times.get(lease.heartbeat_key().as_str()).copied();
        let now_ms = own.into_iter().chain(times.values().copied()).max().unwrap_or(0);
        let workers = listed.iter().map(|it| it.key.clone()).filter(|key| key.contains("/w-"));
        let beats = store.read_all::<WorkerBeat>(workers)?.into_iter().filter_map(|(key, beat)| {
            let worker = key.rsplit('/').next()?.strip_prefix("w-")?.to_owned();
            let at_ms = times.get(key.as_str()).copied().unwrap_or(now_ms);
            Some(Sign { worker, beat, at_ms })
        });
        Ok(Self { beats: beats.collect(), now_ms, silence: silence(heartbeat_ms) })
    }

    /// Whether a worker of this job was ever heard of.
    pub(super) fn has_begun(&self, job: &str) -> bool {
        self.beats.iter().any(|it| it.beat.job == job)
    }

    /// The workers of a job that have gone home, or are silent for longer than those that live: as many
    /// indexes, each of which may have been started again and again.
    pub(super) fn ended(&self, job: &str) -> u32 {
        let of_job = self.beats.iter().filter(|it| it.beat.job == job);
        let all: BTreeSet<u32> = of_job.map(|it| it.beat.index).collect();
        all.len() as u32 - self.living(job)
    }

    /// The workers of a job that live.
    pub(super) fn living(&self, job: &str) -> u32 {
        let silence_ms = self.silence.as_millis() as i64;
        let is_living = |it: &&Sign| !it.beat.has_ended && self.now_ms - it.at_ms <= silence_ms;
        let of_job = self.beats.iter().filter(|it| it.beat.job == job);
        let living: BTreeSet<u32> = of_job.filter(is_living).map(|it| it.beat.index).collect();
        living.len() as u32
    }

    /// The names of all starts of a worker.
    pub(super) fn starts(&self, job: &str, index: u32) -> BTreeSet<&str> {
        let of_worker = self.beats.iter().filter(|it| it.beat.job == job && it.beat.index == index);
        of_worker.map(|it| it.worker.as_str()).collect()
    }

    /// The most memory that a worker has held at once, as far as it came to say so; zero if nobody knows.
    pub(super) fn peak_bytes(&self, job: &str, index: u32) -> u64 {
        let of_worker = self.beats.iter().filter(|it| it.beat.job == job && it.beat.index == index);
        of_worker.map(|it| it.beat.peak_bytes).max().unwrap_or(0)
    }
}
