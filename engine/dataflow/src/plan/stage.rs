//! Stages, and the edges between them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::graph::{CollectionId, Graph, KeyLayout, NodeId, Operation, StepInfo};
use crate::plan::{CompileOptions, Fingerprint};
use crate::shuffle::{EdgeId, EdgeOrder};
use crate::view::ViewId;

/// Names a stage of one stage graph; stages are numbered in an order in which they can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u32);

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:03}", self.0)
    }
}

/// A pipeline cut into stages. Immutable, and shared by all threads of a run.
#[derive(Debug)]
pub struct StageGraph {
    pub(crate) graph: Graph,
    pub(crate) stages: Vec<Stage>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) options: CompileOptions,
    pub(crate) steps: Arc<[StepInfo]>,
    pub(crate) fingerprint: Fingerprint,
}

impl StageGraph {
    /// The stages, each after all that it needs.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The edges.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The graph that was compiled.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the compiler was allowed to do.
    pub fn options(&self) -> CompileOptions {
        self.options
    }

    /// The names and lines of all nodes.
    pub fn steps(&self) -> &Arc<[StepInfo]> {
        &self.steps
    }

    /// The identity of the plan: equal on a driver and a worker that built the same pipeline.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The stage of this id.
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0 as usize]
    }

    /// The edge of this id.
    pub fn edge(&self, id: EdgeId) -> &Edge {
        &self.edges[id.0 as usize]
    }

    /// Whether what lies on an edge was combined before.
    pub fn is_lifted(&self, edge: EdgeId) -> bool {
        matches!(self.edge(edge).purpose, EdgePurpose::Group { is_lifted: true, .. })
    }

    /// The edge on which a collection lies element by element, if it does.
    pub fn plain_edge(&self, collection: CollectionId) -> Option<&Edge> {
        self.edges
            .iter()
            .find(|edge| edge.collection == collection && edge.purpose == EdgePurpose::Plain)
    }

    /// The stages that read an edge, as main input or as side input.
    pub fn readers(&self, edge: EdgeId) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(move |stage| {
            let is_input = stage.inputs.contains(&edge);
            is_input || stage.views.iter().any(|&view| self.view_edge(view) == Some(edge))
        })
    }

    /// The edge that a view is read from.
    pub fn view_edge(&self, view: ViewId) -> Option<EdgeId> {
        let collection = self.graph.view(view).collection;
        let is_global = self.graph.collection(collection).windowing.is_global();
        let purpose = if is_global { EdgePurpose::Plain } else { EdgePurpose::ByWindow };
        let is_read = |edge: &&Edge| edge.collection == collection && edge.purpose == purpose;
        self.edges.iter().find(is_read).map(|edge| edge.id)
    }

    /// How the keys of a grouping are laid out.
    pub fn key_layout(&self, grouping: NodeId) -> KeyLayout {
        key_layout(&self.graph, grouping)
    }

    /// How the records of an edge are ordered.
    pub fn order(&self, edge: EdgeId) -> EdgeOrder {
        match self.edge(edge).purpose {
            EdgePurpose::Plain => EdgeOrder::InTurns,
            EdgePurpose::ByWindow => EdgeOrder::ByKey,
            EdgePurpose::Group { node, .. } => self.key_layout(node).order(),
        }
    }
}

/// How the keys of a grouping of this graph are laid out.
pub(super) fn key_layout(graph: &Graph, grouping: NodeId) -> KeyLayout {
    let node = graph.node(grouping);
    let is_by_time = matches!(&node.operation, Operation::Group(group) if group.facts().is_by_time);
    KeyLayout::new(graph.collection(node.inputs[0]), is_by_time)
}

/// Transforms that run together on every bundle.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The id.
    pub id: StageId,
    /// What the stage begins with.
    pub root: Root,
    /// The nodes that run in it, inputs before what reads them.
    pub members: Vec<NodeId>,
    /// The edges it reads as main input; one that is flattened with itself stands twice.
    pub inputs: Vec<EdgeId>,
    /// The edges it writes.
    pub outputs: Vec<EdgeId>,
    /// The side inputs of its members.
    pub views: Vec<ViewId>,
    /// The stages that must be done before it.
    pub after: BTreeSet<StageId>,
    /// Bytes that one of its bundles needs before it starts.
    pub working_bytes: u64,
}

/// What a stage begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The one empty element of this collection.
    Impulse(CollectionId),
    /// The elements on its input edges; they are those of this collection.
    Read(CollectionId),
    /// The groups on its input edge, read by this node.
    Group(NodeId),
}

/// Elements that one stage leaves for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The id.
    pub id: EdgeId,
    /// The collection that lies on it.
    pub collection: CollectionId,
    /// Why it is there.
    pub purpose: EdgePurpose,
    /// The stage that writes it.
    pub writer: StageId,
}

/// Why elements are left for another stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgePurpose {
    /// They are read one by one: after a reshuffle, unfused, as side input, or as a result.
    Plain,
    /// They are read as side inputs, window by window.
    ByWindow,
    /// They are grouped by this node; lifted means that they are combined before.
    Group {
        /// The grouping.
        node: NodeId,
        /// Whether combining begins before the shuffle.
        is_lifted: bool,
    },
}
