//! The contract of window functions.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;
use crate::window::Window;

/// Puts timestamps into windows.
///
/// What must hold: it is pure, so that every machine assigns alike; `assign` gives at least one
/// window; merging functions give windows that hold the timestamp.
pub trait WindowFn: Send + Sync + fmt::Debug + 'static {
    /// What it is, for fingerprints, errors and foreign runners.
    fn kind(&self) -> WindowFnKind;

    /// The windows of a timestamp, ascending.
    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>);

    /// The window that two windows of one key become, if they do.
    ///
    /// Groupings offer the windows of a key in ascending order: `current` is what those before have
    /// become, `next` is the one that follows.
    fn merge(&self, current: Window, next: Window) -> Option<Window> {
        let _ = (current, next);
        None
    }

    /// Whether windows of one key may become one: then a side input cannot have them.
    fn is_merging(&self) -> bool {
        false
    }
}

/// What a window function is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowFnKind {
    /// `beam:window_fn:global_windows:v1`
    Global,
    /// `beam:window_fn:fixed_windows:v1`
    Fixed {
        /// The length of a window.
        size: Duration,
        /// The start of a window.
        offset: Timestamp,
    },
    /// `beam:window_fn:sliding_windows:v1`
    Sliding {
        /// The length of a window.
        size: Duration,
        /// From the start of a window to that of the next.
        period: Duration,
        /// The start of a window.
        offset: Timestamp,
    },
    /// `beam:window_fn:session_windows:v1`
    Sessions {
        /// The least time without elements between two windows.
        gap: Duration,
    },
    /// A function of the recipe: its name and its arguments.
    Custom(String),
}
