//! What all files say, reduced: associative, commutative, and no larger than it must be.
//!
//! A [`Schema`] holds for everything that should agree the value of the first file, and the first
//! other value with the file that has it. So any number of files can be reduced in any order, and
//! whatever contradicts can be named with two files.

mod axis;
mod coverage;
mod known_axes;
mod reduction;
mod spread;
mod variable;
mod variants;

pub(crate) use axis::{AxisPoint, AxisSummary};
pub(crate) use known_axes::KnownAxes;
pub use reduction::Schema;
pub(crate) use reduction::{
    FilePlace, FileSummary, FurtherAxis, VariableFindings, attributes_of, has_dimension,
};
pub(crate) use spread::Spread;
pub(crate) use variable::{BOUNDS, VariableSchema};
pub use variants::FileSet;
pub(crate) use variants::{Attribute, Variants, merge_maps};

#[cfg(test)]
mod tests;
