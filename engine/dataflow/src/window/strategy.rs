//! What is known of the windows of a collection while a pipeline is built.

use std::fmt;
use std::sync::Arc;

use crate::window::{GlobalWindows, Stamp, Window, WindowFn, WindowFnKind};

/// The time of what a grouping makes of the elements of a key and window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampCombiner {
    /// The last point of the window.
    #[default]
    EndOfWindow,
    /// The least time of the elements.
    Earliest,
    /// The greatest time of the elements.
    Latest,
}

/// How the elements of a collection are put into windows, and how groupings treat these.
#[derive(Debug, Clone)]
pub struct Windowing {
    /// The function that has assigned the windows.
    pub window_fn: Arc<dyn WindowFn>,
    /// The time of groups.
    pub timestamp_combiner: TimestampCombiner,
    /// Whether the next grouping merges windows; a grouping that has merged them is the last.
    pub merges: bool,
}

impl Windowing {
    /// Whether all elements stand in the global window.
    pub fn is_global(&self) -> bool {
        self.window_fn.kind() == WindowFnKind::Global
    }

    /// Whether elements of both may be put together.
    pub fn is_compatible(&self, other: &Self) -> bool {
        self.window_fn.kind() == other.window_fn.kind() && self.merges == other.merges
    }

    /// The window in which a side input of this windowing is looked up for a main input in `main`.
    pub fn side_window(&self, main: Window) -> Window {
        let mut windows = Vec::new();
        self.window_fn.assign(main.max_timestamp(), &mut windows);
        windows.first().copied().unwrap_or(Window::Global)
    }

    /// The same windows after a grouping.
    #[must_use]
    pub fn grouped(&self) -> Self {
        Self { merges: false, ..self.clone() }
    }
}

impl Default for Windowing {
    fn default() -> Self {
        let timestamp_combiner = TimestampCombiner::default();
        Self { window_fn: Arc::new(GlobalWindows), timestamp_combiner, merges: false }
    }
}

impl fmt::Display for Windowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.window_fn.kind(), self.timestamp_combiner)?;
        f.write_str(if self.merges { " merging" } else { "" })
    }
}

/// What is known of the stamps of a collection before a run: where all elements have one stamp,
/// none is written between stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stamps {
    /// All elements have this one.
    Same(Stamp),
    /// Each element has its own.
    Each,
}

/// Says in which window of a side input to look, given the window of the main input.
#[derive(Clone)]
pub struct WindowMapping(Arc<dyn Fn(Window) -> Window + Send + Sync>);

impl WindowMapping {
    /// Looks where this function says.
    pub fn of(function: impl Fn(Window) -> Window + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// The window of the side input.
    pub fn map(&self, main: Window) -> Window {
        (self.0)(main)
    }
}

impl fmt::Debug for WindowMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowMapping")
    }
}
