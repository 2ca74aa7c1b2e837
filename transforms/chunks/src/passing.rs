//! Passes encoded chunks through: those of each target unit are fetched and written as they are.

use std::collections::VecDeque;

use array::{ArrayBuffer, ChunkGrid, FetchedChunks, Placement, Writing};
use bytes::Bytes;
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{ErrorKind, Result};

use crate::copy::{Copies, PlannedCopy};
use crate::moving::GroupTask;
use crate::room::Room;
use crate::write_behind::WriteBehind;
use crate::written::Written;

/// Copies encoded chunks, so many units at once as was planned.
#[derive(Clone)]
pub(crate) struct PassChunks {
    copies: Copies,
    /// Whether units are decoded whose encoded chunks are damaged.
    keeps_going: bool,
    under_way: BundleState<UnderWay>,
}

/// Units of one copy that are on their way, from the source or to the store, in order.
#[derive(Default)]
struct UnderWay {
    copy: u32,
    coming: VecDeque<Coming>,
    going: WriteBehind,
}

/// A unit whose chunks are fetched.
struct Coming {
    unit: Vec<u64>,
    chunks: Result<Box<dyn FetchedChunks>>,
}

impl PlannedCopy {
    /// Starts to fetch the chunks of a unit.
    fn fetch(&self, unit: &[u64]) -> Result<Box<dyn FetchedChunks>> {
        let facts = self.sink.facts();
        let chunks = ChunkGrid::regular(&facts.shape, &facts.chunk_shape);
        let chunks: Vec<Vec<u64>> = chunks.chunks_meeting(&facts.units.region(unit)).collect();
        self.source.encoded()?.fetch_encoded(&chunks)
    }

    /// Starts to write a unit of the chunks that the source has.
    fn pass(
        &self,
        Coming { unit, chunks }: Coming,
        keeps_going: bool,
        ctx: &ProcessContext<'_, Written>,
    ) -> Result<Box<dyn Writing>> {
        let facts = self.sink.facts();
        let chunks = match chunks.and_then(FetchedChunks::wait) {
            Err(_) if keeps_going => return self.recode(&unit, ctx),
            fetched => fetched?,
        };
        let lacks_codec = chunks.iter().flatten().any(|chunk| chunk.left_out != 0);
        let is_filled_anew = chunks.contains(&None) && self.source.facts().fill != facts.fill;
        if lacks_codec || is_filled_anew {
            drop(chunks);
            return self.recode(&unit, ctx);
        }
        let bytes: Vec<Option<Bytes>> =
            chunks.into_iter().map(|chunk| chunk.map(|chunk| chunk.bytes)).collect();
        // What is damaged is named by who reads it.
        self.sink.write_encoded(&unit, bytes).or_else(|why| match why.kind() {
            ErrorKind::Corrupt => self.recode(&unit, ctx).and_then(|writing| match keeps_going {
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

impl PassChunks {
    pub(crate) fn new(copies: Copies, keeps_going: bool) -> Self {
        Self { copies, keeps_going, under_way: BundleState::default() }
    }

    /// Makes room until no more than so many units are under way; the oldest ones go on.
    fn make_room(&mut self, most: usize, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        loop {
            let UnderWay { coming, going, .. } = self.under_way.get();
            match (coming.len(), going.pending_count()) {
                (coming, going) if coming + going <= most => break,
                (_, 0) => self.hand_on(ctx)?,
                _ => going.wait_for_oldest()?,
            }
        }
        self.under_way.get().going.put_out(ctx)
    }

    /// Waits for the unit that was fetched first, and starts to write it.
    fn hand_on(&mut self, ctx: &ProcessContext<'_, Written>) -> Result<()> {
        let under_way = self.under_way.get();
        let copy = self.copies.get(under_way.copy);
        let Some(coming) = under_way.coming.pop_front() else { return Ok(()) };
        let unit = coming.unit.clone();
        let writing = copy.pass(coming, self.keeps_going, ctx);
        let region = || copy.sink.facts().units.region(&unit);
        let writing = writing.map_err(|error| copy.locate(error, &region()))?;
        under_way.going.push(&copy.name, unit, writing, u64::MAX)
    }
}

impl DoFn for PassChunks {
    type In = GroupTask;
    type Out = Written;

    fn process(&mut self, task: GroupTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        if self.under_way.get().copy != task.0 {
            // Memory was planned for the units of one copy.
            self.make_room(0, ctx)?;
            self.under_way.get().copy = task.0;
        }
        let copy = self.copies.get(task.0);
        let unit = copy.sink.facts().units.index_of(task.1);
        if self.copies.is_done(copy, &unit) {
            return Ok(());
        }
        if copy.plan.is_streamed() {
            let written = copy.pass_as_stream(&unit, self.keeps_going, ctx.cancel_token());
            let region = || copy.sink.facts().units.region(&unit);
            let written = written.map_err(|error| copy.locate(error, &region()))?;
            return Written::of(&copy.name, unit, written).put_out(ctx);
        }
        let most = usize::try_from(copy.plan.units_at_once).unwrap_or(usize::MAX).max(1);
        let chunks = {
            // What is fetched is not there yet: room is made before.
            self.make_room(most - 1, ctx)?;
            self.copies.get(task.0).fetch(&unit)
        };
        self.under_way.get().coming.push_back(Coming { unit, chunks });
        // Half of them come while the other half goes.
        if self.under_way.get().coming.len() > most / 2 {
            self.hand_on(ctx)?;
        }
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        self.make_room(0, ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}
