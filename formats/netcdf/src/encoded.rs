//! The chunks of a stored array as they lie in the file.
//!
//! What lies there as it is counts as chunks without codecs: one for the whole array, or one for
//! each record of a classic file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{
    ByteRange, ChunkLocation, EncodedChunk, EncodedChunks, EncodedFacts, FetchedChunks, NamedCodec,
    not_encoded,
};
use bytes::Bytes;
use objects::Pending;

use crate::flat::Flat;
use crate::stored::{Layout, Parts};

/// The chunks of an array of a file.
pub(crate) struct StoredChunks {
    parts: Arc<Parts>,
    facts: EncodedFacts,
}

impl fmt::Debug for StoredChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredChunks({} of {})", self.parts.variable, self.parts.bytes.name())
    }
}

impl StoredChunks {
    /// The chunks of an array.
    ///
    /// # Errors
    /// An array whose elements are not those of its chunks, or filters that Zarr does not have.
    pub(crate) fn new(parts: &Arc<Parts>) -> Result<Self> {
        if parts.element.texts.is_some() {
            return Err(not_encoded("texts lie in other places than the chunks"));
        }
        let (chunk_shape, codecs) = parts.chunks()?;
        let joined = parts.element.joined;
        let stored_shape: Vec<u64> = parts.shape.iter().copied().chain(joined).collect();
        if !matches!(parts.layout, Layout::Nowhere) && parts.extent != stored_shape {
            return Err(not_encoded(format!(
                "{:?} elements were written of {stored_shape:?}",
                parts.extent
            )));
        }
        if let Some(joined) = joined.filter(|it| chunk_shape.last() != Some(it)) {
            return Err(not_encoded(format!("texts of {joined} characters are cut by chunks")));
        }
        let chunk_shape = parts.element.visible(&chunk_shape).to_vec();
        let facts = EncodedFacts {
            dtype: parts.element.dtype,
            is_big_endian: parts.element.swap_bytes > 1,
            shape: parts.shape.clone(),
            chunk_shape,
            codecs,
            fill: parts.fill.clone(),
        };
        Ok(Self { parts: Arc::clone(parts), facts })
    }

    fn place(&self, index: &[u64]) -> Result<Option<(Range<u64>, u32)>> {
        let joined = self.parts.element.joined.map(|_| 0);
        let index: Vec<u64> = index.iter().copied().chain(joined).collect();
        let place = match &self.parts.layout {
            Layout::Chunked(chunked) => chunked.location(&index),
            Layout::Flat(flat) => Ok(flat.piece(&index).map(|range| (range, 0))),
            Layout::Nowhere => Ok(None),
            Layout::Inline(..) => Err(Error::internal("elements among metadata have no place")),
        };
        place.map_err(|error| self.parts.name(error))
    }
}

impl Parts {
    /// The shape of chunks in the dimensions of storage, and their codecs.
    fn chunks(&self) -> Result<(Vec<u64>, Vec<NamedCodec>)> {
        match &self.layout {
            Layout::Chunked(chunked) => Ok((chunked.chunk_shape().to_vec(), chunked.codecs()?)),
            Layout::Flat(flat) => Ok((flat.piece_shape(), Vec::new())),
            Layout::Nowhere => {
                let stored = self.shape.iter().copied().chain(self.element.joined);
                Ok((stored.map(|length| length.max(1)).collect(), Vec::new()))
            }
            Layout::Inline(..) => Err(not_encoded("the elements lie among the metadata")),
        }
    }
}

impl Flat {
    /// Elements of one piece: those of a record, where records lie apart, or all.
    fn piece_shape(&self) -> Vec<u64> {
        let mut shape: Vec<u64> = self.shape.iter().map(|&length| length.max(1)).collect();
        if self.record_stride.is_some() {
            shape[0] = 1;
        }
        shape
    }

    /// Where a piece lies; `None` for one of no elements.
    fn piece(&self, index: &[u64]) -> Option<Range<u64>> {
        if self.shape.contains(&0) {
            return None;
        }
        let bytes = self.piece_shape().iter().product::<u64>() * self.unit_bytes as u64;
        let record = index.first().copied().unwrap_or(0);
        let begin = self.begin + self.record_stride.map_or(0, |stride| record * stride);
        Some(begin..begin + bytes)
    }
}

impl EncodedChunks for StoredChunks {
    fn facts(&self) -> &EncodedFacts {
        &self.facts
    }

    fn location(&self, index: &[u64]) -> Result<Option<ChunkLocation>> {
        let place = self.place(index)?;
        Ok(place.map(|(range, left_out)| {
            let url = self.parts.bytes.name().to_owned();
            let range = ByteRange { url, offset: range.start, length: range.end - range.start };
            ChunkLocation { range, left_out }
        }))
    }

    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>> {
        let places = chunks.iter().map(|index| self.place(index)).collect::<Result<Vec<_>>>()?;
        let ranges = places.iter().flatten().map(|(range, _)| range.clone());
        let pending = self.parts.bytes.fetch(ranges.collect());
        let pending = pending.map_err(|error| self.parts.name(error))?;
        let masks = places.iter().map(|place| place.as_ref().map(|(_, mask)| *mask)).collect();
        Ok(Box::new(Coming { parts: Arc::clone(&self.parts), masks, pending }))
    }
}

struct Coming {
    parts: Arc<Parts>,
    /// Of every chunk that was asked for, what was left out; `None` where there is none.
    masks: Vec<Option<u32>>,
    pending: Pending<Vec<Bytes>>,
}

impl FetchedChunks for Coming {
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>> {
        let Self { parts, masks, pending } = *self;
        let mut bodies = pending.wait().map_err(|error| parts.name(error))?.into_iter();
        let mut chunk = |left_out| bodies.next().map(|bytes| EncodedChunk { bytes, left_out });
        Ok(masks.into_iter().map(|mask| mask.and_then(&mut chunk)).collect())
    }
}
