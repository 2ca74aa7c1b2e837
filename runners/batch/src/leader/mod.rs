//! The driver of a run: plans stages, watches commits, starts workers. It moves no data.
//!
//! Its state is what lies in the store: a driver that takes over reads it and goes on. Whatever two
//! drivers write at once, each key is created once, and commits decide.

mod cancel;
mod dispel;
mod drive;
mod failures;
mod lease;
mod merging;
mod plan;
mod refusals;
mod signs;
mod speculate;
mod spending;
mod stage;
mod telling;
mod workers;

pub use cancel::{cancel, leave};
pub use dispel::dispel;
pub(crate) use dispel::living;
pub(crate) use drive::{Drive, drive};
pub(crate) use lease::Lease;
pub(crate) use merging::merged_by;
pub(crate) use spending::Spending;
pub(crate) use workers::{Crew, Launched};
