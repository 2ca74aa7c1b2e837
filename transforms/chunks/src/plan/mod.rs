//! How an array gets from one grid of chunks to another: chosen by arithmetic, before anything is
//! read.
//!
//! A [`CopyPlan`] is what runs. Pure integers: nothing here does any I/O.

mod residue;
mod axis;

mod copy_plan;

#[cfg(test)]
pub(crate) use copy_plan::predict;
pub use copy_plan::{CopyPlan, Machine, Strategy};
