//! Copies arrays from any grid of chunks to any other, within a byte budget; and computes on chunks
//! under keys.
//!
//! A [`CopyPlan`] says how one array is copied; [`plan`](plan()) is how it is chosen, by exact counts
//! ([`Costs`]) and a [`CostModel`], and [`Method`] what there is to choose from; `docs/rechunk-plans.md`
//! says more. [`CopyArrays`] runs the plans.
//!
//! Beside that stands the library of transforms on collections of `(Key, DatasetChunk)`, with the
//! words of xarray-beam: [`DatasetToChunks`] reads a dataset, [`SplitChunks`], [`ConsolidateChunks`]
//! and [`Rechunk`] change how it is cut.
//!
//! This crate knows arrays through `ArraySource` and `ArraySink` only: no format, no store. Modules
//! stand in reading order.

mod byte_size;
mod choose;
mod ratio_spec;
mod spec;

mod plan;

mod cells;
mod coarse_source;
mod copy;
mod gather;
mod moving;
mod passing;
mod passing_streams;
mod segments;
mod streams;
mod write_behind;
mod written;

mod room;

mod keyed;
mod reduce;

mod blocks;

pub use blocks::{BoundaryMode, MapBlocks, MapOverlap, Template};
pub use byte_size::{ByteSize, parse_bytes};
pub use choose::{
    ArraySize, BestChunk, BytesPer, ChunkSizing, ChunkWish, RatioSizing, ZarrChunks, ZarrGrid,
    auto_chunk_lengths, check_labels, check_whole_units, even_divisor_chunks, infer_chunk_length,
    normalize_chunks, scaled_ratio_chunks,
};
pub use coarse_source::{CoarseSource, CoarsenMethod};
pub use copy::{CopyArrays, DoneUnits, PlannedCopy};
pub use keyed::{
    ChunkLengths, ChunkLimit, Chunks, ConsolidateChunks, ConsolidateVariables, DatasetKeys,
    DatasetToChunks, MultistagePlan, Rechunk, RechunkOptions, RechunkStage, SplitChunks,
    SplitVariables, StageChunks, StagePlanner, ValidateEachChunk, WriteChunks,
    consolidate_chunk_shape, consolidate_chunks, consolidate_fully, consolidate_variables,
    count_intermediate_chunks, count_io_operations, offsets_to_slices, rechunk_in_memory,
    split_chunks, split_range, split_variables, stage_chunks,
};
pub use plan::{
    Candidate, CodecRates, CopyPlan, CostModel, Costs, Machine, Method, Planned, Price, Problem,
    StoreProfile, Streaming, TaskMemory, Verdict, plan,
};
pub use ratio_spec::ChunkRatio;
pub use reduce::{
    Boundary, Coarsen, Fanout, Groups, Partial, PartialVariable, PerElement, Reduce, ReduceFn,
    ReduceInput, Reduced, Reducer, Reduction, WindowMethod, coarsen_chunk, fanout_bins,
    fanout_index,
};
pub use spec::{ChunkLength, ChunkSpec};
pub use written::Written;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod keyed_runs;
#[cfg(test)]
mod passing_tests;
#[cfg(test)]
mod tests;
