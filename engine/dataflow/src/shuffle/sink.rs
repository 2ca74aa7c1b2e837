//! Takes the records of one bundle, and spills when memory is refused.

use std::sync::Arc;

use super::arena::{Arena, Growth, MemoryRun};
use super::in_process::InProcessShuffle;
use super::run_file::RunFile;
use super::{EdgeId, EdgeOrder, Prepared, Record, RecordSink, partition_of};
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::memory::Reservation;

/// Bytes that a sink may hold without a reservation: every bundle declares them before it starts.
pub(super) const FREE_BYTES: u64 = 256 << 10;

/// Bytes that a sink asks for ahead.
const STEP_BYTES: u64 = 256 << 10;

/// The most bytes of key and head together, and of a tail: places and lengths have 32 bits.
const PART_LIMIT_BYTES: usize = i32::MAX as usize;

/// Which partition is next on an edge without keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    pub(super) next: usize,
    pub(super) count: usize,
}

impl Turns {
    fn take(&mut self) -> usize {
        let after = self.next + 1;
        std::mem::replace(&mut self.next, if after == self.count { 0 } else { after })
    }
}

/// The sink of one bundle on one edge of an [`InProcessShuffle`].
pub(super) struct InProcessSink {
    store: InProcessShuffle,
    edge: EdgeId,
    order: EdgeOrder,
    turns: Turns,
    arena: Arena,
    reservation: Reservation,
    files: Vec<Arc<RunFile>>,
}

impl InProcessSink {
    pub(super) fn new(
        store: InProcessShuffle,
        edge: EdgeId,
        order: EdgeOrder,
        turns: Turns,
    ) -> Self {
        let reservation = store.budget().hold();
        let (arena, files) = (Arena::new(turns.count), Vec::new());
        Self { store, edge, order, turns, arena, reservation, files }
    }

    /// Makes room for one more record: asks the budget, then the store, then spills its own.
    fn make_room_for(&mut self, partition: usize, record: &Record<'_>) -> Result<()> {
        let growth = self.arena.growth_for(partition, record);
        let missing = self.missing_bytes(growth);
        // Growing in steps keeps the budget's lock out of the way of most records.
        let is_granted = missing == 0
            || self.reservation.try_grow(missing + STEP_BYTES)
            || self.reservation.try_grow(missing)
            || self.store.make_room()? && self.reservation.try_grow(missing);
        if is_granted {
            self.arena.make_room(partition, growth);
            return Ok(());
        }
        self.spill()?;
        // A single record is taken in any case: it is there already.
        let growth = self.arena.growth_for(partition, record);
        self.reservation.try_grow(self.missing_bytes(growth));
        self.arena.make_room(partition, growth);
        Ok(())
    }

    /// What is not granted yet of an arena that has grown so.
    fn missing_bytes(&self, growth: Growth) -> u64 {
        let granted = FREE_BYTES + self.reservation.bytes();
        self.arena.grown_bytes(growth).saturating_sub(granted)
    }

    fn spill(&mut self) -> Result<()> {
        if self.arena.is_empty() {
            return Ok(());
        }
        let arena = std::mem::replace(&mut self.arena, Arena::new(self.turns.count));
        let held = std::mem::replace(&mut self.reservation, self.store.budget().hold());
        let run = Arc::new(arena.seal(held));
        self.files.push(Arc::new(self.store.spill(&[run], self.order)?));
        self.store.compact(&mut self.files, self.order)
    }
}

impl RecordSink for InProcessSink {
    fn edge(&self) -> EdgeId {
        self.edge
    }

    fn put(&mut self, record: Record<'_>) -> Result<()> {
        check_size(record.key.len() + record.head.len())?;
        check_size(record.tail.len())?;
        let partition = match self.order {
            EdgeOrder::ByKey => partition_of(record.key, self.turns.count),
            EdgeOrder::ByKeyHead { tail_bytes } => {
                let head_bytes = record.key.len().saturating_sub(tail_bytes);
                partition_of(&record.key[..head_bytes], self.turns.count)
            }
            EdgeOrder::InTurns => self.turns.take(),
        };
        if !self.arena.has_room(partition, &record) {
            self.make_room_for(partition, &record)?;
        }
        self.arena.push(partition, record);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Prepared>> {
        // What was free while the bundle ran must be reserved to be kept.
        let held = self.arena.held_bytes();
        let fits = self.reservation.try_resize(held)
            || self.store.make_room()? && self.reservation.try_resize(held);
        if !fits {
            self.spill()?;
        }
        let Self { store, edge, arena, reservation, files, .. } = *self;
        let memory = (!arena.is_empty()).then(|| arena.seal(reservation));
        Ok(Box::new(PreparedRuns { store, edge, memory, files }))
    }
}

/// A limit that holds in memory as on disk: whether a run spills must not decide what works.
#[inline]
fn check_size(part_bytes: usize) -> Result<()> {
    if part_bytes <= PART_LIMIT_BYTES { Ok(()) } else { Err(too_large(part_bytes)) }
}

#[cold]
fn too_large(part_bytes: usize) -> Error {
    let message = format!("an element of {part_bytes} bytes is too large to be shuffled");
    let error = Error::new(ErrorCode::CODER, ErrorKind::Unsupported, message);
    error.mend(format!("split it into elements of at most {PART_LIMIT_BYTES} bytes"))
}

struct PreparedRuns {
    store: InProcessShuffle,
    edge: EdgeId,
    memory: Option<MemoryRun>,
    files: Vec<Arc<RunFile>>,
}

impl Prepared for PreparedRuns {
    fn commit(self: Box<Self>) -> Result<()> {
        self.store.commit(self.edge, self.memory, self.files);
        Ok(())
    }
}
