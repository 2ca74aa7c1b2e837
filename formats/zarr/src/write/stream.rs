//! Shards that are written as streams: chunk after chunk, the index last.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use array::{Chunk, ChunkGrid, Region, UnitStream, WrittenUnit};
use bytes::Bytes;
use dataflow::error::{Error, Result};
use objects::{ObjectWriter, Objects};

use super::ZarrWriter;
use crate::header::Header;
use crate::shard::Sharding;

/// Bytes that a chunk takes in the index of a shard while the shard is written, and after.
const PLACE_BYTES: u64 = (size_of::<Range<u64>>() + 2 * size_of::<u64>()) as u64;

/// Bytes of chunks that are gone and that the allocator gives back after a second only: chunks of a stream come
/// and go all the time, those that are read, that are cut out and that are encoded, each in a size of its own.
/// `tests/interop/streams.py` shows that it suffices.
const KEPT_BYTES: u64 = 40 << 20;

/// Bytes that a shard takes while it is written as a stream; `None` where it cannot be, as there are
/// no shards or their index comes first.
pub(super) fn stream_bytes(objects: &Objects, header: &Header) -> Option<u64> {
    let sharding = header.sharding.as_ref().filter(|it| !it.is_index_first && it.has_checksum)?;
    let index_bytes = sharding.chunk_count().saturating_mul(PLACE_BYTES);
    Some(objects.writer_bytes().saturating_add(index_bytes).saturating_add(KEPT_BYTES))
}

/// A shard on its way to the store.
pub(super) struct ShardStream<'a> {
    array: &'a ZarrWriter,
    sharding: &'a Sharding,
    index: Vec<u64>,
    /// The chunks of which the array has some elements.
    there: ChunkGrid,
    state: Mutex<Appended>,
}

/// What is written of a shard.
struct Appended {
    object: ObjectWriter,
    /// Where the chunks lie that are written, which are the first ones.
    ranges: Vec<Range<u64>>,
    end: u64,
    crc32c: u32,
    /// Chunks that came before their turn, by their places.
    waiting: BTreeMap<u64, Bytes>,
}

impl<'a> ShardStream<'a> {
    /// Begins to write a shard.
    ///
    /// # Errors
    /// An array whose units are written whole only, or a store that fails.
    pub(super) fn new(array: &'a ZarrWriter, index: &[u64]) -> Result<Self> {
        let sharding =
            array.header.sharding.as_ref().filter(|_| array.facts.stream_bytes.is_some());
        let whole = || Error::internal(format!("units of `{}` are written whole", array.name));
        let sharding = sharding.ok_or_else(whole)?;
        let shape = array.facts.units.region(index).shape();
        let there = ChunkGrid::regular(&shape, &array.header.chain.shape);
        let object = array.objects.writer(&array.key(index))?;
        let (ranges, waiting) = (Vec::new(), BTreeMap::new());
        let state = Mutex::new(Appended { object, ranges, end: 0, crc32c: 0, waiting });
        Ok(Self { array, sharding, index: index.to_vec(), there, state })
    }

    fn check(&self, place: u64, elements: &Chunk) -> Result<()> {
        let dtype = self.array.facts.dtype;
        let shape = (place < self.there.chunk_count())
            .then(|| self.there.region(&self.there.index_of(place)).shape());
        if elements.dtype() == dtype && shape.as_deref() == Some(elements.shape()) {
            return Ok(());
        }
        let found = format!("{} {:?}", elements.dtype(), elements.shape());
        Err(Error::internal(format!("the chunk {place} is {dtype} {shape:?}, not {found}")))
    }

    fn encode(&self, elements: &Chunk) -> Result<Bytes> {
        let chain = &self.array.header.chain;
        if elements.shape() == chain.shape {
            return chain.encode(elements.payload());
        }
        chain.encode(&self.array.cut(elements, &Region::whole(elements.shape()))?)
    }

    /// Writes a chunk, and those that waited for it; or lets it wait for its turn.
    fn take(&self, place: u64, encoded: Bytes) -> Result<()> {
        // A store that is slow holds up those who encode, so that encoded chunks do not heap up.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = place >= state.ranges.len() as u64;
        if !is_new || state.waiting.insert(place, encoded).is_some() {
            return Err(Error::internal(format!("the chunk {place} is written twice")));
        }
        loop {
            let next = state.ranges.len() as u64;
            let Some(chunk) = state.waiting.remove(&next) else { return Ok(()) };
            state.append(&chunk)?;
            let start = state.end - chunk.len() as u64;
            let end = state.end;
            state.ranges.push(start..end);
        }
    }

    fn locate(&self, error: Error) -> Error {
        self.array.locate(error, &self.index)
    }
}

impl Appended {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.object.append(bytes)?;
        self.end += bytes.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        Ok(())
    }

    /// Writes the index of the shard, and makes it visible.
    fn finish(mut self, sharding: &Sharding, there: &ChunkGrid) -> Result<WrittenUnit> {
        if self.ranges.len() as u64 != there.chunk_count() {
            let message = format!("{} of {} chunks", self.ranges.len(), there.chunk_count());
            return Err(Error::internal(format!("a shard ends after {message}")));
        }
        let counts = there.counts();
        let all = ChunkGrid::regular(&sharding.counts, &vec![1; sharding.counts.len()]);
        let mut ranges = std::mem::take(&mut self.ranges).into_iter();
        let index = sharding.index((0..sharding.chunk_count()).map(|place| {
            let index = all.index_of(place);
            let is_there = index.iter().zip(&counts).all(|(index, count)| index < count);
            if is_there { ranges.next() } else { None }
        }));
        self.append(&index)?;
        self.object.finish()?;
        Ok(WrittenUnit { encoded_bytes: self.end, crc32c: self.crc32c })
    }
}

impl UnitStream for ShardStream<'_> {
    fn put(&self, place: u64, elements: &Chunk) -> Result<()> {
        let put = || {
            self.check(place, elements)?;
            self.take(place, self.encode(elements)?)
        };
        put().map_err(|error| self.locate(error))
    }

    fn put_encoded(&self, place: u64, chunk: Option<Bytes>) -> Result<()> {
        let put = || {
            if place >= self.there.chunk_count() {
                return Err(Error::internal(format!("there is no chunk {place}")));
            }
            match chunk {
                Some(chunk) => {
                    self.array.check_encoded(&chunk)?;
                    self.take(place, chunk)
                }
                None => self.take(place, self.array.encoded_fill()?),
            }
        };
        put().map_err(|error| self.locate(error))
    }

    fn finish(self: Box<Self>) -> Result<WrittenUnit> {
        let Self { array, sharding, index, there, state } = *self;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.finish(sharding, &there).map_err(|error| array.locate(error, &index))
    }
}

#[cfg(test)]
mod tests;
