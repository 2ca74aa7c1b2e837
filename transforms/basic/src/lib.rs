//! Element transforms and combine functions that every pipeline needs.
//!
//! Each file holds one idea. They are made of the primitives of `dataflow` and know nothing of
//! runners, plans or formats.

mod count;
mod extremes;
mod map;
mod mean;
mod sum;

pub use count::{Count, CountPerElement};
pub use extremes::{Max, Min};
pub use map::{Filter, FlatMap, Map};
pub use mean::Mean;
pub use sum::Sum;

#[cfg(test)]
mod tests;
