//! Passes encoded chunks through: those of each target unit are fetched and written as they are.

use array::{ArrayBuffer, ChunkGrid, Placement, Writing};
use bytes::Bytes;
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{ErrorKind, Result};

use crate::copy::{Copies, PlannedCopy};
use crate::moving::GroupTask;
use crate::room::Room;
use crate::written::Written;

/// Copies encoded chunks, one unit after the other: memory was planned for one.
#[derive(Clone)]
pub(crate) struct PassChunks {
    pub(crate) copies: Copies,
    /// Whether units are decoded whose encoded chunks are damaged.
    pub(crate) keeps_going: bool,
}

impl PlannedCopy {
    /// Starts to write a unit of the chunks that the source has.
    fn pass(
        &self,
        unit: &[u64],
        keeps_going: bool,
        ctx: &ProcessContext<'_, Written>,
    ) -> Result<Box<dyn Writing>> {
        let facts = self.sink.facts();
        let chunks = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let chunks: Vec<Vec<u64>> = chunks.chunks_meeting(&facts.units.region(unit)).collect();
        let encoded = self.source.encoded();
        let fetched = encoded.and_then(|encoded| encoded.fetch_encoded(&chunks)?.wait());
        let chunks = match fetched {
            Err(_) if keeps_going => return self.recode(unit, ctx),
            fetched => fetched?,
        };
        let lacks_codec = chunks.iter().flatten().any(|chunk| chunk.left_out != 0);
        let is_filled_anew = chunks.contains(&None) && self.source.facts().fill != facts.fill;
        if lacks_codec || is_filled_anew {
            drop(chunks);
            return self.recode(unit, ctx);
        }
        let bytes: Vec<Option<Bytes>> =
            chunks.into_iter().map(|chunk| chunk.map(|chunk| chunk.bytes)).collect();
        // What is damaged is named by who reads it.
        self.sink.write_encoded(unit, bytes).or_else(|why| match why.kind() {
            ErrorKind::Corrupt => self.recode(unit, ctx).and_then(|writing| match keeps_going {
                true => Ok(writing),
                false => Err(why),
            }),
            _ => Err(why),
        })
    }

    /// Decodes and encodes a unit of which some chunk lacks one of the codecs, or is not there and
    /// means another fill value.
    fn recode(&self, unit: &[u64], ctx: &ProcessContext<'_, Written>) -> Result<Box<dyn Writing>> {
        let facts = self.sink.facts();
        let region = facts.units.region(unit);
        let unit_bytes = region.element_count() * facts.dtype.estimated_bytes();
        // Fetched, decoded and encoded, of which one was planned.
        let held = Room::of(unit_bytes).hold(3 * unit_bytes, ctx)?;
        let mut buffer = ArrayBuffer::zeroed(facts.dtype, &region.shape());
        let at = vec![0; region.rank()];
        let fetched = self.source.fetch(std::slice::from_ref(&region))?;
        fetched.decode(&mut [Placement { into: &mut buffer, at }])?;
        let writing = self.sink.write(unit, &buffer.freeze()?)?;
        drop(held);
        Ok(writing)
    }
}

impl DoFn for PassChunks {
    type In = GroupTask;
    type Out = Written;

    fn process(&mut self, task: GroupTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let copy = self.copies.get(task.0);
        let units = &copy.sink.facts().units;
        let index = units.index_of(task.1);
        if self.copies.is_done(copy, &index) {
            return Ok(());
        }
        let written = copy.pass(&index, self.keeps_going, ctx).and_then(Writing::wait);
        let written = written.map_err(|error| copy.locate(error, &units.region(&index)))?;
        let (encoded_bytes, crc32c) = (written.encoded_bytes, written.crc32c);
        ctx.count("units_written", 1);
        ctx.count("bytes_written", encoded_bytes);
        ctx.output(Written { array: copy.name.clone(), index, encoded_bytes, crc32c })
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}
