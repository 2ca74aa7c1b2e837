//! Moves regions: from the source or from segments, to segments or into the target.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use array::{ArrayBuffer, ArraySource, Region};
use bytes::Bytes;
use dataflow::dofn::{DoFn, DoFnFacts, ProcessContext, Tag};
use dataflow::error::Result;
use dataflow::prelude::Iterable;

use crate::cells::{CellPlace, EncodedCell};
use crate::copy::{Copies, PlannedCopy};
use crate::gather::{Cells, Gathering, Order};
use crate::method::Method;
use crate::pull::UnitTask;
use crate::room::Room;
use crate::segments::Segments;
use crate::write_behind::WriteBehind;
use crate::written::Written;

/// Cells for the groups of the next stage: which copy, which group, and where the cell lies.
pub(crate) const CELLS: Tag<(UnitTask, CellPlace)> = Tag::new("cells");

/// What a task takes at once, at the most.
const BATCH_BYTES: u64 = 4 << 20;
/// The same, of what it may hold.
const BATCH_DIVISOR: u64 = 32;
/// Bytes that one cell takes in the list of those that a group reads.
const CELL_PLACE_BYTES: u64 = 96;

/// Reads groups from the source.
#[derive(Clone)]
pub(crate) struct MoveRegions(pub(crate) Copies);

impl DoFn for MoveRegions {
    type In = UnitTask;
    type Out = Written;

    fn process(&mut self, task: UnitTask, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let copy = self.0.get(task.0);
        let group = Group { copies: &self.0, copy, task, stage: 0 };
        group.move_from(copy.source.as_ref(), ctx)
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
    type In = (UnitTask, Iterable<CellPlace>);
    type Out = Written;

    fn process(&mut self, group: Self::In, ctx: &mut ProcessContext<'_, Written>) -> Result<()> {
        let (task, places) = group;
        let copy = self.copies.get(task.0);
        let (mut held, mut cells) = (ctx.hold(), BTreeMap::new());
        for place in &places {
            Room::of(0).grow(&mut held, (cells.len() as u64 + 1) * CELL_PLACE_BYTES)?;
            cells.insert(place.segment, place);
        }
        let grid = copy.groups(self.stage - 1);
        let prefix = segment_prefix(task.0, self.stage - 1);
        let facts = copy.source.facts();
        let segments = Segments::new(facts, grid, prefix, cells, ctx.blobs());
        let group = Group { copies: &self.copies, copy, task, stage: self.stage };
        group.move_from(&segments, ctx)
    }

    fn facts(&self) -> DoFnFacts {
        self.copies.facts()
    }
}

fn segment_prefix(copy: u32, stage: usize) -> String {
    format!("segments/{copy}/{stage}")
}

/// One group of one stage of one copy.
struct Group<'a> {
    copies: &'a Copies,
    copy: &'a PlannedCopy,
    task: UnitTask,
    stage: usize,
}

impl Group<'_> {
    fn move_from(
        &self,
        source: &dyn ArraySource,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let grid = self.copy.groups(self.stage);
        let region = grid.region(&grid.index_of(self.task.1));
        if self.copies.is_all_done(self.copy, &region) {
            return Ok(());
        }
        if self.stage + 1 == self.copy.stage_count() {
            self.write_units(source, &region, ctx)
        } else {
            self.put_aside(source, &region, ctx)
        }
    }

    /// Gathers whole units and writes them.
    fn write_units(
        &self,
        source: &dyn ArraySource,
        region: &Region,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let facts = self.copy.sink.facts();
        let units = &facts.units;
        let unit_bytes = units.largest_chunk().iter().product::<u64>() * facts.dtype.estimated_bytes();
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
        self.gather(source, region, Cells { grid: units, wants: &wants, takes: &takes }, ctx)?;
        let mut behind = behind.into_inner().unwrap_or_else(PoisonError::into_inner);
        behind.finish()?;
        behind.put_out(ctx)
    }

    /// Gathers cells and puts them aside as one segment.
    fn put_aside(
        &self,
        source: &dyn ArraySource,
        region: &Region,
        ctx: &mut ProcessContext<'_, Written>,
    ) -> Result<()> {
        let groups = self.copy.groups(self.stage + 1);
        let fill = &source.facts().fill;
        let cells: Mutex<BTreeMap<u64, Option<EncodedCell>>> = Mutex::default();
        let takes = |group: &[u64], elements: ArrayBuffer| {
            let is_fill = elements.is_filled_with(fill);
            let cell = if is_fill { None } else { Some(EncodedCell::of(elements)?) };
            let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
            cells.insert(groups.linear_index(group), cell);
            Ok(())
        };
        let wants = |group: &[u64]| !self.copies.is_all_done(self.copy, &groups.region(group));
        self.gather(source, region, Cells { grid: &groups, wants: &wants, takes: &takes }, ctx)?;
        let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut parts, mut places, mut start) = (Vec::<Bytes>::new(), Vec::new(), 0);
        for (group, cell) in cells {
            let (mut stored_bytes, mut raw_bytes, mut crc32c) = (0, 0, 0);
            if let Some(cell) = cell {
                (raw_bytes, crc32c) = (cell.raw_bytes, cell.crc32c);
                stored_bytes = cell.bytes.len() as u64;
                parts.push(cell.bytes);
            }
            let place = CellPlace { segment: self.task.1, start, stored_bytes, raw_bytes, crc32c };
            start += stored_bytes;
            places.push((group, place));
        }
        if !parts.is_empty() {
            let prefix = segment_prefix(self.task.0, self.stage);
            ctx.blobs().put(&Segments::key(&prefix, self.task.1), &parts)?;
            ctx.count("segments_written", 1);
            ctx.count("segment_bytes", start);
        }
        places.into_iter().try_for_each(|(group, place)| {
            ctx.output_to(&CELLS, ((self.task.0, group), place))
        })
    }

    fn gather(
        &self,
        source: &dyn ArraySource,
        region: &Region,
        cells: Cells<'_>,
        ctx: &ProcessContext<'_, Written>,
    ) -> Result<()> {
        let copy = self.copy;
        let order = match copy.plan.method {
            Method::Sweep { dimension, window, .. } => Order { dimension, window_slabs: window },
            _ => Order::TOGETHER,
        };
        let gathering = Gathering {
            source,
            region,
            cells,
            order,
            batch_bytes: BATCH_BYTES.min(copy.plan.working_bytes / BATCH_DIVISOR),
            cancel: ctx.cancel_token(),
        };
        gathering.run().map_err(|error| error.at("variable", &copy.name))
    }
}
