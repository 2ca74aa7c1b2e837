//! Reads the side inputs of a stage before its bundles start.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::{BundleProcessor, Setting};
use crate::error::{Error, Result};
use crate::graph::{AnyView, Collection, CollectionId, LoadedView, ViewLoad};
use crate::shuffle::{
    EdgeId, NoRecords, OfKey, RawValuesBuilder, Record, RecordSet, Shelf, Trimmed,
};
use crate::view::ViewId;
use crate::window::{STAMP_BYTES, Stamps, decode_window};

impl BundleProcessor<'_> {
    /// Reads the side inputs of the stage that are not read yet.
    pub(super) fn load_views(&self) -> Result<()> {
        self.stage.views.iter().try_for_each(|&id| {
            let producer = self.graph.graph().collection(self.collection_of(id)).producer;
            let made_by = &self.graph.steps()[producer.0 as usize];
            let loaded = self.setting.views.load(id, || self.load_view(id));
            loaded.map_err(|error| made_by.locate(error))
        })
    }

    fn collection_of(&self, view: ViewId) -> CollectionId {
        self.graph.graph().view(view).collection
    }

    fn load_view(&self, id: ViewId) -> Result<ViewLoad> {
        let edge = self.graph.view_edge(id);
        let edge = edge.ok_or_else(|| Error::internal("a view without an edge"))?;
        let collection = self.graph.graph().collection(self.collection_of(id));
        let loader = self.graph.graph().view(id).loader.as_ref();
        if collection.windowing.is_global() {
            let records = unstamped(self.setting.store.contents(edge)?, collection.stamps);
            return Ok(ViewLoad::Whole(loader.load(records, &mut self.setting.shelf())?));
        }
        self.load_by_window(edge, collection, loader)
    }

    /// Reads an edge whose records are keyed by window, each window once.
    fn load_by_window(
        &self,
        edge: EdgeId,
        collection: &Collection,
        loader: &dyn AnyView,
    ) -> Result<ViewLoad> {
        let Setting { store, .. } = self.setting;
        let mut shelf = self.setting.shelf();
        let mut views = BTreeMap::new();
        for partition in store.filled_partitions(edge) {
            let mut records = store.records(edge, partition)?;
            let mut is_within = records.advance()?;
            while is_within {
                let key = records.record().key.to_vec();
                let window = decode_window(&mut &key[..])?;
                let mut values = self.setting.group_builder();
                let mut record_count = 0;
                while is_within && records.record().key == key {
                    record_count += 1;
                    if !loader.keeps_records() {
                        let Record { head, tail, .. } = records.record();
                        values.push(head, tail)?;
                    }
                    is_within = records.advance()?;
                }
                let (store, key) = (Arc::clone(store), key.into());
                let set = OfKey { store, edge, partition, key, record_count };
                let view = load_window(loader, set, values, &mut shelf);
                views.insert(window, view.map_err(|error| error.at("window", window))?);
            }
        }
        let nothing = loader.load(Arc::new(NoRecords), &mut shelf);
        Ok(ViewLoad::ByWindow(collection.windowing.clone(), views, nothing))
    }
}

fn load_window(
    loader: &dyn AnyView,
    set: OfKey,
    values: RawValuesBuilder,
    shelf: &mut Shelf,
) -> Result<LoadedView> {
    if loader.keeps_records() {
        return loader.load(Arc::new(set), shelf);
    }
    loader.load(Arc::new(values.finish()?), shelf)
}

/// The records without the stamps before their values.
pub(super) fn unstamped(records: Arc<dyn RecordSet>, stamps: Stamps) -> Arc<dyn RecordSet> {
    match stamps {
        Stamps::Same(_) => records,
        Stamps::Each => Arc::new(Trimmed { records, head_bytes: STAMP_BYTES }),
    }
}
