//! The shuffle store of one process: runs in memory, and in spill files when memory is short.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::{MemoryRun, PARTITION_LIMIT};
use super::merge::{Chained, Merged};
use super::run_file::{RunFile, RunWriter};
use super::sink::{InProcessSink, Turns};
use super::{EdgeId, EdgeOrder, RecordSink, Records, ShuffleStore};
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
    scratch_folder: Option<PathBuf>,
    edges: Mutex<BTreeMap<EdgeId, Edge>>,
    spilled_bytes: AtomicU64,
    shuffled_bytes: AtomicU64,
}

#[derive(Debug)]
struct Edge {
    order: EdgeOrder,
    partition_count: usize,
    memory: Vec<Arc<MemoryRun>>,
    files: Vec<Arc<RunFile>>,
    /// Readers share the runs, so spilling them would free nothing.
    is_read: bool,
    /// Every sink takes its first turn at another partition, so that short bundles spread.
    sink_count: usize,
}

/// What a shuffle has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleCounts {
    /// Bytes of memory and disk under which committed records were first kept.
    pub shuffled_bytes: u64,
    /// Bytes written to spill files, merges included.
    pub spilled_bytes: u64,
}

impl InProcessShuffle {
    /// An empty store that holds what `budget` grants and spills below `scratch_folder`.
    pub fn new(budget: MemoryBudget, scratch_folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Store {
            budget,
            scratch_folder,
            edges: Mutex::default(),
            spilled_bytes: AtomicU64::new(0),
            shuffled_bytes: AtomicU64::new(0),
        }))
    }

    /// What was moved so far.
    pub fn counts(&self) -> ShuffleCounts {
        ShuffleCounts {
            shuffled_bytes: self.0.shuffled_bytes.load(Ordering::Relaxed),
            spilled_bytes: self.0.spilled_bytes.load(Ordering::Relaxed),
        }
    }

    pub(super) fn budget(&self) -> &MemoryBudget {
        &self.0.budget
    }

    /// A spill file of these records, which are sorted as the edge wants them.
    pub(super) fn spill(&self, runs: &[Arc<MemoryRun>], order: EdgeOrder) -> Result<RunFile> {
        let mut partitions: Vec<usize> =
            runs.iter().flat_map(|run| run.filled_partitions()).collect();
        partitions.sort_unstable();
        partitions.dedup();
        self.write_run(&partitions, order, |partition| {
            let cursor = |run: &Arc<MemoryRun>| -> Box<dyn Records> {
                Box::new(MemoryRun::cursor(SharedRun(Arc::clone(run)), partition))
            };
            runs.iter().map(cursor).collect()
        })
    }

    fn write_run(
        &self,
        partitions: &[usize],
        order: EdgeOrder,
        cursors: impl Fn(usize) -> Vec<Box<dyn Records>>,
    ) -> Result<RunFile> {
        let file = match &self.0.scratch_folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let file = file.map_err(|error| Error::from(error).context("cannot make a spill file"))?;
        let mut writer = RunWriter::new(file)?;
        for &partition in partitions {
            let mut records = joined(cursors(partition), order);
            while records.advance()? {
                writer.put(partition, records.record())?;
            }
        }
        let run = writer.finish()?;
        self.0.spilled_bytes.fetch_add(run.bytes(), Ordering::Relaxed);
        Ok(run)
    }

    /// Spills the edge that holds most; false if nothing is held that could be spilled.
    pub(super) fn make_room(&self) -> Result<bool> {
        let (edge, order, runs) = {
            let mut edges = self.lock();
            let held = |edge: &Edge| edge.memory.iter().map(|run| run.held_bytes()).sum::<u64>();
            let spillable = edges.iter_mut().filter(|(_, edge)| !edge.is_read);
            let Some((id, edge)) = spillable.max_by_key(|(_, edge)| held(edge)) else {
                return Ok(false);
            };
            (*id, edge.order, std::mem::take(&mut edge.memory))
        };
        if runs.is_empty() {
            return Ok(false);
        }
        let run = self.spill(&runs, order)?;
        self.add(edge, Vec::new(), vec![run])?;
        Ok(true)
    }

    /// Makes the runs of a bundle visible.
    pub(super) fn commit(
        &self,
        edge: EdgeId,
        memory: Vec<MemoryRun>,
        files: Vec<RunFile>,
    ) -> Result<()> {
        let held: u64 = memory.iter().map(MemoryRun::held_bytes).sum();
        let spilled: u64 = files.iter().map(RunFile::bytes).sum();
        self.0.shuffled_bytes.fetch_add(held + spilled, Ordering::Relaxed);
        self.add(edge, memory, files)
    }

    fn add(&self, edge: EdgeId, memory: Vec<MemoryRun>, files: Vec<RunFile>) -> Result<()> {
        let (order, surplus) = {
            let mut edges = self.lock();
            let edge = edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
            edge.memory.extend(memory.into_iter().map(Arc::new));
            edge.files.extend(files.into_iter().map(Arc::new));
            if edge.files.len() <= FILES_LIMIT {
                return Ok(());
            }
            edge.files.sort_by_key(|file| file.bytes());
            (edge.order, edge.files.drain(..FILES_MERGED).collect::<Vec<_>>())
        };
        let mut partitions: Vec<usize> =
            surplus.iter().flat_map(|file| file.filled_partitions()).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let merged = self.write_run(&partitions, order, |partition| {
            let cursor = |file: &Arc<RunFile>| -> Box<dyn Records> {
                Box::new(RunFile::cursor(file, partition))
            };
            surplus.iter().map(cursor).collect()
        })?;
        self.add(edge, Vec::new(), vec![merged])
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EdgeId, Edge>> {
        // Nothing panics between two changes that belong together.
        self.0.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a cursor own a run that others hold too.
#[derive(Debug)]
struct SharedRun(Arc<MemoryRun>);

impl AsRef<MemoryRun> for SharedRun {
    fn as_ref(&self) -> &MemoryRun {
        &self.0
    }
}

fn joined(mut cursors: Vec<Box<dyn Records>>, order: EdgeOrder) -> Box<dyn Records> {
    match (cursors.len(), order) {
        (1, _) => cursors.remove(0),
        (_, EdgeOrder::ByKey) => Box::new(Merged::new(cursors)),
        (_, EdgeOrder::InTurns) => Box::new(Chained::new(cursors)),
    }
}

fn undeclared(edge: EdgeId) -> Error {
    Error::internal(format!("edge {edge} was not declared"))
}

impl ShuffleStore for InProcessShuffle {
    fn declare(&self, edge: EdgeId, order: EdgeOrder, partition_count: usize) {
        let partition_count = partition_count.clamp(1, PARTITION_LIMIT);
        let (memory, files) = (Vec::new(), Vec::new());
        let new = Edge { order, partition_count, memory, files, is_read: false, sink_count: 0 };
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
        let mut edges = self.lock();
        let edge = edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
        edge.is_read = true;
        let memory = edge.memory.iter().map(|run| -> Box<dyn Records> {
            Box::new(MemoryRun::cursor(SharedRun(Arc::clone(run)), partition))
        });
        let files = edge
            .files
            .iter()
            .map(|file| -> Box<dyn Records> { Box::new(RunFile::cursor(file, partition)) });
        Ok(joined(files.chain(memory).collect(), edge.order))
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
