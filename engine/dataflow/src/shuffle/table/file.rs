//! Tables in a spill file, with an index of its blocks in memory.

use std::cmp::Ordering;
use std::sync::Arc;

use super::cache::BlockCache;
use super::{Shelf, TableOrder};
use crate::error::{Error, Result};
use crate::memory::Reservation;
use crate::shuffle::merge::Cursor;
use crate::shuffle::run_file::{RunFile, RunWriter};
use crate::shuffle::{
    EdgeId, EdgeOrder, InProcessShuffle, Record, RecordSet, Records, ShuffleStore,
};

/// Records in a spill file, in their order.
#[derive(Debug)]
pub(super) struct FileTable {
    run: Arc<RunFile>,
    index: Index,
    cache: Arc<BlockCache>,
    /// The first key that two records have.
    repeated: Option<Vec<u8>>,
}

/// Where blocks begin, and with what.
#[derive(Debug)]
struct Index {
    /// The first keys of blocks, one behind the other.
    keys: Vec<u8>,
    blocks: Vec<IndexedBlock>,
    held: Reservation,
}

#[derive(Debug)]
struct IndexedBlock {
    offset: u64,
    /// The place of its first record.
    place: u64,
    /// Where its first key ends in the keys of the index.
    key_end: usize,
}

impl Index {
    /// Adds a block; false means that memory is refused.
    fn push(&mut self, offset: u64, place: u64, key: &[u8]) -> bool {
        // Both vectors grow to twice what they hold, and to four blocks at once.
        let blocks = (2 * (self.blocks.len() + 1)).max(4) * size_of::<IndexedBlock>();
        let wanted = blocks + 2 * (self.keys.len() + key.len());
        if !self.held.try_resize(wanted as u64) {
            return false;
        }
        self.keys.extend_from_slice(key);
        self.blocks.push(IndexedBlock { offset, place, key_end: self.keys.len() });
        true
    }

    fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.blocks.shrink_to_fit();
        let kept = self.keys.len() + self.blocks.len() * size_of::<IndexedBlock>();
        // It only becomes less, which is never refused.
        self.held.try_resize(kept as u64);
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.blocks[before].key_end);
        &self.keys[start..self.blocks[index].key_end]
    }

    /// The number of the first block that begins with a key of which `is_before` does not hold.
    fn first_not(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.key(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl FileTable {
    /// A table of these records, or `None` if the budget refuses the index.
    pub(super) fn of(
        records: &dyn RecordSet,
        order: TableOrder<'_>,
        shelf: &mut Shelf,
    ) -> Result<Option<Self>> {
        let mut records = match order {
            TableOrder::AsRead => records.records(),
            TableOrder::ByKey(_) => sorted(records, order, shelf)?,
        };
        if shelf.writer.is_none() {
            shelf.writer = Some(RunWriter::new(&shelf.scratch)?);
        }
        let writer = shelf.writer.as_mut().ok_or_else(|| Error::internal("a shelf has a file"))?;
        let held = shelf.budget.hold();
        let mut index = Index { keys: Vec::new(), blocks: Vec::new(), held };
        let (mut previous, mut repeated) = (Vec::new(), None);
        for place in 0.. {
            if !records.advance()? {
                break;
            }
            let record = records.record();
            let key = if matches!(order, TableOrder::AsRead) { &[] } else { record.key };
            let is_repeated = place > 0 && !matches!(order, TableOrder::AsRead) && previous == key;
            if is_repeated && repeated.is_none() {
                repeated = Some(previous.clone());
            }
            if let Some(offset) = writer.next_block()
                && !index.push(offset, place, key)
            {
                return Ok(None);
            }
            writer.put(0, Record { key, ..record })?;
            previous.clear();
            previous.extend_from_slice(key);
        }
        index.shrink();
        let (run, cache) = (Arc::new(writer.cut()?), Arc::clone(&shelf.cache));
        Ok(Some(Self { run, index, cache, repeated }))
    }

    pub(super) fn len(&self) -> u64 {
        self.run.record_count()
    }

    pub(super) fn repeated_key(&self) -> Option<&[u8]> {
        self.repeated.as_deref()
    }

    /// Stands on the first record of a key, which is loaded.
    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Box<dyn Cursor>>> {
        let Some(mut cursor) = self.before(key)? else { return Ok(None) };
        while cursor.advance()? {
            match cursor.key().cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return cursor.load().map(|()| Some(cursor)),
                Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The records of the blocks that may hold a key, of which the first are of lesser keys.
    pub(super) fn before(&self, key: &[u8]) -> Result<Option<Box<dyn Cursor>>> {
        let first = self.index.first_not(|known| known < key);
        let end = self.index.first_not(|known| known <= key);
        // Equal keys may begin at the end of the block before; a key that is there once cannot.
        let is_only_there = self.repeated.is_none() && first < end;
        let first = if is_only_there { first } else { first.saturating_sub(1) };
        if first == end {
            return Ok(None);
        }
        let end = self.index.blocks.get(end).map_or(self.run.end(), |block| block.offset);
        self.cursor(first, end).map(Some)
    }

    /// Stands on the record at a place that there is; the record is loaded.
    pub(super) fn at(&self, place: u64) -> Result<Box<dyn Cursor>> {
        let number = self.index.blocks.partition_point(|block| block.place <= place);
        let number = number.checked_sub(1);
        let number = number.ok_or_else(|| Error::internal("a table begins with a record"))?;
        let mut cursor = self.cursor(number, self.run.end())?;
        for _ in self.index.blocks[number].place..=place {
            if !cursor.advance()? {
                return Err(Error::internal("a block of a table has less records than its index"));
            }
        }
        cursor.load()?;
        Ok(cursor)
    }

    /// All records.
    pub(super) fn whole(&self) -> Box<dyn Cursor> {
        RunFile::whole(&self.run)
    }

    fn cursor(&self, number: usize, end: u64) -> Result<Box<dyn Cursor>> {
        let offset = self.index.blocks[number].offset;
        let block = match self.cache.get(offset) {
            Some(block) => block,
            None => {
                let block = self.run.block(offset, self.run.end())?;
                self.cache.keep(offset, &block);
                block
            }
        };
        Ok(RunFile::cursor_from(&self.run, block, end))
    }
}

/// The records by key, sorted through spill files; the keys are taken off their heads.
fn sorted(
    records: &dyn RecordSet,
    order: TableOrder<'_>,
    shelf: &Shelf,
) -> Result<Box<dyn Records>> {
    const EDGE: EdgeId = EdgeId(0);
    let store = InProcessShuffle::new(shelf.budget.clone(), shelf.scratch.clone());
    store.declare(EDGE, EdgeOrder::ByKey, 1);
    let mut sink = store.sink(EDGE)?;
    let mut records = records.records();
    while records.advance()? {
        let Record { head, tail, .. } = records.record();
        let (key, head) = head.split_at(order.key_bytes(head)?);
        sink.put(Record { key, head, tail })?;
    }
    sink.finish()?.commit()?;
    // What is still in memory would take that of the index.
    while store.make_room()? {}
    store.records(EDGE, 0)
}
