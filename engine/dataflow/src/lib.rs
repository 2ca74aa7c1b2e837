//! The Beam model in Rust: what a pipeline is, and how a bundle of it runs.
pub mod coder;
pub mod element;
pub mod error;

pub use derive::Element;
pub use element::Element;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
