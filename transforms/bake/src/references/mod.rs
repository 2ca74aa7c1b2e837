//! References to the chunks of files in place of copies.
//!
//! ```text
//!   BakePlan ─► found   of every file and variable, where its chunks lie
//!                 │ grid    one shape of chunks and one chain of codecs for each variable
//!                 ▼
//!   set: every chunk of the store is a range of one file, or its bytes are made and held
//! ```
//!
//! The schema, the policies and the order of files are those of a bake. A chunk that is no chunk of
//! one file is encoded anew and held, up to a limit; beyond it the plan is refused, with the files.
//! Modules stand in reading order.

mod check;
mod found;
mod grid;
mod set;

pub use set::{References, Referred};
