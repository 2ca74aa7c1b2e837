//! References to chunks of other files: a store that holds where its chunks lie, and no copies.
//!
//! ```text
//!   ReferenceSet ── documents()  the metadata of a Zarr store of version 2
//!        │       └─ entry(array, chunk)  Absent | Inline bytes | Range { object, offset, length }
//!        ├──► write_json     kerchunk, version 1: one JSON object
//!        └──► write_parquet  kerchunk's Parquet: rows of chunks, read as they are needed
//! ```
//!
//! Nothing here opens the files that are referred to, plans which chunks fit, or knows codecs: who
//! scans a format makes the set. Modules stand in reading order.

mod reference;
mod set;

mod json;
mod parquet;

#[cfg(test)]
mod tests;

pub use json::write_json;
pub use parquet::{RECORD_SIZE, write_parquet};
pub use reference::{Entry, Immutability, Reference, Referent};
pub use set::{ReferenceSet, ReferencedArray, WrittenReferences};
