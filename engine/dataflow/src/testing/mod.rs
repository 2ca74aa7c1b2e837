//! What tests of all crates need; behind the feature `testing`.

mod reference;
mod surroundings;

pub use reference::ReferenceRunner;
pub use surroundings::{python, s3_endpoint, shared_file, skip};
