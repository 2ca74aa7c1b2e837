//! Says that a worker lives, and learns who else does.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use dataflow::error::Result;

use crate::store::{RunStore, WorkerBeat, keys, silence};

/// Whoever is silent for so long is dead however short heartbeats are.
const LEAST_SILENCE_MS: u64 = 3000;

/// What a worker says of itself, and what it knows of others. Shared by its threads.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) name: String,
    state: Mutex<State>,
}

/// Who lives, as the store told when it was last asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Living {
    workers: BTreeSet<String>,
    /// When that was, by its clock.
    at_ms: i64,
    silence_ms: i64,
}

impl Living {
    /// Whether a worker lives that has begun something at a moment: one that nobody has heard of yet
    /// may have started since.
    pub(super) fn has(&self, worker: &str, begun_ms: i64) -> bool {
        self.workers.contains(worker) || self.at_ms - begun_ms <= self.silence_ms
    }
}

#[derive(Debug)]
struct State {
    beat: WorkerBeat,
    living: Living,
    /// When the driver was last known to live.
    leader_seen: Instant,
}

impl Pulse {
    pub(super) fn new(name: String, beat: WorkerBeat) -> Self {
        let state = State { beat, living: Living::default(), leader_seen: Instant::now() };
        Self { name, state: Mutex::new(state) }
    }

    /// Changes what is said of this worker.
    pub(super) fn change(&self, change: impl FnOnce(&mut WorkerBeat)) {
        change(&mut self.state().beat);
    }

    /// The workers that live.
    pub(super) fn living(&self) -> Living {
        self.state().living.clone()
    }

    /// How long the driver has been silent.
    pub(super) fn leader_silence(&self) -> Duration {
        self.state().leader_seen.elapsed()
    }

    /// Beats until `stop` is dropped; a store that fails is asked again the next time.
    pub(super) fn run(&self, store: &RunStore, every: Duration, stop: &Receiver<()>) {
        loop {
            if let Err(error) = self.beat(store, every) {
                tracing::warn!(worker = %self.name, %error, "a heartbeat failed");
            }
            if stop.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Says that this worker has gone home.
    pub(super) fn end(&self, store: &RunStore) -> Result<()> {
        self.change(|beat| beat.has_ended = true);
        self.say(store)?;
        // When a run has ended its driver counts what workers have said, and removes it: whoever comes
        // later, as the worker of a driver that was killed, looks after its own.
        if store.has(keys::RESULT)? && store.has(keys::REQUESTS)? {
            store.delete(&keys::worker_heartbeat(&self.name))?;
        }
        Ok(())
    }

    fn say(&self, store: &RunStore) -> Result<()> {
        let mut beat = self.state().beat.clone();
        beat.requests = store.requests();
        beat.peak_bytes = peak_bytes();
        store.put(&keys::worker_heartbeat(&self.name), &beat)
    }

    fn beat(&self, store: &RunStore, every: Duration) -> Result<()> {
        self.say(store)?;
        let beats = store.list(keys::HEARTBEATS)?;
        let own = keys::worker_heartbeat(&self.name);
        // The clock of the store is the only one that all have in common.
        let now_ms = beats.iter().find(|it| it.key == own).map(|it| it.last_modified_ms);
        let Some(now_ms) = now_ms else { return Ok(()) };
        let silence_ms = silence(every.as_millis() as u64).as_millis() as u64;
        let silence_ms = silence_ms.max(LEAST_SILENCE_MS);
        let is_living = |at_ms: i64| now_ms - at_ms <= silence_ms as i64;
        let mut state = self.state();
        state.living =
            Living { workers: BTreeSet::new(), at_ms: now_ms, silence_ms: silence_ms as i64 };
        for facts in beats.iter().filter(|it| is_living(it.last_modified_ms)) {
            let name = facts.key.rsplit('/').next().unwrap_or_default();
            match name.strip_prefix("w-") {
                Some(worker) => {
                    state.living.workers.insert(worker.to_owned());
                }
                None => state.leader_seen = Instant::now(),
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked between, each field is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most memory that this process has held at once; zero where the kernel does not say so.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = kibibytes.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
