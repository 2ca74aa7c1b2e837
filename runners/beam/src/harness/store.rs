//! Collections that are kept for the caller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflow::bundle::Setting;
use dataflow::coder::decode_all;
use dataflow::element::Element;
use dataflow::error::Result;
use dataflow::graph::CollectionId;
use dataflow::metrics::Metrics;
use dataflow::shuffle::{EdgeId, Prepared, RawValues, Record, RecordSet as _, RecordSink};
use dataflow::window::STAMP_BYTES;

use crate::shared::{Handover, RunningBundle};

/// Groups of elements by collection and key: one that comes again takes the place of itself, so that
/// bundles that run twice do no harm.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    kept: Arc<Mutex<Kept>>,
    /// Where all goes that the driver takes from another process.
    handover: Option<Handover>,
}

#[derive(Debug, Default)]
struct Kept {
    groups: BTreeMap<(CollectionId, i64), RawValues>,
    /// What was counted when bundles were durable: their numbers were with the runner by then.
    late: Metrics,
}

impl Store {
    /// A store of a worker whose driver is another process.
    pub(crate) fn of_worker(handover: Handover) -> Self {
        Self { kept: Arc::default(), handover: Some(handover) }
    }

    /// Says to the driver, where that is another process, that a bundle runs, until what comes back is dropped.
    ///
    /// # Errors
    /// A store that all processes share, and that fails.
    pub(super) fn begin_bundle(&self) -> Result<Option<RunningBundle>> {
        self.handover.as_ref().map(Handover::begin_bundle).transpose()
    }

    /// The elements of every collection, of which nothing is kept any more.
    ///
    /// # Errors
    /// A disk that fails.
    pub(crate) fn take(&self, setting: &Setting) -> Result<BTreeMap<CollectionId, RawValues>> {
        let groups = std::mem::take(&mut self.lock().groups);
        let mut builders = BTreeMap::new();
        for ((id, _), values) in groups {
            let builder = builders.entry(id).or_insert_with(|| setting.group_builder());
            let mut records = values.records();
            while records.advance()? {
                let Record { head, tail, .. } = records.record();
                builder.push(head, tail)?;
            }
        }
        builders.into_iter().map(|(id, builder)| Ok((id, builder.finish()?))).collect()
    }

    /// Adds numbers that no runner will tell.
    ///
    /// # Errors
    /// A store that all processes share, and that fails.
    pub(super) fn add_late(&self, metrics: &Metrics) -> Result<()> {
        match &self.handover {
            Some(handover) => handover.put_late(metrics)?,
            None => self.lock().late.merge(metrics),
        }
        Ok(())
    }

    /// The numbers that no runner tells.
    pub(crate) fn late(&self) -> Metrics {
        self.lock().late.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the groups of one collection in one bundle.
pub(super) struct StoreSink {
    pub(super) edge: EdgeId,
    pub(super) collection: CollectionId,
    pub(super) setting: Setting,
    pub(super) store: Store,
    pub(super) groups: BTreeMap<i64, RawValues>,
}

impl RecordSink for StoreSink {
    fn edge(&self) -> EdgeId {
        self.edge
    }

    fn put(&mut self, record: Record<'_>) -> Result<()> {
        let whole = [&record.head[STAMP_BYTES.min(record.head.len())..], record.tail].concat();
        let (key, values): (i64, Vec<Bytes>) = decode_all(&<(i64, Vec<Bytes>)>::coder(), &whole)?;
        let mut group = self.setting.group_builder();
        for value in values {
            // The stamp that it had is no part of a result.
            group.push(&value[STAMP_BYTES.min(value.len())..], &Bytes::new())?;
        }
        self.groups.insert(key, group.finish()?);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Box<dyn Prepared>> {
        Ok(self)
    }
}

impl Prepared for StoreSink {
    fn commit(self: Box<Self>) -> Result<()> {
        if let Some(handover) = &self.store.handover {
            let mut groups = self.groups.iter();
            let collection = self.collection;
            return groups
                .try_for_each(|(key, values)| handover.put_group(collection, *key, values));
        }
        let groups = self.groups.into_iter();
        self.store
            .lock()
            .groups
            .extend(groups.map(|(key, values)| ((self.collection, key), values)));
        Ok(())
    }
}
