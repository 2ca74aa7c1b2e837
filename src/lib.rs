//! Levain: pipelines whose main job is baking array data.

pub use array;
pub use basic;
pub use dataflow;
pub use direct;
