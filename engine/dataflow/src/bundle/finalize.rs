//! Calls back what has asked for it, now that a bundle has committed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;
use crate::graph::Env;
use crate::metrics::{Metrics, StepMetrics};

/// Counts callbacks that have failed, by step.
const FAILURES: &str = "finalization_failures";

/// Calls all callbacks of the bundle; what they do cannot undo the commit, so failures are logged
/// and counted only.
pub(super) fn call_all(env: &Env) -> Metrics {
    let mut failures = Metrics::default();
    for (node, callback) in env.take_on_commit() {
        let outcome = catch_unwind(AssertUnwindSafe(callback));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("the callback panicked")));
        if let Err(error) = outcome {
            let step = &env.step(node).name;
            tracing::warn!(%step, %error, "a callback after a commit has failed");
            let mut counted = StepMetrics::default();
            counted.count(FAILURES, 1);
            failures.merge(&counted.of_step(step));
        }
    }
    failures
}
