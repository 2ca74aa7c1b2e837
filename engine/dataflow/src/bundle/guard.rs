//! Turns a panic in code of the recipe into an error that names the step.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::Env;

/// Runs `work`; a panic becomes an error of the step whose code ran, and any error names it.
///
/// Nothing that `work` has touched is used afterwards but what it shares through locks, so an
/// unwound chain is never seen half done.
pub(super) fn catch<T>(env: &Env, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let outcome = outcome.unwrap_or_else(|panic| match panic.downcast::<Error>() {
        // An iterator that could not go on; see `Iterable::iter`.
        Ok(error) => Err(*error),
        Err(panic) => Err(panicked(panic.as_ref())),
    });
    outcome.map_err(|error| env.blame(env.current(), error))
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

#[cfg(test)]
mod tests {
    use std::panic::{Location, resume_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::blob::{Payloads, ScratchBlobs};
    use crate::cancel::CancelToken;
    use crate::graph::{StepInfo, Views};
    use crate::memory::MemoryBudget;
    use crate::shuffle::Scratch;

    fn env() -> Env {
        let step = StepInfo { name: "Read".to_owned(), location: Location::caller() };
        let (budget, cancel) = (MemoryBudget::unlimited(), CancelToken::default());
        let scratch = Scratch::default();
        let payloads = Payloads::Aside(Arc::new(ScratchBlobs::new(scratch.clone())));
        Env::new(Arc::from([step]), budget, scratch, payloads, cancel, Views::default())
    }

    #[test]
    fn an_iterator_that_cannot_go_on_gives_its_own_error() {
        let unwound = Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, "damaged");
        let error = catch::<()>(&env(), || resume_unwind(Box::new(unwound))).expect_err("fails");
        assert_eq!((error.code(), error.place("step")), (ErrorCode::STORE_FAILED, Some("Read")));
    }

    #[test]
    fn a_request_to_stop_is_nobodys_fault() {
        let stop = CancelToken::default();
        stop.cancel();
        let error = catch(&env(), || stop.check()).expect_err("stopped");
        assert_eq!(error.place("step"), None);
    }
}
