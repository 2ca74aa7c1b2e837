//! Window: puts elements into windows by their times.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::element::Element;
use crate::error::Result;
use crate::graph::Env;
use crate::receiver::{AnyReceiver, Batch, OutputBuffer, Receiver};
use crate::window::{Stamp, Stamps, Window, WindowFn, Windowing};

/// An assignment of windows whose types the graph has forgotten.
pub trait AssignWindows: Send + Sync {
    /// The windows of what comes out.
    fn windowing(&self) -> &Windowing;

    /// Whether elements keep the windows that they have.
    fn keeps_windows(&self) -> bool;

    /// The receiver of its input.
    fn link(&self, next: AnyReceiver, env: &Env) -> AnyReceiver;
}

/// Puts elements of type `T` into windows.
pub struct RunWindowInto<T> {
    windowing: Windowing,
    keeps_windows: bool,
    of: PhantomData<fn() -> T>,
}

impl<T> RunWindowInto<T> {
    /// Puts every element into the windows that the function of `windowing` assigns.
    pub const fn assigning(windowing: Windowing) -> Self {
        Self { windowing, keeps_windows: false, of: PhantomData }
    }

    /// Leaves elements in their windows; groupings then follow `windowing`.
    pub const fn keeping(windowing: Windowing) -> Self {
        Self { windowing, keeps_windows: true, of: PhantomData }
    }

    /// What is known of the stamps of what comes out.
    pub(super) fn stamps_after(assign: &dyn AssignWindows, input: Stamps) -> Stamps {
        match input {
            _ if assign.keeps_windows() => input,
            Stamps::Same(stamp) if assign.windowing().is_global() => {
                Stamps::Same(Stamp { window: Window::Global, ..stamp })
            }
            _ => Stamps::Each,
        }
    }
}

impl<T> fmt::Debug for RunWindowInto<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunWindowInto").field("windowing", &self.windowing).finish_non_exhaustive()
    }
}

impl<T: Element> AssignWindows for RunWindowInto<T> {
    fn windowing(&self) -> &Windowing {
        &self.windowing
    }

    fn keeps_windows(&self) -> bool {
        self.keeps_windows
    }

    fn link(&self, next: AnyReceiver, _: &Env) -> AnyReceiver {
        if self.keeps_windows {
            return next;
        }
        let (window_fn, windows) = (Arc::clone(&self.windowing.window_fn), Vec::new());
        let out = OutputBuffer::new(next.typed::<T>());
        AnyReceiver::new::<T>(Assign { window_fn, windows, out })
    }
}

struct Assign<T> {
    window_fn: Arc<dyn WindowFn>,
    windows: Vec<Window>,
    out: OutputBuffer<T>,
}

impl<T: Element> Receiver<T> for Assign<T> {
    fn push(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for (place, value) in batch.values.drain(..).enumerate() {
            let stamp = batch.times.get(place);
            self.windows.clear();
            self.window_fn.assign(stamp.timestamp, &mut self.windows);
            let Some((&last, others)) = self.windows.split_last() else { continue };
            for &window in others {
                self.out.set_stamp(Some(Stamp { window, ..stamp }));
                self.out.push(value.clone())?;
            }
            self.out.set_stamp(Some(Stamp { window: last, ..stamp }));
            self.out.push(value)?;
        }
        // Nothing stays behind: what fails from here on was made of this batch.
        self.out.flush()
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.out.finish()
    }
}
