//! Jobs of which nothing is heard: of some the place does not tell, of others no worker has said a word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dataflow::error::{ErrorCode, Result};

use super::{LAGS, Launched, Sent};
use crate::launch::{Cause, JobId, JobState, JobStatus, StateCounts, WorkerEnd, WorkerId};
use crate::leader::signs::Signs;

impl Launched<'_> {
    /// Ends jobs of which no worker has said a word for as long as one may take to start: an image that
    /// is not pulled, a worker that cannot reach the store. What they had to do is submitted again.
    pub(super) fn end_silent(&mut self) -> Result<()> {
        let limit = Duration::from_millis(self.options.startup_ms);
        let is_due = |sent: &Sent| {
            let is_late = sent.begun.is_some_and(|begun| begun.elapsed() >= limit);
            is_late && !sent.is_heard && !sent.has_ended()
        };
        if !self.sent.iter().any(is_due) {
            return Ok(());
        }
        let signs = self.signs()?;
        for sent in self.sent.iter_mut().filter(|sent| is_due(sent)) {
            sent.is_heard = signs.has_begun(&sent.name);
        }
        let silent: Vec<JobId> =
            self.sent.iter().filter(|it| is_due(it)).filter_map(|it| it.id.clone()).collect();
        let Some(first) = silent.first().cloned() else { return Ok(()) };
        let reason = format!("no worker of it has started within {} s", limit.as_secs_f64());
        tracing::warn!(jobs = ?silent, reason, "jobs are ended and submitted again");
        self.launcher.stop(&silent, &reason)?;
        self.vain += silent.len() as u32;
        self.sent.retain(|sent| !is_due(sent));
        let (worker, cause) = (WorkerId { job: first, index: 0 }, Cause::CannotStart);
        self.last_end = Some(WorkerEnd { worker, attempts: 1, cause, reason });
        Ok(())
    }

    /// Forgets jobs that are not there: what they had to do is submitted again. Of those that the launcher
    /// does not tell of, as where it may not be asked, the store tells who has gone home.
    pub(super) fn look_at_silent(&mut self, heard: &BTreeSet<JobId>) -> Result<()> {
        let lag = self.launcher.lag() * LAGS;
        let is_heard = |sent: &Sent| sent.id.as_ref().is_some_and(|id| heard.contains(id));
        let is_silent =
            |sent: &Sent| !sent.has_ended() && !is_heard(sent) && sent.told.elapsed() > lag;
        let mut signs = None;
        for at in (0..self.sent.len()).rev() {
            if !is_silent(&self.sent[at]) {
                continue;
            }
            let name = self.sent[at].name.clone();
            match self.launcher.find(&name) {
                Ok(found) if found.is_empty() => {
                    self.sent.remove(at);
                    continue;
                }
                Ok(_) => {}
                // That it is denied is told once, where it is asked.
                Err(error) if error.code() == ErrorCode::LAUNCHER_DENIED => {}
                Err(error) => {
                    tracing::warn!(%name, %error, "nobody tells what became of a job");
                }
            }
            if signs.is_none() {
                signs = Some(self.signs()?);
            }
            let ended = signs.as_ref().map_or(0, |signs: &Signs| signs.ended(&name));
            let sent = &mut self.sent[at];
            sent.told = Instant::now();
            if ended > 0 {
                sent.status = Some(status_by_store(sent, ended));
                self.vain += u32::from(ended >= sent.workers);
            }
        }
        Ok(())
    }

    pub(super) fn signs(&self) -> Result<Signs> {
        Signs::read(self.store, self.lease, self.options.heartbeat_ms)
    }

    /// Whether workers of these jobs, of which the launcher says nothing, live as the store tells.
    pub(super) fn has_living(&self, unheard: &[&JobId]) -> Result<bool> {
        if unheard.is_empty() {
            return Ok(false);
        }
        let signs = self.signs()?;
        let is_unheard = |sent: &&Sent| sent.id.as_ref().is_some_and(|id| unheard.contains(&id));
        Ok(self.sent.iter().filter(is_unheard).any(|sent| signs.living(&sent.name) > 0))
    }
}

/// What is known of a job of which nobody but the store tells.
fn status_by_store(sent: &Sent, ended: u32) -> JobStatus {
    let is_over = ended >= sent.workers;
    let state = if is_over { JobState::Succeeded } else { JobState::Running };
    let (running, succeeded) = (sent.workers.saturating_sub(ended), ended.min(sent.workers));
    JobStatus {
        id: sent.id.clone().unwrap_or_else(|| JobId(sent.name.clone())),
        name: sent.name.clone(),
        state,
        reason: String::new(),
        workers: StateCounts { running, succeeded, ..StateCounts::default() },
    }
}
