//! Takes the records of one bundle, and spills when memory is refused.

use super::arena::{Arena, MemoryRun};
use super::in_process::InProcessShuffle;
use super::run_file::RunFile;
use super::{EdgeId, EdgeOrder, Prepared, Record, RecordSink, partition_of};
use crate::error::Result;
use crate::memory::Reservation;

/// Bytes that a sink may hold without a reservation: every bundle declares them before it starts.
pub(crate) const FREE_BYTES: u64 = 256 << 10;

/// Which partition is next on an edge without keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    pub(super) next: usize,
    pub(super) count: usize,
}

/// The sink of one bundle on one edge of an [`InProcessShuffle`].
pub(super) struct InProcessSink {
    store: InProcessShuffle,
    edge: EdgeId,
    order: EdgeOrder,
    turns: Turns,
    arena: Arena,
    reservation: Reservation,
    files: Vec<RunFile>,
    is_pressed: bool,
}

impl InProcessSink {
    pub(super) fn new(
        store: InProcessShuffle,
        edge: EdgeId,
        order: EdgeOrder,
        turns: Turns,
    ) -> Self {
        let reservation = store.budget().hold();
        Self {
            store,
            edge,
            order,
            turns,
            arena: Arena::default(),
            reservation,
            files: Vec::new(),
            is_pressed: false,
        }
    }

    /// Makes room for one more record: asks the budget, then the store, then spills its own.
    fn make_room_for(&mut self, record: &Record<'_>) -> Result<()> {
        let needed = self.arena.held_bytes() + self.arena.next_push_bytes(record);
        let missing = needed.saturating_sub(FREE_BYTES + self.reservation.bytes());
        if missing == 0 || self.reservation.try_grow(missing) {
            return Ok(());
        }
        self.is_pressed = true;
        if self.store.make_room()? && self.reservation.try_grow(missing) {
            return Ok(());
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<()> {
        if self.arena.is_empty() {
            return Ok(());
        }
        let arena = std::mem::take(&mut self.arena);
        let held = std::mem::replace(&mut self.reservation, self.store.budget().hold());
        let run = arena.seal(self.order, held);
        self.files.push(self.store.spill(&[run.into()], self.order)?);
        Ok(())
    }
}

impl RecordSink for InProcessSink {
    fn put(&mut self, record: Record<'_>) -> Result<()> {
        self.make_room_for(&record)?;
        let partition = match self.order {
            EdgeOrder::ByKey => partition_of(record.key, self.turns.count),
            EdgeOrder::InTurns => self.turns.next,
        };
        self.turns.next = (self.turns.next + 1) % self.turns.count;
        self.arena.push(partition, record);
        Ok(())
    }

    fn is_pressed(&self) -> bool {
        self.is_pressed
    }

    fn finish(mut self: Box<Self>) -> Result<Box<dyn Prepared>> {
        // What was free while the bundle ran must be reserved to be kept.
        let held = self.arena.held_bytes();
        let fits = self.reservation.try_resize(held)
            || self.store.make_room()? && self.reservation.try_resize(held);
        if !fits {
            self.spill()?;
        }
        let Self { store, edge, order, arena, reservation, files, .. } = *self;
        let memory = (!arena.is_empty()).then(|| arena.seal(order, reservation));
        Ok(Box::new(PreparedRuns { store, edge, memory: memory.into_iter().collect(), files }))
    }
}

struct PreparedRuns {
    store: InProcessShuffle,
    edge: EdgeId,
    memory: Vec<MemoryRun>,
    files: Vec<RunFile>,
}

impl Prepared for PreparedRuns {
    fn commit(self: Box<Self>) -> Result<()> {
        self.store.commit(self.edge, self.memory, self.files)
    }
}
