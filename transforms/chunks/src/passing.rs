//! Passes encoded chunks through: those of each target unit are fetched and written as they are.

use array::{ArrayBuffer, ChunkGrid, FetchedChunks, Placement};
use bytes::Bytes;
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{ErrorKind, Result};

use crate::copy::{Copies, PlannedCopy};
use crate::moving::GroupTask;
use crate::write_behind::WriteBehind;
use crate::written::Written;

/// Copies encoded chunks, unit by unit.
///
/// While one unit is written the chunks of the next are being fetched.
#[derive(Clone)]
pub(crate) struct PassChunks {
    copies: Copies,
    state: BundleState<State>,
}

/// What is under way in a bundle.
#[derive(Default)]
struct State {
    fetching: Option<(GroupTask, Box<dyn FetchedChunks>)>,
    writing: WriteBehind,
}

impl PassChunks {
    pub(crate) fn new(copies: Copies) -> Self {
        Self { copies, state: BundleState::default() }
    }

    /// Writes what was fetched.
    fn complete(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let Some((task, fetched)) = self.state.get().fetching.take() else { return Ok(()) };
        let copy = self.copies.get(task.0);
        let facts = copy.sink.facts();
        let unit = facts.units.index_of(task.1);
        let region = facts.units.region(&unit);
        let write = || {
            let chunks = fetched.wait()?;
            let lacks_codec = chunks.iter().flatten().any(|chunk| chunk.left_out != 0);
            let is_filled_anew = chunks.contains(&None) && copy.source.facts().fill != facts.fill;
            if lacks_codec || is_filled_anew {
                return copy.recode(&unit);
            }
            let bytes: Vec<Option<Bytes>> =
                chunks.into_iter().map(|chunk| chunk.map(|chunk| chunk.bytes)).collect();
            // What is damaged is named by who reads it.
            copy.sink.write_encoded(&unit, bytes).or_else(|why| match why.kind() {
                ErrorKind::Corrupt => copy.recode(&unit).and(Err(why)),
                _ => Err(why),
            })
        };
        let writing = write().map_err(|error| copy.locate(error, &region))?;
        let unit_bytes = region.element_count() * facts.dtype.estimated_bytes();
        let behind = &mut self.state.get().writing;
        behind.push(&copy.name, unit, writing, unit_bytes / 2)?;
        behind.put_out(ctx)
    }
}

impl PlannedCopy {
    /// Decodes and encodes a unit of which some chunk lacks one of the codecs, or is not there and
    /// means another fill value.
    fn recode(&self, unit: &[u64]) -> Result<Box<dyn array::Writing>> {
        let region = self.sink.facts().units.region(unit);
        let mut buffer = ArrayBuffer::zeroed(self.sink.facts().dtype, &region.shape());
        let at = vec![0; region.rank()];
        let fetched = self.source.fetch(std::slice::from_ref(&region))?;
        fetched.decode(&mut [Placement { into: &mut buffer, at }])?;
        self.sink.write(unit, &buffer.freeze()?)
    }
}

impl DoFn for PassChunks {
    type In = GroupTask;
    type Out = Written;

    fn process(&mut self, task: GroupTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let copy = self.copies.get(task.0);
        let facts = copy.sink.facts();
        let unit = facts.units.index_of(task.1);
        if self.copies.is_done(copy, &unit) {
            return Ok(());
        }
        let region = facts.units.region(&unit);
        let chunks = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let chunks: Vec<Vec<u64>> = chunks.chunks_meeting(&region).collect();
        let next = copy.source.encoded().and_then(|encoded| encoded.fetch_encoded(&chunks));
        let next = next.map_err(|error| copy.locate(error, &region))?;
        self.complete(ctx)?;
        self.state.get().fetching = Some((task, next));
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        self.complete(ctx)?;
        let behind = &mut self.state.get().writing;
        behind.finish()?;
        behind.put_out(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}
