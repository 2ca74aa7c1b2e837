//! Submissions that were refused: counted, tried again, and told once each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dataflow::error::{Error, Result};

use crate::store::{RunStore, keys};

/// Refusals in a row after which a run ends that nobody works on.
const REFUSALS_LIMIT: u32 = 3;
/// The longest pause before the next submission.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was refused so far.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: BTreeMap<String, u32>,
    in_a_row: u32,
    next: Option<Instant>,
}

impl Refusals {
    /// Whether it is too early to submit again.
    pub(super) fn is_pausing(&self) -> bool {
        self.next.is_some_and(|next| Instant::now() < next)
    }

    /// Notes that a submission was accepted.
    pub(super) fn accepted(&mut self) {
        (self.in_a_row, self.next) = (0, None);
    }

    /// Notes that a submission was refused, and keeps all such errors in the store, each once with its
    /// count.
    ///
    /// # Errors
    /// The refusal itself, if nobody works on the run and it came several times in a row; a store that
    /// fails.
    pub(super) fn note(
        &mut self,
        store: &RunStore,
        error: Error,
        is_nobody_there: bool,
        pause: Duration,
    ) -> Result<()> {
        let text = format!("{}: {}", error.code(), error.message());
        *self.counts.entry(text).or_default() += 1;
        self.in_a_row += 1;
        store.put(keys::REFUSALS, &self.counts)?;
        if is_nobody_there && self.in_a_row >= REFUSALS_LIMIT {
            return Err(error.at("refused", self.told().join("; ")));
        }
        tracing::warn!(%error, in_a_row = self.in_a_row, "workers were refused; they are asked for again");
        self.next = Some(Instant::now() + (pause * 2_u32.pow(self.in_a_row.min(6))).min(PATIENCE));
        Ok(())
    }

    fn told(&self) -> Vec<String> {
        self.counts.iter().map(|(text, count)| format!("{text} ×{count}")).collect()
    }
}
