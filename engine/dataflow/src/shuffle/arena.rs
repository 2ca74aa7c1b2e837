//! Records in memory: their bytes in blocks, their places in a table that can be sorted.

use std::sync::Arc;

use bytes::Bytes;

use super::merge::Cursor;
use super::{EMPTY, EdgeOrder, Record};
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
        if let Some(bytes) = self.new_block_bytes(&record) {
            self.block_bytes += bytes;
            self.blocks.push(Vec::with_capacity(bytes));
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

    /// The size of the block that a record needs, if it does not fit the last one.
    fn new_block_bytes(&self, record: &Record<'_>) -> Option<usize> {
        let length = record.key.len() + record.head.len();
        let fits = |block: &Vec<u8>| block.capacity() - block.len() >= length;
        if self.blocks.last().is_some_and(fits) {
            return None;
        }
        let usual = (FIRST_BLOCK_BYTES << self.blocks.len().min(16)).min(BLOCK_BYTES);
        Some(usual.max(length))
    }

    /// Bytes of memory that this arena takes.
    pub(super) fn held_bytes(&self) -> u64 {
        let table = self.entries.capacity() * size_of::<Entry>();
        let tails = self.tails.capacity() * size_of::<Bytes>();
        (self.block_bytes + self.tail_bytes + table + tails) as u64
    }

    /// Bytes that pushing one more record may take: a block, and tables twice as long.
    pub(super) fn next_push_bytes(&self, record: &Record<'_>) -> u64 {
        let block = self.new_block_bytes(record).unwrap_or(0);
        let tails = if record.tail.is_empty() { 0 } else { growth_bytes(&self.tails) };
        (block + growth_bytes(&self.entries) + tails + record.tail.len()) as u64
    }

    /// Whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts the records as the edge wants them.
    pub(super) fn seal(mut self, order: EdgeOrder, reservation: Reservation) -> MemoryRun {
        let mut entries = std::mem::take(&mut self.entries);
        match order {
            EdgeOrder::ByKey | EdgeOrder::ByKeyHead { .. } => entries.sort_unstable_by(|a, b| {
                a.order.cmp(&b.order).then_with(|| self.key(*a).cmp(self.key(*b)))
            }),
            EdgeOrder::InTurns => entries.sort_unstable_by_key(|entry| entry.order),
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

/// Bytes that a table needs to grow by one entry, while the old one is still there.
fn growth_bytes<T>(table: &Vec<T>) -> usize {
    let is_full = table.len() == table.capacity();
    if is_full { (table.capacity() * 2).max(4) * size_of::<T>() } else { 0 }
}

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

    /// The number of records.
    pub(super) fn record_count(&self) -> u64 {
        self.arena.entries.len() as u64
    }

    /// The partitions that hold records, ascending.
    pub(super) fn filled_partitions(&self) -> impl Iterator<Item = usize> + '_ {
        let entries = &self.arena.entries;
        let first = |from: usize| entries.get(from).map(|entry| (from, entry.partition()));
        let filled = std::iter::successors(first(0), move |&(from, partition)| {
            first(from + entries[from..].partition_point(|entry| entry.partition() <= partition))
        });
        filled.map(|(_, partition)| partition)
    }

    /// The records of one partition.
    pub(super) fn cursor(run: &Arc<Self>, partition: usize) -> Box<dyn Cursor> {
        let entries = &run.arena.entries;
        let next = entries.partition_point(|entry| entry.partition() < partition);
        let end = entries.partition_point(|entry| entry.partition() <= partition);
        Box::new(MemoryCursor { run: Arc::clone(run), next, end })
    }

    /// The records of all partitions, one after the other.
    pub(super) fn whole(run: &Arc<Self>) -> Box<dyn Cursor> {
        Box::new(MemoryCursor { run: Arc::clone(run), next: 0, end: run.arena.entries.len() })
    }
}

/// Walks over a range of a run in memory.
#[derive(Debug)]
struct MemoryCursor {
    run: Arc<MemoryRun>,
    next: usize,
    end: usize,
}

impl MemoryCursor {
    fn entry(&self) -> Entry {
        self.run.arena.entries[self.next - 1]
    }
}

impl Cursor for MemoryCursor {
    fn advance(&mut self) -> Result<bool> {
        let has_more = self.next < self.end;
        self.next += usize::from(has_more);
        Ok(has_more)
    }

    fn key(&self) -> &[u8] {
        self.run.arena.key(self.entry())
    }

    fn load(&mut self) -> Result<()> {
        Ok(())
    }

    fn record(&self) -> Record<'_> {
        self.run.arena.record(self.entry())
    }
}
