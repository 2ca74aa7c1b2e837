//! Runs one bundle of a stage: links its transforms into a chain, feeds it, and commits.
//!
//! `bundle/README.md` tells the life of a bundle. A bundle commits whole or not at all: what it
//! wrote is invisible until it has ended without an error, and running it again does no harm.

mod setting;

mod failure;
mod finalize;
mod guard;
mod link;
mod processor;
mod side_inputs;

mod attempt;

mod picked;

mod results;

pub use attempt::{BundleTask, Setback};
pub use failure::{Failure, Failures};
pub use picked::{OnDurable, Part, Picked, PickedBundle, PickedPart, Sink, Source, Wire};
pub use processor::{BundleInput, BundleProcessor, BundleReport};
pub use results::Results;
pub use setting::Setting;
