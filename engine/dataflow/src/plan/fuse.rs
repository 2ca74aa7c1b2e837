//! Groups nodes into stages.
//!
//! A ParDo joins the stage that makes its input, unless one of its side inputs is made by that
//! stage or after it: a stage cannot wait for itself. A flatten joins when all its inputs are made
//! in one stage. Everything else begins a stage of its own, and its input is left on an edge.
//!
//! Source: C. Chambers et al., "FlumeJava", PLDI 2010, section 4 (producer-consumer fusion).

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{CollectionId, Graph, Node, NodeId, Operation, Side};
use crate::plan::CompileOptions;
use crate::plan::stage::{Edge, EdgePurpose, Root, Stage, StageId, key_layout};
use crate::receiver::BATCH_BYTES;
use crate::shuffle::{EdgeId, LOOK_UP_BYTES, READER_BYTES, WRITER_BYTES};

/// What every bundle needs whatever it does: its chain, its metrics, its task.
const BUNDLE_BYTES: u64 = 256 << 10;

/// Cuts a graph into stages and edges.
pub(super) fn fuse(graph: &Graph, options: CompileOptions) -> (Vec<Stage>, Vec<Edge>) {
    let mut fusion = Fusion {
        graph,
        options,
        stages: Vec::new(),
        edges: Vec::new(),
        homes: BTreeMap::new(),
        plain: BTreeMap::new(),
        by_window: BTreeSet::new(),
    };
    for (id, node) in graph.iter() {
        fusion.place(id, node);
    }
    for (index, collection) in graph.collections.iter().enumerate() {
        if collection.is_result {
            fusion.plain_edge(CollectionId(index as u32));
        }
    }
    fusion.finish()
}

struct Fusion<'g> {
    graph: &'g Graph,
    options: CompileOptions,
    stages: Vec<Stage>,
    edges: Vec<Edge>,
    /// The stage that makes each collection.
    homes: BTreeMap<CollectionId, StageId>,
    /// The edge on which each collection lies element by element.
    plain: BTreeMap<CollectionId, EdgeId>,
    /// The collections that lie on an edge by window.
    by_window: BTreeSet<CollectionId>,
}

impl Fusion<'_> {
    fn place(&mut self, id: NodeId, node: &Node) {
        let stage = match &node.operation {
            Operation::Impulse => self.new_stage(Root::Impulse(node.outputs[0]), vec![]),
            Operation::Group(group) => {
                // An accumulator has no room for the times of its values.
                let carries_times = key_layout(self.graph, id).carries_times();
                let is_combine = group.facts().accumulator.is_some();
                let is_lifted = self.options.lift && is_combine && !carries_times;
                let purpose = EdgePurpose::Group { node: id, is_lifted };
                let edge = self.new_edge(node.inputs[0], purpose);
                self.new_stage(Root::Group(id), vec![edge])
            }
            Operation::Reshuffle => {
                let edge = self.plain_edge(node.inputs[0]);
                self.new_stage(Root::Read(node.outputs[0]), vec![edge])
            }
            Operation::Flatten => self.common_home(&node.inputs).unwrap_or_else(|| {
                let edges = node.inputs.iter().map(|&input| self.plain_edge(input)).collect();
                self.new_stage(Root::Read(node.outputs[0]), edges)
            }),
            Operation::ParDo(_) | Operation::Window(_) => {
                let home = self.homes[&node.inputs[0]];
                let sides = self.side_stages(&node.sides);
                let waits_for_itself =
                    sides.iter().any(|&side| side == home || self.is_after(side, home));
                let stage = if self.options.fuse && !waits_for_itself {
                    home
                } else {
                    let edge = self.plain_edge(node.inputs[0]);
                    self.new_stage(Root::Read(node.inputs[0]), vec![edge])
                };
                let place = &mut self.stages[stage.0 as usize];
                place.after.extend(sides);
                place.views.extend(node.sides.iter().map(|side| side.view));
                stage
            }
        };
        self.stages[stage.0 as usize].members.push(id);
        self.homes.extend(node.outputs.iter().map(|&output| (output, stage)));
    }

    /// The stage that makes all of these collections, where that is one and fusing is allowed.
    fn common_home(&self, inputs: &[CollectionId]) -> Option<StageId> {
        let first = self.homes[inputs.first()?];
        let is_common = inputs.iter().all(|input| self.homes[input] == first);
        (self.options.fuse && is_common).then_some(first)
    }

    /// Leaves the collections of these views on edges; the stages that make them.
    fn side_stages(&mut self, sides: &[Side]) -> BTreeSet<StageId> {
        let collections = sides.iter().map(|side| self.graph.view(side.view).collection);
        let collections: Vec<_> = collections.collect();
        for &collection in &collections {
            if self.graph.collection(collection).windowing.is_global() {
                self.plain_edge(collection);
            } else if self.by_window.insert(collection) {
                self.new_edge(collection, EdgePurpose::ByWindow);
            }
        }
        collections.iter().map(|collection| self.homes[collection]).collect()
    }

    /// Whether `stage` waits for `other`, however many stages lie between.
    fn is_after(&self, stage: StageId, other: StageId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![stage];
        while let Some(stage) = open.pop() {
            if seen.insert(stage) {
                open.extend(&self.stages[stage.0 as usize].after);
            }
        }
        stage != other && seen.contains(&other)
    }

    fn new_stage(&mut self, root: Root, inputs: Vec<EdgeId>) -> StageId {
        let id = StageId(self.stages.len() as u32);
        let after = inputs.iter().map(|edge| self.edges[edge.0 as usize].writer).collect();
        let (members, outputs, views) = (vec![], vec![], vec![]);
        let working_bytes = 0;
        self.stages.push(Stage { id, root, members, inputs, outputs, views, after, working_bytes });
        id
    }

    fn new_edge(&mut self, collection: CollectionId, purpose: EdgePurpose) -> EdgeId {
        let id = EdgeId(self.edges.len() as u32);
        let writer = self.homes[&collection];
        self.edges.push(Edge { id, collection, purpose, writer });
        self.stages[writer.0 as usize].outputs.push(id);
        id
    }

    fn plain_edge(&mut self, collection: CollectionId) -> EdgeId {
        if let Some(&edge) = self.plain.get(&collection) {
            return edge;
        }
        let edge = self.new_edge(collection, EdgePurpose::Plain);
        self.plain.insert(collection, edge);
        edge
    }

    /// Numbers the stages in an order in which they can run, and adds up what a bundle needs.
    fn finish(mut self) -> (Vec<Stage>, Vec<Edge>) {
        let mut numbers: BTreeMap<StageId, StageId> = BTreeMap::new();
        while numbers.len() < self.stages.len() {
            let is_ready = |stage: &&Stage| {
                !numbers.contains_key(&stage.id)
                    && stage.after.iter().all(|before| numbers.contains_key(before))
            };
            let next = self.stages.iter().find(is_ready).map(|stage| stage.id);
            let next = next.expect("fusing makes no cycle");
            numbers.insert(next, StageId(numbers.len() as u32));
        }
        for edge in &mut self.edges {
            edge.writer = numbers[&edge.writer];
        }
        for stage in &mut self.stages {
            stage.id = numbers[&stage.id];
            stage.after = stage.after.iter().map(|before| numbers[before]).collect();
            stage.views.sort_unstable();
            stage.views.dedup();
            let nodes = stage.members.iter().map(|&member| self.graph.node(member));
            let declared: u64 = nodes
                .map(|node| match &node.operation {
                    Operation::ParDo(pardo) => {
                        BATCH_BYTES as u64 + pardo.facts().dofn.working_bytes
                    }
                    _ => BATCH_BYTES as u64,
                })
                .sum();
            let writers = stage.outputs.len() as u64 * WRITER_BYTES;
            let sides = stage.views.len() as u64 * LOOK_UP_BYTES;
            stage.working_bytes = BUNDLE_BYTES + READER_BYTES + writers + sides + declared;
        }
        self.stages.sort_by_key(|stage| stage.id);
        (self.stages, self.edges)
    }
}
