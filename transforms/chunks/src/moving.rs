//! Moves regions: from the source or from segments, to segments or into the target.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use array::{ArrayBuffer, ArraySource, ChunkGrid, Region};
use bytes::Bytes;
use dataflow::blob::{BlobStore as _, Payloads};
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext, Tag};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::prelude::Iterable;

use crate::cells::{CellPlace, EncodedCell};
use crate::copy::{Copies, PlannedCopy};
use crate::gather::{Cells, Gathering, Order};
use crate::plan::{Method, read_grid};
use crate::room::Room;
use crate::segments::Segments;
use crate::write_behind::WriteBehind;
use crate::written::Written;

/// A group of a stage of one copy: which copy, and the place of the group in C order.
pub(crate) type GroupTask = (u32, u64);

/// A cell on its way: where it lies, and its bytes where nothing is put aside.
pub(crate) type Cell = (CellPlace, Bytes);

/// Cells for the groups of the next stage: which copy, which group, and the cell.
pub(crate) const CELLS: Tag<(GroupTask, Cell)> = Tag::new("cells");

/// Bytes that one cell takes in the list of those that a group reads.
const CELL_PLACE_BYTES: u64 = 96;
/// The most bytes of such a list that are declared beforehand; for a longer one the budget is asked.
const CELL_LIST_BYTES: u64 = 1 << 20;

/// Reads groups from the source.
#[derive(Clone)]
pub(crate) struct MoveRegions(pub(crate) Copies);

impl DoFn for MoveRegions {
    type In = GroupTask;
    type Out = Written;

    fn process(&mut self, task: GroupTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let copy = self.0.get(task.0);
        let group = Group { copies: &self.0, copy, task, stage: 0, grids: copy.task_grids() };
        let chunks = read_grid(copy.source.facts(), copy.sink.facts(), copy.plan.batch_bytes);
        group.move_from(copy.source.as_ref(), &chunks, ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.0.facts()
    }
}

/// Reads groups of a later stage from the cells that were put aside for them.
#[derive(Clone)]
pub(crate) struct MoveCells {
    pub(crate) copies: Copies,
    /// The first stage reads from the source.
    pub(crate) stage: usize,
}

impl DoFn for MoveCells {
    type In = (GroupTask, Iterable<Cell>);
    type Out = Written;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let (task, sent) = group;
        let copy = self.copies.get(task.0);
        let prefix = segment_prefix(task.0, self.stage - 1);
        let (mut held, mut cells) = (ctx.hold(), BTreeMap::new());
        let (room, own) = (self.list_room(), Arc::new(ctx.own_blobs()));
        for (place, bytes) in &sent {
            room.grow(&mut held, (cells.len() as u64 + 1) * CELL_PLACE_BYTES)?;
            if !bytes.is_empty() {
                own.put(&Segments::key(&prefix, place.segment), &[bytes])?;
            }
            cells.insert(place.segment, place);
        }
        let blobs = match ctx.payloads() {
            Payloads::Aside(blobs) => Arc::clone(blobs),
            Payloads::InElements { .. } => own,
        };
        let grids = copy.task_grids();
        let before = grids[self.stage - 1].clone();
        let facts = copy.source.facts();
        let segments = Segments::new(facts, before.clone(), prefix, cells, blobs);
        let group = Group { copies: &self.copies, copy, task, stage: self.stage, grids };
        group.move_from(&segments, &before, ctx)
    }

    fn facts(&self) -> DoFnFacts {
        let facts = self.copies.facts();
        let bytes = facts.working_bytes.saturating_add(self.list_room().facts().working_bytes);
        facts.with_working_bytes(bytes)
    }
}

impl MoveCells {
    /// Room for the list of cells that a group reads: of each segment it reads one at the most. While
    /// all other memory is granted to other tasks, not even a few kilobytes are to be had.
    fn list_room(&self) -> Room {
        let segments = self.copies.iter().map(|(_, copy)| copy.plan.costs.segment_puts).max();
        Room::of((segments.unwrap_or(0).saturating_mul(CELL_PLACE_BYTES)).min(CELL_LIST_BYTES))
    }
}

fn segment_prefix(copy: u32, stage: usize) -> String {
    format!("segments/{copy}/{stage}")
}

/// What a group reads: a region, in the order of these chunks.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) source: &'a dyn ArraySource,
    pub(crate) chunks: &'a ChunkGrid,
    pub(crate) region: &'a Region,
}

/// One group of one stage of one copy.
pub(crate) struct Group<'a> {
    copies: &'a Copies,
    pub(crate) copy: &'a PlannedCopy,
    task: GroupTask,
    stage: usize,
    /// The groups of all stages.
    grids: Vec<ChunkGrid>,
}

impl Group<'_> {
    fn move_from(
        &self,
        source: &dyn ArraySource,
        chunks: &ChunkGrid,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let grid = &self.grids[self.stage];
        let region = &grid.region(&grid.index_of(self.task.1));
        if self.copies.is_all_done(self.copy, region) {
            return Ok(());
        }
        let from = From { source, chunks, region };
        match (self.grids.get(self.stage + 1), &self.copy.plan.method) {
            (Some(groups), _) => self.put_aside(from, groups, ctx),
            (None, Method::Streamed { part, .. }) => self.write_stream(from, part, ctx),
            (None, _) => self.write_units(from, ctx),
        }
    }

    /// Gathers whole units and writes them.
    fn write_units(&self, from: From<'_>, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let facts = self.copy.sink.facts();
        let units = &facts.units;
        let unit_bytes =
            units.largest_chunk().iter().product::<u64>() * facts.dtype.estimated_bytes();
        let behind = Mutex::new(WriteBehind::default());
        let takes = |unit: &[u64], elements: ArrayBuffer| {
            let write = || {
                let writing = self.copy.sink.write(unit, &elements.freeze()?)?;
                let mut behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
                behind.push(&self.copy.name, unit.to_vec(), writing, unit_bytes / 2)
            };
            write().map_err(|error| self.copy.locate(error, &units.region(unit)))
        };
        let wants = |unit: &[u64]| !self.copies.is_done(self.copy, unit);
        self.gather(from, Cells { grid: units, wants: &wants, takes: &takes }, ctx)?;
        let mut behind = behind.into_inner().unwrap_or_else(PoisonError::into_inner);
        behind.finish()?;
        behind.put_out(ctx)
    }

    /// Gathers cells and puts them aside as one segment.
    fn put_aside(
        &self,
        from: From<'_>,
        groups: &ChunkGrid,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        self.check_elements(groups, from.region, ctx.payloads())?;
        let fill = &from.source.facts().fill;
        let cells: Mutex<BTreeMap<u64, Option<EncodedCell>>> = Mutex::default();
        let takes = |group: &[u64], elements: ArrayBuffer| {
            let is_fill = elements.is_filled_with(fill);
            let cell = if is_fill { None } else { Some(EncodedCell::of(elements)?) };
            let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
            cells.insert(groups.linear_index(group), cell);
            Ok(())
        };
        let wants = |group: &[u64]| !self.copies.is_all_done(self.copy, &groups.region(group));
        self.gather(from, Cells { grid: groups, wants: &wants, takes: &takes }, ctx)?;
        let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
        match ctx.payloads() {
            Payloads::Aside(_) => self.put_segment(cells, ctx),
            Payloads::InElements { .. } => self.put_out_cells(cells, ctx),
        }
    }

    /// Puts cells aside as one segment, and tells where they lie.
    fn put_segment(
        &self,
        cells: BTreeMap<u64, Option<EncodedCell>>,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let (mut parts, mut places, mut start) = (Vec::<Bytes>::new(), Vec::new(), 0);
        for (group, cell) in cells {
            let (place, bytes) = self.cell(cell, start);
            if !bytes.is_empty() {
                parts.push(bytes);
            }
            start += place.stored_bytes;
            places.push((group, place));
        }
        if let (false, Payloads::Aside(blobs)) = (parts.is_empty(), ctx.payloads()) {
            let prefix = segment_prefix(self.task.0, self.stage);
            blobs.put(&Segments::key(&prefix, self.task.1), &parts)?;
            ctx.count("segments_written", 1);
            ctx.count("segment_bytes", start);
        }
        places.into_iter().try_for_each(|(group, place)| {
            ctx.output_to(&CELLS, ((self.task.0, group), (place, Bytes::new())))
        })
    }

    /// Sends cells through the shuffle, each as if it were a segment.
    fn put_out_cells(
        &self,
        cells: BTreeMap<u64, Option<EncodedCell>>,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        cells.into_iter().try_for_each(|(group, cell)| {
            let cell = self.cell(cell, 0);
            ctx.count("payload_bytes", cell.0.stored_bytes);
            ctx.output_to(&CELLS, ((self.task.0, group), cell))
        })
    }

    /// A cell that begins there, and its bytes.
    fn cell(&self, cell: Option<EncodedCell>, start: u64) -> Cell {
        let (mut stored, mut raw_bytes, mut crc32c) = (Bytes::new(), 0, 0);
        if let Some(cell) = cell {
            (stored, raw_bytes, crc32c) = (cell.bytes, cell.raw_bytes, cell.crc32c);
        }
        let stored_bytes = stored.len() as u64;
        (CellPlace { segment: self.task.1, start, stored_bytes, raw_bytes, crc32c }, stored)
    }

    /// Refuses groups whose cells have no room in one element together, before anything is read.
    fn check_elements(
        &self,
        groups: &ChunkGrid,
        region: &Region,
        payloads: &Payloads,
    ) -> Result<()> {
        let Payloads::InElements { limit_bytes } = payloads else { return Ok(()) };
        let item_bytes = self.copy.sink.facts().dtype.estimated_bytes();
        for group in groups.chunks_meeting(region) {
            let elements = groups.region(&group);
            let bytes = elements.shape().iter().product::<u64>().saturating_mul(item_bytes);
            if bytes > *limit_bytes {
                let message = format!(
                    "a group of chunks of {bytes} bytes goes through the shuffle as one element, and \
                     the runner takes no element above {limit_bytes} bytes"
                );
                let kind = ErrorKind::ResourceExhausted;
                let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, kind, message);
                let error = error.mend(
                    "let payloads go through a store that all workers reach (--payload store), or \
                     allow less memory (--mem): then groups are smaller",
                );
                return Err(self.copy.locate(error, &elements));
            }
        }
        Ok(())
    }

    pub(crate) fn gather(
        &self,
        from: From<'_>,
        cells: Cells<'_>,
        ctx: &ProcessContext<'_, Written>,
    ) -> Result<()> {
        let copy = self.copy;
        let order = match copy.plan.method {
            Method::Sweep { dimension, window, .. }
            | Method::Streamed { dimension, window, .. } => {
                Order { dimension, window_slabs: window }
            }
            _ => Order::TOGETHER,
        };
        let From { source, chunks, region } = from;
        let gathering = Gathering {
            source,
            chunks,
            region,
            cells,
            order,
            // Cells are as large as batches should be.
            batch_bytes: if self.stage == 0 { copy.plan.batch_bytes } else { 0 },
            thread_count: copy.plan.costs.thread_count,
            cancel: ctx.cancel_token(),
        };
        gathering.run().map_err(|error| error.at("variable", &copy.name))
    }
}
