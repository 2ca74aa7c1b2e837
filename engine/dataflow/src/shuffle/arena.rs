//! Records in memory: their bytes in blocks, their places in a table that can be sorted.

use bytes::Bytes;

use super::{EdgeOrder, Record, Records};
use crate::error::Result;
use crate::memory::Reservation;

const FIRST_BLOCK_BYTES: usize = 4 << 10;
const BLOCK_BYTES: usize = 1 << 20;
const NO_TAIL: u32 = u32::MAX;
/// The partition takes the upper bits of [`Entry::order`], the first key bytes the lower ones.
const PARTITION_SHIFT: u32 = 48;
const PREFIX_BYTES: usize = 6;

/// The most partitions of an edge.
pub(super) const PARTITION_LIMIT: usize = 1 << 16;

/// Records of one bundle, or of several that were merged.
///
/// Blocks never move, so growing copies nothing but the table.
#[derive(Debug, Default)]
pub(super) struct Arena {
    blocks: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    tails: Vec<Bytes>,
    block_bytes: usize,
    tail_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    order: u64,
    block: u32,
    start: u32,
    key_length: u32,
    head_length: u32,
    tail: u32,
}

impl Entry {
    fn partition(self) -> usize {
        (self.order >> PARTITION_SHIFT) as usize
    }
}

impl Arena {
    /// Appends a record.
    pub(super) fn push(&mut self, partition: usize, record: Record<'_>) {
        let length = record.key.len() + record.head.len();
        let fits = |block: &Vec<u8>| block.capacity() - block.len() >= length;
        if !self.blocks.last().is_some_and(fits) {
            let usual = (FIRST_BLOCK_BYTES << self.blocks.len().min(16)).min(BLOCK_BYTES);
            let block = Vec::with_capacity(usual.max(length));
            self.block_bytes += block.capacity();
            self.blocks.push(block);
        }
        let tail = if record.tail.is_empty() {
            NO_TAIL
        } else {
            self.tail_bytes += record.tail.len();
            self.tails.push(record.tail.clone());
            (self.tails.len() - 1) as u32
        };
        let block_index = self.blocks.len() - 1;
        let block = &mut self.blocks[block_index];
        let start = block.len() as u32;
        block.extend_from_slice(record.key);
        block.extend_from_slice(record.head);
        self.entries.push(Entry {
            order: order_of(partition, record.key),
            block: block_index as u32,
            start,
            key_length: record.key.len() as u32,
            head_length: record.head.len() as u32,
            tail,
        });
    }

    /// Bytes of memory that this arena takes.
    pub(super) fn held_bytes(&self) -> u64 {
        let table = self.entries.capacity() * size_of::<Entry>();
        let tails = self.tails.capacity() * size_of::<Bytes>();
        (self.block_bytes + self.tail_bytes + table + tails) as u64
    }

    /// Bytes that pushing one more record may take at the worst: a block, and tables twice as long.
    pub(super) fn next_push_bytes(&self, record: &Record<'_>) -> u64 {
        let length = record.key.len() + record.head.len();
        let has_room = |block: &Vec<u8>| block.capacity() - block.len() >= length;
        let block = if self.blocks.last().is_some_and(has_room) {
            0
        } else {
            (FIRST_BLOCK_BYTES << self.blocks.len().min(16)).min(BLOCK_BYTES).max(length)
        };
        let is_full = self.entries.len() == self.entries.capacity();
        let table =
            if is_full { self.entries.capacity().max(4) * 2 * size_of::<Entry>() } else { 0 };
        (block + table + record.tail.len() + size_of::<Bytes>()) as u64
    }

    /// Whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts the records as the edge wants them.
    pub(super) fn seal(mut self, order: EdgeOrder, reservation: Reservation) -> MemoryRun {
        let mut entries = std::mem::take(&mut self.entries);
        match order {
            EdgeOrder::ByKey => entries.sort_unstable_by(|a, b| {
                a.order.cmp(&b.order).then_with(|| self.key(*a).cmp(self.key(*b)))
            }),
            EdgeOrder::InTurns => entries.sort_by_key(|entry| entry.order),
        }
        self.entries = entries;
        MemoryRun { arena: self, reservation }
    }

    fn key(&self, entry: Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.blocks[entry.block as usize][start..start + entry.key_length as usize]
    }

    fn record(&self, entry: Entry) -> Record<'_> {
        let key_end = entry.start as usize + entry.key_length as usize;
        let head_end = key_end + entry.head_length as usize;
        let head = &self.blocks[entry.block as usize][key_end..head_end];
        let tail = if entry.tail == NO_TAIL { &EMPTY } else { &self.tails[entry.tail as usize] };
        Record { key: self.key(entry), head, tail }
    }
}

static EMPTY: Bytes = Bytes::new();

/// Partition and first key bytes in one number that compares as they do.
fn order_of(partition: usize, key: &[u8]) -> u64 {
    let mut prefix = [0u8; 8];
    let length = key.len().min(PREFIX_BYTES);
    prefix[2..2 + length].copy_from_slice(&key[..length]);
    (partition as u64) << PARTITION_SHIFT | u64::from_be_bytes(prefix)
}

/// Sorted records in memory, and the reservation under which they are held.
#[derive(Debug)]
pub(super) struct MemoryRun {
    arena: Arena,
    reservation: Reservation,
}

impl MemoryRun {
    /// Bytes of memory that this run takes.
    pub(super) fn held_bytes(&self) -> u64 {
        self.reservation.bytes()
    }

    /// The partitions that hold records, ascending.
    pub(super) fn filled_partitions(&self) -> Vec<usize> {
        let mut filled: Vec<usize> = Vec::new();
        for entry in &self.arena.entries {
            if filled.last() != Some(&entry.partition()) {
                filled.push(entry.partition());
            }
        }
        filled
    }

    /// The records of one partition.
    pub(super) fn cursor<R: AsRef<Self> + Send>(run: R, partition: usize) -> MemoryCursor<R> {
        let entries = &run.as_ref().arena.entries;
        let next = entries.partition_point(|entry| entry.partition() < partition);
        let end = entries.partition_point(|entry| entry.partition() <= partition);
        MemoryCursor { run, next, end }
    }
}

impl AsRef<Self> for MemoryRun {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Walks over one partition of a run in memory.
#[derive(Debug)]
pub(super) struct MemoryCursor<R> {
    run: R,
    next: usize,
    end: usize,
}

impl<R: AsRef<MemoryRun> + Send> Records for MemoryCursor<R> {
    fn advance(&mut self) -> Result<bool> {
        let has_more = self.next < self.end;
        self.next += usize::from(has_more);
        Ok(has_more)
    }

    fn record(&self) -> Record<'_> {
        let arena = &self.run.as_ref().arena;
        arena.record(arena.entries[self.next - 1])
    }
}
