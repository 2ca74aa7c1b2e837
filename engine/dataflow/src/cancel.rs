//! How a run is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// A request to stop that all threads of a run can see; clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    own: Arc<AtomicBool>,
    parent: Option<Arc<AtomicBool>>,
}

impl CancelToken {
    /// Asks whatever looks at this token to stop; it does so between two batches.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// A token that is cancelled with this one, and that can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), parent: Some(Arc::clone(&self.own)) }
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(&self.own) || self.parent.as_deref().is_some_and(is_set)
    }

    /// Returns an error once a stop was asked for.
    ///
    /// # Errors
    /// The request itself, as E501.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            let message = "the run was stopped";
            return Err(Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CancelToken;

    #[test]
    fn a_child_stops_alone_or_with_its_parent() {
        let run = CancelToken::default();
        let (first, second) = (run.child(), run.child());
        first.cancel();
        assert!(first.check().is_err() && second.check().is_ok() && run.check().is_ok());
        run.cancel();
        assert!(second.is_cancelled());
    }
}
