//! A pipeline under construction.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::coder::Coder;
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{
    AnyView, Collection, CollectionId, ElementsOf, Graph, Node, NodeId, Operation, Side, View,
};
use crate::pcollection::PCollection;
use crate::ptransform::PTransform;
use crate::view::{PCollectionView, PipelineId, ViewId};
use crate::window::{Stamps, Windowing};

/// A graph of transforms that is being built; clones build the same one.
///
/// Building is pure: the same recipe with the same arguments gives the same graph. Mistakes are
/// kept and returned when the pipeline is compiled.
#[derive(Clone, Default)]
pub struct Pipeline(Arc<Mutex<Builder>>);

#[derive(Default)]
struct Builder {
    graph: Graph,
    /// The names of the composites that are being expanded, outermost first.
    scopes: Vec<String>,
    /// Where the outermost composite was applied.
    location: Option<&'static Location<'static>>,
    names: BTreeMap<String, &'static Location<'static>>,
    has_run: bool,
}

/// What a new node makes on one of its outputs.
pub(crate) struct Output(Collection);

impl Output {
    pub(crate) fn of<T: Element>() -> Self {
        Self(Collection {
            producer: NodeId(0),
            elements: Arc::new(ElementsOf::<T>::new()),
            coder: T::coder().kind(),
            windowing: Windowing::default(),
            stamps: Stamps::Each,
            is_result: false,
        })
    }
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a transform that reads nothing, under its own name.
    #[track_caller]
    pub fn apply<X: PTransform<Self>>(&self, transform: X) -> X::Output {
        let name = Name::Own(transform.name());
        self.expand(name, Location::caller(), || transform.expand(self.clone()))
    }

    /// Applies a transform that reads nothing, under a name that must be new.
    #[track_caller]
    pub fn apply_named<X: PTransform<Self>>(&self, name: &str, transform: X) -> X::Output {
        let name = Name::Given(name.to_owned());
        self.expand(name, Location::caller(), || transform.expand(self.clone()))
    }

    /// A copy of the graph as it is now.
    ///
    /// # Errors
    /// The first mistake that was made during construction.
    pub fn graph(&self) -> Result<Graph> {
        let graph = self.lock().graph.clone();
        match graph.mistakes.first() {
            Some(mistake) => Err(mistake.clone()),
            None => Ok(graph),
        }
    }

    /// Runs `expand` within a scope of this name.
    pub(crate) fn expand<R>(
        &self,
        name: Name,
        location: &'static Location<'static>,
        expand: impl FnOnce() -> R,
    ) -> R {
        let is_outermost = self.enter(name, location);
        let result = expand();
        self.leave(is_outermost);
        result
    }

    fn enter(&self, name: Name, location: &'static Location<'static>) -> bool {
        self.lock().enter(name, location)
    }

    fn leave(&self, is_outermost: bool) {
        let mut builder = self.lock();
        builder.scopes.pop();
        if is_outermost {
            builder.location = None;
        }
    }

    /// Adds a node under the name of the current scope.
    pub(crate) fn add_node(
        &self,
        operation: Operation,
        inputs: &[CollectionId],
        sides: &[Side],
        outputs: Vec<Output>,
    ) -> Vec<CollectionId> {
        let mut builder = self.lock();
        let name = builder.scopes.join("/");
        let location = builder.location.unwrap_or_else(|| Location::caller());
        let windows = builder.graph.windows_after(&operation, inputs);
        let (windowing, stamps) = windows.unwrap_or_else(|mistake| {
            builder.mistake(mistake);
            (Windowing::default(), Stamps::Each)
        });
        let graph = &mut builder.graph;
        let producer = NodeId(graph.nodes.len() as u32);
        let first = graph.collections.len() as u32;
        let made = outputs.into_iter().map(|output| {
            let windowing = windowing.clone();
            Collection { producer, windowing, stamps, ..output.0 }
        });
        graph.collections.extend(made);
        let ids: Vec<_> = (first..graph.collections.len() as u32).map(CollectionId).collect();
        let (inputs, sides, outputs) = (inputs.to_vec(), sides.to_vec(), ids.clone());
        graph.nodes.push(Node { name, location, operation, inputs, sides, outputs });
        ids
    }

    /// Adds a node with one output.
    pub(crate) fn add<T: Element>(
        &self,
        operation: Operation,
        inputs: &[CollectionId],
    ) -> PCollection<T> {
        let ids = self.add_node(operation, inputs, &[], vec![Output::of::<T>()]);
        PCollection::new(self.clone(), ids[0])
    }

    /// Adds a view of a collection, which was asked for at `location`.
    pub(crate) fn add_view<V>(
        &self,
        collection: CollectionId,
        loader: Arc<dyn AnyView>,
        location: &'static Location<'static>,
    ) -> PCollectionView<V> {
        let mut builder = self.lock();
        if let Some(mistake) = loader.mistake() {
            builder.mistake_of_view(mistake, collection, location);
        }
        let windowing = &builder.graph.collection(collection).windowing;
        if windowing.merges {
            let message =
                format!("a side input is made of a collection whose windows merge ({windowing})");
            let error = Error::new(ErrorCode::WINDOWS_DIFFER, ErrorKind::InvalidInput, message);
            let mend = "put it into windows that do not merge before, with `WindowInto`";
            builder.mistake_of_view(error.mend(mend), collection, location);
        }
        let graph = &mut builder.graph;
        let id = ViewId { pipeline: graph.pipeline, index: graph.views.len() as u32 };
        graph.views.push(View { collection, loader });
        PCollectionView::new(id)
    }

    /// The windows of a view of this pipeline.
    pub(crate) fn view_windowing(&self, view: ViewId) -> Windowing {
        let builder = self.lock();
        let collection = builder.graph.view(view).collection;
        builder.graph.collection(collection).windowing.clone()
    }

    /// What tells this pipeline from the others of this process.
    pub(crate) fn id(&self) -> PipelineId {
        self.lock().graph.pipeline
    }

    /// Asks for a collection when the run is over.
    pub(crate) fn ask_for(&self, collection: CollectionId) {
        self.lock().graph.collections[collection.0 as usize].is_result = true;
    }

    /// Notes that the pipeline runs, or has run: what is added now was not looked at.
    pub(crate) fn note_run(&self) {
        self.lock().has_run = true;
    }

    /// Whether a run of this pipeline has begun.
    pub fn has_run(&self) -> bool {
        self.lock().has_run
    }

    /// Keeps a mistake of the recipe, with the name and line of the current scope.
    pub(crate) fn mistake(&self, error: Error) {
        self.lock().mistake(error);
    }

    /// The windows of a collection.
    pub(crate) fn windowing(&self, of: CollectionId) -> Windowing {
        self.lock().graph.collection(of).windowing.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Builder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a transform: its own may be numbered to be unique, a given one must be.
pub(crate) enum Name {
    Own(String),
    Given(String),
}

impl Builder {
    /// Keeps a mistake of the recipe, with the name and line of the current scope.
    fn mistake(&mut self, error: Error) {
        let error = error.at("step", self.scopes.join("/"));
        let error = match self.location {
            Some(at) => error.at("recipe", format_args!("{}:{}", at.file(), at.line())),
            None => error,
        };
        self.graph.mistakes.push(error);
    }

    /// Keeps a mistake in making a view: outside of any scope it is that of who made the collection.
    fn mistake_of_view(
        &mut self,
        error: Error,
        collection: CollectionId,
        location: &'static Location<'static>,
    ) {
        if !self.scopes.is_empty() {
            return self.mistake(error);
        }
        let producer = self.graph.collection(collection).producer;
        let error = error.at("step", &self.graph.node(producer).name);
        let error = error.at("recipe", format_args!("{}:{}", location.file(), location.line()));
        self.graph.mistakes.push(error);
    }

    /// Enters a scope; whether it is the outermost one.
    fn enter(&mut self, name: Name, location: &'static Location<'static>) -> bool {
        let is_outermost = self.scopes.is_empty();
        if is_outermost {
            self.location = Some(location);
        }
        let (wanted, is_given) = match name {
            Name::Own(name) => (name, false),
            Name::Given(name) => (name, true),
        };
        let full = |name: &str| {
            let outer = self.scopes.iter().map(String::as_str);
            outer.chain([name]).collect::<Vec<_>>().join("/")
        };
        let mut name = wanted.clone();
        for number in 2.. {
            let Some(first) = self.names.get(&full(&name)) else { break };
            if is_given && number == 2 {
                let message = format!("two transforms are called `{}`", full(&wanted));
                let error = Error::new(ErrorCode::DUPLICATE_NAME, ErrorKind::InvalidInput, message);
                let line = |at: &Location<'_>| format!("{}:{}", at.file(), at.line());
                let error = error
                    .at("recipe", format_args!("{} and {}", line(first), line(location)))
                    .mend("give one of them another name with `apply_named`");
                self.graph.mistakes.push(error);
            }
            name = format!("{wanted}{number}");
        }
        self.names.insert(full(&name), location);
        self.scopes.push(name);
        is_outermost
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let builder = self.lock();
        let names = builder.graph.nodes.iter().map(|node| &node.name);
        f.debug_list().entries(names).finish()
    }
}
