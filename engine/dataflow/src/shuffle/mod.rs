//! Moves records from the bundles of one stage to those of the next; sees bytes, never elements.
//!
//! A writer puts records on an edge; the store keeps them as they come in memory while the budget
//! grants it, else sorted in spill files; a reader gets one partition, what is in memory brought
//! together by key and merged with what was spilled. What a bundle wrote is invisible until it
//! commits.

mod scratch;

mod short_key;

mod places;

mod merge;
mod run_file;

mod arena;
mod sorted;

mod grouped;

mod in_process;
mod sink;
mod transfer;

mod iterable;
mod sets;
mod table;
mod values;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;

pub use in_process::{InProcessShuffle, ShuffleCounts};
pub use iterable::{Iterable, IterableCoder, TryValues, Values};
pub(crate) use places::{NOWHERE, Places};
pub use scratch::Scratch;
pub use sets::{NoRecords, OfKey, Trimmed};
pub(crate) use short_key::{ShortHash, ShortKey};
pub use table::{Shelf, Table, TableOrder};
pub use transfer::{Exported, Importer, Segment};
pub use values::{RawValues, RawValuesBuilder};

/// Bytes that reading an edge takes at the most: a block and its encoding of every spill file.
pub(crate) const READER_BYTES: u64 = (in_process::FILES_LIMIT * 2 * run_file::BLOCK_BYTES) as u64;
/// Bytes that looking a side input up takes: a block that is kept, one that is read, its encoding.
pub(crate) const LOOK_UP_BYTES: u64 = (3 * run_file::BLOCK_BYTES) as u64;
/// Bytes that writing an edge takes before anything is reserved: a combine table and its sink.
pub(crate) const WRITER_BYTES: u64 = 2 * sink::FREE_BYTES;

/// Names an edge between two stages of one stage graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub u32);

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// How the records of an edge find their partition, and in which order they come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeOrder {
    /// By the hash of the key; each partition ascends by key bytes.
    ByKey,
    /// The same, but the last bytes of keys have no part in the hash: records that differ in nothing
    /// else come in one partition.
    ByKeyHead {
        /// How many.
        tail_bytes: usize,
    },
    /// In turns, without keys; each partition is in no order.
    InTurns,
}

/// One record: a key, and a value in two parts of which the second may be large and shared.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The encoded key; empty on edges without keys.
    pub key: &'a [u8],
    /// The head of the encoded value.
    pub head: &'a [u8],
    /// The tail of the encoded value.
    pub tail: &'a Bytes,
}

static EMPTY: Bytes = Bytes::new();

/// Keeps the records of all edges of a run.
pub trait ShuffleStore: Send + Sync {
    /// Declares an edge before anything is written to it.
    fn declare(&self, edge: EdgeId, order: EdgeOrder, partition_count: usize);

    /// A sink for the records that one bundle puts on an edge.
    ///
    /// # Errors
    /// An edge that was not declared, or a store that fails.
    fn sink(&self, edge: EdgeId) -> Result<Box<dyn RecordSink>>;

    /// The records of one partition, all bundles merged; to be called when the writers are done.
    ///
    /// # Errors
    /// An edge that was not declared, or a store that fails.
    fn records(&self, edge: EdgeId, partition: usize) -> Result<Box<dyn Records>>;

    /// All records of an edge, whatever their partition; to be called when the writers are done.
    ///
    /// # Errors
    /// An edge that was not declared, or a store that fails.
    fn contents(&self, edge: EdgeId) -> Result<Arc<dyn RecordSet>>;

    /// The partitions of an edge that hold at least one record.
    fn filled_partitions(&self, edge: EdgeId) -> Vec<usize>;

    /// Forgets an edge; its memory and files are free once the last reader is gone.
    fn release(&self, edge: EdgeId);
}

/// Takes the records of one bundle.
pub trait RecordSink: Send {
    /// The edge that the records go to.
    fn edge(&self) -> EdgeId;

    /// Takes one record.
    ///
    /// # Errors
    /// A disk that fails while spilling.
    fn put(&mut self, record: Record<'_>) -> Result<()>;

    /// Ends the bundle; the records stay invisible until [`Prepared::commit`].
    ///
    /// # Errors
    /// A disk that fails while spilling.
    fn finish(self: Box<Self>) -> Result<Box<dyn Prepared>>;
}

/// All records that a bundle put on one edge, ready to be seen.
pub trait Prepared: Send {
    /// Makes the records visible.
    ///
    /// # Errors
    /// A disk that fails.
    fn commit(self: Box<Self>) -> Result<()>;
}

/// Records of one partition, one after the other.
pub trait Records: Send {
    /// Moves to the next record; false means that there is none.
    ///
    /// # Errors
    /// Kept data that is damaged or cannot be read.
    fn advance(&mut self) -> Result<bool>;

    /// The current record; to be called after [`Records::advance`] gave true.
    fn record(&self) -> Record<'_>;

    /// The values of all records with the key of the current one, where it is the first of them and
    /// they lie together; the next record is of another key then.
    fn take_group(&mut self) -> Option<RawValues> {
        None
    }
}

/// Records that can be read again and again; they stay for as long as the set lives.
pub trait RecordSet: Send + Sync + fmt::Debug {
    /// How many there are.
    fn record_count(&self) -> u64;

    /// All of them, in no order.
    fn records(&self) -> Box<dyn Records>;
}

/// The partition of a key.
pub fn partition_of(key: &[u8], partition_count: usize) -> usize {
    // The hash is fixed for all time and machines: another process must find the same partition.
    let hash = u128::from(xxhash_rust::xxh3::xxh3_64(key));
    // A part of all hashes each, without a division.
    ((hash * partition_count.max(1) as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
