//! The collections that the caller asked for, once a run is over.

use std::collections::BTreeMap;

use crate::bundle::Setting;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::CollectionId;
use crate::pcollection::Collected;
use crate::plan::StageGraph;
use crate::shuffle::{EdgeId, Iterable, RawValues, RawValuesBuilder, ReadFault, Record, Records};

/// What a finished run holds of the collections that were asked for.
#[derive(Debug, Clone, Default)]
pub struct Results(BTreeMap<CollectionId, RawValues>);

impl Results {
    /// Reads all collections of a finished run that were asked for.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn gather(graph: &StageGraph, setting: &Setting) -> Result<Self> {
        let mut results = BTreeMap::new();
        for (index, collection) in graph.graph().collections.iter().enumerate() {
            let id = CollectionId(index as u32);
            let Some(edge) = graph.plain_edge(id).filter(|_| collection.is_result) else {
                continue;
            };
            let env = setting.env(graph);
            let mut values: RawValuesBuilder = env.group_builder();
            let mut records = setting.read_all(edge.id)?;
            while records.advance()? {
                let Record { head, tail, .. } = records.record();
                values.push(head, tail)?;
            }
            results.insert(id, values.finish()?);
        }
        Ok(Self(results))
    }

    /// The elements of a collection, in no order.
    ///
    /// # Errors
    /// A collection that was not asked for before the run.
    pub fn get<T: Element>(&self, of: &Collected<T>) -> Result<Iterable<T>> {
        let raw = self.0.get(&of.id()).cloned().ok_or_else(|| {
            let message = "the run does not hold this collection";
            Error::new(ErrorCode::NO_RESULT, ErrorKind::InvalidInput, message)
                .mend("call `collect` on it before the pipeline runs")
        })?;
        Ok(Iterable::new(raw, ReadFault::default()))
    }
}

impl Setting {
    /// All records of an edge, partition after partition.
    pub(super) fn read_all(&self, edge: EdgeId) -> Result<Box<dyn Records>> {
        let partitions = self.store.filled_partitions(edge).into_iter();
        let cursors = partitions.map(|partition| self.store.records(edge, partition));
        Ok(crate::shuffle::chained(cursors.collect::<Result<_>>()?))
    }
}
