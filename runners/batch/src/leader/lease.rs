//! Who drives: the highest lease, for as long as its heartbeat is fresh.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::ObjectFacts;

use crate::store::{LeaderRecord, RunStore, keys, silence};

/// Lists that may show what was there before, one after the other.
const LISTS: usize = 4;

/// The right to drive a run.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    store: RunStore,
    pub(crate) epoch: u32,
}

impl Lease {
    /// Takes over a run that nobody drives.
    ///
    /// A driver that has been silent for `silence` is dead: that long is waited for a sign of life, by
    /// the clock of the store.
    ///
    /// # Errors
    /// E507 if somebody drives it; a store that fails.
    pub(crate) fn take(store: &RunStore, host: &str, silence: Duration) -> Result<Self> {
        let mut first_beat = None;
        loop {
            let last = last_epoch(store)?;
            if let Some(beat) = last_beat(store, last, silence)? {
                let is_same = *first_beat.get_or_insert((last, beat)) == (last, beat);
                if !is_same {
                    return Err(driven(store, last)?);
                }
                crate::pause(silence / 20);
                continue;
            }
            let lease = Self { store: store.clone(), epoch: last + 1 };
            // Two that find it abandoned race for the next epoch, and one of them looks again.
            if store.create(&keys::lease(lease.epoch), &LeaderRecord::here(host.to_owned()))? {
                lease.beat()?;
                return Ok(lease);
            }
        }
    }

    /// Beats until `stop` is dropped.
    pub(crate) fn run(&self, every: Duration, stop: &Receiver<()>) {
        while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = self.beat() {
                tracing::warn!(%error, "the heartbeat of the driver failed");
            }
        }
    }

    /// Fails once somebody else has taken over.
    ///
    /// # Errors
    /// E507; a store that fails.
    pub(crate) fn check(&self) -> Result<()> {
        match self.store.has(&keys::lease(self.epoch + 1))? {
            true => Err(driven(&self.store, self.epoch + 1)?),
            false => Ok(()),
        }
    }

    /// The object that this driver keeps writing anew: the clock of the store.
    pub(crate) fn heartbeat_key(&self) -> String {
        keys::leader_heartbeat(self.epoch)
    }

    /// Gives the run back: another driver need not wait.
    pub(crate) fn release(&self) -> Result<()> {
        self.store.delete(&keys::leader_heartbeat(self.epoch))
    }

    fn beat(&self) -> Result<()> {
        self.store.put(&keys::leader_heartbeat(self.epoch), &objects::now_ms())
    }
}

impl RunStore {
    /// Whether somebody drives the run: a driver has beaten lately, by the clock of the store.
    ///
    /// Cost: five requests.
    ///
    /// # Errors
    /// No run, a store that fails.
    pub fn is_driven(&self) -> Result<bool> {
        let silence = silence(self.run_record()?.options.heartbeat_ms);
        Ok(last_beat(self, last_epoch(self)?, silence)?.is_some())
    }
}

/// The epoch of the last driver; 0 if there was none.
pub(super) fn last_epoch(store: &RunStore) -> Result<u32> {
    let leases = store.list(keys::LEASES)?;
    let epochs = leases.iter().filter_map(|it| Some(keys::task_of(&it.key)?.0));
    Ok(epochs.max().unwrap_or(0))
}

/// When the driver of an epoch has last beaten, if that is not too long ago.
fn last_beat(store: &RunStore, epoch: u32, silence: Duration) -> Result<Option<i64>> {
    if epoch == 0 {
        return Ok(None);
    }
    let (beats, now) = beats_now(store)?;
    let beat = keys::leader_heartbeat(epoch);
    let then = beats.iter().find(|it| it.key == beat).map(|it| it.last_modified_ms);
    Ok(then.filter(|then| now - then <= silence.as_millis() as i64))
}

/// All heartbeats, and what time it is by the clock of the store.
///
/// # Errors
/// A store that fails, or that goes on listing what was there before.
pub(super) fn beats_now(store: &RunStore) -> Result<(Vec<ObjectFacts>, i64)> {
    let probe = format!("{}/probe-{}", keys::HEARTBEATS, crate::random::hex());
    store.put(&probe, &())?;
    let mut found = None;
    for _ in 0..LISTS {
        let beats = store.list(keys::HEARTBEATS)?;
        // A list without what was just written is not of now: who is not in it may live.
        let now_ms = beats.iter().find(|it| it.key == probe).map(|it| it.last_modified_ms);
        found = now_ms.map(|now_ms| (beats, now_ms));
        if found.is_some() {
            break;
        }
    }
    store.delete(&probe)?;
    found.ok_or_else(|| {
        let message = "the store lists what was there before, and not what is there";
        Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, message)
            .at("run", store.root())
            .mend("use a store whose lists show what was just written")
    })
}

fn driven(store: &RunStore, epoch: u32) -> Result<Error> {
    let who: Option<LeaderRecord> = store.read(&keys::lease(epoch))?;
    let who = who.map_or_else(String::new, |it| format!("process {} on {}", it.process, it.host));
    let error =
        Error::new(ErrorCode::LOCKED, ErrorKind::Conflict, "another process drives this run");
    let error = error.at("run", store.root()).at("driver", who);
    Ok(error.mend("wait for it, or stop it; its place is free a minute after its last heartbeat"))
}

/// A clock for work that is done now and then.
#[derive(Debug)]
pub(crate) struct Now {
    every: Duration,
    next: Instant,
}

impl Now {
    pub(crate) fn every(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Whether it is time; the next time is counted from now.
    pub(crate) fn is(&mut self) -> bool {
        let now = Instant::now();
        let is_time = now >= self.next;
        if is_time {
            self.next = now + self.every;
        }
        is_time
    }
}
