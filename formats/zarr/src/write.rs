//! Writes units of one array: chunks, or shards full of chunks.

use std::fmt;

use array::{
    ArrayBuffer, ArraySink, BoxCopy, Chunk, ChunkGrid, Region, Scalar, SinkFacts, Writing,
    WrittenUnit,
};
use bytes::Bytes;
use dataflow::error::{Error, Result};
use objects::{Objects, Pending};

use crate::header::Header;
use crate::shard::Sharding;

/// Writes an array; many threads may share it.
pub(crate) struct ZarrWriter {
    name: String,
    objects: Objects,
    header: Header,
    facts: SinkFacts,
    /// What stands in a chunk beyond the edge of the array.
    padding: Scalar,
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
            fill: header.fill_or_zero(),
        };
        let padding = header.chain.padding(&facts.fill);
        Self { name: name.to_owned(), objects: objects.clone(), header, facts, padding }
    }

    /// The key of the object of a unit, from the root of the store.
    pub(crate) fn key(&self, index: &[u64]) -> String {
        format!("{}/{}", self.name, self.header.keys.key(index))
    }

    fn check(&self, index: &[u64], elements: &Chunk) -> Result<()> {
        let counts = self.facts.units.counts();
        let is_unit = index.len() == counts.len() && index.iter().zip(&counts).all(|(i, n)| i < n);
        if !is_unit {
            return Err(Error::internal(format!("`{}` has no unit {index:?}", self.name)));
        }
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

    fn encode(&self, elements: &Chunk) -> Result<Bytes> {
        let chain = &self.header.chain;
        match &self.header.sharding {
            Some(sharding) => self.encode_shard(sharding, elements),
            None if elements.shape() == chain.shape => chain.encode(elements.payload()),
            None => {
                let whole = Region::whole(elements.shape());
                chain.encode(&self.cut(elements, &whole, Vec::new())?)
            }
        }
    }

    fn encode_shard(&self, sharding: &Sharding, elements: &Chunk) -> Result<Bytes> {
        let chunks = ChunkGrid::regular(&sharding.shape, &self.header.chain.shape);
        let there = Region::whole(elements.shape());
        let mut ranges = Vec::with_capacity(sharding.chunk_count() as usize);
        let mut shard: Vec<u8> = Vec::new();
        let mut scratch = Vec::new();
        for place in 0..sharding.chunk_count() {
            let chunk = chunks.region(&chunks.index_of(place));
            // A chunk beyond the edge of the array has no elements and is not written.
            let Some(part) = chunk.intersection(&there) else {
                ranges.push(None);
                continue;
            };
            let start = shard.len() as u64;
            match self.contiguous(elements, &part) {
                Some(payload) => shard.extend_from_slice(&self.header.chain.encode(&payload)?),
                None => {
                    let payload = self.cut(elements, &part, scratch)?;
                    shard.extend_from_slice(&self.header.chain.encode(&payload)?);
                    scratch = payload.into();
                }
            }
            ranges.push(Some(start..shard.len() as u64));
        }
        sharding.push_index(&ranges, &mut shard);
        Ok(shard.into())
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
    fn cut(&self, elements: &Chunk, part: &Region, mut scratch: Vec<u8>) -> Result<Bytes> {
        let shape = &self.header.chain.shape;
        let fill = &self.padding;
        let Some(item_bytes) = elements.dtype().item_bytes() else {
            let mut texts = ArrayBuffer::filled(shape, fill);
            texts.write(&vec![0; shape.len()], elements, part)?;
            return Ok(texts.freeze()?.payload().clone());
        };
        scratch.resize(shape.iter().product::<u64>() as usize * item_bytes, 0);
        let extent = part.shape();
        if extent != *shape {
            let items = scratch.chunks_exact_mut(item_bytes);
            items.for_each(|item| item.copy_from_slice(fill.bytes()));
        }
        let copy = BoxCopy {
            source_shape: elements.shape(),
            source_start: &part.start(),
            target_shape: shape,
            target_start: &vec![0; shape.len()],
            extent: &extent,
        };
        array::copy_box(elements.payload(), &mut scratch, item_bytes, &copy);
        Ok(scratch.into())
    }
}

impl ArraySink for ZarrWriter {
    fn facts(&self) -> &SinkFacts {
        &self.facts
    }

    fn write(&self, index: &[u64], elements: &Chunk) -> Result<Box<dyn Writing>> {
        self.check(index, elements)?;
        let encoded = self
            .encode(elements)
            .map_err(|error| error.at("variable", &self.name).at("chunk", format!("{index:?}")))?;
        let unit =
            WrittenUnit { encoded_bytes: encoded.len() as u64, crc32c: crc32c::crc32c(&encoded) };
        let key = self.key(index);
        Ok(Box::new(WritingUnit { unit, pending: self.objects.put(&key, encoded) }))
    }
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
