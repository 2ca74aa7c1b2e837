//! `levain watch`: shows how a run goes, from its objects alone, until it ends.
//!
//! `looking` decides when it is over; `shown` puts a look into words, `display` puts these before
//! people, `events` before programs.

mod display;
mod events;
mod looking;
mod shown;

pub(crate) use looking::{WatchArgs, is_gone, watch};
