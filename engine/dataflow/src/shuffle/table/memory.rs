//! Tables in memory.

use std::ops::Range;

use bytes::Bytes;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::TableOrder;
use crate::error::Result;
use crate::memory::{MemoryBudget, Reservation};
use crate::shuffle::{EMPTY, Record, RecordSet};

/// Stands for an empty tail: such are not kept.
const NO_TAIL: u32 = u32::MAX;

/// Records in memory, in their order; those of a key are found by its hash.
#[derive(Debug)]
pub(super) struct MemoryTable {
    /// Keys and heads, as they were read.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    tails: Vec<Bytes>,
    tail_bytes: usize,
    /// The first entry of every key; none where records have no keys.
    firsts: HashTable<u32>,
    /// The first entry whose key is that of the one before it.
    repeated: Option<usize>,
    held: Reservation,
}

/// Where the parts of a record lie.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    key_bytes: u32,
    head_bytes: u32,
    tail: u32,
}

impl MemoryTable {
    /// A table of these records, or `None` if the budget refuses it.
    pub(super) fn of(
        records: &dyn RecordSet,
        order: TableOrder<'_>,
        budget: &MemoryBudget,
    ) -> Result<Option<Self>> {
        let count = usize::try_from(records.record_count()).unwrap_or(usize::MAX);
        let mut held = budget.hold();
        if count >= NO_TAIL as usize || !held.try_grow(fixed_bytes(count, order) as u64) {
            return Ok(None);
        }
        let mut table = Self {
            bytes: Vec::new(),
            entries: Vec::with_capacity(count),
            tails: Vec::new(),
            tail_bytes: 0,
            firsts: HashTable::new(),
            repeated: None,
            held,
        };
        let fixed_bytes = fixed_bytes(count, order);
        let mut records = records.records();
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            let key_bytes = order.key_bytes(head)?;
            if !table.has_room_for(head.len(), tail.len(), fixed_bytes) {
                return Ok(None);
            }
            table.push(head, key_bytes, tail);
        }
        if let TableOrder::ByKey(_) = order {
            table.sort();
        }
        table.bytes.shrink_to_fit();
        table.tails.shrink_to_fit();
        let kept = table.bytes.len() + table.tails.len() * size_of::<Bytes>() + table.tail_bytes;
        // It only becomes less, which is never refused.
        table.held.try_resize((fixed_bytes + kept) as u64);
        Ok(Some(table))
    }

    fn has_room_for(&mut self, head_bytes: usize, tail_bytes: usize, fixed_bytes: usize) -> bool {
        // Both vectors grow to twice what they hold.
        let heads = 2 * (self.bytes.len() + head_bytes);
        let tails = 2 * (self.tails.len() + usize::from(tail_bytes > 0)) * size_of::<Bytes>();
        let wanted = (fixed_bytes + heads + tails + self.tail_bytes + tail_bytes) as u64;
        wanted <= self.held.bytes()
            || self.held.try_resize(wanted + wanted / 4)
            || self.held.try_resize(wanted)
    }

    fn push(&mut self, head: &[u8], key_bytes: usize, tail: &Bytes) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(head);
        // No part of a record is longer than 32 bits say: the sink has checked.
        let (key_bytes, head_bytes) = (key_bytes as u32, (head.len() - key_bytes) as u32);
        let mut entry = Entry { start, key_bytes, head_bytes, tail: NO_TAIL };
        if !tail.is_empty() {
            entry.tail = self.tails.len() as u32;
            self.tail_bytes += tail.len();
            self.tails.push(tail.clone());
        }
        self.entries.push(entry);
    }

    fn sort(&mut self) {
        let Self { bytes, entries, firsts, repeated, .. } = self;
        let key = |entry: &Entry| &bytes[entry.start..][..entry.key_bytes as usize];
        // The places decide among equal keys: nothing is left to how the sort works.
        entries.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(a.start.cmp(&b.start)));
        let hash = |index: &u32| xxh3_64(key(&entries[*index as usize]));
        firsts.reserve(entries.len(), hash);
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 && key(&entries[index - 1]) == key(entry) {
                repeated.get_or_insert(index);
            } else {
                firsts.insert_unique(xxh3_64(key(entry)), index as u32, hash);
            }
        }
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start..][..entry.key_bytes as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn repeated_key(&self) -> Option<&[u8]> {
        self.repeated.map(|index| self.key(&self.entries[index]))
    }

    /// The places of the records of a key.
    pub(super) fn range_of(&self, key: &[u8]) -> Range<usize> {
        let is_first = |index: &u32| self.key(&self.entries[*index as usize]) == key;
        let Some(&first) = self.firsts.find(xxh3_64(key), is_first) else { return 0..0 };
        let first = first as usize;
        let count = self.entries[first..].partition_point(|entry| self.key(entry) == key);
        first..first + count
    }

    /// The record at a place that there is.
    pub(super) fn record(&self, index: usize) -> Record<'_> {
        let whole = self.element(index);
        let (key, head) = whole.head.split_at(self.entries[index].key_bytes as usize);
        Record { key, head, ..whole }
    }

    /// The same, the key not taken off its head.
    pub(super) fn element(&self, index: usize) -> Record<'_> {
        let Entry { start, key_bytes, head_bytes, tail } = self.entries[index];
        let head = &self.bytes[start..][..key_bytes as usize + head_bytes as usize];
        let tail = if tail == NO_TAIL { &EMPTY } else { &self.tails[tail as usize] };
        Record { key: &[], head, tail }
    }
}

/// Bytes of the entries of so many records, and of finding them.
fn fixed_bytes(count: usize, order: TableOrder<'_>) -> usize {
    let entries = count.saturating_mul(size_of::<Entry>());
    if count == 0 || matches!(order, TableOrder::AsRead) {
        return entries;
    }
    // Seven of eight buckets are used at the most; each is a number and a byte of its hash.
    let buckets = (count.saturating_mul(8) / 7 + 1).next_power_of_two();
    entries.saturating_add(buckets.saturating_mul(size_of::<u32>() + 1))
}
