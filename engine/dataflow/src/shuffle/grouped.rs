//! The records of one partition in memory, brought together by key, keys ascending.
//!
//! Rows are hashed by key, then copied behind each other, group by group: so each row is touched
//! twice, whatever the number of rows and runs, and the values of a group lie together and can be
//! lent as they are.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;

use super::arena::MemoryRun;
use super::merge::Cursor;
use super::short_key::{ShortHash, ShortKey};
use super::values::RawValues;
use super::{EMPTY, Record, Records};
use crate::coder::{decode_varint, take};
use crate::error::Result;
use crate::memory::Reservation;

/// Records by key.
#[derive(Debug)]
pub(super) struct Grouped {
    /// Ascending by key; they lie behind each other in this order.
    groups: Vec<Group>,
    /// Of each group the key, then every head after its length.
    bytes: Vec<u8>,
    /// Of all records, in the order of the groups; none if no record has one.
    tails: Vec<Bytes>,
    _reservation: Reservation,
}

#[derive(Debug, Default, Clone, Copy)]
struct Group {
    key_start: usize,
    values_start: usize,
    values_end: usize,
    first_record: usize,
    record_count: usize,
}

/// Groups that were found so far, each with a number.
struct Found<'a> {
    slots: HashTable<Slot>,
    keys: Vec<&'a [u8]>,
    sizes: Vec<Size>,
    reservation: Reservation,
}

/// A group in the hash table: what it takes to know it, for short keys.
#[derive(Clone, Copy)]
struct Slot {
    key: ShortKey,
    hash: ShortHash,
    index: u32,
}

/// What a group has so far.
#[derive(Default, Clone, Copy)]
struct Size {
    record_count: usize,
    value_bytes: usize,
}

/// Where the next value of a group goes.
#[derive(Default, Clone, Copy)]
struct Next {
    value: usize,
    tail: usize,
}

/// Bytes that a group takes until it is finished: its slot, key and size in tables that have just
/// become twice as long, its place in the order, among the finished groups, and what comes next.
const GROUP_BYTES: usize = 4 * (size_of::<Slot>() + 1)
    + 2 * (size_of::<&[u8]>() + size_of::<Size>())
    + size_of::<Slot>()
    + size_of::<Group>()
    + size_of::<Next>();

impl<'a> Found<'a> {
    /// The number of the group of a key; `None` where there is no memory for one more.
    #[inline]
    fn find_or_add(&mut self, key: &'a [u8]) -> Option<u32> {
        let short = ShortKey::of(key);
        let hash = short.hash_of(key);
        let keys = &self.keys;
        let is_same = |slot: &Slot| {
            slot.key == short && (short.is_whole() || keys[slot.index as usize] == key)
        };
        match self.slots.find(hash.spread(), is_same) {
            Some(slot) => Some(slot.index),
            None => self.add(key, short, hash),
        }
    }

    #[cold]
    fn add(&mut self, key: &'a [u8], short: ShortKey, hash: ShortHash) -> Option<u32> {
        if self.keys.len() == self.keys.capacity() {
            let more = self.keys.len().max(64);
            if !self.reservation.try_grow((more * GROUP_BYTES) as u64) {
                return None;
            }
            self.keys.reserve_exact(more);
            self.sizes.reserve_exact(more);
        }
        let index = u32::try_from(self.keys.len()).expect("memory holds fewer groups");
        self.keys.push(key);
        self.sizes.push(Size::default());
        let slot = Slot { key: short, hash, index };
        self.slots.insert_unique(hash.spread(), slot, |slot| slot.hash.spread());
        Some(index)
    }

    /// The groups in the order of their keys.
    fn order(&mut self) -> Vec<Slot> {
        let mut order: Vec<Slot> = std::mem::take(&mut self.slots).into_iter().collect();
        order.sort_unstable_by(|a, b| {
            let key = |slot: &Slot| self.keys[slot.index as usize];
            a.key.cmp(&b.key).then_with(|| key(a).cmp(key(b)))
        });
        order
    }

    /// Where each of these groups lies, one behind the other, and how long all are; and where the
    /// first value of each goes, by their numbers.
    fn lay_out(&self, order: &[Slot]) -> (Vec<Group>, usize, Vec<Next>) {
        let (mut end, mut first_record) = (0, 0);
        let mut next = vec![Next::default(); order.len()];
        let group = |slot: &Slot| {
            let index = slot.index as usize;
            let Size { record_count, value_bytes } = self.sizes[index];
            let (key_start, values_start) = (end, end + self.keys[index].len());
            end = values_start + value_bytes;
            let group =
                Group { key_start, values_start, values_end: end, first_record, record_count };
            next[index] = Next { value: values_start, tail: first_record };
            first_record += record_count;
            group
        };
        (order.iter().map(group).collect(), end, next)
    }
}

impl Grouped {
    /// The records of a partition of these runs; of equal keys, those of earlier runs first.
    ///
    /// `None` where `reservation`, which is empty, may not grow as is needed.
    pub(super) fn of(
        runs: &[Arc<MemoryRun>],
        partition: usize,
        mut reservation: Reservation,
    ) -> Option<Self> {
        let row_count = runs.iter().map(|run| run.row_count(partition)).sum();
        let blocks = || runs.iter().flat_map(|run| run.blocks(partition));
        let has_tails = runs.iter().any(|run| run.has_tails(partition));
        let tail_count = if has_tails { row_count } else { 0 };
        let tables = row_count * size_of::<u32>() + tail_count * size_of::<Bytes>();
        if !reservation.try_grow(tables as u64) {
            return None;
        }
        let (slots, keys, sizes) = (HashTable::new(), Vec::new(), Vec::new());
        let mut found = Found { slots, keys, sizes, reservation };
        let mut indices: Vec<u32> = Vec::with_capacity(row_count);
        for block in blocks() {
            for (_, record) in block.records() {
                let index = found.find_or_add(record.key)?;
                indices.push(index);
                let size = &mut found.sizes[index as usize];
                size.record_count += 1;
                size.value_bytes += varint_bytes(record.head.len()) + record.head.len();
            }
        }
        let order = found.order();
        let (groups, byte_count, mut next) = found.lay_out(&order);
        let Found { keys, mut reservation, .. } = found;
        if !reservation.try_grow(byte_count as u64) {
            return None;
        }
        let mut bytes = vec![0; byte_count];
        for (group, slot) in groups.iter().zip(order) {
            let key = keys[slot.index as usize];
            bytes[group.key_start..group.values_start].copy_from_slice(key);
        }
        let mut tails = vec![EMPTY.clone(); tail_count];
        let mut indices = indices.into_iter();
        for block in blocks() {
            for ((_, record), index) in block.records().zip(&mut indices) {
                let next = &mut next[index as usize];
                next.value = put_framed(record.head, &mut bytes, next.value);
                if has_tails {
                    tails[next.tail] = record.tail.clone();
                    next.tail += 1;
                }
            }
        }
        let kept = byte_count + groups.len() * size_of::<Group>() + tail_count * size_of::<Bytes>();
        reservation.shrink(reservation.bytes().saturating_sub(kept as u64));
        Some(Self { groups, bytes, tails, _reservation: reservation })
    }

    /// The framed heads of a range of bytes.
    #[inline]
    pub(super) fn heads(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The tails of a range of records; none where no record has one.
    #[inline]
    pub(super) fn tails(&self, range: Range<usize>) -> &[Bytes] {
        self.tails.get(range).unwrap_or_default()
    }
}

/// Writes a head after its length; where the next one goes.
#[inline]
fn put_framed(head: &[u8], bytes: &mut [u8], mut at: usize) -> usize {
    let mut length = head.len();
    while length >= 0x80 {
        bytes[at] = length as u8 | 0x80;
        length >>= 7;
        at += 1;
    }
    bytes[at] = length as u8;
    bytes[at + 1..at + 1 + head.len()].copy_from_slice(head);
    at + 1 + head.len()
}

#[inline]
fn varint_bytes(value: usize) -> usize {
    if value < 0x80 { 1 } else { (value.ilog2() / 7 + 1) as usize }
}

/// Walks over grouped records.
pub(super) struct GroupedCursor {
    grouped: Arc<Grouped>,
    /// The group after the current one.
    next_group: usize,
    current: Group,
    /// Where the next value of the group begins.
    read: usize,
    head: Range<usize>,
    /// The number of the next record.
    next_record: usize,
}

impl GroupedCursor {
    pub(super) fn new(grouped: Grouped) -> Self {
        let (grouped, current) = (Arc::new(grouped), Group::default());
        Self { grouped, next_group: 0, current, read: 0, head: 0..0, next_record: 0 }
    }

    #[inline]
    fn next(&mut self) -> Result<bool> {
        if self.read == self.current.values_end {
            let Some(&group) = self.grouped.groups.get(self.next_group) else { return Ok(false) };
            self.next_group += 1;
            self.current = group;
            self.read = group.values_start;
            self.next_record = group.first_record;
        }
        let mut rest = &self.grouped.bytes[self.read..self.current.values_end];
        let length = decode_varint(&mut rest)? as usize;
        take(&mut rest, length, "value")?;
        let end = self.current.values_end - rest.len();
        self.head = end - length..end;
        self.read = end;
        self.next_record += 1;
        Ok(true)
    }

    fn current(&self) -> Record<'_> {
        let tail = self.grouped.tails.get(self.next_record - 1).unwrap_or(&EMPTY);
        Record { key: self.current_key(), head: &self.grouped.bytes[self.head.clone()], tail }
    }

    fn current_key(&self) -> &[u8] {
        &self.grouped.bytes[self.current.key_start..self.current.values_start]
    }
}

impl Records for GroupedCursor {
    fn advance(&mut self) -> Result<bool> {
        self.next()
    }

    fn record(&self) -> Record<'_> {
        self.current()
    }

    fn take_group(&mut self) -> Option<RawValues> {
        // Values of the group that were passed over are not part of what is left.
        let group = self.current;
        let first = self.next_record - 1;
        if first != group.first_record {
            return None;
        }
        self.read = group.values_end;
        self.next_record = first + group.record_count;
        let values = group.values_start..group.values_end;
        Some(RawValues::of_group(Arc::clone(&self.grouped), values, first..self.next_record))
    }
}

impl Cursor for GroupedCursor {
    fn advance(&mut self) -> Result<bool> {
        self.next()
    }

    fn key(&self) -> &[u8] {
        self.current_key()
    }

    fn load(&mut self) -> Result<()> {
        Ok(())
    }

    fn record(&self) -> Record<'_> {
        self.current()
    }
}
