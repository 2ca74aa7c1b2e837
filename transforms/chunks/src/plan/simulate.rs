//! The oracle: executes plans in memory on small arrays and counts what they do.

use std::collections::BTreeMap;
use std::ops::Range;

use array::{Axis, ChunkGrid, Region};

use super::choose::Candidate;
use super::cost::Costs;
use super::method::Method;
use super::problem::{Grids, Problem, Streaming};

/// Elements of a region, in C order. The value of an element is its place in the array.
#[derive(Debug, Clone)]
struct Block {
    region: Region,
    elements: Vec<u64>,
}

/// A value that no element has.
const MISSING: u64 = u64::MAX;

impl Block {
    fn empty(region: Region) -> Self {
        let elements = vec![MISSING; region.element_count() as usize];
        Self { region, elements }
    }

    /// What stands in the array.
    fn of_array(shape: &[u64], region: Region) -> Self {
        let mut block = Self::empty(region);
        let whole = Region::whole(shape);
        let places = places(&whole, &block.region);
        block.elements = places.into_iter().map(|place| place as u64).collect();
        block
    }

    /// Copies the elements that both have.
    fn take(&mut self, from: &Self) {
        let Some(common) = self.region.intersection(&from.region) else { return };
        let (to, from_places) = (places(&self.region, &common), places(&from.region, &common));
        for (to, place) in to.into_iter().zip(from_places) {
            self.elements[to] = from.elements[place];
        }
    }

    fn part(&self, region: &Region) -> Self {
        let mut part = Self::empty(region.clone());
        part.take(self);
        part
    }
}

/// Where the elements of a region stand among those of an outer one.
fn places(outer: &Region, inner: &Region) -> Vec<usize> {
    let shape = outer.shape();
    let start = inner.offset_in(outer);
    let grid = ChunkGrid::regular(&inner.shape(), &vec![1; inner.rank()]);
    let place = |linear: u64| {
        let index = grid.index_of(linear);
        let places = index.iter().zip(&start).zip(&shape);
        places.fold(0, |place, ((index, start), length)| place * length + index + start) as usize
    };
    (0..inner.element_count()).map(place).collect()
}

/// What a plan did.
#[derive(Debug)]
pub(super) struct Simulated {
    /// Counts; bytes held are of groups, and of what is read or written beside them.
    pub(super) costs: Costs,
    /// Bytes of groups alone that a task held at the most.
    pub(super) held_bytes: u64,
}

/// Executes a way to copy the array of a problem, with as many threads at once as it may have.
///
/// # Panics
/// If a unit is not written once, as a whole, and with the elements of the array.
pub(super) fn simulate(problem: &Problem, candidate: &Candidate) -> Simulated {
    let method = &candidate.method;
    let thread_count = candidate.costs.thread_count;
    let grids = Grids::new(problem).expect("grids over one array");
    let mut run = Run {
        problem,
        grids: &grids,
        written: BTreeMap::new(),
        costs: Costs {
            is_recoded: *method != Method::Passthrough,
            thread_count,
            ..Costs::default()
        },
        held_bytes: 0,
    };
    let tasks = method.task_grids(&problem.target);
    match method {
        Method::Passthrough => run.pass_through(&tasks[0]),
        Method::Sweep { dimension, window, .. } => run.sweep(*dimension, &tasks[0], *window),
        Method::Direct { .. } => run.direct(&tasks[0]),
        Method::Streamed { part, dimension, window } => {
            run.streamed(&tasks[0], part, *dimension, *window);
        }
        Method::Packed { .. } => run.packed(&tasks),
    }
    run.check_target();
    Simulated { costs: run.costs, held_bytes: run.held_bytes }
}

struct Run<'a> {
    problem: &'a Problem,
    grids: &'a Grids<'a>,
    written: BTreeMap<Vec<u64>, Block>,
    costs: Costs,
    held_bytes: u64,
}

/// All chunks of a grid.
fn regions(grid: &ChunkGrid) -> impl Iterator<Item = Region> + '_ {
    (0..grid.chunk_count()).map(|linear| grid.region(&grid.index_of(linear)))
}

impl Run<'_> {
    fn bytes(&self, elements: u64) -> u64 {
        elements * self.problem.item_bytes
    }

    /// Bytes that threads hold which have so many things to do.
    fn beside(&self, each: u64, count: usize) -> u64 {
        each * self.costs.thread_count.min(count as u64)
    }

    /// Bytes that threads hold which read so many source chunks.
    fn reading(&self, chunk_count: usize) -> u64 {
        self.beside(self.problem.memory.source_overhead_bytes, chunk_count)
    }

    /// Bytes that threads hold which write the units of a region.
    fn writing(&self, region: &Region) -> u64 {
        let unit_count = self.problem.target.chunks_meeting(region).count();
        self.beside(self.problem.memory.target_overhead_bytes, unit_count)
    }

    fn holds(&mut self, group_bytes: u64, other_bytes: u64) {
        self.held_bytes = self.held_bytes.max(group_bytes);
        self.costs.peak_bytes = self.costs.peak_bytes.max(group_bytes + other_bytes);
    }

    /// Reads a source chunk for a region: all of it.
    fn read_chunk(&mut self, index: &[u64], wanted: &Region) -> Block {
        let region = self.problem.source.region(index);
        assert!(wanted.intersection(&region).is_some(), "a chunk that is needed");
        self.costs.source_gets += 1;
        let bytes = self.bytes(region.element_count());
        self.costs.source_bytes += bytes;
        assert!(2 * bytes <= self.problem.memory.source_overhead_bytes, "a chunk and its bytes");
        Block::of_array(&self.grids.shape, region)
    }

    /// A group, put together of source chunks, while threads hold so many bytes besides.
    fn read_group(&mut self, region: Region, others: u64) -> Block {
        let mut group = Block::empty(region);
        let indices: Vec<_> = self.problem.source.chunks_meeting(&group.region).collect();
        let bytes = self.bytes(group.region.element_count());
        self.holds(bytes, self.reading(indices.len()) + others);
        for index in indices {
            let chunk = self.read_chunk(&index, &group.region);
            group.take(&chunk);
        }
        group
    }

    fn write_units(&mut self, group: &Block) {
        for index in self.problem.target.chunks_meeting(&group.region) {
            let region = self.problem.target.region(&index);
            assert_eq!(region.intersection(&group.region).as_ref(), Some(&region), "half a unit");
            self.costs.target_puts += 1;
            self.costs.target_bytes += self.bytes(region.element_count());
            let before = self.written.insert(index, group.part(&region));
            assert!(before.is_none(), "a unit is written twice");
        }
    }

    fn pass_through(&mut self, units: &ChunkGrid) {
        self.costs.stages = 1;
        for unit in regions(units) {
            self.costs.task_count += 1;
            for index in self.problem.source.chunks_meeting(&unit) {
                let chunk = self.problem.source.region(&index);
                assert_eq!(chunk.intersection(&unit).as_ref(), Some(&chunk), "half a chunk");
            }
            let block = self.read_group(unit, 0);
            self.write_units(&block);
        }
    }

    fn direct(&mut self, groups: &ChunkGrid) {
        self.costs.stages = 1;
        for region in regions(groups) {
            self.costs.task_count += 1;
            let writing = self.writing(&region);
            let group = self.read_group(region, writing);
            self.write_units(&group);
        }
    }

    fn sweep(&mut self, dimension: usize, blocks: &ChunkGrid, window: u64) {
        self.costs.stages = 1;
        for region in regions(blocks) {
            self.costs.task_count += 1;
            if self.grids.rank() == 0 {
                let writing = self.writing(&region);
                let group = self.read_group(region, writing);
                self.write_units(&group);
                continue;
            }
            let mut open: BTreeMap<u64, Block> = BTreeMap::new();
            let source = &self.problem.source.axes()[dimension];
            let slabs: Vec<u64> = (0..source.chunk_count()).collect();
            for slabs in slabs.chunks(window as usize) {
                let (first, last) = (slabs[0], slabs[slabs.len() - 1]);
                let range = source.chunk(first).start..source.chunk(last).end;
                self.cross(&region, dimension, &range, &mut open);
                let target = &self.problem.target.axes()[dimension];
                let is_complete = |row: u64| target.chunk(row).end <= range.end;
                let complete: Vec<u64> =
                    open.keys().copied().filter(|&it| is_complete(it)).collect();
                for row in complete {
                    let block = open.remove(&row).expect("it is open");
                    self.write_units(&block);
                }
            }
            assert!(open.is_empty(), "rows that are never complete");
        }
    }

    /// Spreads the source chunks of a window over the rows of target units that are open.
    fn cross(
        &mut self,
        block: &Region,
        dimension: usize,
        range: &Range<u64>,
        open: &mut BTreeMap<u64, Block>,
    ) {
        let narrowed = |range: Range<u64>| {
            let ranges = block.ranges().enumerate();
            Region::new(
                ranges.map(|(place, all)| if place == dimension { range.clone() } else { all }),
            )
        };
        let window = narrowed(range.clone());
        let indices: Vec<_> = self.problem.source.chunks_meeting(&window).collect();
        let beside = self.reading(indices.len()) + self.writing(block);
        for index in indices {
            let chunk = self.read_chunk(&index, &window);
            let common = chunk.region.intersection(&window);
            assert_eq!(common.as_ref(), Some(&chunk.region), "a chunk of two blocks");
            let target = &self.problem.target.axes()[dimension];
            for row in target.chunks_meeting(&chunk.region.range(dimension)) {
                let region = narrowed(target.chunk(row));
                open.entry(row).or_insert_with(|| Block::empty(region)).take(&chunk);
            }
            let held: u64 = open.values().map(|it| it.region.element_count()).sum();
            self.holds(self.bytes(held), beside);
        }
    }

    fn streamed(&mut self, units: &ChunkGrid, part: &[u64], dimension: usize, window: u64) {
        self.costs.stages = 1;
        let streaming = self.problem.streaming.clone().expect("units that can be streamed");
        let parts = ChunkGrid::regular(&self.grids.shape, part);
        for unit in regions(units) {
            self.costs.task_count += 1;
            let chunks = ChunkGrid::regular(&unit.shape(), &streaming.chunk_shape);
            let (mut whole, mut written) = (Block::empty(unit.clone()), 0);
            for index in parts.chunks_meeting(&unit) {
                let part = parts.region(&index);
                assert_eq!(part.intersection(&unit).as_ref(), Some(&part), "part of two units");
                self.cross_part(&part, (dimension, window), &streaming, |chunk, range, is_last| {
                    whole.take(chunk);
                    // Rows that are complete follow those that are written already.
                    let mut complete = part.relative_to(&unit.start());
                    let start = complete.start()[dimension];
                    let length = range.end - unit.start()[dimension] - start;
                    let row = streaming.chunk_shape[dimension];
                    let rows = if is_last { length } else { length / row * row };
                    let ranges = complete.ranges().enumerate();
                    complete = Region::new(ranges.map(|(place, all)| {
                        if place == dimension { all.start..all.start + rows } else { all }
                    }));
                    let places = chunks.chunks_meeting(&complete);
                    let places: Vec<u64> = places.map(|it| chunks.linear_index(&it)).collect();
                    let new: Vec<u64> = places.into_iter().filter(|it| *it >= written).collect();
                    let ends = written + new.len() as u64;
                    assert_eq!(new, (written..ends).collect::<Vec<_>>(), "in C order");
                    written = ends;
                });
            }
            assert_eq!(written, chunks.chunk_count(), "chunks that are never complete");
            self.write_units(&whole);
        }
    }

    /// Reads a part in windows; `takes` is given what they have of it, where the window ends, and
    /// whether it is the last.
    fn cross_part(
        &mut self,
        part: &Region,
        (dimension, window): (usize, u64),
        streaming: &Streaming,
        mut takes: impl FnMut(&Block, &Range<u64>, bool),
    ) {
        let (axis, whole) = (&self.problem.source.axes()[dimension], part.range(dimension));
        let row = streaming.chunk_shape[dimension];
        let rows = Axis::regular(axis.length(), row);
        let slabs: Vec<u64> = axis.chunks_meeting(&whole).collect();
        let chunk_count: u64 = part
            .shape()
            .iter()
            .zip(&streaming.chunk_shape)
            .map(|(extent, chunk)| extent.div_ceil(*chunk))
            .product();
        let each = 2 * self.bytes(streaming.chunk_shape.iter().product());
        let writing = self.beside(each, chunk_count as usize) + streaming.stream_bytes;
        for slabs in slabs.chunks(window as usize) {
            let (first, last) = (slabs[0], slabs[slabs.len() - 1]);
            let range =
                axis.chunk(first).start.max(whole.start)..axis.chunk(last).end.min(whole.end);
            let open = rows.chunks_meeting(&range);
            let open = rows.chunk(open.start).start..rows.chunk(open.end - 1).end.min(whole.end);
            let narrowed = |range: &Range<u64>| {
                let ranges = part.ranges().enumerate();
                Region::new(ranges.map(
                    |(place, all)| {
                        if place == dimension { range.clone() } else { all }
                    },
                ))
            };
            let window = narrowed(&range);
            let indices: Vec<_> = self.problem.source.chunks_meeting(&window).collect();
            let bytes = self.bytes(narrowed(&open).element_count());
            self.holds(bytes, self.reading(indices.len()) + writing);
            let mut block = Block::empty(window.clone());
            for index in indices {
                block.take(&self.read_chunk(&index, &window));
            }
            takes(&block, &range, range.end == whole.end);
        }
    }

    fn packed(&mut self, grids: &[ChunkGrid]) {
        self.costs.stages = grids.len() as u64;
        let mut cells: BTreeMap<(Vec<u64>, Vec<u64>), Block> = BTreeMap::new();
        let mut most_cells = 0;
        for (stage, grid) in grids.iter().enumerate() {
            let mut written = BTreeMap::new();
            for linear in 0..grid.chunk_count() {
                self.costs.task_count += 1;
                let index = grid.index_of(linear);
                let group = match stage.checked_sub(1) {
                    None => self.read_group(grid.region(&index), 0),
                    Some(before) => self.read_cells(&grids[before], &index, grid, &mut cells),
                };
                match grids.get(stage + 1) {
                    None => {
                        let bytes = self.bytes(group.region.element_count());
                        self.holds(bytes, self.writing(&group.region));
                        self.write_units(&group);
                    }
                    Some(next) => self.write_segment(&index, &group, next, &mut written),
                }
            }
            assert!(cells.is_empty(), "cells that nobody reads");
            most_cells = most_cells.max(written.len() as u64);
            cells = written;
        }
        let array_bytes = self.bytes(self.grids.shape.iter().product());
        self.costs.min_cell_bytes = array_bytes / most_cells.max(1);
    }

    /// A segment: the cells of a group, one for each group of the next stage that it meets.
    fn write_segment(
        &mut self,
        index: &[u64],
        group: &Block,
        next: &ChunkGrid,
        written: &mut BTreeMap<(Vec<u64>, Vec<u64>), Block>,
    ) {
        self.costs.segment_puts += 1;
        let held = self.bytes(group.region.element_count());
        let readers: Vec<_> = next.chunks_meeting(&group.region).collect();
        let at_once = self.beside(self.problem.memory.cells_written_at_once, readers.len());
        for reader in readers {
            let common = group.region.intersection(&next.region(&reader)).expect("they meet");
            let bytes = self.bytes(common.element_count());
            self.costs.segment_bytes_written += bytes;
            self.holds(held, bytes * at_once);
            written.insert((index.to_vec(), reader), group.part(&common));
        }
    }

    /// A group, put together of cells.
    fn read_cells(
        &mut self,
        before: &ChunkGrid,
        index: &[u64],
        grid: &ChunkGrid,
        cells: &mut BTreeMap<(Vec<u64>, Vec<u64>), Block>,
    ) -> Block {
        let mut group = Block::empty(grid.region(index));
        let held = self.bytes(group.region.element_count());
        let writers: Vec<_> = before.chunks_meeting(&group.region).collect();
        let at_once = self.beside(self.problem.memory.cells_read_at_once, writers.len());
        for writer in writers {
            let cell = cells.remove(&(writer, index.to_vec())).expect("a cell of this group");
            let bytes = self.bytes(cell.region.element_count());
            self.costs.segment_gets += 1;
            self.costs.segment_bytes_read += bytes;
            self.holds(held, bytes * at_once);
            group.take(&cell);
        }
        group
    }

    fn check_target(&self) {
        assert_eq!(
            self.written.len() as u64,
            self.problem.target.chunk_count(),
            "units are missing"
        );
        for block in self.written.values() {
            let want = Block::of_array(&self.grids.shape, block.region.clone());
            assert_eq!(block.elements, want.elements, "{}", block.region);
        }
    }
}
