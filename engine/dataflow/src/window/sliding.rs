//! Windows of one length that overlap.

use std::time::Duration;

use crate::time::{Timestamp, millis_of};
use crate::window::fixed::last_start;
use crate::window::{Window, WindowFn, WindowFnKind};

/// Windows of one length that start at even distances; an element is in each that holds its time.
///
/// A side input in such windows is looked up in the earliest that holds the last point of the
/// main input's window, as Beam does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindows {
    size_ms: i64,
    period_ms: i64,
    offset_ms: i64,
}

impl SlidingWindows {
    /// Windows of this length that start at every `period`; both at least one millisecond.
    ///
    /// A period longer than the windows would leave elements without any: it is shortened to the
    /// length of the windows.
    pub fn of(size: Duration, period: Duration) -> Self {
        let size_ms = millis_of(size).max(1);
        Self { size_ms, period_ms: millis_of(period).clamp(1, size_ms), offset_ms: 0 }
    }

    /// Lets windows start so much later.
    #[must_use]
    pub fn with_offset(mut self, offset: Duration) -> Self {
        self.offset_ms = millis_of(offset).rem_euclid(self.period_ms);
        self
    }
}

impl WindowFn for SlidingWindows {
    fn kind(&self) -> WindowFnKind {
        WindowFnKind::Sliding {
            size: Duration::from_millis(self.size_ms.unsigned_abs()),
            period: Duration::from_millis(self.period_ms.unsigned_abs()),
            offset: Timestamp::from_millis(self.offset_ms),
        }
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        let last = last_start(timestamp, self.period_ms, self.offset_ms);
        // The earliest window is the last one whose start leaves the timestamp inside.
        let count = (self.size_ms - (timestamp.millis() - last) - 1).div_euclid(self.period_ms);
        for back in (0..=count).rev() {
            let start = last - back * self.period_ms;
            into.push(Window::of_millis(start, start + self.size_ms));
        }
    }
}
