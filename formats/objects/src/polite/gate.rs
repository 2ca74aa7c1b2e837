//! The gate of a host: who wants to ask it something waits here for the turn.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::polite::limits::HostLimits;
use crate::polite::pace::{Pace, Turn};

/// The start that times are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One gate a host for the whole process: a server does not care which part of us asks.
static GATES: Mutex<BTreeMap<String, Arc<Gate>>> = Mutex::new(BTreeMap::new());

/// Where requests to one host wait.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pace: Mutex<Pace>,
    ended: Notify,
}

impl Gate {
    /// The gate of a host, by its name and port.
    pub(super) fn of(host: &str) -> Arc<Self> {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(host) {
            return Arc::clone(gate);
        }
        let gate = Arc::new(Self::default());
        gates.insert(host.to_owned(), Arc::clone(&gate));
        gate
    }

    /// Waits for the turn of a request, which is in flight until the pass is dropped.
    pub(super) async fn enter(self: &Arc<Self>, limits: &HostLimits) -> Pass {
        loop {
            // Asked for before the pace, so that an end between the two is not missed.
            let ended = self.ended.notified();
            let now = now();
            let turn = self.pace().admit(now, limits);
            match turn {
                Turn::Now => return Pass { gate: Arc::clone(self), limits: *limits, began: now },
                Turn::At(time) => tokio::time::sleep(time.saturating_sub(now)).await,
                Turn::AfterAnother => ended.await,
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Duration {
    START.elapsed()
}

/// The right of one request to be in flight.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    limits: HostLimits,
    began: Duration,
}

impl Pass {
    /// The host has answered, and not with a refusal.
    pub(super) fn answered(&self) {
        self.gate.pace().answered();
    }

    /// The host has refused, and wants to be left alone for so long.
    pub(super) fn refused(&self, asked: Option<Duration>) {
        self.gate.pace().refused(self.began, now(), asked, &self.limits);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.pace().end();
        self.gate.ended.notify_waiters();
    }
}
