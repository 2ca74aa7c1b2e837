//! The shuffle store of one process: runs in memory, and in spill files when memory is short.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::{MemoryRun, PARTITION_LIMIT};
use super::grouped::{Grouped, GroupedCursor};
use super::merge::{Chained, Cursor, Merged};
use super::run_file::{RunFile, RunWriter};
use super::sink::{InProcessSink, Turns};
use super::sorted::put_sorted;
use super::{EdgeId, EdgeOrder, RecordSet, RecordSink, Records, Scratch, ShuffleStore};
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;

/// The most spill files that a partition is read from at once: each needs a block in memory.
pub(super) const FILES_LIMIT: usize = 32;
/// When there are more, so many of the smallest become one.
const FILES_MERGED: usize = 24;

/// Keeps all edges of a run in this process. Clones share them.
#[derive(Debug, Clone)]
pub struct InProcessShuffle(Arc<Store>);

#[derive(Debug)]
struct Store {
    budget: MemoryBudget,
    scratch: Scratch,
    /// Where the first sink of every edge begins to deal out.
    first_turn: usize,
    edges: Mutex<BTreeMap<EdgeId, Edge>>,
    /// Is held while a partition that is being read is sorted.
    sorting: Mutex<()>,
    shuffled_bytes: AtomicU64,
}

#[derive(Debug)]
struct Edge {
    order: EdgeOrder,
    partition_count: usize,
    memory: Vec<Arc<MemoryRun>>,
    files: Vec<Arc<RunFile>>,
    /// Readers share the runs, so spilling them would free nothing; and what was read once must
    /// come in the same order again.
    is_read: bool,
    /// Some runs are being written to a new file. They stay here until it takes their place.
    is_moving: bool,
    /// Every sink takes its first turn at another partition, so that short bundles spread.
    sink_count: usize,
}

/// What a shuffle has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleCounts {
    /// Bytes of memory and disk under which committed records were first kept.
    pub shuffled_bytes: u64,
    /// Bytes written to spill files: of edges, of merging them, and of large groups.
    pub spilled_bytes: u64,
}

impl InProcessShuffle {
    /// An empty store that holds what `budget` grants and spills the rest.
    pub fn new(budget: MemoryBudget, scratch: Scratch) -> Self {
        Self::starting_at(0, budget, scratch)
    }

    /// An empty store whose sinks deal out beginning with another partition, so that what many
    /// stores with a single bundle each hand on is even.
    pub fn starting_at(first_turn: usize, budget: MemoryBudget, scratch: Scratch) -> Self {
        let (edges, sorting) = (Mutex::default(), Mutex::default());
        let shuffled_bytes = AtomicU64::new(0);
        Self(Arc::new(Store { budget, scratch, first_turn, edges, sorting, shuffled_bytes }))
    }

    /// What was moved so far.
    pub fn counts(&self) -> ShuffleCounts {
        ShuffleCounts {
            shuffled_bytes: self.0.shuffled_bytes.load(Ordering::Relaxed),
            spilled_bytes: self.0.scratch.spilled_bytes(),
        }
    }

    pub(super) fn scratch(&self) -> &Scratch {
        &self.0.scratch
    }

    pub(super) fn budget(&self) -> &MemoryBudget {
        &self.0.budget
    }

    /// A spill file of these records.
    pub(super) fn spill(&self, runs: &[Arc<MemoryRun>], order: EdgeOrder) -> Result<RunFile> {
        let partitions = runs.iter().flat_map(|run| run.filled_partitions());
        self.write_run(partitions.collect(), |partition, writer| match order {
            EdgeOrder::ByKey | EdgeOrder::ByKeyHead { .. } => {
                put_sorted(runs, partition, |record| writer.put(partition, record))
            }
            EdgeOrder::InTurns => {
                let cursors = runs.iter().map(|run| MemoryRun::cursor(run, partition));
                writer.put_all(partition, &mut Chained::new(cursors))
            }
        })
    }

    /// The records of one partition in memory by way of a spill file, where there is no memory to
    /// group them.
    fn sorted_on_disk(&self, runs: &[Arc<MemoryRun>], partition: usize) -> Result<Box<dyn Cursor>> {
        // What the runs have reserved suffices for one partition at a time.
        let _one = self.0.sorting.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.write_run(vec![partition], |partition, writer| {
            put_sorted(runs, partition, |record| writer.put(partition, record))
        })?;
        Ok(RunFile::cursor(&Arc::new(file), partition))
    }

    /// Merges spill files until no more are left than a reader may open at once.
    pub(super) fn compact(&self, files: &mut Vec<Arc<RunFile>>, order: EdgeOrder) -> Result<()> {
        while let Some(surplus) = surplus_of(files) {
            let merged = self.merge(&surplus, order)?;
            replace(files, &surplus, merged);
        }
        Ok(())
    }

    fn merge(&self, files: &[Arc<RunFile>], order: EdgeOrder) -> Result<RunFile> {
        let partitions = files.iter().flat_map(|file| file.filled_partitions());
        self.write_run(partitions.collect(), |partition, writer| {
            let cursors = files.iter().map(|file| RunFile::cursor(file, partition)).collect();
            writer.put_all(partition, joined(cursors, order).as_mut())
        })
    }

    fn write_run(
        &self,
        mut partitions: Vec<usize>,
        put: impl Fn(usize, &mut RunWriter) -> Result<()>,
    ) -> Result<RunFile> {
        partitions.sort_unstable();
        partitions.dedup();
        let mut writer = RunWriter::new(&self.0.scratch)?;
        partitions.into_iter().try_for_each(|partition| put(partition, &mut writer))?;
        writer.finish()
    }

    /// Spills the edge that holds most; false if that has freed nothing.
    pub(super) fn make_room(&self) -> Result<bool> {
        let (id, order, runs) = {
            let mut edges = self.lock();
            let held = |edge: &Edge| edge.memory.iter().map(|run| run.held_bytes()).sum::<u64>();
            let can_spill = |edge: &Edge| !edge.is_read && !edge.is_moving;
            let spillable = edges.iter_mut().filter(|(_, edge)| can_spill(edge));
            let most = spillable.max_by_key(|(_, edge)| held(edge));
            let Some((id, edge)) = most.filter(|(_, edge)| !edge.memory.is_empty()) else {
                return Ok(false);
            };
            edge.is_moving = true;
            (*id, edge.order, edge.memory.clone())
        };
        let spilled = self.spill(&runs, order);
        {
            let mut edges = self.lock();
            // An edge that was released has freed its memory itself.
            let Some(edge) = edges.get_mut(&id) else { return Ok(true) };
            edge.is_moving = false;
            let spilled = spilled?;
            if edge.is_read {
                return Ok(false);
            }
            edge.memory.retain(|run| !runs.iter().any(|moved| Arc::ptr_eq(moved, run)));
            edge.files.push(Arc::new(spilled));
        }
        drop(runs);
        self.compact_edge(id)?;
        Ok(true)
    }

    /// Makes the runs of a bundle visible.
    pub(super) fn commit(&self, id: EdgeId, memory: Option<MemoryRun>, files: Vec<Arc<RunFile>>) {
        let held = memory.as_ref().map_or(0, MemoryRun::held_bytes);
        let spilled: u64 = files.iter().map(|file| file.bytes()).sum();
        self.0.shuffled_bytes.fetch_add(held + spilled, Ordering::Relaxed);
        if let Some(edge) = self.lock().get_mut(&id) {
            edge.memory.extend(memory.map(Arc::new));
            edge.files.extend(files);
        }
        if let Err(error) = self.compact_edge(id) {
            // The bundle has committed, and all of its records are there: reading them opens more
            // files than was meant, which may still succeed.
            tracing::warn!(edge = %id, %error, "spill files are not merged");
        }
    }

    /// Merges files of an edge that has too many, unless somebody else does.
    fn compact_edge(&self, id: EdgeId) -> Result<()> {
        loop {
            let (order, surplus) = {
                let mut edges = self.lock();
                let Some(edge) = edges.get_mut(&id) else { return Ok(()) };
                if edge.is_read || edge.is_moving {
                    return Ok(());
                }
                let Some(surplus) = surplus_of(&edge.files) else { return Ok(()) };
                edge.is_moving = true;
                (edge.order, surplus)
            };
            let merged = self.merge(&surplus, order);
            let mut edges = self.lock();
            let Some(edge) = edges.get_mut(&id) else { return Ok(()) };
            edge.is_moving = false;
            let merged = merged?;
            if !edge.is_read {
                replace(&mut edge.files, &surplus, merged);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EdgeId, Edge>> {
        // Nothing panics between two changes that belong together.
        self.0.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The smallest of the files, where there are too many.
fn surplus_of(files: &[Arc<RunFile>]) -> Option<Vec<Arc<RunFile>>> {
    if files.len() <= FILES_LIMIT {
        return None;
    }
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.bytes());
    files.truncate(FILES_MERGED);
    Some(files)
}

fn replace(files: &mut Vec<Arc<RunFile>>, merged: &[Arc<RunFile>], by: RunFile) {
    files.retain(|file| !merged.iter().any(|old| Arc::ptr_eq(old, file)));
    files.push(Arc::new(by));
}

fn joined(cursors: Vec<Box<dyn Cursor>>, order: EdgeOrder) -> Box<dyn Records> {
    match order {
        EdgeOrder::ByKey | EdgeOrder::ByKeyHead { .. } => Box::new(Merged::new(cursors)),
        EdgeOrder::InTurns => Box::new(Chained::new(cursors.into_iter())),
    }
}

/// All runs of an edge.
#[derive(Debug)]
struct Contents {
    memory: Vec<Arc<MemoryRun>>,
    files: Vec<Arc<RunFile>>,
}

impl RecordSet for Contents {
    fn record_count(&self) -> u64 {
        let memory: u64 = self.memory.iter().map(|run| run.record_count()).sum();
        memory + self.files.iter().map(|file| file.record_count()).sum::<u64>()
    }

    fn records(&self) -> Box<dyn Records> {
        let (files, memory) = (self.files.clone(), self.memory.clone());
        let files = files.into_iter().map(|file| RunFile::whole(&file));
        Box::new(Chained::new(files.chain(memory.into_iter().map(|run| MemoryRun::whole(&run)))))
    }
}

fn undeclared(edge: EdgeId) -> Error {
    Error::internal(format!("edge {edge} was not declared"))
}

impl ShuffleStore for InProcessShuffle {
    fn declare(&self, edge: EdgeId, order: EdgeOrder, partition_count: usize) {
        let partition_count = partition_count.clamp(1, PARTITION_LIMIT);
        let new = Edge {
            order,
            partition_count,
            memory: Vec::new(),
            files: Vec::new(),
            is_read: false,
            is_moving: false,
            sink_count: self.0.first_turn,
        };
        self.lock().insert(edge, new);
    }

    fn sink(&self, edge: EdgeId) -> Result<Box<dyn RecordSink>> {
        let mut edges = self.lock();
        let Edge { order, partition_count, sink_count, .. } =
            edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
        *sink_count += 1;
        let turns = Turns { next: *sink_count % *partition_count, count: *partition_count };
        Ok(Box::new(InProcessSink::new(self.clone(), edge, *order, turns)))
    }

    fn records(&self, edge: EdgeId, partition: usize) -> Result<Box<dyn Records>> {
        let (order, memory, files) = {
            let mut edges = self.lock();
            let edge = edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
            edge.is_read = true;
            (edge.order, edge.memory.clone(), edge.files.clone())
        };
        let files = files.iter().filter(|file| file.has(partition));
        let mut cursors: Vec<_> = files.map(|file| RunFile::cursor(file, partition)).collect();
        let mut memory = memory;
        memory.retain(|run| run.row_count(partition) > 0);
        if order == EdgeOrder::InTurns {
            cursors.extend(memory.iter().map(|run| MemoryRun::cursor(run, partition)));
            return Ok(Box::new(Chained::new(cursors.into_iter())));
        }
        if !memory.is_empty() {
            match Grouped::of(&memory, partition, self.budget().hold()) {
                Some(grouped) if cursors.is_empty() => {
                    return Ok(Box::new(GroupedCursor::new(grouped)));
                }
                Some(grouped) => cursors.push(Box::new(GroupedCursor::new(grouped))),
                None => cursors.push(self.sorted_on_disk(&memory, partition)?),
            }
        }
        Ok(Box::new(Merged::new(cursors)))
    }

    fn contents(&self, edge: EdgeId) -> Result<Arc<dyn RecordSet>> {
        let mut edges = self.lock();
        let edge = edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
        edge.is_read = true;
        Ok(Arc::new(Contents { memory: edge.memory.clone(), files: edge.files.clone() }))
    }

    fn filled_partitions(&self, edge: EdgeId) -> Vec<usize> {
        let edges = self.lock();
        let Some(edge) = edges.get(&edge) else { return Vec::new() };
        let memory = edge.memory.iter().flat_map(|run| run.filled_partitions());
        let files = edge.files.iter().flat_map(|file| file.filled_partitions());
        let mut filled: Vec<usize> = memory.chain(files).collect();
        filled.sort_unstable();
        filled.dedup();
        filled
    }

    fn release(&self, edge: EdgeId) {
        self.lock().remove(&edge);
    }
}
