//! The collections that the caller asked for, once a run is over.

use std::collections::BTreeMap;

use crate::bundle::Setting;
use crate::bundle::side_inputs::unstamped;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::CollectionId;
use crate::pcollection::Collected;
use crate::plan::StageGraph;
use crate::shuffle::{Iterable, RawValues};
use crate::view::PipelineId;

/// What a finished run holds of the collections that were asked for.
///
/// Nothing is copied: the values stay where the run has left them, in memory or on disk.
#[derive(Debug, Clone)]
pub struct Results {
    pipeline: PipelineId,
    values: BTreeMap<CollectionId, RawValues>,
}

impl Results {
    /// The values of these collections, from a run of this graph elsewhere.
    pub fn of(graph: &StageGraph, values: BTreeMap<CollectionId, RawValues>) -> Self {
        Self { pipeline: graph.graph().pipeline, values }
    }

    /// All collections of a finished run that were asked for.
    ///
    /// # Errors
    /// A store that fails.
    pub fn gather(graph: &StageGraph, setting: &Setting) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (index, collection) in graph.graph().collections.iter().enumerate() {
            let id = CollectionId(index as u32);
            if let Some(edge) = graph.plain_edge(id).filter(|_| collection.is_result) {
                let records = setting.store().contents(edge.id)?;
                values.insert(id, RawValues::of_records(unstamped(records, collection.stamps)));
            }
        }
        Ok(Self { pipeline: graph.graph().pipeline, values })
    }

    /// The elements of a collection, in no order.
    ///
    /// # Errors
    /// A collection that was not asked for before the run.
    pub fn get<T: Element>(&self, of: &Collected<T>) -> Result<Iterable<T>> {
        let raw = self.values.get(&of.id()).filter(|_| of.pipeline() == self.pipeline);
        let raw = raw.cloned().ok_or_else(|| {
            let message = "the run does not hold this collection";
            Error::new(ErrorCode::NO_RESULT, ErrorKind::InvalidInput, message)
                .mend("call `collect` on it before its pipeline runs")
        })?;
        Ok(Iterable::outside(raw))
    }
}
