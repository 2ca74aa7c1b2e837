//! Shuffle: source chunks are split, grouped by target unit and consolidated.

use array::{ArrayBuffer, Chunk, Fetched, Placement, Region};
use dataflow::dofn::{BundleState, DoFn, DoFnFacts, ProcessContext};
use dataflow::error::{Error, Result};
use dataflow::prelude::Iterable;

use crate::copy::Copies;
use crate::pull::{UnitTask, WriteBehind};
use crate::written::Written;

/// A part of a target unit: where it begins in the unit, and its elements.
pub(crate) type Piece = (Vec<u64>, Chunk);

/// Reads source chunks and cuts each into one piece for every target unit that it meets.
#[derive(Clone)]
pub(crate) struct SplitChunks {
    copies: Copies,
    fetching: BundleState<Option<Fetching>>,
}

/// A source chunk that is on its way.
struct Fetching {
    copy: u32,
    region: Region,
    bytes: Box<dyn Fetched>,
}

impl SplitChunks {
    pub(crate) fn new(copies: Copies) -> Self {
        Self { copies, fetching: BundleState::default() }
    }

    fn complete(&mut self, ctx: &mut ProcessContext<'_, (UnitTask, Piece)>) -> Result<()> {
        let Some(Fetching { copy: index, region, bytes }) = self.fetching.get().take() else {
            return Ok(());
        };
        let copy = self.copies.get(index);
        let decode = || {
            let mut buffer = ArrayBuffer::zeroed(copy.source.facts().dtype, &region.shape());
            let at = vec![0; region.rank()];
            bytes.decode(&mut [Placement { into: &mut buffer, at }])?;
            buffer.freeze()
        };
        let chunk = decode().map_err(|error| copy.locate(error, &region))?;
        let grid = &copy.sink.facts().units;
        for unit in grid.chunks_meeting(&region) {
            if self.copies.is_done(copy, &unit) {
                continue;
            }
            let unit_region = grid.region(&unit);
            let Some(common) = unit_region.intersection(&region) else { continue };
            let piece = chunk.slice(&common.relative_to(&region.start()))?;
            let task = (index, grid.linear_index(&unit));
            ctx.output((task, (common.offset_in(&unit_region), piece)))?;
        }
        Ok(())
    }
}

impl DoFn for SplitChunks {
    type In = (u32, u64);
    type Out = (UnitTask, Piece);

    fn process(&mut self, task: (u32, u64), ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let copy = self.copies.get(task.0);
        let grid = &copy.source.facts().grid;
        let region = grid.region(&grid.index_of(task.1));
        if self.copies.is_all_done(copy, &region) {
            return Ok(());
        }
        let bytes = copy.source.fetch(std::slice::from_ref(&region));
        let bytes = bytes.map_err(|error| copy.locate(error, &region))?;
        self.complete(ctx)?;
        *self.fetching.get() = Some(Fetching { copy: task.0, region, bytes });
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        self.complete(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}

/// Joins the pieces of each target unit, and writes it.
#[derive(Clone)]
pub(crate) struct ConsolidateChunks {
    copies: Copies,
    writing: BundleState<WriteBehind>,
}

impl ConsolidateChunks {
    pub(crate) fn new(copies: Copies) -> Self {
        Self { copies, writing: BundleState::default() }
    }
}

impl DoFn for ConsolidateChunks {
    type In = (UnitTask, Iterable<Piece>);
    type Out = Written;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let (task, pieces) = group;
        let (copy, unit) = self.copies.unit(task);
        let region = copy.sink.facts().units.region(&unit);
        let write = || {
            let mut buffer = ArrayBuffer::zeroed(copy.source.facts().dtype, &region.shape());
            let mut missing = region.element_count();
            for (origin, piece) in &pieces {
                buffer.write(&origin, &piece, &Region::whole(piece.shape()))?;
                missing = missing.saturating_sub(piece.element_count());
            }
            if missing > 0 {
                return Err(Error::internal(format!("{missing} elements of a unit are missing")));
            }
            drop(pieces);
            copy.sink.write(&unit, &buffer.freeze()?)
        };
        let writing = write().map_err(|error| copy.locate(error, &region))?;
        let unit_bytes = region.element_count() * copy.sink.facts().dtype.estimated_bytes();
        self.writing.get().push(copy.name.clone(), unit, writing, unit_bytes / 2, ctx)
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        self.writing.get().finish(ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}
