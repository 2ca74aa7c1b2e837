//! Turns a panic in code of the recipe into an error that names the step.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::Env;

/// Runs `work`; a panic becomes an error of the step whose code ran.
///
/// Nothing that `work` has touched is used afterwards but what it shares through locks, so an
/// unwound chain is never seen half done.
pub(super) fn catch(env: &Env, work: impl FnOnce() -> Result<()>) -> Result<()> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(panic) => Err(env.blame(env.current(), panicked(panic.as_ref()))),
    }
}

/// Whether an error would be clearer if it named the element.
pub(super) fn wants_element(error: &Error) -> bool {
    let is_stopped = matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Transient);
    let says_where = error.places().any(|(role, _)| !["step", "recipe"].contains(&role));
    error.place("step").is_some() && !says_where && !is_stopped
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
    Error::new(ErrorCode::USER_PANIC, ErrorKind::User, format!("the function panicked: {text}"))
}
