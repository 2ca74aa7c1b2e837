//! Where elements stand in event time.
//!
//! A pipeline without windows pays nothing: all elements of a batch stand in the global window,
//! and their records carry a window prefix of zero bytes.

/// The times and windows of the elements of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Times {
    /// All stand in the global window, at the earliest time.
    #[default]
    Global,
}
