//! What a plan is made for: two grids over one array, and what a task may hold.

use array::{Axis, ChunkGrid, SinkFacts, SourceFacts};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::axis::simplified;

/// One array that is to be copied from one grid to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Bytes of a decoded element.
    pub item_bytes: u64,
    /// The units in which the source is read whole.
    pub source: ChunkGrid,
    /// The units in which the target is written whole: shards, or chunks.
    pub target: ChunkGrid,
    /// Whether source chunks are, as they are encoded, chunks of the target.
    pub can_pass_through: bool,
    /// What a task may hold.
    pub memory: TaskMemory,
    /// Threads that work inside of one task, if memory suffices for so many; those for which it does
    /// not are paid for too.
    pub thread_count: u64,
    /// Machines that take tasks at once: those that find none are paid for too.
    pub worker_count: u64,
    /// How target units are written as streams, where they can be.
    pub streaming: Option<Streaming>,
}

/// How target units are written chunk after chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streaming {
    /// Shape of a chunk of a unit.
    pub chunk_shape: Vec<u64>,
    /// Bytes that a stream takes, besides the chunks that are put into it.
    pub stream_bytes: u64,
}

/// What a task may hold, and what its threads hold besides the elements that it works on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskMemory {
    /// Bytes that a task may hold in all.
    pub budget_bytes: u64,
    /// Bytes that each thread holds while it reads a source chunk.
    pub source_overhead_bytes: u64,
    /// Bytes that each thread holds while it writes a target unit.
    pub target_overhead_bytes: u64,
    /// Cells that each thread holds while it writes some of a segment.
    pub cells_written_at_once: u64,
    /// Cells that each thread holds while it reads some of segments.
    pub cells_read_at_once: u64,
    /// Part of the budget that a group may take that is put together of cells.
    pub reduce_share: f64,
}

impl TaskMemory {
    /// What the prototype of this planner reckons with: twice a source chunk, and one cell.
    #[cfg(test)]
    pub(crate) fn prototype(budget_bytes: u64, source_chunk_bytes: u64) -> Self {
        Self {
            budget_bytes,
            source_overhead_bytes: source_chunk_bytes.saturating_mul(2),
            target_overhead_bytes: 0,
            cells_written_at_once: 0,
            cells_read_at_once: 1,
            reduce_share: 0.85,
        }
    }

    /// What the threads of a task hold: each fetches two batches while it decodes another, and encodes
    /// a unit or a cell. A batch has `batch_bytes`, or is one chunk where that has more.
    pub fn new(
        budget_bytes: u64,
        source: &SourceFacts,
        sink: &SinkFacts,
        batch_bytes: u64,
    ) -> Self {
        let bytes = |shape: &[u64], item| shape.iter().fold(item, |n: u64, &x| n.saturating_mul(x));
        let item_bytes = source.dtype.estimated_bytes().max(1);
        let chunk_shape = read_grid(source, sink, batch_bytes).largest_chunk();
        let chunk = bytes(&chunk_shape, item_bytes);
        let batch = chunk.max(batch_bytes.min(bytes(&sink.shape, item_bytes)));
        let fetched = (batch as f64 * source.encoded_ratio.min(1.0)) as u64;
        // A chunk as it comes out of its codecs, and a batch of them in their places.
        let decoded = batch.saturating_add(if source.is_random_access { 0 } else { chunk });
        let recoded = (batch / item_bytes).saturating_mul(source.recode_bytes);
        let unit = bytes(&sink.units.largest_chunk(), sink.dtype.estimated_bytes());
        // Two that are fetched ahead, and the one that is decoded.
        let each = fetched.saturating_mul(3).saturating_add(decoded).saturating_add(recoded);
        Self {
            budget_bytes,
            source_overhead_bytes: each,
            target_overhead_bytes: unit,
            // Cut out and encoded; two fetched ahead, and one that is decoded from what was fetched.
            cells_written_at_once: 2,
            cells_read_at_once: 4,
            reduce_share: 0.85,
        }
    }
}

/// The units in which a source is read: its chunks; where any region can be read alone, parts of
/// target units that are as large as a batch.
pub(crate) fn read_grid(source: &SourceFacts, sink: &SinkFacts, batch_bytes: u64) -> ChunkGrid {
    if !source.is_random_access {
        return source.grid.clone();
    }
    let shape = sink.units.shape();
    let item_bytes = source.dtype.estimated_bytes();
    let mut extents = sink.units.largest_chunk();
    for place in 0..extents.len() {
        let rest = extents[place + 1..].iter().fold(item_bytes, |n, &x| n.saturating_mul(x));
        // A part of a unit must divide it, or a unit and its neighbour would share a part.
        let wanted = (batch_bytes / rest.max(1)).max(1);
        let length = extents[place].max(1);
        let divides = |part: &u64| length.is_multiple_of(*part);
        extents[place] = (1..=length.min(wanted)).rev().find(divides).unwrap_or(1);
        if extents[place] > 1 {
            break;
        }
    }
    ChunkGrid::regular(&shape, &extents)
}

impl Problem {
    /// The problem of copying from a source to a sink, with `thread_count` threads and `budget_bytes`
    /// for the one task that they share; each takes batches of `batch_bytes`.
    ///
    /// A source of which any region can be read alone is read in parts of target units.
    pub fn new(
        source: &SourceFacts,
        sink: &SinkFacts,
        budget_bytes: u64,
        thread_count: u64,
        batch_bytes: u64,
    ) -> Self {
        Self {
            item_bytes: source.dtype.estimated_bytes(),
            source: read_grid(source, sink, batch_bytes),
            target: sink.units.clone(),
            can_pass_through: false,
            memory: TaskMemory::new(budget_bytes, source, sink, batch_bytes),
            thread_count,
            worker_count: 1,
            streaming: sink.stream_bytes.map(|stream_bytes| Streaming {
                chunk_shape: sink.chunk_shape.clone(),
                stream_bytes,
            }),
        }
    }

    /// Says that source chunks are, as they are encoded, chunks of the target.
    #[must_use]
    pub fn with_pass_through(self, can_pass_through: bool) -> Self {
        Self { can_pass_through, ..self }
    }

    /// Says how many machines take tasks at once.
    #[must_use]
    pub fn with_workers(self, worker_count: u64) -> Self {
        Self { worker_count, ..self }
    }
}

/// A problem as the methods see it: checked, axes as simple as they are.
#[derive(Debug)]
pub(super) struct Grids<'a> {
    pub(super) problem: &'a Problem,
    pub(super) source: Vec<Axis>,
    pub(super) target: Vec<Axis>,
    /// Elements along every dimension.
    pub(super) shape: Vec<u64>,
    /// Threads that work at once inside of a task.
    pub(super) thread_count: u64,
}

impl<'a> Grids<'a> {
    /// # Errors
    /// Grids over different shapes.
    pub(super) fn new(problem: &'a Problem) -> Result<Self> {
        let (from, to) = (problem.source.shape(), problem.target.shape());
        if from != to {
            let message = format!("a source of shape {from:?} is no source of a target of {to:?}");
            let error = Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message);
            return Err(error.mend("plan with grids over one array"));
        }
        let simple = |grid: &ChunkGrid| grid.axes().iter().map(simplified).collect();
        let (source, target) = (simple(&problem.source), simple(&problem.target));
        Ok(Self { problem, source, target, shape: to, thread_count: problem.thread_count.max(1) })
    }

    /// The same with so many threads at once inside of a task.
    pub(super) fn with_threads(&self, thread_count: u64) -> Self {
        let (source, target) = (self.source.clone(), self.target.clone());
        Self { problem: self.problem, source, target, shape: self.shape.clone(), thread_count }
    }

    /// Threads that are busy at once where so many chunks are spread over so many tasks.
    pub(super) fn busy_threads(&self, chunk_count: u64, task_count: u64) -> u64 {
        (chunk_count / task_count.max(1)).clamp(1, self.thread_count)
    }

    /// Bytes that threads hold which read so many source chunks at the most.
    pub(super) fn source_overhead(&self, chunk_count: u64) -> u64 {
        let threads = self.thread_count.min(chunk_count.max(1));
        self.memory().source_overhead_bytes.saturating_mul(threads)
    }

    /// Bytes that threads hold which write so many target units at the most.
    pub(super) fn target_overhead(&self, unit_count: u64) -> u64 {
        let threads = self.thread_count.min(unit_count.max(1));
        self.memory().target_overhead_bytes.saturating_mul(threads)
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(super) fn memory(&self) -> &TaskMemory {
        &self.problem.memory
    }

    /// Bytes of so many elements along every dimension.
    pub(super) fn bytes(&self, extents: &[u64]) -> u64 {
        self.bytes_of(product(extents))
    }

    /// Bytes of so many elements.
    pub(super) fn bytes_of(&self, elements: u64) -> u64 {
        elements.saturating_mul(self.problem.item_bytes)
    }

    /// Bytes of the array.
    pub(super) fn array_bytes(&self) -> u64 {
        self.bytes(&self.shape)
    }

    pub(super) fn source_chunk_count(&self) -> u64 {
        count(&self.source)
    }

    pub(super) fn target_unit_count(&self) -> u64 {
        count(&self.target)
    }

    /// The longest source chunk along every dimension, at least one element.
    pub(super) fn source_unit(&self) -> Vec<u64> {
        longest(&self.source)
    }

    /// The longest target unit along every dimension, at least one element.
    pub(super) fn target_unit(&self) -> Vec<u64> {
        longest(&self.target)
    }

    /// The axes of groups of these extents.
    pub(super) fn groups(&self, extents: &[u64]) -> Vec<Axis> {
        let pairs = self.shape.iter().zip(extents);
        pairs.map(|(&length, &extent)| Axis::regular(length, extent)).collect()
    }
}

fn longest(axes: &[Axis]) -> Vec<u64> {
    axes.iter().map(|axis| axis.longest_chunk().max(1)).collect()
}

/// Chunks of these axes that a group of these extents meets, at the most.
pub(super) fn most_meeting(axes: &[Axis], extents: &[u64]) -> u64 {
    let pairs = axes.iter().zip(extents);
    pairs
        .map(|(axis, &extent)| super::axis::most_meeting(axis, extent))
        .fold(1, u64::saturating_mul)
}

/// Chunks of a grid of these axes.
pub(super) fn count(axes: &[Axis]) -> u64 {
    axes.iter().map(Axis::chunk_count).fold(1, u64::saturating_mul)
}

/// The product, or the greatest number.
pub(super) fn product(extents: &[u64]) -> u64 {
    extents.iter().copied().fold(1, u64::saturating_mul)
}
