//! One window for everything.

use crate::time::Timestamp;
use crate::window::{Window, WindowFn, WindowFnKind};

/// All elements in one window: what a pipeline has that says nothing of windows.
#[derive(Debug, Clone, Copy, Default)]
pub struct GlobalWindows;

impl WindowFn for GlobalWindows {
    fn kind(&self) -> WindowFnKind {
        WindowFnKind::Global
    }

    fn assign(&self, _: Timestamp, into: &mut Vec<Window>) {
        into.push(Window::Global);
    }
}
