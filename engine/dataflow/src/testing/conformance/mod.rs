//! What every runner must do alike: one case for each row of Beam's semantics.
//!
//! A [`Case`] builds a pipeline, runs it on a runner and compares what comes out with values that
//! are written beside it. [`CASES`] holds them all, table by table; [`REFUSED`] the rows that are
//! out of the model of bounded input, which every runner refuses by name. [`Matrix`] is what the
//! suite has found on several runners.
//!
//! Source: the tests that Apache Beam runs on every runner (`ValidatesRunner` of its Java SDK,
//! `FnApiRunnerTest` of its Python SDK).

mod case;
mod matrix;
mod refused;

mod functions;
mod timed;

mod asserts;
mod combine;
mod combine_life;
mod creation;
mod flatten;
mod group;
mod lifecycle;
mod metrics;
mod outputs;
mod pardo;
mod reshuffle;
mod side_inputs;
mod state;
mod windowed;
mod windows;

pub use case::Case;
pub use matrix::{Matrix, Outcome, RunnerFindings, Tally};
pub use refused::{REFUSED, Refusal};

/// All cases, table by table.
pub const CASES: &[&[Case]] = &[
    creation::CASES,
    pardo::CASES,
    outputs::CASES,
    group::CASES,
    combine::CASES,
    flatten::CASES,
    side_inputs::CASES,
    reshuffle::CASES,
    windows::CASES,
    windowed::CASES,
    state::CASES,
    lifecycle::CASES,
    metrics::CASES,
    asserts::CASES,
];

/// All cases, in the order of the tables.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().copied().flatten()
}

#[cfg(test)]
mod tests;
