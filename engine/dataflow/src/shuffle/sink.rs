//! Takes the records of one bundle, and spills when memory is refused.

use std::sync::Arc;

use super::arena::{Arena, MemoryRun};
use super::in_process::InProcessShuffle;
use super::run_file::RunFile;
use super::{EdgeId, EdgeOrder, Prepared, Record, RecordSink, partition_of};
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::memory::Reservation;

/// Bytes that a sink may hold without a reservation: every bundle declares them before it starts.
pub(super) const FREE_BYTES: u64 = 256 << 10;

/// The most bytes of key and head together, and of a tail: places and lengths have 32 bits.
const PART_LIMIT_BYTES: usize = i32::MAX as usize;

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
        let (arena, files) = (Arena::default(), Vec::new());
        Self { store, edge, order, turns, arena, reservation, files }
    }

    /// Makes room for one more record: asks the budget, then the store, then spills its own.
    fn make_room_for(&mut self, record: &Record<'_>) -> Result<()> {
        let needed = self.arena.held_bytes() + self.arena.next_push_bytes(record);
        let missing = needed.saturating_sub(FREE_BYTES + self.reservation.bytes());
        if missing == 0 || self.reservation.try_grow(missing) {
            return Ok(());
        }
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
        let run = Arc::new(arena.seal(self.order, held));
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
        self.make_room_for(&record)?;
        let partition = match self.order {
            EdgeOrder::ByKey => partition_of(record.key, self.turns.count),
            EdgeOrder::ByKeyHead { tail_bytes } => {
                let head_bytes = record.key.len().saturating_sub(tail_bytes);
                partition_of(&record.key[..head_bytes], self.turns.count)
            }
            EdgeOrder::InTurns => self.turns.next,
        };
        self.turns.next = (self.turns.next + 1) % self.turns.count;
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
        let Self { store, edge, order, arena, reservation, files, .. } = *self;
        let memory = (!arena.is_empty()).then(|| arena.seal(order, reservation));
        Ok(Box::new(PreparedRuns { store, edge, memory, files }))
    }
}

/// A limit that holds in memory as on disk: whether a run spills must not decide what works.
fn check_size(part_bytes: usize) -> Result<()> {
    if part_bytes <= PART_LIMIT_BYTES {
        return Ok(());
    }
    let message = format!("an element of {part_bytes} bytes is too large to be shuffled");
    let error = Error::new(ErrorCode::CODER, ErrorKind::Unsupported, message);
    Err(error.mend(format!("split it into elements of at most {PART_LIMIT_BYTES} bytes")))
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
