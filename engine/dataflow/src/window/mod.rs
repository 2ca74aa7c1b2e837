//! Where elements stand in event time.
//!
//! Every element has a [`Stamp`]: a timestamp, a window, and the pane of its last grouping. A
//! [`WindowFn`] puts timestamps into windows; groupings, combinations and side inputs then keep
//! to one window each. The words are Beam's.
//!
//! A pipeline without windows pays nothing: all elements of a batch share one stamp, and their
//! records carry a window prefix of zero bytes. An element that is put into several windows becomes
//! one element for each.

mod bounds;
mod coder;
mod stamp;

mod window_fn;

mod fixed;
mod global;
mod session;
mod sliding;

mod strategy;

pub use bounds::Window;
pub use coder::{
    STAMP_BYTES, TimestampCoder, WINDOW_BYTES, WindowCoder, decode_stamp, decode_window,
    encode_stamp,
};
pub(crate) use coder::{TIME_BYTES, decode_time, encode_time, encode_window};
pub use fixed::FixedWindows;
pub use global::GlobalWindows;
pub use session::Sessions;
pub use sliding::SlidingWindows;
pub use stamp::{PaneInfo, Stamp, Times};
pub use strategy::{Stamps, TimestampCombiner, WindowMapping, Windowing};
pub use window_fn::{WindowFn, WindowFnKind};

#[cfg(test)]
mod tests;
