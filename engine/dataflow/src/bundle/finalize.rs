//! Calls back what has asked for it, now that a bundle has committed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dofn::OnCommit;
use crate::error::Error;
use crate::graph::{Env, NodeId, StepInfo};
use crate::metrics::{Metrics, StepMetrics};

/// Counts callbacks that have failed, by step.
const FAILURES: &str = "finalization_failures";

/// What is to be called once a bundle has committed, and the steps that have asked for it.
#[derive(Default)]
pub(super) struct Callbacks(Vec<(NodeId, OnCommit)>);

impl Callbacks {
    /// Those that a bundle has left.
    pub(super) fn of(env: &Env) -> Self {
        Self(env.take_on_commit())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callbacks").field(&self.0.len()).finish()
    }
}

/// Calls all callbacks; what they do cannot undo the commit, so failures are logged and counted only.
pub(super) fn call_all(callbacks: Callbacks, steps: &[StepInfo]) -> Metrics {
    let mut failures = Metrics::default();
    for (node, callback) in callbacks.0 {
        let outcome = catch_unwind(AssertUnwindSafe(callback));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("the callback panicked")));
        if let Err(error) = outcome {
            let step = &steps[node.0 as usize].name;
            tracing::warn!(%step, %error, "a callback after a commit has failed");
            let mut counted = StepMetrics::default();
            counted.count(FAILURES, 1);
            failures.merge(&counted.of_step(step));
        }
    }
    failures
}
