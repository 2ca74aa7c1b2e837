//! The records of one partition in memory, brought together by key, keys ascending.
//!
//! Rows are hashed by key, then copied behind each other, group by group: so each row is touched
//! twice, whatever the number of rows and runs, and the values of a group lie together and can be
//! lent as they are.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::arena::MemoryRun;
use super::merge::Cursor;
use super::places::{NOWHERE, Places};
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
    places: Places,
    /// Short keys are known by these alone.
    shorts: Vec<ShortKey>,
    keys: Vec<&'a [u8]>,
    sizes: Vec<Size>,
    reservation: Reservation,
}

/// Rows that are looked for together.
const ROWS_AT_ONCE: usize = 256;

/// Some rows, and the groups that they are of.
#[derive(Default)]
struct Rows<'a> {
    keys: Vec<&'a [u8]>,
    shorts: Vec<ShortKey>,
    hashes: Vec<ShortHash>,
    framed_bytes: Vec<usize>,
    found: Vec<u32>,
}

impl<'a> Rows<'a> {
    /// Takes the first of these records; false if there is none.
    fn take_of(&mut self, records: impl Iterator<Item = Record<'a>>) -> bool {
        let Self { keys, shorts, hashes, framed_bytes, .. } = self;
        keys.clear();
        shorts.clear();
        hashes.clear();
        framed_bytes.clear();
        for record in records.take(ROWS_AT_ONCE) {
            let short = ShortKey::of(record.key);
            keys.push(record.key);
            shorts.push(short);
            hashes.push(short.hash_of(record.key));
            framed_bytes.push(varint_bytes(record.head.len()) + record.head.len());
        }
        !keys.is_empty()
    }
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

/// Bytes that a group takes until it is finished: its slots while they move to twice as many, its
/// key and size, its place in the order, among the finished groups, and what comes next.
const GROUP_BYTES: usize = Places::bytes_of(1) * 3
    + 2 * (size_of::<ShortKey>() + size_of::<&[u8]>() + size_of::<Size>())
    + size_of::<u32>()
    + size_of::<Group>()
    + size_of::<Next>();

impl<'a> Found<'a> {
    /// Counts rows into their groups and appends the numbers of these; `None` where there is no
    /// memory for one more.
    fn count_all(&mut self, rows: &mut Rows<'a>, indices: &mut Vec<u32>) -> Option<()> {
        let Rows { keys, shorts, hashes, framed_bytes, found } = rows;
        self.places
            .find_all(hashes, found, |row, index| self.is_same(keys[row], shorts[row], index));
        for row in 0..keys.len() {
            let index = match found[row] {
                NOWHERE => self.add(keys[row], shorts[row], hashes[row])?,
                known => known,
            };
            indices.push(index);
            let size = &mut self.sizes[index as usize];
            size.record_count += 1;
            size.value_bytes += framed_bytes[row];
        }
        Some(())
    }

    #[inline]
    fn is_same(&self, key: &[u8], short: ShortKey, index: u32) -> bool {
        let index = index as usize;
        self.shorts[index] == short && (short.is_whole() || self.keys[index] == key)
    }

    /// The number of the group of a key that had none a few rows ago.
    #[cold]
    fn add(&mut self, key: &'a [u8], short: ShortKey, hash: ShortHash) -> Option<u32> {
        let known = self.places.find(hash, |index| self.is_same(key, short, index));
        if known != NOWHERE {
            return Some(known);
        }
        if self.keys.len() == self.keys.capacity() {
            let more = self.keys.len().max(64);
            if !self.reservation.try_grow((more * GROUP_BYTES) as u64) {
                return None;
            }
            self.keys.reserve_exact(more);
            self.shorts.reserve_exact(more);
            self.sizes.reserve_exact(more);
            self.places.reserve(self.keys.len() + more);
        }
        let index = u32::try_from(self.keys.len()).expect("memory holds fewer groups");
        self.keys.push(key);
        self.shorts.push(short);
        self.sizes.push(Size::default());
        self.places.insert(hash, index);
        Some(index)
    }

    /// The groups in the order of their keys.
    fn order(&mut self) -> Vec<u32> {
        self.places = Places::default();
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            let shorts = self.shorts[a].cmp(&self.shorts[b]);
            shorts.then_with(|| self.keys[a].cmp(self.keys[b]))
        });
        order
    }

    /// Where each of these groups lies, one behind the other, and how long all are; and where the
    /// first value of each goes, by their numbers.
    fn lay_out(&self, order: &[u32]) -> (Vec<Group>, usize, Vec<Next>) {
        let (mut end, mut first_record) = (0, 0);
        let mut next = vec![Next::default(); order.len()];
        let group = |&index: &u32| {
            let index = index as usize;
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
        let (places, shorts, keys, sizes) = (Places::default(), Vec::new(), Vec::new(), Vec::new());
        let mut found = Found { places, shorts, keys, sizes, reservation };
        let mut indices: Vec<u32> = Vec::with_capacity(row_count);
        let mut rows = Rows::default();
        for block in blocks() {
            let mut records = block.records().map(|(_, record)| record);
            while rows.take_of(records.by_ref()) {
                found.count_all(&mut rows, &mut indices)?;
            }
        }
        let order = found.order();
        let (groups, byte_count, mut next) = found.lay_out(&order);
        let Found { keys, mut reservation, .. } = found;
        if !reservation.try_grow(byte_count as u64) {
            return None;
        }
        let mut bytes = vec![0; byte_count];
        for (group, index) in groups.iter().zip(order) {
            let key = keys[index as usize];
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
