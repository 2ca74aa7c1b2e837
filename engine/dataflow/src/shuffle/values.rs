//! The values of one key as bytes: in memory, in a spill file of their own, or on an edge.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::grouped::Grouped;
use super::run_file::{BLOCK_BYTES, FileSet, RunWriter};
use super::{EMPTY, Record, RecordSet, Records, Scratch};
use crate::coder::{decode_varint, encode_varint, take};
use crate::error::Result;
use crate::memory::{MemoryBudget, Reservation};

/// Bytes that a group may hold without a reservation; every bundle declares them.
const FREE_BYTES: u64 = 64 << 10;

/// Encoded values, in no order. Clones share them.
#[derive(Debug, Clone)]
pub struct RawValues(Arc<Held>);

#[derive(Debug)]
struct Held {
    count: u64,
    place: Place,
    /// Given back when the last clone is gone.
    _reservation: Option<Reservation>,
}

#[derive(Debug)]
enum Place {
    /// Every head after its length; the tails, of which those at the end may be left out.
    Memory {
        heads: Vec<u8>,
        tails: Vec<Bytes>,
    },
    /// A group among others that were brought together: its heads as above, and its records.
    Grouped {
        grouped: Arc<Grouped>,
        heads: Range<usize>,
        records: Range<usize>,
    },
    Records(Arc<dyn RecordSet>),
}

impl Place {
    /// The framed heads and the tails of what is in memory.
    #[inline]
    fn in_memory(&self) -> Option<(&[u8], &[Bytes])> {
        match self {
            Self::Memory { heads, tails } => Some((heads, tails)),
            Self::Grouped { grouped, heads, records } => {
                Some((grouped.heads(heads.clone()), grouped.tails(records.clone())))
            }
            Self::Records(_) => None,
        }
    }
}

impl RawValues {
    /// The values of these records, whose keys are not looked at.
    pub fn of_records(records: Arc<dyn RecordSet>) -> Self {
        let (count, place) = (records.record_count(), Place::Records(records));
        Self(Arc::new(Held { count, place, _reservation: None }))
    }

    /// The values of one of several groups.
    pub(super) fn of_group(
        grouped: Arc<Grouped>,
        heads: Range<usize>,
        records: Range<usize>,
    ) -> Self {
        let count = records.len() as u64;
        let place = Place::Grouped { grouped, heads, records };
        Self(Arc::new(Held { count, place, _reservation: None }))
    }

    /// The number of values.
    pub fn len(&self) -> u64 {
        self.0.count
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// The values, one after the other.
    pub(super) fn cursor(&self) -> ValueCursor {
        let records = match &self.0.place {
            Place::Memory { .. } | Place::Grouped { .. } => None,
            Place::Records(records) => Some(records.records()),
        };
        ValueCursor { values: self.clone(), next: 0, read: 0, records }
    }

    /// Bytes of memory that the values take, and reading them.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.0.place {
            Place::Memory { heads, tails } => {
                let tail_bytes: usize = tails.iter().map(Bytes::len).sum();
                heads.capacity() + tails.capacity() * size_of::<Bytes>() + tail_bytes
            }
            Place::Grouped { grouped, heads, records } => {
                let tails = grouped.tails(records.clone());
                heads.len() + tails.iter().map(Bytes::len).sum::<usize>() + size_of_val(tails)
            }
            // So few of them travel in a batch that their files and blocks stay few.
            Place::Records(_) => 2 * BLOCK_BYTES,
        }
    }
}

impl RecordSet for RawValues {
    fn record_count(&self) -> u64 {
        self.len()
    }

    fn records(&self) -> Box<dyn Records> {
        Box::new(ValueRecords { cursor: self.cursor(), head: Vec::new(), tail: EMPTY.clone() })
    }
}

/// Values as records without keys.
struct ValueRecords {
    cursor: ValueCursor,
    head: Vec<u8>,
    tail: Bytes,
}

impl Records for ValueRecords {
    fn advance(&mut self) -> Result<bool> {
        let Some((head, tail)) = self.cursor.next_value()? else { return Ok(false) };
        self.head.clear();
        self.head.extend_from_slice(head);
        self.tail = tail.clone();
        Ok(true)
    }

    fn record(&self) -> Record<'_> {
        Record { key: &[], head: &self.head, tail: &self.tail }
    }
}

/// Walks over values.
pub(super) struct ValueCursor {
    values: RawValues,
    next: usize,
    read: usize,
    records: Option<Box<dyn Records>>,
}

impl ValueCursor {
    /// The head and the tail of the next value.
    #[inline]
    pub(super) fn next_value(&mut self) -> Result<Option<(&[u8], &Bytes)>> {
        if let Some(records) = &mut self.records {
            if !records.advance()? {
                return Ok(None);
            }
            let Record { head, tail, .. } = records.record();
            return Ok(Some((head, tail)));
        }
        let Some((heads, tails)) = self.values.0.place.in_memory() else { return Ok(None) };
        if self.read == heads.len() {
            return Ok(None);
        }
        let mut rest = &heads[self.read..];
        let head = take_framed(&mut rest)?;
        self.read = heads.len() - rest.len();
        let tail = tails.get(self.next).unwrap_or(&EMPTY);
        self.next += 1;
        Ok(Some((head, tail)))
    }
}

#[inline]
fn take_framed<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = decode_varint(input)? as usize;
    take(input, length, "value")
}

impl fmt::Debug for ValueCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueCursor").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

/// Collects the values of one group, spilling when memory is refused.
#[derive(Debug)]
pub struct RawValuesBuilder {
    budget: MemoryBudget,
    scratch: Scratch,
    reservation: Option<Reservation>,
    count: u64,
    heads: Vec<u8>,
    tails: Vec<Bytes>,
    tail_bytes: u64,
    file: Option<RunWriter>,
}

impl RawValuesBuilder {
    /// An empty group.
    pub fn new(budget: &MemoryBudget, scratch: &Scratch) -> Self {
        Self {
            budget: budget.clone(),
            scratch: scratch.clone(),
            reservation: None,
            count: 0,
            heads: Vec::new(),
            tails: Vec::new(),
            tail_bytes: 0,
            file: None,
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// A disk that fails while spilling.
    pub fn push(&mut self, head: &[u8], tail: &Bytes) -> Result<()> {
        self.count += 1;
        if self.file.is_none() && !self.fits(head.len(), tail.len()) {
            self.move_to_file()?;
        }
        if let Some(file) = &mut self.file {
            return file.put(0, Record { key: &[], head, tail });
        }
        encode_varint(head.len() as u64, &mut self.heads);
        self.heads.extend_from_slice(head);
        // Tails are kept from the first value that has one; those before it get empty ones.
        if !tail.is_empty() {
            self.tails.resize(self.count as usize - 1, EMPTY.clone());
            self.tail_bytes += tail.len() as u64;
            self.tails.push(tail.clone());
        }
        Ok(())
    }

    fn fits(&mut self, head_bytes: usize, tail_bytes: usize) -> bool {
        // Both tables grow to twice what they hold.
        let heads = 2 * (self.heads.len() + head_bytes);
        let tail_count = if tail_bytes == 0 { self.tails.len() } else { 2 * self.count as usize };
        let tables = heads + tail_count * size_of::<Bytes>();
        let wanted = tables as u64 + self.tail_bytes + tail_bytes as u64;
        if wanted <= FREE_BYTES {
            return true;
        }
        let reservation = self.reservation.get_or_insert_with(|| self.budget.hold());
        wanted <= reservation.bytes() || reservation.try_resize(wanted + wanted / 4)
    }

    fn move_to_file(&mut self) -> Result<()> {
        let mut writer = RunWriter::new(&self.scratch)?;
        let (heads, tails) = (std::mem::take(&mut self.heads), std::mem::take(&mut self.tails));
        let mut input = &heads[..];
        for index in 0.. {
            if input.is_empty() {
                break;
            }
            let head = take_framed(&mut input)?;
            let tail = tails.get(index).unwrap_or(&EMPTY);
            writer.put(0, Record { key: &[], head, tail })?;
        }
        self.reservation = None;
        self.file = Some(writer);
        Ok(())
    }

    /// The finished group.
    ///
    /// # Errors
    /// A disk that fails while spilling.
    pub fn finish(self) -> Result<RawValues> {
        let Self { count, reservation, heads, tails, file, .. } = self;
        if let Some(writer) = file {
            return Ok(RawValues::of_records(Arc::new(FileSet(Arc::new(writer.finish()?)))));
        }
        let place = Place::Memory { heads, tails };
        Ok(RawValues(Arc::new(Held { count, place, _reservation: reservation })))
    }
}
