//! Zarr stores of versions 2 and 3, sharded or not: read, written, verified.
//!
//! ```text
//!   ZarrSource::open ──► dataset() and array(name): an ArraySource
//!                        chunks come whole, chunks of shards by ranges; each decodes by its Chain
//!   ZarrSink::create ──► array(name): an ArraySink, one object for each unit
//!        finish()    ──► metadata of arrays, then the root and its consolidated copy, last
//!   ZarrAppend::open ──► array(name): the same for a store that gets longer along a dimension
//!        finish()    ──► the new lengths, the consolidated copy last
//! ```
//!
//! Bytes come and go through `objects`; what the formats say is in `header`, what chunks are in
//! `chain`, `step` and `filter`. Nothing here plans, chooses chunks or knows CF beyond `_FillValue`.
//! Modules stand in reading order.

mod codec;
mod layout;

mod append;
mod description;
mod group;
mod sink;
mod source;
mod verify;

mod metadata;
mod store;

mod header;

mod attributes;
mod element;
mod fill;
mod json;

mod read;
mod write;

mod encoded;

mod chain;
mod filter;
mod shard;
mod step;

pub use append::ZarrAppend;
pub use codec::{BloscCname, BloscShuffle, Codec, CodecChain};
pub use description::ZarrDescription;
pub use group::ZarrGroup;
pub use layout::{VariableLayout, ZarrFormat, ZarrLayout};
pub use sink::ZarrSink;
pub use source::ZarrSource;
pub use verify::{Unit, UnitState};
