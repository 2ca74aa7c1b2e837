//! Functions on blocks: each chunk by itself, or with a halo of its neighbours.

mod template;

mod map_blocks;

mod halo;
mod map_overlap;

pub use halo::BoundaryMode;
pub use map_blocks::MapBlocks;
pub use map_overlap::MapOverlap;
pub use template::Template;

#[cfg(test)]
mod tests;
