//! Fetches the records of partitions from the objects of all tasks that have left some.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::error::{Error, Result};
use dataflow::memory::MemoryBudget;
use dataflow::plan::{StageGraph, StageId};
use dataflow::shuffle::{EdgeId, EdgeOrder, Importer, InProcessShuffle, Scratch, ShuffleStore};

use crate::store::{DoneIndex, Fetched, RunStore};

/// Requests that a task has in flight at once.
const REQUESTS_LIMIT: usize = 16;
/// The most bytes that one request asks for.
const REQUEST_BYTES: u64 = 4 << 20;
/// The bytes that requests in flight may hold before memory is asked for.
const FREE_BYTES: u64 = REQUEST_BYTES;

/// What a process knows of what stages have left. Shared by its tasks.
#[derive(Debug)]
pub(crate) struct Exchange {
    store: RunStore,
    budget: MemoryBudget,
    scratch: Scratch,
    /// The stage that writes each edge, and the order of its records.
    writers: BTreeMap<EdgeId, (StageId, EdgeOrder)>,
    indexes: Mutex<BTreeMap<StageId, Arc<DoneIndex>>>,
}

/// One request: a range of the object of a task.
struct Part {
    task: u32,
    range: Range<u64>,
    /// Where in the object segments begin that lie here, of which partition, with how many records.
    begins: Vec<(u64, usize, u64)>,
}

impl Part {
    /// Takes in what has come.
    fn import(&self, bytes: &[u8], importer: &mut Importer) -> Result<()> {
        let at = |offset: u64| (offset - self.range.start) as usize;
        let ends = self.begins.iter().skip(1).map(|begin| at(begin.0)).chain([bytes.len()]);
        let first = self.begins.first().map_or(bytes.len(), |begin| at(begin.0));
        importer.push(&bytes[..first])?;
        for (&(start, partition, record_count), end) in self.begins.iter().zip(ends) {
            importer.begin(partition, record_count);
            importer.push(&bytes[at(start)..end])?;
        }
        Ok(())
    }
}

impl Exchange {
    pub(crate) fn new(
        store: &RunStore,
        graph: &StageGraph,
        budget: &MemoryBudget,
        scratch: &Scratch,
    ) -> Self {
        let writers = graph
            .edges()
            .iter()
            .map(|edge| (edge.id, (edge.writer, graph.order(edge.id))))
            .collect();
        let (store, budget) = (store.clone(), budget.clone());
        Self { store, budget, scratch: scratch.clone(), writers, indexes: Mutex::default() }
    }

    /// The index of what the stage has left that writes an edge.
    pub(crate) fn index(&self, edge: EdgeId) -> Result<Arc<DoneIndex>> {
        if let Some(index) = self.known_index(edge) {
            return Ok(index);
        }
        let (stage, _) = self.writer(edge)?;
        // Two threads may both read it, which is the same.
        let index = Arc::new(DoneIndex::read(&self.store, stage)?);
        self.known().insert(stage, Arc::clone(&index));
        Ok(index)
    }

    /// The same, if it was read before.
    pub(crate) fn known_index(&self, edge: EdgeId) -> Option<Arc<DoneIndex>> {
        let (stage, _) = self.writers.get(&edge)?;
        self.known().get(stage).cloned()
    }

    /// Brings all records of these partitions of an edge into a shuffle of this process.
    ///
    /// Memory: the bytes in flight, as far as the budget grants them; what has come is on disk.
    pub(crate) fn fetch(&self, edge: EdgeId, partitions: &[usize]) -> Result<InProcessShuffle> {
        let index = self.index(edge)?;
        let local = InProcessShuffle::new(self.budget.clone(), self.scratch.clone());
        let partition_count = partitions.iter().max().map_or(1, |last| last + 1);
        local.declare(edge, self.writer(edge)?.1, partition_count);
        let mut importer = local.importer(edge)?;
        let mut parts: VecDeque<Part> = self.parts(&index, edge, partitions)?.into();
        let mut flying: VecDeque<(Part, Fetched)> = VecDeque::new();
        let mut held = self.budget.hold();
        while !parts.is_empty() || !flying.is_empty() {
            while flying.len() < REQUESTS_LIMIT
                && let Some(part) = parts.front()
            {
                let in_flight: u64 = flying.iter().map(|(part, _)| length_of(&part.range)).sum();
                let bytes = (in_flight + length_of(&part.range)).saturating_sub(FREE_BYTES);
                if !flying.is_empty() && !held.try_resize(bytes) {
                    break;
                }
                let Some(part) = parts.pop_front() else { break };
                let key = index.object(part.task);
                let key = key.ok_or_else(|| Error::internal("a segment of no object"))?;
                let request = self.store.fetch(key, vec![part.range.clone()]);
                flying.push_back((part, request));
            }
            let Some((part, request)) = flying.pop_front() else { continue };
            for bytes in request.wait()? {
                part.import(&bytes, &mut importer)?;
            }
        }
        importer.finish();
        Ok(local)
    }

    /// The requests for these partitions, by task and place in its object.
    fn parts(&self, index: &DoneIndex, edge: EdgeId, partitions: &[usize]) -> Result<Vec<Part>> {
        let mut segments = Vec::new();
        for (partition, pieces) in index.pieces(&self.store, edge, partitions)? {
            segments.extend(pieces.into_iter().map(|piece| (partition, piece)));
        }
        segments.sort_unstable_by_key(|(_, piece)| (piece.task, piece.range.start));
        let mut parts: Vec<Part> = Vec::new();
        for (partition, piece) in segments {
            let (task, Range { start, end }) = (piece.task, piece.range);
            let begin = (start, partition, piece.record_count);
            let last = parts.last_mut().filter(|last| {
                let is_next = last.task == task && last.range.end == start;
                is_next && end - last.range.start <= REQUEST_BYTES
            });
            if let Some(last) = last {
                last.range.end = end;
                last.begins.push(begin);
                continue;
            }
            let mut begins = vec![begin];
            let cuts = (start..end).step_by(REQUEST_BYTES as usize);
            parts.extend(cuts.map(|at| {
                let range = at..end.min(at + REQUEST_BYTES);
                Part { task, range, begins: std::mem::take(&mut begins) }
            }));
        }
        Ok(parts)
    }

    fn writer(&self, edge: EdgeId) -> Result<(StageId, EdgeOrder)> {
        let writer = self.writers.get(&edge).copied();
        writer.ok_or_else(|| Error::internal(format!("nobody writes edge {edge}")))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<StageId, Arc<DoneIndex>>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length_of(range: &Range<u64>) -> u64 {
    range.end - range.start
}
