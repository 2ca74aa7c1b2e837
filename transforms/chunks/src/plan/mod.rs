//! How an array gets from one grid of chunks to another: chosen by arithmetic, before anything is
//! read.
//!
//! [`plan`] is given a [`Problem`] (two grids over one array, and what a task may hold) and a
//! [`CostModel`] (what bytes and requests cost), looks at the best way of each [`Method`], and takes
//! the cheapest that fits. Pure integers: nothing here does any I/O, nothing lists chunks or tasks.
//!
//! Counts are exact, in closed form, and products over dimensions, which are independent: `axis` has
//! all that is to be known of one dimension. What is counted is executed by `simulate` in tests.
//!
//! A [`CopyPlan`] is what runs.

mod axis;
mod residue;

mod problem;

mod rates;

mod cost;
mod method;

mod extents;

mod direct;
mod middle;
mod packed;
mod pairs;
mod passthrough;
mod streamed;
mod sweep;

mod choose;

mod copy_plan;

pub use choose::{Candidate, Planned, Verdict, plan};
pub use copy_plan::{CopyPlan, Machine};
pub use cost::{CostModel, Costs, Price};
pub use method::Method;
pub(crate) use problem::read_grid;
pub use problem::{Problem, Streaming, TaskMemory};
pub use rates::{CodecRates, StoreProfile};

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod worked_examples;
