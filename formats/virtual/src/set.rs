//! What is written: the metadata of a store, and an entry for each of its chunks.

use array::ChunkGrid;
use array::error::Result;

use crate::reference::Entry;

/// An array of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedArray {
    /// Its name.
    pub name: String,
    /// Its chunks.
    pub grid: ChunkGrid,
}

impl ReferencedArray {
    /// The key of a chunk below that of the array.
    pub(crate) fn key(&self, index: &[u64]) -> String {
        let parts: Vec<String> = index.iter().map(u64::to_string).collect();
        if parts.is_empty() { "0".to_owned() } else { parts.join(".") }
    }
}

/// A store of which chunks lie elsewhere.
///
/// What must hold: documents are those of a Zarr store of version 2 whose keys have dots; each call
/// for the same entry gives the same one.
pub trait ReferenceSet {
    /// Metadata by their keys, those of the root first: `.zgroup`, `.zattrs`, `t/.zarray`...
    fn documents(&self) -> &[(String, String)];

    /// The arrays, in the order in which they are written.
    fn arrays(&self) -> &[ReferencedArray];

    /// What stands for a chunk of an array, by its place among the arrays.
    ///
    /// # Errors
    /// A chunk whose bytes must be made and cannot be.
    fn entry(&self, array: usize, index: &[u64]) -> Result<Entry>;
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WrittenReferences {
    /// Chunks that lie elsewhere.
    pub range_count: u64,
    /// Their bytes there.
    pub range_bytes: u64,
    /// Chunks whose bytes were written along.
    pub inline_count: u64,
    /// Bytes of these.
    pub inline_bytes: u64,
    /// Chunks of the fill value, for which nothing stands.
    pub absent_count: u64,
    /// Objects that were written, metadata among them.
    pub object_count: u64,
    /// Bytes of these.
    pub written_bytes: u64,
}

impl WrittenReferences {
    pub(crate) fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Absent(_) => self.absent_count += 1,
            Entry::Inline(bytes) => {
                self.inline_count += 1;
                self.inline_bytes += bytes.len() as u64;
            }
            Entry::Range(reference) => {
                self.range_count += 1;
                self.range_bytes += reference.length;
            }
        }
    }
}
