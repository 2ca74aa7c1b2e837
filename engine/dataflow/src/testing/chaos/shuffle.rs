//! A shuffle that gives everything in a random order, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::shuffle::{
    EdgeId, EdgeOrder, Prepared, Record, RecordSet, RecordSink, Records, ShuffleCounts,
    ShuffleStore, partition_of,
};
use crate::testing::SplitMix64;

/// What goes wrong in the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Reading the input, after so many records.
    Read { after: usize },
    /// Writing to the first edge, after so many records.
    Write { after: usize },
    /// The end of the first edge: the whole bundle has run, for nothing.
    Finish,
}

/// Keeps all edges in memory. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ChaosShuffle(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: SplitMix64,
    edges: BTreeMap<EdgeId, Edge>,
    fault: Option<Fault>,
    has_failed: bool,
    bytes: u64,
}

#[derive(Debug)]
struct Edge {
    order: EdgeOrder,
    partitions: Vec<Partition>,
}

/// Records that are being written, or that are read: then their order stays.
#[derive(Debug, Clone)]
enum Partition {
    Open(Vec<Kept>),
    Read(Arc<[Kept]>),
}

#[derive(Debug, Clone)]
struct Kept {
    key: Box<[u8]>,
    head: Box<[u8]>,
    tail: Bytes,
}

impl ChaosShuffle {
    pub(super) fn new(random: SplitMix64) -> Self {
        let (edges, fault) = (BTreeMap::new(), None);
        Self(Arc::new(Mutex::new(State { random, edges, fault, has_failed: false, bytes: 0 })))
    }

    /// Lets the next attempt fail; `None` lets it be.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// Whether an attempt has failed by a fault since this was asked last.
    pub(super) fn take_failed(&self) -> bool {
        std::mem::take(&mut self.lock().has_failed)
    }

    pub(super) fn counts(&self) -> ShuffleCounts {
        ShuffleCounts { shuffled_bytes: self.lock().bytes, spilled_bytes: 0 }
    }

    fn fail(&self) -> Error {
        self.lock().has_failed = true;
        Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, "the chaos runner fails a bundle")
    }

    /// The records of a partition, in an order that stays from now on.
    fn read(&self, edge: EdgeId, partition: usize) -> Result<Arc<[Kept]>> {
        let State { random, edges, .. } = &mut *self.lock();
        let edge = edges.get_mut(&edge).ok_or_else(|| undeclared(edge))?;
        let order = edge.order;
        let Some(partition) = edge.partitions.get_mut(partition) else { return Ok([].into()) };
        let records = match partition {
            Partition::Read(records) => return Ok(Arc::clone(records)),
            Partition::Open(records) => {
                random.shuffle(records);
                if order != EdgeOrder::InTurns {
                    records.sort_by(|a, b| a.key.cmp(&b.key));
                }
                Arc::<[Kept]>::from(std::mem::take(records))
            }
        };
        *partition = Partition::Read(Arc::clone(&records));
        Ok(records)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn undeclared(edge: EdgeId) -> Error {
    Error::internal(format!("edge {edge} was not declared"))
}

impl ShuffleStore for ChaosShuffle {
    fn declare(&self, edge: EdgeId, order: EdgeOrder, partition_count: usize) {
        let partitions = vec![Partition::Open(Vec::new()); partition_count.max(1)];
        self.lock().edges.insert(edge, Edge { order, partitions });
    }

    fn sink(&self, edge: EdgeId) -> Result<Box<dyn RecordSink>> {
        let fault = self.lock().fault.take_if(|fault| !matches!(fault, Fault::Read { .. }));
        Ok(Box::new(ChaosSink { store: self.clone(), edge, records: Vec::new(), fault }))
    }

    fn records(&self, edge: EdgeId, partition: usize) -> Result<Box<dyn Records>> {
        let fault = self.lock().fault.take_if(|fault| matches!(fault, Fault::Read { .. }));
        let parts = vec![self.read(edge, partition)?];
        Ok(Box::new(Cursor { parts, part: 0, next: 0, fault, store: self.clone() }))
    }

    fn contents(&self, edge: EdgeId) -> Result<Arc<dyn RecordSet>> {
        let partitions = match self.lock().edges.get(&edge) {
            Some(known) => known.partitions.len(),
            None => return Err(undeclared(edge)),
        };
        let parts = (0..partitions).map(|partition| self.read(edge, partition));
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        self.lock().random.shuffle(&mut parts);
        Ok(Arc::new(Contents { parts, store: self.clone() }))
    }

    fn filled_partitions(&self, edge: EdgeId) -> Vec<usize> {
        let state = self.lock();
        let partitions = state.edges.get(&edge).map_or(&[][..], |edge| &edge.partitions);
        let is_filled = |partition: &Partition| match partition {
            Partition::Open(records) => !records.is_empty(),
            Partition::Read(records) => !records.is_empty(),
        };
        (0..partitions.len()).filter(|&index| is_filled(&partitions[index])).collect()
    }

    fn release(&self, edge: EdgeId) {
        self.lock().edges.remove(&edge);
    }
}

struct ChaosSink {
    store: ChaosShuffle,
    edge: EdgeId,
    records: Vec<Kept>,
    fault: Option<Fault>,
}

impl RecordSink for ChaosSink {
    fn edge(&self) -> EdgeId {
        self.edge
    }

    fn put(&mut self, record: Record<'_>) -> Result<()> {
        if self.fault == Some(Fault::Write { after: self.records.len() }) {
            return Err(self.store.fail());
        }
        let Record { key, head, tail } = record;
        self.records.push(Kept { key: key.into(), head: head.into(), tail: tail.clone() });
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Prepared>> {
        match self.fault {
            Some(Fault::Finish | Fault::Write { .. }) => Err(self.store.fail()),
            _ => Ok(self),
        }
    }
}

impl Prepared for ChaosSink {
    fn commit(self: Box<Self>) -> Result<()> {
        let State { random, edges, bytes, .. } = &mut *self.store.lock();
        let edge = edges.get_mut(&self.edge).ok_or_else(|| undeclared(self.edge))?;
        for record in self.records {
            *bytes += (record.key.len() + record.head.len() + record.tail.len()) as u64;
            // Without keys, bundles are cut anywhere: some are large, some are empty.
            let partition_count = edge.partitions.len();
            let place = match edge.order {
                EdgeOrder::ByKey => partition_of(&record.key, partition_count),
                EdgeOrder::ByKeyHead { tail_bytes } => {
                    let head_bytes = record.key.len().saturating_sub(tail_bytes);
                    partition_of(&record.key[..head_bytes], partition_count)
                }
                EdgeOrder::InTurns => random.below(partition_count),
            };
            let Partition::Open(records) = &mut edge.partitions[place] else {
                return Err(Error::internal("an edge is written that was read"));
            };
            records.push(record);
        }
        Ok(())
    }
}

struct Cursor {
    parts: Vec<Arc<[Kept]>>,
    part: usize,
    /// The place after the current record.
    next: usize,
    fault: Option<Fault>,
    store: ChaosShuffle,
}

impl Records for Cursor {
    fn advance(&mut self) -> Result<bool> {
        if let Some(Fault::Read { after }) = &mut self.fault {
            match after.checked_sub(1) {
                Some(left) => *after = left,
                None => return Err(self.store.fail()),
            }
        }
        while self.parts.get(self.part).is_some_and(|part| self.next >= part.len()) {
            (self.part, self.next) = (self.part + 1, 0);
        }
        self.next += 1;
        let has_record = self.part < self.parts.len();
        // A fault that was meant for later comes at the end.
        if !has_record && self.fault.is_some() {
            return Err(self.store.fail());
        }
        Ok(has_record)
    }

    fn record(&self) -> Record<'_> {
        let Kept { key, head, tail } = &self.parts[self.part][self.next - 1];
        Record { key, head, tail }
    }
}

#[derive(Debug)]
struct Contents {
    parts: Vec<Arc<[Kept]>>,
    store: ChaosShuffle,
}

impl RecordSet for Contents {
    fn record_count(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    fn records(&self) -> Box<dyn Records> {
        let (parts, store) = (self.parts.clone(), self.store.clone());
        Box::new(Cursor { parts, part: 0, next: 0, fault: None, store })
    }
}
