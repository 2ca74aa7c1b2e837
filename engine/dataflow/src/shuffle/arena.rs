//! Records in memory, partition by partition, in the order in which they came.
//!
//! A record is a row of bytes and, where it has one, a shared tail:
//!
//! ```text
//! length of the key | length of the head, twice; plus 1 with a tail | number of the tail | key | head
//! ```
//!
//! Lengths and numbers are varints. Nothing is sorted here: rows are brought in order when they are
//! read, by [`super::grouped`], or spilled, by [`super::sorted`]. Most never are more than once, and
//! a table of their places would take several times what short rows take.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::merge::Cursor;
use super::sorted::sorting_bytes;
use super::{EMPTY, Record};
use crate::coder::encode_varint;
use crate::error::Result;
use crate::memory::Reservation;

const FIRST_BLOCK_BYTES: usize = 256;
const BLOCK_BYTES: usize = 64 << 10;
/// Two lengths and a number of up to 32 bits each.
const LENGTHS_BYTES: usize = 15;
/// What a block costs besides its bytes.
const BLOCK_ENTRY_BYTES: usize = 2 * size_of::<Vec<u8>>();

/// The most partitions of an edge.
pub(super) const PARTITION_LIMIT: usize = 1 << 16;

/// Records of one bundle.
///
/// Blocks never move, so growing copies nothing but tables of tails.
#[derive(Debug)]
pub(super) struct Arena {
    parts: Vec<Part>,
    block_bytes: usize,
    /// Tails, and the tables of them.
    tail_bytes: usize,
    /// Rows that a partition may have before [`Arena::make_room`] is asked again.
    row_limit: usize,
    /// What sorting the largest partition takes.
    ordering_bytes: usize,
}

/// The records of one partition.
#[derive(Debug, Default)]
struct Part {
    /// The block that is being filled; apart, so that a row finds it without a detour.
    last: Vec<u8>,
    row_count: usize,
    full: Vec<Vec<u8>>,
    tails: Vec<Bytes>,
}

impl Part {
    /// The size of the block that a row needs, if it does not fit the last one.
    fn new_block_bytes(&self, row_bytes: usize) -> usize {
        if self.fits(row_bytes) {
            return 0;
        }
        let usual = (2 * self.last.capacity()).clamp(FIRST_BLOCK_BYTES, BLOCK_BYTES);
        usual.max(row_bytes)
    }

    #[inline]
    fn fits(&self, row_bytes: usize) -> bool {
        self.last.capacity() - self.last.len() >= row_bytes
    }

    /// The number of blocks.
    fn block_count(&self) -> usize {
        self.full.len() + 1
    }

    /// A block by its number.
    fn block(&self, index: usize) -> &[u8] {
        self.full.get(index).unwrap_or(&self.last)
    }
}

/// The most bytes that a row of this record takes.
fn row_bytes(record: &Record<'_>) -> usize {
    LENGTHS_BYTES + record.key.len() + record.head.len()
}

/// Bytes that an arena takes for one more record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    block: usize,
    tail: usize,
    row_limit: usize,
    ordering: usize,
}

impl Arena {
    pub(super) fn new(partition_count: usize) -> Self {
        let parts = std::iter::repeat_with(Part::default).take(partition_count).collect();
        let block_bytes = partition_count * size_of::<Part>();
        Self { parts, block_bytes, tail_bytes: 0, row_limit: 0, ordering_bytes: 0 }
    }

    /// Whether a record can be pushed without taking more memory.
    #[inline]
    pub(super) fn has_room(&self, partition: usize, record: &Record<'_>) -> bool {
        let part = &self.parts[partition];
        part.fits(row_bytes(record)) && part.row_count < self.row_limit && record.tail.is_empty()
    }

    /// What one more record takes.
    pub(super) fn growth_for(&self, partition: usize, record: &Record<'_>) -> Growth {
        let part = &self.parts[partition];
        let block = part.new_block_bytes(row_bytes(record));
        let tail =
            if record.tail.is_empty() { 0 } else { record.tail.len() + growth_bytes(&part.tails) };
        // Steps keep this away from most records, and leave little unused.
        let row_limit = if part.row_count < self.row_limit {
            self.row_limit
        } else {
            self.row_limit + (self.row_limit / 8).max(64)
        };
        Growth { block, tail, row_limit, ordering: sorting_bytes(row_limit) }
    }

    /// Bytes of memory that this arena takes, if it grows so.
    pub(super) fn grown_bytes(&self, growth: Growth) -> u64 {
        let block = if growth.block == 0 { 0 } else { growth.block + BLOCK_ENTRY_BYTES };
        (self.block_bytes + block + self.tail_bytes + growth.tail + growth.ordering) as u64
    }

    /// Takes the memory for one more record.
    pub(super) fn make_room(&mut self, partition: usize, growth: Growth) {
        self.row_limit = growth.row_limit;
        self.ordering_bytes = growth.ordering;
        if growth.block > 0 {
            let part = &mut self.parts[partition];
            let block = std::mem::replace(&mut part.last, Vec::with_capacity(growth.block));
            if !block.is_empty() {
                part.full.push(block);
            }
            self.block_bytes += growth.block + BLOCK_ENTRY_BYTES;
        }
    }

    /// Appends a record, for which there is room.
    #[inline]
    pub(super) fn push(&mut self, partition: usize, record: Record<'_>) {
        let part = &mut self.parts[partition];
        let block = &mut part.last;
        part.row_count += 1;
        let has_tail = !record.tail.is_empty();
        let (key_length, head_length) = (record.key.len(), record.head.len() << 1);
        if key_length < 0x80 && head_length < 0x80 {
            block.extend_from_slice(&[key_length as u8, head_length as u8 | u8::from(has_tail)]);
        } else {
            encode_varint(key_length as u64, block);
            encode_varint(head_length as u64 | u64::from(has_tail), block);
        }
        if has_tail {
            encode_varint(part.tails.len() as u64, block);
            let before = part.tails.capacity();
            part.tails.push(record.tail.clone());
            let table = (part.tails.capacity() - before) * size_of::<Bytes>();
            self.tail_bytes += record.tail.len() + table;
        }
        block.extend_from_slice(record.key);
        block.extend_from_slice(record.head);
    }

    /// Bytes of memory that this arena takes, and that sorting a partition will take.
    pub(super) fn held_bytes(&self) -> u64 {
        (self.block_bytes + self.tail_bytes + self.ordering_bytes) as u64
    }

    /// Whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        self.row_limit == 0
    }

    /// Ends the run, which is held under `reservation`.
    pub(super) fn seal(self, reservation: Reservation) -> MemoryRun {
        MemoryRun { arena: self, reservation }
    }
}

/// Bytes that a table needs to grow by one entry, while the old one is still there.
fn growth_bytes<T>(table: &Vec<T>) -> usize {
    let is_full = table.len() == table.capacity();
    if is_full { (table.capacity() * 2).max(4) * size_of::<T>() } else { 0 }
}

/// Records in memory, and the reservation under which they are held.
///
/// The reservation covers what sorting any one partition takes, so that a run can be spilled when
/// memory is short.
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
        self.arena.parts.iter().map(|part| part.row_count as u64).sum()
    }

    /// The number of records of one partition.
    pub(super) fn row_count(&self, partition: usize) -> usize {
        self.arena.parts[partition].row_count
    }

    /// Whether a record of this partition has a tail.
    pub(super) fn has_tails(&self, partition: usize) -> bool {
        !self.arena.parts[partition].tails.is_empty()
    }

    /// The partitions that hold records, ascending.
    pub(super) fn filled_partitions(&self) -> impl Iterator<Item = usize> + '_ {
        let parts = self.arena.parts.iter().enumerate();
        parts.filter(|(_, part)| part.row_count > 0).map(|(partition, _)| partition)
    }

    /// The blocks of one partition, each with the tails that its rows name.
    pub(super) fn blocks(&self, partition: usize) -> impl Iterator<Item = Block<'_>> {
        let Part { full, last, tails, .. } = &self.arena.parts[partition];
        full.iter().chain([last]).map(|rows| Block { rows, tails })
    }

    /// The records of one partition, as they came.
    pub(super) fn cursor(run: &Arc<Self>, partition: usize) -> Box<dyn Cursor> {
        Box::new(MemoryCursor::new(Arc::clone(run), partition..partition + 1))
    }

    /// The records of all partitions, one after the other.
    pub(super) fn whole(run: &Arc<Self>) -> Box<dyn Cursor> {
        Box::new(MemoryCursor::new(Arc::clone(run), 0..run.arena.parts.len()))
    }
}

/// Rows behind each other, and the tails that they name.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    rows: &'a [u8],
    tails: &'a [Bytes],
}

impl<'a> Block<'a> {
    /// The record whose row begins here.
    pub(super) fn record_at(self, start: u32) -> Record<'a> {
        self.record(Row::at(self.rows, start as usize))
    }

    /// All records, and where their rows begin.
    #[inline]
    pub(super) fn records(self) -> impl Iterator<Item = (u32, Record<'a>)> {
        let mut read = 0;
        std::iter::from_fn(move || {
            let start = (read < self.rows.len()).then_some(read)?;
            let row = Row::at(self.rows, start);
            read = row.head_end;
            Some((start as u32, self.record(row)))
        })
    }

    #[inline]
    fn record(self, row: Row) -> Record<'a> {
        let Row { key_start, key_end, head_end, tail } = row;
        let tail = tail.map_or(&EMPTY, |number| &self.tails[number]);
        Record { key: &self.rows[key_start..key_end], head: &self.rows[key_end..head_end], tail }
    }
}

/// Where a row lies within its block.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    key_start: usize,
    key_end: usize,
    head_end: usize,
    tail: Option<usize>,
}

impl Row {
    /// The row that begins here.
    #[inline(always)]
    fn at(block: &[u8], start: usize) -> Self {
        let mut read = start;
        let key_length = take_number(block, &mut read);
        let head_length = take_number(block, &mut read);
        let tail = (head_length & 1 == 1).then(|| take_number(block, &mut read) as usize);
        let key_end = read + key_length as usize;
        Self { key_start: read, key_end, head_end: key_end + (head_length >> 1) as usize, tail }
    }
}

/// Reads a varint that was written here, and so is whole.
#[inline(always)]
fn take_number(block: &[u8], read: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = block[*read];
        *read += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
}

/// Walks over partitions of a run in memory.
#[derive(Debug)]
struct MemoryCursor {
    run: Arc<MemoryRun>,
    /// The current partition, and those after it.
    partitions: Range<usize>,
    block: usize,
    row: Row,
}

impl MemoryCursor {
    fn new(run: Arc<MemoryRun>, partitions: Range<usize>) -> Self {
        Self { run, partitions, block: 0, row: Row::default() }
    }

    fn part(&self) -> &Part {
        &self.run.arena.parts[self.partitions.start]
    }
}

impl Cursor for MemoryCursor {
    fn advance(&mut self) -> Result<bool> {
        while !self.partitions.is_empty() {
            while self.block < self.part().block_count() {
                let block = self.part().block(self.block);
                if self.row.head_end < block.len() {
                    self.row = Row::at(block, self.row.head_end);
                    return Ok(true);
                }
                self.block += 1;
                self.row = Row::default();
            }
            self.partitions.start += 1;
            self.block = 0;
        }
        Ok(false)
    }

    fn key(&self) -> &[u8] {
        self.record().key
    }

    fn load(&mut self) -> Result<()> {
        Ok(())
    }

    fn record(&self) -> Record<'_> {
        let part = self.part();
        Block { rows: part.block(self.block), tails: &part.tails }.record(self.row)
    }
}
