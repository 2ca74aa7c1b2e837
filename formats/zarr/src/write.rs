//! Writes units of one array: chunks, or shards full of chunks.

mod stream;

use std::fmt;

use array::{
    ArrayBuffer, ArraySink, Chunk, ChunkGrid, EncodedFacts, Region, Scalar, SinkFacts, UnitStream,
    Writing, WrittenUnit,
};
use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Objects, Pending};
use rayon::prelude::*;

use crate::header::Header;
use crate::shard::Sharding;
use crate::write::stream::{ShardStream, stream_bytes};

/// Writes an array; many threads may share it.
pub(crate) struct ZarrWriter {
    name: String,
    objects: Objects,
    header: Header,
    facts: SinkFacts,
    /// What stands in a chunk beyond the edge of the array.
    padding: Scalar,
    /// How chunks are encoded, where they may come so.
    encoded: Option<EncodedFacts>,
}

impl fmt::Debug for ZarrWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZarrWriter({} in {})", self.name, self.objects.root())
    }
}

impl ZarrWriter {
    pub(crate) fn new(objects: &Objects, name: &str, header: Header) -> Self {
        let facts = SinkFacts {
            dtype: header.chain.element.dtype,
            shape: header.shape.clone(),
            chunk_shape: header.chain.shape.clone(),
            units: ChunkGrid::regular(&header.shape, header.unit_shape()),
            codecs: header.codec_names.clone(),
            fill: header.fill_or_zero(),
            stream_bytes: stream_bytes(objects, &header),
        };
        let padding = header.chain.padding(&facts.fill);
        let encoded = header.encoded().ok();
        Self { name: name.to_owned(), objects: objects.clone(), header, facts, padding, encoded }
    }

    /// What the metadata of the array say, or will say.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The key of the object of a unit, from the root of the store.
    pub(crate) fn key(&self, index: &[u64]) -> String {
        format!("{}/{}", self.name, self.header.keys.key(index))
    }

    fn check_index(&self, index: &[u64]) -> Result<()> {
        let counts = self.facts.units.counts();
        if index.len() == counts.len() && index.iter().zip(&counts).all(|(i, n)| i < n) {
            return Ok(());
        }
        Err(Error::internal(format!("`{}` has no unit {index:?}", self.name)))
    }

    fn check(&self, index: &[u64], elements: &Chunk) -> Result<()> {
        self.check_index(index)?;
        let shape = self.facts.units.region(index).shape();
        if elements.dtype() != self.facts.dtype || elements.shape() != shape {
            return Err(Error::internal(format!(
                "the unit {index:?} of `{}` is {} {shape:?}, not {} {:?}",
                self.name,
                self.facts.dtype,
                elements.dtype(),
                elements.shape()
            )));
        }
        Ok(())
    }

    /// The pieces of the object.
    fn encode(&self, elements: &Chunk) -> Result<Vec<Bytes>> {
        let chain = &self.header.chain;
        let only = match &self.header.sharding {
            Some(sharding) => return self.encode_shard(sharding, elements),
            None if elements.shape() == chain.shape => chain.encode(elements.payload()),
            None => chain.encode(&self.cut(elements, &Region::whole(elements.shape()))?),
        };
        Ok(vec![only?])
    }

    /// Chunks are encoded on all threads, and stand in their order all the same.
    fn encode_shard(&self, sharding: &Sharding, elements: &Chunk) -> Result<Vec<Bytes>> {
        let chunks = ChunkGrid::regular(&sharding.shape, &self.header.chain.shape);
        let there = Region::whole(elements.shape());
        let encode = |place| {
            // A chunk beyond the edge of the array has no elements and is not written.
            let part = chunks.region(&chunks.index_of(place)).intersection(&there);
            let payload = part.map(|part| match self.contiguous(elements, &part) {
                Some(payload) => Ok(payload),
                None => self.cut(elements, &part),
            });
            payload.map(|payload| self.header.chain.encode(&payload?)).transpose()
        };
        let places = (0..sharding.chunk_count()).into_par_iter();
        let encoded: Vec<Option<Bytes>> = places.map(encode).collect::<Result<_>>()?;
        Ok(in_shard(sharding, encoded))
    }

    /// The pieces of a unit of chunks that are encoded already.
    fn with_encoded(&self, index: &[u64], chunks: Vec<Option<Bytes>>) -> Result<Vec<Bytes>> {
        let shape = &self.header.chain.shape;
        let there = Region::whole(&self.facts.units.region(index).shape());
        let expected = ChunkGrid::regular(&there.shape(), shape).chunk_count();
        if chunks.len() as u64 != expected {
            let message = format!("{} chunks for a unit of {expected}", chunks.len());
            return Err(Error::internal(message));
        }
        chunks.par_iter().flatten().try_for_each(|chunk| self.check_encoded(chunk))?;
        let fill = if chunks.contains(&None) { Some(self.encoded_fill()?) } else { None };
        let mut chunks = chunks.into_iter().map(|chunk| chunk.or_else(|| fill.clone()));
        let Some(sharding) = &self.header.sharding else {
            return Ok(chunks.flatten().collect());
        };
        let grid = ChunkGrid::regular(&sharding.shape, shape);
        let places = (0..sharding.chunk_count()).map(|place| {
            let is_there = grid.region(&grid.index_of(place)).intersection(&there).is_some();
            if is_there { chunks.next().flatten() } else { None }
        });
        Ok(in_shard(sharding, places.collect()))
    }

    /// Refuses a chunk that does not decode: damage must not pass for data, and is told where it comes
    /// from by who reads it.
    fn check_encoded(&self, chunk: &Bytes) -> Result<()> {
        let decoded = self.header.chain.decode(chunk.clone());
        decoded.map(drop).map_err(|why| {
            let message = format!("an encoded chunk does not decode: {why}");
            Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
        })
    }

    /// A chunk of fill values.
    fn encoded_fill(&self) -> Result<Bytes> {
        let fill = ArrayBuffer::filled(&self.header.chain.shape, &self.facts.fill).freeze()?;
        self.header.chain.encode(fill.payload())
    }

    fn start(&self, index: &[u64], pieces: Vec<Bytes>) -> Box<dyn Writing> {
        let unit = WrittenUnit {
            encoded_bytes: pieces.iter().map(|piece| piece.len() as u64).sum(),
            crc32c: pieces.iter().fold(0, |sum, piece| crc32c::crc32c_append(sum, piece)),
        };
        let pending = self.objects.put_pieces(&self.key(index), pieces);
        Box::new(WritingUnit { unit, pending })
    }

    fn locate(&self, error: Error, index: &[u64]) -> Error {
        error.at("variable", &self.name).at("chunk", format_args!("{index:?}"))
    }

    /// A whole chunk out of `elements`, without a copy, where its bytes lie in one piece.
    fn contiguous(&self, elements: &Chunk, part: &Region) -> Option<Bytes> {
        let item_bytes = elements.dtype().item_bytes()?;
        let (extent, shape) = (part.shape(), elements.shape());
        let first = extent.iter().position(|&length| length > 1).unwrap_or(extent.len());
        let inner = first.saturating_add(1).min(extent.len());
        if extent != self.header.chain.shape || extent[inner..] != shape[inner..] {
            return None;
        }
        let places = part.start().into_iter().zip(shape);
        let start = places.fold(0, |place, (start, length)| place * length + start) as usize;
        let count = part.element_count() as usize;
        Some(elements.payload().slice(start * item_bytes..(start + count) * item_bytes))
    }

    /// The payload of a whole chunk that holds a part of `elements`, and padding besides.
    fn cut(&self, elements: &Chunk, part: &Region) -> Result<Bytes> {
        let shape = &self.header.chain.shape;
        let mut chunk = if part.shape() == *shape {
            ArrayBuffer::zeroed(elements.dtype(), shape)
        } else {
            ArrayBuffer::filled(shape, &self.padding)
        };
        chunk.write(&vec![0; shape.len()], elements, part)?;
        Ok(chunk.freeze()?.payload().clone())
    }
}

impl ArraySink for ZarrWriter {
    fn facts(&self) -> &SinkFacts {
        &self.facts
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        self.check(index, elements)?;
        let pieces = self.encode(elements).map_err(|error| self.locate(error, index))?;
        Ok(self.start(index, pieces))
    }

    fn encoded(&self) -> Option<&EncodedFacts> {
        self.encoded.as_ref()
    }

    fn write_encoded(&self, index: &[u64], chunks: Vec<Option<Bytes>>) -> Result<Box<dyn Writing>> {
        self.check_index(index)?;
        let pieces = self.with_encoded(index, chunks);
        Ok(self.start(index, pieces.map_err(|error| self.locate(error, index))?))
    }

    fn stream(&self, index: &[u64]) -> Result<Box<dyn UnitStream + '_>> {
        self.check_index(index)?;
        Ok(Box::new(ShardStream::new(self, index)?))
    }
}

/// Chunks of a shard in their order, and the index after them.
fn in_shard(sharding: &Sharding, chunks: Vec<Option<Bytes>>) -> Vec<Bytes> {
    let mut end = 0;
    let ranges = chunks.iter().map(|chunk| {
        let start = end;
        end += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        chunk.as_ref().map(|_| start..end)
    });
    let index = sharding.index(ranges);
    chunks.into_iter().flatten().chain([index.into()]).collect()
}

struct WritingUnit {
    unit: WrittenUnit,
    pending: Pending<()>,
}

impl Writing for WritingUnit {
    fn encoded_bytes(&self) -> u64 {
        self.unit.encoded_bytes
    }

    fn wait(self: Box<Self>) -> Result<WrittenUnit> {
        self.pending.wait()?;
        Ok(self.unit)
    }
}
