//! Windows of one length that follow each other.

use std::time::Duration;

use crate::time::{Timestamp, millis_of};
use crate::window::{Window, WindowFn, WindowFnKind};

/// Windows of one length without gaps or overlaps.
///
/// ```
/// use std::time::Duration;
/// use dataflow::window::FixedWindows;
/// let hours_from_half_past =
///     FixedWindows::of(Duration::from_secs(3600)).with_offset(Duration::from_secs(1800));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindows {
    size_ms: i64,
    offset_ms: i64,
}

impl FixedWindows {
    /// Windows of this length, of which one starts at the epoch; at least one millisecond.
    pub fn of(size: Duration) -> Self {
        Self { size_ms: millis_of(size).max(1), offset_ms: 0 }
    }

    /// Lets windows start so much later.
    #[must_use]
    pub fn with_offset(mut self, offset: Duration) -> Self {
        self.offset_ms = millis_of(offset).rem_euclid(self.size_ms);
        self
    }
}

impl WindowFn for FixedWindows {
    fn kind(&self) -> WindowFnKind {
        let size = Duration::from_millis(self.size_ms.unsigned_abs());
        WindowFnKind::Fixed { size, offset: Timestamp::from_millis(self.offset_ms) }
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        let start = last_start(timestamp, self.size_ms, self.offset_ms);
        into.push(Window::of_millis(start, start + self.size_ms));
    }
}

/// The last start at or before a timestamp, where starts lie `period_ms` apart.
pub(super) fn last_start(timestamp: Timestamp, period_ms: i64, offset_ms: i64) -> i64 {
    let millis = timestamp.millis();
    millis - (millis - offset_ms).rem_euclid(period_ms)
}
