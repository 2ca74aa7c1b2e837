//! The values of one key: as bytes, and as the iterable that user code sees.
//!
//! Values are decoded when they are iterated, each time anew. A group that memory cannot hold
//! lies in a spill file of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::run_file::{RunFile, RunWriter};
use super::{Record, Records};
use crate::coder::{
    Coder, CoderKind, Context, Preview, decode_varint, encode_varint, malformed, take,
};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::memory::{MemoryBudget, Reservation};

/// Bytes that a group may hold without a reservation; every bundle declares them.
const FREE_BYTES: u64 = 64 << 10;

/// Encoded values of one group, in memory or in a file. Clones share them.
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
    Memory { heads: Vec<u8>, tails: Vec<Bytes> },
    File(Arc<RunFile>),
}

/// Collects the values of one group, spilling when memory is refused.
#[derive(Debug)]
pub struct RawValuesBuilder {
    budget: MemoryBudget,
    scratch_folder: Option<PathBuf>,
    reservation: Option<Reservation>,
    count: u64,
    heads: Vec<u8>,
    tails: Vec<Bytes>,
    tail_bytes: u64,
    file: Option<RunWriter>,
}

impl RawValuesBuilder {
    /// An empty group.
    pub fn new(budget: &MemoryBudget, scratch_folder: Option<PathBuf>) -> Self {
        Self {
            budget: budget.clone(),
            scratch_folder,
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
        if self.file.is_none() && !self.fits(head.len() + tail.len()) {
            self.move_to_file()?;
        }
        match &mut self.file {
            Some(file) => file.put(0, Record { key: &[], head, tail }),
            None => {
                encode_varint(head.len() as u64, &mut self.heads);
                self.heads.extend_from_slice(head);
                // Tails are kept from the first value that has one; those before it get empty ones.
                if !tail.is_empty() || !self.tails.is_empty() {
                    self.tails.resize(self.count as usize - 1, Bytes::new());
                    self.tail_bytes += tail.len() as u64;
                    self.tails.push(tail.clone());
                }
                Ok(())
            }
        }
    }

    fn fits(&mut self, more: usize) -> bool {
        let heads = self.heads.len() * 2 + self.tails.len() * size_of::<Bytes>() * 2;
        let wanted = heads as u64 + self.tail_bytes + more as u64;
        if wanted <= FREE_BYTES {
            return true;
        }
        let reservation = self.reservation.get_or_insert_with(|| self.budget.hold());
        wanted <= reservation.bytes() || reservation.try_resize(wanted + wanted / 4)
    }

    fn move_to_file(&mut self) -> Result<()> {
        let file = match &self.scratch_folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let mut writer = RunWriter::new(file.map_err(Error::from)?)?;
        let (heads, tails) = (std::mem::take(&mut self.heads), std::mem::take(&mut self.tails));
        let mut input = &heads[..];
        for index in 0.. {
            if input.is_empty() {
                break;
            }
            let head = take_framed(&mut input)?;
            let none = Bytes::new();
            let tail = tails.get(index).unwrap_or(&none);
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
        let place = match file {
            Some(writer) => Place::File(Arc::new(writer.finish()?)),
            None => Place::Memory { heads, tails },
        };
        Ok(RawValues(Arc::new(Held { count, place, _reservation: reservation })))
    }
}

fn take_framed<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = decode_varint(input)? as usize;
    take(input, length, "value")
}

impl RawValues {
    /// The number of values.
    pub fn len(&self) -> u64 {
        self.0.count
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// Calls `each` with the head and the tail of every value.
    ///
    /// # Errors
    /// Spilled data that cannot be read, or what `each` returns.
    pub fn for_each(&self, mut each: impl FnMut(&[u8], &Bytes) -> Result<()>) -> Result<()> {
        let mut cursor = self.cursor();
        while cursor.next(&mut each)? {}
        Ok(())
    }

    fn cursor(&self) -> ValueCursor {
        let file = match &self.0.place {
            Place::Memory { .. } => None,
            Place::File(file) => Some(Box::new(RunFile::cursor(file, 0)) as Box<dyn Records>),
        };
        ValueCursor { values: self.clone(), index: 0, read: 0, file }
    }

    fn heap_bytes(&self) -> usize {
        match &self.0.place {
            Place::Memory { heads, tails } => {
                heads.len()
                    + tails.iter().map(|tail| tail.len() + size_of::<Bytes>()).sum::<usize>()
            }
            Place::File(_) => 0,
        }
    }
}

/// Walks over the values of a group.
struct ValueCursor {
    values: RawValues,
    index: usize,
    read: usize,
    file: Option<Box<dyn Records>>,
}

impl ValueCursor {
    fn next(&mut self, each: &mut impl FnMut(&[u8], &Bytes) -> Result<()>) -> Result<bool> {
        if let Some(records) = &mut self.file {
            if !records.advance()? {
                return Ok(false);
            }
            let Record { head, tail, .. } = records.record();
            each(head, tail)?;
            return Ok(true);
        }
        let Place::Memory { heads, tails } = &self.values.0.place else { return Ok(false) };
        if self.read == heads.len() {
            return Ok(false);
        }
        let mut rest = &heads[self.read..];
        let head = take_framed(&mut rest)?;
        self.read = heads.len() - rest.len();
        let none = Bytes::new();
        each(head, tails.get(self.index).unwrap_or(&none))?;
        self.index += 1;
        Ok(true)
    }
}

/// Where an iterator leaves the error that ends it; the bundle looks here and fails.
#[derive(Debug, Clone, Default)]
pub struct ReadFault(Arc<OnceLock<Error>>);

impl ReadFault {
    /// Returns the first error that an iterator met.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

/// The values of one key, which may be more than memory holds.
///
/// They are in no order, and each iteration decodes them anew. Clones share the bytes.
pub struct Iterable<V: Element> {
    raw: RawValues,
    coder: V::Coder,
    fault: ReadFault,
}

impl<V: Element> Iterable<V> {
    /// The values of these bytes; what iterating them meets is left in `fault`.
    pub fn new(raw: RawValues, fault: ReadFault) -> Self {
        Self { raw, coder: V::coder(), fault }
    }

    /// An iterable of these values, all in memory.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn of(values: &[V]) -> Result<Self> {
        let coder = V::coder();
        let mut builder = RawValuesBuilder::new(&MemoryBudget::unlimited(), None);
        let mut head = Vec::new();
        for value in values {
            head.clear();
            let tail = coder.encode_shared(value, &mut head)?;
            builder.push(&head, &tail)?;
        }
        Ok(Self::new(builder.finish()?, ReadFault::default()))
    }

    /// The number of values.
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The values, one after the other.
    ///
    /// An iteration that cannot read spilled data ends early, and the bundle then fails.
    pub fn iter(&self) -> Values<V> {
        let (coder, fault) = (self.coder.clone(), self.fault.clone());
        Values { cursor: self.raw.cursor(), coder, fault }
    }
}

impl<V: Element> IntoIterator for &Iterable<V> {
    type Item = V;
    type IntoIter = Values<V>;

    fn into_iter(self) -> Values<V> {
        self.iter()
    }
}

/// Iterates over an [`Iterable`].
pub struct Values<V: Element> {
    cursor: ValueCursor,
    coder: V::Coder,
    fault: ReadFault,
}

impl<V: Element> Iterator for Values<V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        let mut value = None;
        let coder = &self.coder;
        let outcome = self.cursor.next(&mut |head, tail| {
            value = Some(coder.decode_shared(head, tail.clone())?);
            Ok(())
        });
        if let Err(error) = outcome {
            // The first error is the one to report; later ones follow from it.
            self.fault.0.get_or_init(|| error);
        }
        value
    }
}

impl<V: Element> Clone for Iterable<V> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), coder: self.coder.clone(), fault: self.fault.clone() }
    }
}

impl<V: Element> fmt::Debug for Iterable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iterable({} values)", self.len())
    }
}

impl<V: Element> fmt::Debug for Values<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("read", &self.cursor.index).finish_non_exhaustive()
    }
}

impl<V: Element> Element for Iterable<V> {
    type Coder = IterableCoder<V>;

    fn coder() -> Self::Coder {
        IterableCoder(V::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.raw.heap_bytes()
    }
}

/// Encodes an [`Iterable`] as Beam's standard iterable.
pub struct IterableCoder<V: Element>(V::Coder);

impl<V: Element> Clone for IterableCoder<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Element> fmt::Debug for IterableCoder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IterableCoder").field(&self.0).finish()
    }
}

impl<V: Element> Coder<Iterable<V>> for IterableCoder<V> {
    fn kind(&self) -> CoderKind {
        CoderKind::Iterable(Box::new(self.0.kind()))
    }

    /// The values are in no order, so equal iterables may differ in bytes.
    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &Iterable<V>, _: Context, out: &mut Vec<u8>) -> Result<()> {
        let count = i32::try_from(value.len()).map_err(|_| {
            malformed("iterable", &format!("{} values are more than Beam counts", value.len()))
        })?;
        out.extend_from_slice(&count.to_be_bytes());
        value.raw.for_each(|head, tail| {
            let item = self.0.decode_shared(head, tail.clone())?;
            self.0.encode(&item, Context::Nested, out)
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Iterable<V>> {
        let items = crate::coder::IterableCoder(self.0.clone()).decode(context, input)?;
        Iterable::of(&items)
    }

    fn preview(&self, value: &Iterable<V>, out: &mut Preview) {
        out.push_display(&format_args!("{} values", value.len()));
    }
}
