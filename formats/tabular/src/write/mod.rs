//! Writing elements as shards, whatever their format.
//!
//! ```text
//!   elements ──► shard of each ──┐
//!   destinations ──► check ──────┴─► GroupByKey ──► one object a shard ──► one manifest each
//! ```
//!
//! *Exactly once.* Grouping gives all elements of a shard to one bundle, which writes one whole
//! object. The shard of an element follows from its encoding, and within a shard elements are in
//! the order of their encodings: so the bytes of a shard follow from the elements alone, and a
//! bundle that runs again, or twice at once, writes the same object. The check of a destination is
//! committed before the first object is written, because grouping waits for it. The manifest is
//! written when all shards are committed.
//!
//! *Visible.* A shard is whole or not there. Whoever asks the manifest sees all or nothing; whoever
//! lists the folder sees shards appear one by one.
//!
//! A [`FileSink`] says how elements become the bytes of a file; [`WriteFiles`] is the transform of
//! every format.

mod manifest;
mod sink;

mod destination;
mod shard_file;
mod sort;

mod dynamic;
mod files;
mod shards;

pub use dynamic::{WriteDynamic, WriteDynamicVia};
pub use files::{WriteFiles, WrittenFiles};
pub use manifest::{Manifest, ShardFacts};
pub use shard_file::ShardFile;
pub use sink::{FileSink, RecordWriter};
