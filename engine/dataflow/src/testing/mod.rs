//! What tests of all crates need; behind the feature `testing`.

mod reference;
mod shared;

pub use reference::ReferenceRunner;
pub use shared::shared_file;
