//! What becomes of attempts that failed.

use std::collections::BTreeMap;

use dataflow::bundle::Failure;
use dataflow::options::Retries;

use crate::store::{FailureClass, TaskFailure};

/// What is known of the attempts of one task that failed, by attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempts(BTreeMap<String, TaskFailure>);

/// What is done about a task.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It stays open.
    Again,
    /// It is given more memory.
    MoreMemory,
    /// It has failed for good.
    Failed(Box<Failure>),
}

impl Attempts {
    /// Judges a task after one more attempt.
    ///
    /// What would fail in the same way again is not tried again: the same rule holds in a process.
    pub(crate) fn judge(
        &mut self,
        attempt: String,
        failed: TaskFailure,
        retries: &Retries,
    ) -> Verdict {
        let class = failed.class;
        let failure = failed.failure.clone();
        self.0.insert(attempt, failed);
        let is_last = self.0.len() as u64 > u64::from(retries.of(failure.error.place("step")));
        match class {
            FailureClass::User => Verdict::Failed(Box::new(failure)),
            FailureClass::OomGuard => Verdict::MoreMemory,
            FailureClass::Transient if is_last => Verdict::Failed(Box::new(failure)),
            FailureClass::Transient => Verdict::Again,
        }
    }
}
