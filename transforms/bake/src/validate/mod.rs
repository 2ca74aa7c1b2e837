//! Looks at a store that was written: is it what its readers were promised?
//!
//! ```text
//!   Check           cf, monotonic, no-nan-chunks, attributes, range: a word, what it is about, a level
//!     │ metadata    names, attributes, references; coordinates are read chunk by chunk
//!     │ values      every chunk of the variables that some check is about, once
//!     ▼
//!   ValidationReport    what was found, by check, variable, chunk and the files that feed it
//! ```
//!
//! Works on any [`DatasetSource`](array::DatasetSource), a store among them that is not finished
//! yet; knows no run and no place where reports are kept.

mod check;
mod coordinate;
mod metadata;
mod report;
mod values;

pub use check::{Check, CheckLevel, Checks};
pub use metadata::check_metadata;
pub use report::{ValidationFinding, ValidationReport};
pub use values::ValueChecks;
