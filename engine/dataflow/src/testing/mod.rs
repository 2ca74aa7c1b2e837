//! What tests of all crates need; behind the feature `testing`.

mod shared;

pub use shared::shared_file;
