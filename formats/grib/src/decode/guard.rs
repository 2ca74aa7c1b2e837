//! The edge to codecs of others: their panics are damage of one message.

use std::panic::{AssertUnwindSafe, catch_unwind};

use array::error::Result;

use crate::fault::corrupt;

/// Calls a codec.
///
/// The codecs are young and read bytes that nobody has checked: an index out of bounds in one is
/// damage of one message, not the end of a job that reads thousands. Nothing that `call` touches
/// is used after a panic.
///
/// # Errors
/// What the codec returns, or that it panicked.
pub(super) fn guarded<T>(codec: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(corrupt(format!("{codec} data contradict themselves: {text}")))
    })
}
