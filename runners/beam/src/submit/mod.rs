//! A graph as Beam's `Pipeline`: what is sent to a job server.
//!
//! ```text
//! nodes ── translate ──► primitives, in parts where a runner shuffles between them
//!                           │ group by name
//!                           ▼
//!                        composites ── validate, as job servers do ──► Pipeline
//! ```
//!
//! Every function that is ours is named by a [`Handler`]: which transform of which pipeline, and which
//! part of it. Runners rename, fuse and copy transforms, but they do not touch what a function says of
//! itself.

pub(crate) mod urns;

mod handler;

mod coders;
mod composites;

mod translate;

mod validate;

mod announce;

pub(crate) use announce::announce_finalization;
pub(crate) use handler::{Handler, Role};
pub(crate) use translate::{is_read_by_window, side_name, translate};
pub(crate) use validate::validate;

#[cfg(test)]
mod tests;
