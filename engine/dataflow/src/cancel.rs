//! How a run is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// A request to stop that all threads of a run can see; clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Request>);

#[derive(Debug, Default)]
struct Request {
    is_set: AtomicBool,
    parent: Option<CancelToken>,
}

impl CancelToken {
    /// Asks whatever looks at this token to stop; it does so between two batches.
    pub fn cancel(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
    }

    /// A token that is cancelled with this one, and that can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Request { is_set: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Whether a stop was asked for, here or of a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
            || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
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
        let grandchild = second.child();
        run.cancel();
        assert!(second.is_cancelled() && grandchild.is_cancelled());
    }
}
