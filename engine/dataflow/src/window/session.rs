//! Windows that last as long as elements keep coming.

use std::time::Duration;

use crate::time::{Timestamp, millis_of};
use crate::window::{Window, WindowFn, WindowFnKind};

/// For each key, windows that end where no element comes for the length of the gap.
///
/// An element alone has the window from its time to before the end of the gap; windows that
/// intersect become one when the key is grouped. Windows that only touch stay apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    gap_ms: i64,
}

impl Sessions {
    /// Windows that end after a gap of this length, at least one millisecond.
    pub fn with_gap(gap: Duration) -> Self {
        Self { gap_ms: millis_of(gap).max(1) }
    }
}

impl WindowFn for Sessions {
    fn kind(&self) -> WindowFnKind {
        WindowFnKind::Sessions { gap: Duration::from_millis(self.gap_ms.unsigned_abs()) }
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        let start = timestamp.millis();
        into.push(Window::of_millis(start, start.saturating_add(self.gap_ms)));
    }

    fn merge(&self, current: Window, next: Window) -> Option<Window> {
        current.intersects(next).then(|| current.span(next))
    }

    fn is_merging(&self) -> bool {
        true
    }
}
