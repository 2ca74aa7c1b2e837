//! Chunks of datasets under keys: split, consolidated, rechunked.
//!
//! Each pure function has a transform of the same words: `split_chunks` and [`SplitChunks`]. What
//! flows is `(Key, DatasetChunk)`. A transform that brings chunks together holds one group of them
//! at a time.

mod lengths;
mod slices;

mod dataset_keys;
mod source;

mod split;

mod consolidate;
mod layout;
mod variables;

mod rechunk;
mod stages;

mod write;

pub use consolidate::{ConsolidateChunks, consolidate_chunks, consolidate_fully};
pub use dataset_keys::DatasetKeys;
pub(crate) use layout::{Layout, check_same, missing};
pub use lengths::{ChunkLengths, Chunks};
pub use rechunk::{Rechunk, RechunkOptions, RechunkStage, rechunk_in_memory};
pub use slices::offsets_to_slices;
pub use source::{DatasetToChunks, ValidateEachChunk};
pub use split::{SplitChunks, split_chunks, split_range};
pub use stages::{
    ChunkLimit, MultistagePlan, StageChunks, StagePlanner, consolidate_chunk_shape,
    count_intermediate_chunks, count_io_operations, stage_chunks,
};
pub use variables::{ConsolidateVariables, SplitVariables, consolidate_variables, split_variables};
pub use write::WriteChunks;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod tests;
