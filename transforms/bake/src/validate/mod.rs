//! Looks at a store that was written: is it what its readers were promised?
//!
//! ```text
//!   Check           cf, monotonic, no-nan-chunks, attributes, range: a word, what it is about, a level
//!     │ metadata    names, attributes, references; coordinates are read chunk by chunk
//!     │ values      what a chunk says
//!     │ chunks      every chunk of the variables that some check is about, once: a pipeline
//!     ▼
//!   ValidationReport    what was found, by check, variable, chunk and the files that feed it
//! ```
//!
//! Works on any [`DatasetSource`](array::DatasetSource), a store among them that is not finished
//! yet; knows no run and no place where reports are kept.

mod check;
mod chunks;
mod coordinate;
mod metadata;
mod report;
mod values;

pub use check::{Check, CheckLevel, Checks};
pub use chunks::ValidateChunks;
pub use metadata::check_metadata;
pub use report::{ValidationFinding, ValidationReport};
