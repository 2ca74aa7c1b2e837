//! What is changed in every file before it is looked at: steps, in the order in which they are
//! given.
//!
//! Dimensions that a pattern makes from its keys come last, unless a step says where.
//! A step changes the header of a file and, where it must, how arrays are read. Nothing is read
//! before somebody asks for it.

mod attribute;
mod key;
mod mapped;
mod partial;
mod source;
mod step;
mod subset;

pub use attribute::GivenAttribute;
pub(crate) use partial::Unknown;
pub(crate) use source::{Preparation, prepared};
pub use step::Step;
pub use subset::Bound;
