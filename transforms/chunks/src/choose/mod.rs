//! Chooses lengths of chunks, as pure functions of lengths, sizes and wishes.
//!
//! `best` is what a bake asks; the others do what dask, xarray-beam and dynamic-chunks do, for
//! pipelines that are moved here. Modules stand in reading order.

mod best;

mod auto_lengths;
mod normalize;
mod ratio;

mod infer;
mod whole_units;
mod zarr_grid;

pub use auto_lengths::auto_chunk_lengths;
pub use best::{BestChunk, ChunkSizing};
pub use infer::infer_chunk_length;
pub use normalize::{ArraySize, BytesPer, ChunkWish, normalize_chunks};
pub use ratio::{RatioSizing, even_divisor_chunks, scaled_ratio_chunks};
pub use whole_units::{check_labels, check_whole_units};
pub use zarr_grid::{ZarrChunks, ZarrGrid};
