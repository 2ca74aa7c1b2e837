//! The records of one partition in memory, brought together by key, keys ascending.
//!
//! Rows are hashed by key, then copied behind each other, group by group: so each row is touched
//! twice, whatever the number of rows and runs, and the values of a group lie together and can be
//! lent as they are.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::arena::MemoryRun;
use super::merge::{Cursor, prefix_of};
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

/// A group while it is being counted, then filled.
struct Counted<'a> {
    key: &'a [u8],
    hash: u32,
    record_count: usize,
    /// Bytes of its values; later where the next value goes.
    bytes: usize,
    /// Where its next tail goes.
    next_tail: usize,
}

/// A group in the order of keys, by its first bytes.
struct Place {
    prefix: u64,
    index: u32,
}

/// Groups that were found so far.
struct Found<'a> {
    places: HashTable<u32>,
    groups: Vec<Counted<'a>>,
    reservation: Reservation,
}

/// Bytes that a group takes until it is finished, in tables that have just become twice as long: its
/// count, its place in the hash table, in the order, and among the finished groups.
const GROUP_BYTES: usize =
    3 * size_of::<Counted<'_>>() + 18 + size_of::<Place>() + size_of::<Group>();

impl<'a> Found<'a> {
    /// The group of a key; `None` where there is no memory for one more.
    #[inline]
    fn place(&mut self, key: &'a [u8]) -> Option<u32> {
        // The lower bits have decided the partition already.
        let hash = (xxh3_64(key) >> 32) as u32;
        let groups = &self.groups;
        let is_same = |place: &u32| {
            let group = &groups[*place as usize];
            group.hash == hash && group.key == key
        };
        match self.places.find(spread(hash), is_same) {
            Some(&place) => Some(place),
            None => self.add(key, hash),
        }
    }

    fn add(&mut self, key: &'a [u8], hash: u32) -> Option<u32> {
        if self.groups.len() == self.groups.capacity() {
            let more = self.groups.len().max(64);
            if !self.reservation.try_grow((more * GROUP_BYTES) as u64) {
                return None;
            }
            self.groups.reserve_exact(more);
        }
        let place = u32::try_from(self.groups.len()).expect("memory holds fewer groups");
        self.groups.push(Counted { key, hash, record_count: 0, bytes: 0, next_tail: 0 });
        let hash_of = |place: &u32| spread(self.groups[*place as usize].hash);
        self.places.insert_unique(spread(hash), place, hash_of);
        Some(place)
    }

    /// The groups in the order of their keys.
    fn order(&self) -> Vec<Place> {
        let place = |(index, group): (usize, &Counted<'_>)| Place {
            prefix: prefix_of(group.key),
            index: index as u32,
        };
        let mut order: Vec<Place> = self.groups.iter().enumerate().map(place).collect();
        order.sort_unstable_by(|a, b| {
            let key = |place: &Place| self.groups[place.index as usize].key;
            a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b)))
        });
        order
    }

    /// Says where each of these groups lies, one behind the other, and how long all are. From then
    /// on `bytes` and `next_tail` of a group are where its next value goes.
    fn lay_out(&mut self, order: &[Place]) -> (Vec<Group>, usize) {
        let (mut end, mut first_record) = (0, 0);
        let group = |place: &Place| {
            let counted = &mut self.groups[place.index as usize];
            let (key_start, values_start) = (end, end + counted.key.len());
            end = values_start + counted.bytes;
            let record_count = counted.record_count;
            let group =
                Group { key_start, values_start, values_end: end, first_record, record_count };
            (counted.bytes, counted.next_tail) = (values_start, first_record);
            first_record += record_count;
            group
        };
        (order.iter().map(group).collect(), end)
    }
}

/// Both ends of a hash decide where a table puts an entry.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
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
        let records = || {
            let blocks = runs.iter().flat_map(|run| run.blocks(partition));
            blocks.flat_map(|block| block.records().map(|(_, record)| record))
        };
        let has_tails = runs.iter().any(|run| run.has_tails(partition));
        let tail_count = if has_tails { row_count } else { 0 };
        let tables = row_count * size_of::<u32>() + tail_count * size_of::<Bytes>();
        if !reservation.try_grow(tables as u64) {
            return None;
        }
        let mut found = Found { places: HashTable::new(), groups: Vec::new(), reservation };
        let mut places: Vec<u32> = Vec::with_capacity(row_count);
        for record in records() {
            let place = found.place(record.key)?;
            places.push(place);
            let group = &mut found.groups[place as usize];
            group.record_count += 1;
            group.bytes += varint_bytes(record.head.len()) + record.head.len();
        }
        let order = found.order();
        let (groups, byte_count) = found.lay_out(&order);
        let Found { groups: mut counted, mut reservation, .. } = found;
        if !reservation.try_grow(byte_count as u64) {
            return None;
        }
        let mut bytes = vec![0; byte_count];
        for (group, place) in groups.iter().zip(order) {
            let key = counted[place.index as usize].key;
            bytes[group.key_start..group.values_start].copy_from_slice(key);
        }
        let mut tails = vec![EMPTY.clone(); tail_count];
        for (record, place) in records().zip(places) {
            let group = &mut counted[place as usize];
            group.bytes = put_framed(record.head, &mut bytes, group.bytes);
            if has_tails {
                tails[group.next_tail] = record.tail.clone();
                group.next_tail += 1;
            }
        }
        let kept = byte_count + groups.len() * size_of::<Group>() + tail_count * size_of::<Bytes>();
        reservation.shrink(reservation.bytes().saturating_sub(kept as u64));
        Some(Self { groups, bytes, tails, _reservation: reservation })
    }

    /// The framed heads of a range of bytes.
    pub(super) fn heads(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The tails of a range of records; none where no record has one.
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
