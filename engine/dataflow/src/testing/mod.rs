//! What tests of all crates need; behind the feature `testing`.
//!
//! A test builds a [`TestPipeline`], says with [`assert_that`] what its collections hold, and runs
//! it: on the [`ReferenceRunner`], which is slow and plain, on any other runner, or on a
//! [`ChaosRunner`], which does everything that a runner may do, by one seed.

mod functions;
mod random;

mod reference;
mod surroundings;

mod assertion;
mod difference;
mod pipeline;

mod chaos;

// Not for this crate's own unit tests alone: its many types take longer to compile than the crate.
#[cfg(feature = "testing")]
pub mod conformance;

pub use assertion::{AssertThat, assert_that};
pub use chaos::ChaosRunner;
pub use functions::{Each, each, map};
pub use pipeline::TestPipeline;
pub use random::SplitMix64;
pub use reference::ReferenceRunner;
pub use surroundings::{
    batch_program, beam_python, beam_rows, beam_server, python, s3_endpoint, s3_servers,
    shared_file, skip,
};
