//! The metadata of a file, read and kept by blocks.
//!
//! Structures of HDF5 are small and lie close together, so a block serves many of them. Elements
//! never come through here.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use array::error::Result;
use bytes::Bytes;
use hdf5_reader::{Storage, StorageBuffer};

use super::guard::smuggle;
use objects::FileBytes;

/// Bytes of a block.
const BLOCK_BYTES: u64 = 64 << 10;
/// Blocks that are kept for one file: 4 MiB.
const KEPT_BLOCKS: usize = 64;
/// Structures of more bytes (large chunk indexes) are read by themselves.
const LARGE_BYTES: u64 = 512 << 10;

/// The bytes behind the user block of a file.
#[derive(Debug)]
pub(super) struct Blocks {
    bytes: Arc<FileBytes>,
    /// Bytes of the user block: addresses count from its end.
    base: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: BTreeMap<u64, Bytes>,
    order: VecDeque<u64>,
}

impl Blocks {
    /// No blocks yet.
    pub(super) fn new(bytes: Arc<FileBytes>, base: u64) -> Self {
        Self { bytes, base, kept: Mutex::default() }
    }

    fn read(&self, start: u64, length: u64) -> Result<Bytes> {
        let start = start.saturating_add(self.base);
        let range = start..start.saturating_add(length);
        self.bytes.check(&range)?;
        if self.bytes.is_held() || length == 0 {
            return self.bytes.read(range);
        }
        if length > LARGE_BYTES {
            return self.bytes.read_header(range);
        }
        let blocks = range.start / BLOCK_BYTES..(range.end - 1) / BLOCK_BYTES + 1;
        let found = self.blocks(blocks.clone())?;
        let offset = (range.start - blocks.start * BLOCK_BYTES) as usize;
        let length = length as usize;
        if let [only] = &found[..] {
            return Ok(only.slice(offset..offset + length));
        }
        Ok(Bytes::from(found.concat()).slice(offset..offset + length))
    }

    fn blocks(&self, indices: Range<u64>) -> Result<Vec<Bytes>> {
        // Blocks are whole or absent, so what a panicking thread left behind is still right.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing = |index: &u64| !kept.blocks.contains_key(index);
        let mut missing = indices.clone().filter(is_missing);
        if let Some(first) = missing.next() {
            let last = missing.next_back().unwrap_or(first);
            for (index, block) in (first..).zip(self.read_blocks(first, last)?) {
                kept.put(index, block);
            }
        }
        let found = indices.filter_map(|index| kept.blocks.get(&index).cloned()).collect();
        kept.shrink();
        Ok(found)
    }

    /// Reads blocks that follow each other: from a cache, if it has them all, or by one request.
    fn read_blocks(&self, first: u64, last: u64) -> Result<Vec<Bytes>> {
        let length = self.bytes.length();
        let range = |index: u64| index * BLOCK_BYTES..((index + 1) * BLOCK_BYTES).min(length);
        let cached: Option<Vec<Bytes>> =
            (first..=last).map(|it| self.bytes.kept(&range(it))).collect();
        if let Some(blocks) = cached {
            return Ok(blocks);
        }
        let read = self.bytes.read(range(first).start..range(last).end)?;
        let block = |index: u64| {
            let Range { start, end } = range(index);
            let (from, to) = (start - first * BLOCK_BYTES, end - first * BLOCK_BYTES);
            // A copy, so that a kept block does not hold on to a longer read.
            let block = Bytes::copy_from_slice(&read[from as usize..to as usize]);
            self.bytes.keep(start, &block);
            block
        };
        Ok((first..=last).map(block).collect())
    }
}

impl Kept {
    fn put(&mut self, index: u64, block: Bytes) {
        if self.blocks.insert(index, block).is_none() {
            self.order.push_back(index);
        }
    }

    fn shrink(&mut self) {
        while self.order.len() > KEPT_BLOCKS {
            if let Some(oldest) = self.order.pop_front() {
                self.blocks.remove(&oldest);
            }
        }
    }
}

impl Storage for Blocks {
    fn len(&self) -> u64 {
        self.bytes.length().saturating_sub(self.base)
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        let bytes = self.read(offset, len as u64).map_err(smuggle)?;
        StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len)
    }
}
