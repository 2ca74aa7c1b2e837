//! Where the workers stand that were submitted, for whoever looks on.

use dataflow::runner::{JobEvent, WorkerCounts};

use super::{Launched, Sent};
use crate::launch::{JobState, StateCounts};
use crate::store::JobRecord;

impl Launched<'_> {
    /// What was submitted and has not ended.
    pub(super) fn jobs(&self) -> Vec<JobRecord> {
        let live = self.sent.iter().filter(|sent| !sent.has_ended());
        let record = |sent: &Sent| JobRecord {
            name: sent.name.clone(),
            id: sent.id.as_ref().map(ToString::to_string),
            state: sent.status.as_ref().map(|it| it.state),
            workers: sent.counts(),
            reason: self.reason_of(sent),
            since_ms: sent.since_ms,
        };
        live.map(record).collect()
    }

    /// Why a job waits, where somebody has said so.
    fn reason_of(&self, sent: &Sent) -> String {
        let Some(status) = sent.status.as_ref().filter(|it| it.state <= JobState::Starting) else {
            return String::new();
        };
        let found = self.finding.as_ref().filter(|(id, _)| *id == status.id);
        found.map_or_else(|| status.reason.clone(), |(_, finding)| finding.clone())
    }

    /// Tells the observer where the workers stand, if that has changed.
    pub(super) fn say(&mut self) {
        let live = self.sent.iter().filter(|sent| !sent.has_ended());
        let counts = live.clone().fold(StateCounts::default(), |sum, it| sum.with(it.counts()));
        let StateCounts { waiting, starting, running, .. } = counts;
        let mut reasons = live.map(|sent| self.reason_of(sent));
        let reason = reasons.rfind(|it| !it.is_empty()).unwrap_or_default();
        let said = (WorkerCounts { waiting, starting, running }, reason);
        // Of a run that is taken up and has none there is nothing to say yet.
        let before = self.said.clone().unwrap_or_default();
        if before != said {
            let (workers, reason) = said.clone();
            self.observer.observe(&JobEvent::WorkersChanged { workers, reason });
            self.said = Some(said);
        }
    }
}

impl Sent {
    /// How many of its workers stand where; all wait of whom nothing was told.
    fn counts(&self) -> StateCounts {
        let waiting = StateCounts { waiting: self.workers, ..StateCounts::default() };
        self.status.as_ref().map_or(waiting, |status| status.workers)
    }

    /// Workers that may still take tasks.
    pub(super) fn live_workers(&self) -> u32 {
        let ended = self.status.as_ref().map_or(0, |it| it.workers.succeeded + it.workers.failed);
        self.workers.saturating_sub(ended)
    }
}
