//! Handles of collections: owned, nameable, cheap to clone.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crate::element::Element;
use crate::graph::{
    AnyView, CollectionId, IterableLoader, ListLoader, MapLoader, MultimapLoader, SingletonLoader,
};
use crate::pipeline::{Name, Pipeline};
use crate::ptransform::PTransform;
use crate::shuffle::Iterable;
use crate::view::{ListView, MapView, MultimapView, PCollectionView, PipelineId};
use crate::window::Windowing;

/// A collection of elements of type `T`, still to be computed.
///
/// The handle holds its pipeline; it has no lifetime, so that anything can keep it.
pub struct PCollection<T> {
    pipeline: Pipeline,
    id: CollectionId,
    of: PhantomData<fn() -> T>,
}

impl<T> PCollection<T> {
    pub(crate) fn new(pipeline: Pipeline, id: CollectionId) -> Self {
        Self { pipeline, id, of: PhantomData }
    }

    /// The id within the graph.
    pub fn id(&self) -> CollectionId {
        self.id
    }

    /// The windows of its elements.
    pub fn windowing(&self) -> Windowing {
        self.pipeline.windowing(self.id)
    }

    /// The pipeline that this collection is of.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Applies a transform under its own name.
    #[track_caller]
    pub fn apply<X: PTransform<Self>>(&self, transform: X) -> X::Output {
        let name = Name::Own(transform.name());
        self.pipeline.expand(name, Location::caller(), || transform.expand(self.clone()))
    }

    /// Applies a transform under a name that must be new.
    #[track_caller]
    pub fn apply_named<X: PTransform<Self>>(&self, name: &str, transform: X) -> X::Output {
        let name = Name::Given(name.to_owned());
        self.pipeline.expand(name, Location::caller(), || transform.expand(self.clone()))
    }
}

impl<T: Element> PCollection<T> {
    /// Asks for the elements when the run is over.
    pub fn collect(&self) -> Collected<T> {
        self.pipeline.ask_for(self.id);
        Collected { pipeline: self.pipeline.id(), id: self.id, of: PhantomData }
    }

    /// A side input that is the only element of this collection.
    #[track_caller]
    pub fn as_singleton_view(&self) -> PCollectionView<T> {
        self.view(Arc::new(SingletonLoader::<T>::new(None)))
    }

    /// A side input that is the only element, or `default` where there is none.
    #[track_caller]
    pub fn as_singleton_view_or(&self, default: T) -> PCollectionView<T> {
        self.view(Arc::new(SingletonLoader::new(Some(default))))
    }

    /// A side input of all elements, in no order.
    #[track_caller]
    pub fn as_iterable_view(&self) -> PCollectionView<Iterable<T>> {
        self.view(Arc::new(IterableLoader::<T>::new()))
    }

    /// A side input of all elements, to be looked up by place.
    ///
    /// What memory does not hold is looked up on disk.
    #[track_caller]
    pub fn as_list_view(&self) -> PCollectionView<ListView<T>> {
        self.view(Arc::new(ListLoader::<T>::default()))
    }

    #[track_caller]
    fn view<V>(&self, loader: Arc<dyn AnyView>) -> PCollectionView<V> {
        self.pipeline.add_view(self.id, loader, Location::caller())
    }
}

impl<K: Element, V: Element> PCollection<(K, V)> {
    /// A side input that is looked up by key; each key may occur once.
    ///
    /// What memory does not hold is looked up on disk. Keys need a deterministic coder.
    #[track_caller]
    pub fn as_map_view(&self) -> PCollectionView<MapView<K, V>> {
        self.view(Arc::new(MapLoader::<K, V>::default()))
    }

    /// A side input that is looked up by key and gives all values of it.
    ///
    /// What memory does not hold is looked up on disk. Keys need a deterministic coder.
    #[track_caller]
    pub fn as_multimap_view(&self) -> PCollectionView<MultimapView<K, V>> {
        self.view(Arc::new(MultimapLoader::<K, V>::default()))
    }
}

impl<T> Clone for PCollection<T> {
    fn clone(&self) -> Self {
        Self::new(self.pipeline.clone(), self.id)
    }
}

impl<T> fmt::Debug for PCollection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCollection({})", self.id.0)
    }
}

/// A collection that was asked for: what a finished run is asked with.
pub struct Collected<T> {
    pipeline: PipelineId,
    id: CollectionId,
    of: PhantomData<fn() -> T>,
}

impl<T> Collected<T> {
    /// The pipeline of the collection.
    pub fn pipeline(&self) -> PipelineId {
        self.pipeline
    }

    /// The collection.
    pub fn id(&self) -> CollectionId {
        self.id
    }
}

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Self { pipeline: self.pipeline, id: self.id, of: PhantomData }
    }
}

impl<T> fmt::Debug for Collected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collected({})", self.id.0)
    }
}

/// Several collections of one type, to be flattened.
#[derive(Debug, Clone)]
pub struct PCollectionList<T> {
    pipeline: Pipeline,
    collections: Vec<PCollection<T>>,
}

impl<T> PCollectionList<T> {
    /// A list of no collection.
    pub fn empty(pipeline: &Pipeline) -> Self {
        Self { pipeline: pipeline.clone(), collections: Vec::new() }
    }

    /// A list of these collections; the same one may stand in it twice.
    pub fn of(first: &PCollection<T>, others: impl IntoIterator<Item = PCollection<T>>) -> Self {
        let collections = std::iter::once(first.clone()).chain(others).collect();
        Self { pipeline: first.pipeline.clone(), collections }
    }

    /// Adds a collection.
    pub fn push(&mut self, collection: &PCollection<T>) {
        self.collections.push(collection.clone());
    }

    /// The collections.
    pub fn collections(&self) -> &[PCollection<T>] {
        &self.collections
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Applies a transform of lists under its own name.
    #[track_caller]
    pub fn apply<X: PTransform<Self>>(&self, transform: X) -> X::Output
    where
        T: Element,
    {
        let name = Name::Own(transform.name());
        self.pipeline.expand(name, Location::caller(), || transform.expand(self.clone()))
    }
}
