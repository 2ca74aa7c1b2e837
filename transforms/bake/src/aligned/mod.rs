//! Dimensions along which no file follows another, and along which files have other elements.
//!
//! ```text
//!   Schema.coordinates ── union ──► AlignedDim     the elements of the store, and where each file
//!          │                                       has them
//!          └───── schema ─────────► Schema         as if all files had all of them
//!                 source ─────────► DatasetSource  a file that has all of them: what it lacks is
//!                                                  its missing value
//! ```
//!
//! So everything after knows of one grid alone. Only a policy asks for it (`--join`): by default
//! files on different grids are refused. Modules stand in reading order.

mod union;

mod schema;

mod source;

pub(crate) use schema::{align, is_aligned};
pub(crate) use source::aligned;
pub use union::AlignedDim;
