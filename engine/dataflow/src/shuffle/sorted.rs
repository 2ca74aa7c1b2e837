//! The records of one partition in memory, sorted by key, as they are spilled.
//!
//! It takes less memory than [`super::grouped`], and a known amount of it: it must do when there is
//! none left.

use std::sync::Arc;

use super::Record;
use super::arena::{Block, MemoryRun};
use super::short_key::ShortKey;

/// Where a row lies: by its key, then by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: ShortKey,
    block: u32,
    start: u32,
}

/// Bytes that sorting so many rows takes.
pub(super) fn sorting_bytes(row_count: usize) -> usize {
    row_count * size_of::<Entry>()
}

/// Passes the records of a partition of these runs on, ascending by key; of equal keys, those of
/// earlier runs first.
///
/// It takes [`sorting_bytes`], which the reservations of the runs cover, once.
///
/// # Errors
/// Those of `put`.
pub(super) fn put_sorted<E>(
    runs: &[Arc<MemoryRun>],
    partition: usize,
    mut put: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let blocks: Vec<Block<'_>> = runs.iter().flat_map(|run| run.blocks(partition)).collect();
    let row_count = runs.iter().map(|run| run.row_count(partition)).sum();
    let mut entries = Vec::with_capacity(row_count);
    for (index, block) in blocks.iter().enumerate() {
        entries.extend(block.records().map(|(start, record)| Entry {
            key: ShortKey::of(record.key),
            block: index as u32,
            start,
        }));
    }
    let record = |entry: &Entry| blocks[entry.block as usize].record_at(entry.start);
    entries.sort_unstable();
    // Long keys that begin alike are not in order yet.
    for same in entries.chunk_by_mut(|a, b| !a.key.is_whole() && a.key == b.key) {
        if same.len() > 1 {
            same.sort_by(|a, b| record(a).key.cmp(record(b).key));
        }
    }
    entries.iter().try_for_each(|entry| put(record(entry)))
}
