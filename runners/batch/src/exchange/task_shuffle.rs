//! The shuffle as one task sees it: inputs that were fetched, outputs that wait to be exported.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow::bundle::BundleInput;
use dataflow::error::Result;
use dataflow::shuffle::{
    EdgeId, EdgeOrder, InProcessShuffle, NoRecords, RecordSet, RecordSink, Records, ShuffleStore,
};

use crate::exchange::Exchange;

/// Reads what earlier stages have left, and keeps what this task leaves.
pub(crate) struct TaskShuffle {
    exchange: Arc<Exchange>,
    /// What was fetched of each edge, and which partitions.
    inputs: Mutex<BTreeMap<(EdgeId, usize), InProcessShuffle>>,
    outputs: InProcessShuffle,
}

impl TaskShuffle {
    pub(crate) fn new(exchange: &Arc<Exchange>, outputs: InProcessShuffle) -> Self {
        Self { exchange: Arc::clone(exchange), inputs: Mutex::default(), outputs }
    }

    /// What the task leaves.
    pub(crate) fn outputs(&self) -> &InProcessShuffle {
        &self.outputs
    }

    /// Reads where the records of these edges lie; to be called before anything asks for them.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn know(&self, edges: impl IntoIterator<Item = EdgeId>) -> Result<()> {
        edges.into_iter().try_for_each(|edge| self.exchange.index(edge).map(drop))
    }

    /// Fetches the inputs of these bundles, so that reading them waits for no store.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn fetch(&self, bundles: &[BundleInput]) -> Result<()> {
        let mut by_edge: BTreeMap<EdgeId, Vec<usize>> = BTreeMap::new();
        for bundle in bundles {
            if let BundleInput::Partition { edge, partition } = *bundle {
                by_edge.entry(edge).or_default().push(partition);
            }
        }
        for (edge, partitions) in by_edge {
            let fetched = self.exchange.fetch(edge, &partitions)?;
            let fetched = partitions.into_iter().map(|it| ((edge, it), fetched.clone()));
            self.inputs.lock().unwrap_or_else(PoisonError::into_inner).extend(fetched);
        }
        Ok(())
    }

    fn input(&self, edge: EdgeId, partition: usize) -> Result<InProcessShuffle> {
        let place = (edge, partition);
        let inputs = || self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inputs().get(&place) {
            return Ok(known.clone());
        }
        let fetched = self.exchange.fetch(edge, &[partition])?;
        inputs().insert(place, fetched.clone());
        Ok(fetched)
    }
}

impl ShuffleStore for TaskShuffle {
    fn declare(&self, edge: EdgeId, order: EdgeOrder, partition_count: usize) {
        self.outputs.declare(edge, order, partition_count);
    }

    fn sink(&self, edge: EdgeId) -> Result<Box<dyn RecordSink>> {
        self.outputs.sink(edge)
    }

    fn records(&self, edge: EdgeId, partition: usize) -> Result<Box<dyn Records>> {
        self.input(edge, partition)?.records(edge, partition)
    }

    fn contents(&self, edge: EdgeId) -> Result<Arc<dyn RecordSet>> {
        let partitions = self.exchange.index(edge)?.filled_partitions(edge);
        if partitions.is_empty() {
            return Ok(Arc::new(NoRecords));
        }
        self.exchange.fetch(edge, &partitions)?.contents(edge)
    }

    fn filled_partitions(&self, edge: EdgeId) -> Vec<usize> {
        let index = self.exchange.known_index(edge);
        index
            .expect("the indexes of a stage are read before it is prepared")
            .filled_partitions(edge)
    }

    fn release(&self, _: EdgeId) {
        // What a stage has left belongs to the driver, which knows who still reads it.
    }
}

impl fmt::Debug for TaskShuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskShuffle").finish_non_exhaustive()
    }
}
