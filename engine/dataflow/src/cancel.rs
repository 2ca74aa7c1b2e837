//! How a run is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// A request to stop that all threads of a run can see; clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Request>);

#[derive(Debug)]
struct Request {
    is_set: AtomicBool,
    made: Instant,
    /// How long after it was made it is set by itself; none is the greatest number.
    after_ns: AtomicU64,
    parent: Option<CancelToken>,
}

impl Request {
    fn of(parent: Option<CancelToken>) -> Self {
        let (is_set, after_ns) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        Self { is_set, made: Instant::now(), after_ns, parent }
    }

    fn is_over(&self) -> bool {
        let after_ns = self.after_ns.load(Ordering::Relaxed);
        after_ns != u64::MAX && nanoseconds(self.made.elapsed()) >= after_ns
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::of(None)
    }
}

/// Without those that do not fit: 584 years are as good as never.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl CancelToken {
    /// Asks whatever looks at this token to stop; it does so between two batches.
    pub fn cancel(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
    }

    /// Asks the same once this time from now is over; of several limits the first holds.
    pub fn cancel_after(&self, limit: Duration) {
        let after = self.0.made.elapsed().saturating_add(limit);
        self.0.after_ns.fetch_min(nanoseconds(after), Ordering::Relaxed);
    }

    /// A token that is cancelled with this one, and that can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Request::of(Some(self.clone()))))
    }

    /// Whether a stop was asked for, here or of a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
            || self.0.is_over()
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
    use std::time::Duration;

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
    #[test]
    fn the_first_of_several_limits_stops() {
        let run = CancelToken::default();
        run.cancel_after(Duration::MAX);
        run.cancel_after(Duration::from_secs(3600));
        assert!(!run.is_cancelled());
        let bake = run.child();
        run.cancel_after(Duration::ZERO);
        run.cancel_after(Duration::from_secs(3600));
        assert!(run.is_cancelled() && bake.check().is_err());
    }
}
