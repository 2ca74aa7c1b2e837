//! The chunked-array vocabulary: what formats, the rechunk planner and the bakery say to each other.
//!
//! ```text
//!   Dataset ── variables ──► Variable { dimensions, shape, dtype, attributes }
//!                                │ an ArraySource reads it, an ArraySink writes it
//!                                ▼
//!   ChunkGrid cuts the shape      ┌────┬────┬──┐
//!   into chunks: regular at a     │0,0 │0,1 │02│   Region 1..4 × 2..7 meets
//!   target, rectilinear at a      ├────┼────┼──┤   the chunks 0,0  0,1  1,0  1,1
//!   source                        │1,0 │1,1 │12│
//!                                 └────┴────┴──┘
//! ```
//!
//! Elements are little endian and in C order, whatever the file they came from does. Nothing here
//! knows a file format, a store or a runner. Modules stand in reading order.

/// The error type of the house, for crates that know arrays and nothing else.
pub use dataflow::error;

mod attributes;
mod buffer;
mod chunk;
mod coder;
mod copy;
mod dataset;
mod dataset_chunk;
mod dataset_coder;
mod dtype;
mod encoded;
mod grid;
mod group_path;
mod key;
mod memory_dataset;
mod promote;
mod recut;
mod region;
mod scalar;
mod seam;
mod sizes;

pub use attributes::{AttributeValue, Attributes};
pub use buffer::ArrayBuffer;
pub use chunk::Chunk;
pub use coder::ChunkCoder;
pub use copy::{BoxCopy, copy_box};
pub use dataset::{Dataset, Dimension, Storage, Variable};
pub use dataset_chunk::{DatasetChunk, VariableChunk, validate_chunk};
pub use dataset_coder::DatasetChunkCoder;
pub use dtype::{DType, Native};
pub use encoded::{
    ByteRange, ChunkLocation, CodecParameter, EncodedChunk, EncodedChunks, EncodedFacts,
    FetchedChunks, NamedCodec, not_encoded,
};
pub use grid::{Axis, ChunkGrid};
pub use group_path::GroupPath;
pub use key::Key;
pub use memory_dataset::MemoryDataset;
pub use region::Region;
pub use scalar::Scalar;
pub use seam::{
    ArraySink, ArraySource, DatasetSource, Fetched, Placement, SinkFacts, SourceFacts, UnitStream,
    Writing, WrittenUnit,
};
pub use sizes::Sizes;
