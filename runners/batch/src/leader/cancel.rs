//! Asks a run to stop, or its driver to go, from wherever its objects can be written.

use dataflow::error::Result;

use crate::store::{RunStore, keys};

/// Asks a run that has no end to stop: its driver, and all its workers. False if there is none.
///
/// Nobody is waited for. What is committed stays, and another driver may take the run up.
///
/// # Errors
/// A store that fails.
pub fn cancel(store: &RunStore, why: &str) -> Result<bool> {
    let is_open = store.is_open()?;
    if is_open {
        store.put(keys::CANCEL, &why)?;
    }
    Ok(is_open)
}

/// Asks the driver of a run that has no end to go; workers that outlive it go on with the stages that
/// are open. False if there is no such run.
///
/// # Errors
/// A store that fails.
pub fn leave(store: &RunStore, why: &str) -> Result<bool> {
    let is_open = store.is_open()?;
    if is_open {
        store.put(keys::LEAVE, &why)?;
    }
    Ok(is_open)
}
