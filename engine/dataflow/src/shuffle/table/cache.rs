//! The last blocks that look-ups have read: the next one is likely to be of the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::Reservation;
use crate::shuffle::run_file::{BLOCK_BYTES, Block};

/// The most blocks that are kept.
const BLOCK_LIMIT: usize = 8;

/// Keeps blocks of one file by where they begin.
///
/// The last one is always kept: the stages that look up declare it. The others are reserved.
#[derive(Debug)]
pub(super) struct BlockCache(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// The one used last stands last.
    blocks: Vec<(u64, Block)>,
    held: Reservation,
}

impl BlockCache {
    /// An empty cache that asks this reservation for more.
    pub(super) fn new(held: Reservation) -> Self {
        Self(Mutex::new(Kept { blocks: Vec::new(), held }))
    }

    /// The block that begins at `offset`.
    pub(super) fn get(&self, offset: u64) -> Option<Block> {
        let mut kept = self.lock();
        let index = kept.blocks.iter().position(|(known, _)| *known == offset)?;
        kept.blocks[index..].rotate_left(1);
        kept.blocks.last().map(|(_, block)| block.clone())
    }

    /// Keeps a block in place of those used least, as far as memory is granted.
    pub(super) fn keep(&self, offset: u64, block: &Block) {
        // Keys may be of any length, and so may blocks: only common ones are worth keeping.
        if block.bytes.len() > 2 * BLOCK_BYTES {
            return;
        }
        let mut kept = self.lock();
        if kept.blocks.iter().all(|(known, _)| *known != offset) {
            kept.blocks.push((offset, block.clone()));
        }
        loop {
            let before_last = kept.blocks.len() - 1;
            let blocks = kept.blocks[..before_last].iter();
            let wanted = blocks.map(|(_, block)| block.bytes.len() as u64).sum();
            if before_last < BLOCK_LIMIT && kept.held.try_resize(wanted) {
                return;
            }
            kept.blocks.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A block that was kept is whole, whatever happened to the thread that kept it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
