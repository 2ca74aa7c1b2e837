//! Files in a grid: several concat dimensions, merge dimensions, or both.
//!
//! ```text
//!   FilePattern ──► FileGrid       the place of a file as a sum of numbers, one for each dimension
//!   Schema ──► projection          the files along one concat dimension, as if they were a list
//!                │ agree           all files at one key hold the same elements, or a table says not
//!                ▼ join            the elements of the store along it: error, inner, outer
//!              Sequence ── roles ► which files each variable comes from, by the lanes of the plan
//! ```
//!
//! A list of files along one dimension is no grid: it is baked without this module. Modules stand
//! in reading order.

mod lay;
mod shape;

mod projection;

mod agree;
mod join;
mod sequence;

mod holes;
mod roles;

pub(crate) use holes::complete;
pub(crate) use lay::Lay;
pub(crate) use roles::{CheckedGrid, check_grid};
pub(crate) use shape::{FileGrid, GridDim};
