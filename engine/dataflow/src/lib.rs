//! The Beam model in Rust: what a pipeline is, and how a bundle of it runs.
pub mod coder;
pub mod element;
pub mod error;

pub mod cancel;
pub mod memory;
pub mod metrics;
pub mod options;
pub mod shuffle;
pub mod window;
pub use derive::Element;
pub use element::Element;
pub mod bundle;
pub mod combine;
pub mod dofn;
pub mod graph;
pub mod pcollection;
pub mod pipeline;
pub mod plan;
pub mod prelude;
pub mod primitives;
pub mod ptransform;
pub mod receiver;
pub mod runner;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod view;
