//! Passes encoded chunks through into units that are larger than memory: batch after batch, as streams.

use array::{ArraySource, ChunkGrid, EncodedChunk, FetchedChunks, WrittenUnit};
use dataflow::cancel::CancelToken;
use dataflow::error::{ErrorKind, Result};
use rayon::prelude::*;

use crate::copy::PlannedCopy;

/// Chunks that are fetched together, and the place of the first.
type Batch = (u64, Box<dyn FetchedChunks>);

impl PlannedCopy {
    /// Writes a unit of the chunks that the source has, as a stream.
    ///
    /// The bytes are those of a unit that is passed whole.
    ///
    /// # Errors
    /// A source that cannot be read, a store that fails, or a request to stop: nothing is visible then.
    pub(crate) fn pass_as_stream(
        &self,
        unit: &[u64],
        keeps_going: bool,
        cancel: &CancelToken,
    ) -> Result<WrittenUnit> {
        match self.append_encoded(unit, cancel) {
            Ok(Some(written)) => Ok(written),
            Ok(None) => self.recode_as_stream(unit, cancel),
            Err(_) if keeps_going => self.recode_as_stream(unit, cancel),
            // What is damaged is named by who reads it.
            Err(why) if why.kind() == ErrorKind::Corrupt => {
                self.recode_as_stream(unit, cancel).and(Err(why))
            }
            Err(why) => Err(why),
        }
    }

    /// Appends chunks as they are; nothing is written if there is one that cannot stay so.
    fn append_encoded(&self, unit: &[u64], cancel: &CancelToken) -> Result<Option<WrittenUnit>> {
        let facts = self.sink.facts();
        let grid = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let mut rest = grid.chunks_meeting(&facts.units.region(unit));
        let (encoded, mut fetched) = (self.source.encoded()?, 0);
        let count = self.chunks_in_batch();
        let mut fetch = || -> Result<Option<Batch>> {
            let chunks: Vec<Vec<u64>> = rest.by_ref().take(count).collect();
            if chunks.is_empty() {
                return Ok(None);
            }
            let first = fetched;
            fetched += chunks.len() as u64;
            Ok(Some((first, encoded.fetch_encoded(&chunks)?)))
        };
        let stream = self.sink.stream(unit)?;
        let is_filled_anew = self.source.facts().fill != facts.fill;
        let mut coming = fetch()?;
        while let Some((first, batch)) = coming {
            cancel.check()?;
            // The next one comes while this one goes.
            coming = fetch()?;
            let chunks = batch.wait()?;
            let must_change = |chunk: &Option<EncodedChunk>| {
                chunk.as_ref().map_or(is_filled_anew, |chunk| chunk.left_out != 0)
            };
            if chunks.iter().any(must_change) {
                return Ok(None);
            }
            let puts = chunks.into_par_iter().enumerate();
            puts.try_for_each(|(place, chunk)| {
                stream.put_encoded(first + place as u64, chunk.map(|chunk| chunk.bytes))
            })?;
        }
        stream.finish().map(Some)
    }

    /// Decodes and encodes all chunks, one after the other: of a unit of which one lacks a codec or is
    /// damaged, or is not there and means another fill value.
    fn recode_as_stream(&self, unit: &[u64], cancel: &CancelToken) -> Result<WrittenUnit> {
        let facts = self.sink.facts();
        let grid = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let stream = self.sink.stream(unit)?;
        let source: &dyn ArraySource = self.source.as_ref();
        for (place, chunk) in grid.chunks_meeting(&facts.units.region(unit)).enumerate() {
            cancel.check()?;
            stream.put(place as u64, &source.read(&grid.region(&chunk))?)?;
        }
        stream.finish()
    }

    /// Chunks that are fetched together.
    fn chunks_in_batch(&self) -> usize {
        let facts = self.sink.facts();
        let item_bytes = facts.dtype.estimated_bytes();
        let chunk_bytes = facts.chunk_shape.iter().fold(item_bytes, |n, &x| n.saturating_mul(x));
        let count = self.plan.batch_bytes / chunk_bytes.max(1);
        usize::try_from(count).unwrap_or(usize::MAX).max(1)
    }
}
