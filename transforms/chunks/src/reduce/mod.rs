//! Reductions of keyed chunks: over dimensions, over groups of elements, over windows.
//!
//! A chunk becomes a *partial*: arrays from which the result is computed once all chunks have been
//! merged. Where the order of merging shows in the last bits, as in sums of floats, partials are
//! merged in the order of the keys of their chunks; everything else is combined before the shuffle.

mod cells;
mod number;

mod function;
mod per_element;
mod reducer;
mod selection;

mod groups;
mod partial;

mod combine;
mod fanout;
mod transform;

mod coarsen;

pub(crate) use cells::pick_elements;
pub use coarsen::{Boundary, Coarsen, WindowMethod, coarsen_chunk};
pub use combine::ReduceFn;
pub use fanout::{Fanout, fanout_bins, fanout_index};
pub use function::Reduction;
pub use groups::Groups;
pub use partial::{Partial, PartialVariable};
pub use per_element::PerElement;
pub use reducer::{ReduceInput, Reduced, Reducer};
pub use transform::Reduce;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
