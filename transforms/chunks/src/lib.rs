//! Copies arrays from any grid of chunks to any other, within a byte budget.
//!
//! A [`CopyPlan`] says how one array is copied: each target unit *pulls* the source regions that it
//! needs; or the whole array is *held* and every source chunk is read once; or source chunks are
//! split, *shuffled* by target unit and consolidated. [`CopyArrays`] runs the plans.
//!
//! This crate knows arrays through `ArraySource` and `ArraySink` only: no format, no store. Modules
//! stand in reading order.

mod byte_size;
mod choose;
mod ratio_spec;
mod spec;

mod cost;
mod plan;

mod coarse_source;
mod copy;
mod hold;
mod pull;
mod shuffle;
mod written;

pub use byte_size::{ByteSize, parse_bytes};
pub use choose::{
    ArraySize, BestChunk, BytesPer, ChunkSizing, ChunkWish, RatioSizing, ZarrChunks, ZarrGrid,
    auto_chunk_lengths, check_labels, check_whole_units, even_divisor_chunks, infer_chunk_length,
    normalize_chunks, scaled_ratio_chunks,
};
pub use coarse_source::{CoarseSource, CoarsenMethod};
pub use copy::{CopyArrays, DoneUnits, PlannedCopy};
pub use plan::{CopyPlan, Machine, Strategy};
pub use ratio_spec::ChunkRatio;
pub use spec::{ChunkLength, ChunkSpec};
pub use written::Written;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
