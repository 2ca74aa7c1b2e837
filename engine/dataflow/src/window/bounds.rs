//! Windows.

use std::fmt;

use crate::time::Timestamp;

/// A finite part of event time, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// All of event time.
    Global,
    /// From `start` to before `end`.
    Interval {
        /// The first point in it.
        start: Timestamp,
        /// The first point after it.
        end: Timestamp,
    },
}

impl Window {
    /// The window from `start` to before `end`, in milliseconds.
    pub const fn of_millis(start: i64, end: i64) -> Self {
        Self::Interval { start: Timestamp::from_millis(start), end: Timestamp::from_millis(end) }
    }

    /// The last point in it.
    pub const fn max_timestamp(self) -> Timestamp {
        match self {
            Self::Global => Timestamp::END_OF_GLOBAL_WINDOW,
            Self::Interval { end, .. } => Timestamp::from_millis(end.millis() - 1),
        }
    }

    /// Whether both have a point in common; windows that touch have none.
    pub fn intersects(self, other: Self) -> bool {
        match (self, other) {
            (Self::Interval { start, end }, Self::Interval { start: from, end: to }) => {
                start < to && from < end
            }
            _ => true,
        }
    }

    /// The least window that holds both.
    #[must_use]
    pub fn span(self, other: Self) -> Self {
        match (self, other) {
            (Self::Interval { start, end }, Self::Interval { start: from, end: to }) => {
                Self::Interval { start: start.min(from), end: end.max(to) }
            }
            _ => Self::Global,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("the global window"),
            Self::Interval { start, end } => write!(f, "[{start}, {end})"),
        }
    }
}
