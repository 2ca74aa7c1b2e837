//! The graph of a pipeline: what was applied to what. Here, and only here, types are forgotten.
//!
//! Construction is generic; a node keeps its DoFn or CombineFn behind a trait object that can
//! link itself into a chain of receivers. A collection keeps what can be done with its elements
//! without knowing them. Read `pardo.rs`, then `group.rs` and `combine.rs`.

mod by_time;
mod checked;
mod combine;
mod combine_read;
mod combine_table;
mod counted;
mod elements;
mod env;
mod feed;
mod group;
mod groups;
mod keys;
mod noted;
mod pardo;
mod shape;
mod spread;
mod view;
mod views;
mod window;
mod windowing;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::coder::CoderKind;
use crate::error::Error;
use crate::view::{PipelineId, ViewId};
use crate::window::{Stamps, WindowMapping, Windowing};

pub use combine::Combine;
pub use elements::{AnyElements, ElementsOf};
pub use env::{Env, Span, StepInfo};
pub use group::{GroupBy, GroupFacts, GroupPart, Grouping};
pub use groups::Groups;
pub use keys::KeyLayout;
pub(crate) use keys::key_mistake;
pub use noted::{ElementPlace, LeftOut, Noted, Shown};
pub use pardo::{Elementwise, ElementwiseFacts, RunParDo};
pub use shape::Shape;
pub use spread::Spreading;
pub use view::{AnyView, IterableLoader, ListLoader, MapLoader, MultimapLoader, SingletonLoader};
pub use views::{LoadedView, ViewLoad, Views};
pub use window::{AssignWindows, RunWindowInto};

/// Names a node of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// Names a collection of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId(pub u32);

/// A primitive that was applied.
#[derive(Debug, Clone)]
pub struct Node {
    /// The full name: names of the composites around it, then its own, with slashes between.
    pub name: String,
    /// The line of the recipe that applied the outermost composite.
    pub location: &'static Location<'static>,
    /// What it does.
    pub operation: Operation,
    /// What it reads, in order.
    pub inputs: Vec<CollectionId>,
    /// What it reads as side inputs.
    pub sides: Vec<Side>,
    /// What it makes, the main output first.
    pub outputs: Vec<CollectionId>,
}

/// What a node does.
#[derive(Clone)]
pub enum Operation {
    /// One empty element, once.
    Impulse,
    /// A DoFn on every element.
    ParDo(Arc<dyn Elementwise>),
    /// Brings the values of each key together.
    Group(Arc<dyn Grouping>),
    /// Puts the elements into windows.
    Window(Arc<dyn AssignWindows>),
    /// Spreads the elements evenly and makes them a place to start again from.
    Reshuffle,
    /// All elements of all inputs.
    Flatten,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Impulse => "Impulse",
            Self::ParDo(_) => "ParDo",
            Self::Group(group) if group.facts().accumulator.is_some() => "CombinePerKey",
            Self::Group(_) => "GroupByKey",
            Self::Window(_) => "Window",
            Self::Reshuffle => "Reshuffle",
            Self::Flatten => "Flatten",
        })
    }
}

/// A collection: who makes it and what its elements are.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The node that makes it.
    pub producer: NodeId,
    /// What can be done with its elements.
    pub elements: Arc<dyn AnyElements>,
    /// The coder of its elements.
    pub coder: CoderKind,
    /// Their windows.
    pub windowing: Windowing,
    /// What is known of their stamps.
    pub stamps: Stamps,
    /// Whether the caller reads it when the run is over.
    pub is_result: bool,
}

/// A side input as one node reads it.
#[derive(Debug, Clone)]
pub struct Side {
    /// The view.
    pub view: ViewId,
    /// In which window to look; `None` looks where the windows of the view say.
    pub mapping: Option<WindowMapping>,
}

/// A side input: which collection, and how it is read.
#[derive(Debug, Clone)]
pub struct View {
    /// The collection.
    pub collection: CollectionId,
    /// Reads it.
    pub loader: Arc<dyn AnyView>,
}

/// All that was applied in a pipeline, in the order of construction.
///
/// An input is always made before the node that reads it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The pipeline that it is of.
    pub pipeline: PipelineId,
    /// The nodes; a `NodeId` is a place in here.
    pub nodes: Vec<Node>,
    /// The collections; a `CollectionId` is a place in here.
    pub collections: Vec<Collection>,
    /// The views; the index of a `ViewId` is a place in here.
    pub views: Vec<View>,
    /// Mistakes that were found during construction.
    pub mistakes: Vec<Error>,
}

impl Graph {
    /// The node of this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The collection of this id.
    pub fn collection(&self, id: CollectionId) -> &Collection {
        &self.collections[id.0 as usize]
    }

    /// The view of this id.
    pub fn view(&self, id: ViewId) -> &View {
        &self.views[id.index as usize]
    }

    /// All nodes with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// The nodes that read a collection as a main input, once for every input that it is.
    pub fn consumers(&self, of: CollectionId) -> impl Iterator<Item = NodeId> + '_ {
        self.iter().flat_map(move |(id, node)| {
            node.inputs.iter().filter(move |input| **input == of).map(move |_| id)
        })
    }
}
