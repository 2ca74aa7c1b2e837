//! Bundles of parts of transforms that a foreign runner has picked.
//!
//! Our compiler cuts a graph into stages; a foreign one cuts it as it likes, and names the parts one by
//! one. Whoever speaks with it wires them up; here they are linked, fed and committed as those of a
//! stage are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::bundle::finalize::{self, Callbacks};
use crate::bundle::{BundleProcessor, BundleReport, Failures, Setting, guard};
use crate::error::{Error, Result};
use crate::graph::{
    CollectionId, Env, GroupPart, Node, NodeId, Operation, Shape, Side, Spreading, View, ViewLoad,
};
use crate::metrics::{self, Metrics};
use crate::plan::StageGraph;
use crate::receiver::AnyReceiver;
use crate::shuffle::{NoRecords, Prepared, RawValuesBuilder, Record, RecordSink, Records};
use crate::view::ViewId;
use crate::window::{Stamps, Window, decode_window};

/// A part of a transform, or of what surrounds a collection, that runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All of a ParDo, a window or a flatten.
    Whole(NodeId),
    /// All elements of several wires on one, where a runner has put in a flatten of its own.
    Join,
    /// What a grouping does before or after equal keys come together.
    Group(NodeId, GroupPart),
    /// Makes pairs of a key and bytes of the elements that a reshuffle reads.
    Spread(CollectionId),
    /// Makes the elements that a reshuffle gives of such pairs, grouped.
    Gather(CollectionId),
    /// All elements of a collection that a runner makes, where it would move or hand them out itself:
    /// so they are counted, and have their pane.
    TakeOver(CollectionId),
    /// Makes pairs of window and bytes, for side inputs in windows.
    KeepWindow(CollectionId),
    /// Makes pairs of a key and bytes, for the caller, who reads the collection when the run is over.
    Keep(CollectionId),
}

/// Something that elements travel on from one part to others: a place in [`Picked::shapes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wire(pub usize);

/// A part, and the wires it reads and writes.
#[derive(Debug, Clone)]
pub struct PickedPart {
    /// The part.
    pub part: Part,
    /// The wires that it reads as main inputs, in order.
    pub inputs: Vec<Wire>,
    /// The wires that it writes, in the order of its outputs; `None` where nobody reads one.
    pub outputs: Vec<Option<Wire>>,
}

/// The parts of a bundle, inputs before what reads them.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// What travels on each wire.
    pub shapes: Vec<Shape>,
    /// The parts.
    pub parts: Vec<PickedPart>,
}

/// What a bundle was asked to call once what it made is durable.
#[derive(Debug, Default)]
pub struct OnDurable(Callbacks);

impl OnDurable {
    /// Whether nothing is to be called.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls all; what fails is logged, and counted in what is returned.
    pub fn call(self, graph: &StageGraph) -> Metrics {
        finalize::call_all(self.0, graph.steps())
    }
}

/// The elements that enter a bundle on a wire, each record with its stamp before it.
pub type Source<'s> = (Wire, Box<dyn Records + 's>);
/// Where the elements of a wire leave a bundle.
pub type Sink = (Wire, Box<dyn RecordSink>);

impl StageGraph {
    /// What a part reads and writes, in order.
    ///
    /// # Errors
    /// A part that its transform does not have.
    pub fn shapes_of(&self, part: Part) -> Result<(Vec<Shape>, Vec<Shape>)> {
        let graph = self.graph();
        let of = |id: &CollectionId| Shape::from(graph.collection(*id));
        let bytes = Shape::of::<(i64, Bytes)>;
        Ok(match part {
            Part::Whole(node) => {
                let node = graph.node(node);
                (node.inputs.iter().map(of).collect(), node.outputs.iter().map(of).collect())
            }
            // It has the shape of what is joined.
            Part::Join => (vec![], vec![]),
            Part::Group(node, part) => {
                let Operation::Group(group) = &graph.node(node).operation else {
                    return Err(no_such(self, node, part));
                };
                let (input, output) =
                    group.shapes(part).ok_or_else(|| no_such(self, node, part))?;
                (vec![input], vec![output])
            }
            Part::TakeOver(id) => (vec![of(&id)], vec![of(&id)]),
            Part::Spread(id) | Part::Keep(id) => (vec![of(&id)], vec![bytes()]),
            Part::Gather(id) => (vec![Shape::of::<(i64, Vec<Bytes>)>()], vec![of(&id)]),
            Part::KeepWindow(id) => (vec![of(&id)], vec![Shape::of::<(Window, Bytes)>()]),
        })
    }

    /// Whether a runner itself makes a collection: an impulse, or groups.
    pub fn is_made_by_runner(&self, id: CollectionId) -> bool {
        match &self.graph().node(self.graph().collection(id).producer).operation {
            Operation::Impulse => true,
            Operation::Group(group) => {
                let facts = group.facts();
                facts.accumulator.is_none() && !facts.is_by_time
            }
            _ => false,
        }
    }

    /// Whether a collection goes through [`Part::TakeOver`] on its way to what flattens, reshuffles or
    /// looks it up: a runner that makes it would do that too without us.
    pub fn is_taken_over(&self, id: CollectionId) -> bool {
        let graph = self.graph();
        let is_moved = |node: NodeId| {
            matches!(graph.node(node).operation, Operation::Flatten | Operation::Reshuffle)
        };
        let is_looked_up = || {
            graph
                .nodes
                .iter()
                .flat_map(|node| &node.sides)
                .any(|it| graph.view(it.view).collection == id)
        };
        self.is_made_by_runner(id) && (graph.consumers(id).any(is_moved) || is_looked_up())
    }
}

fn no_such(graph: &StageGraph, node: NodeId, part: GroupPart) -> Error {
    let error = Error::internal(format!("{part:?} is no part of this transform"));
    graph.steps()[node.0 as usize].locate(error)
}

/// Runs bundles of picked parts.
#[derive(Debug, Clone, Copy)]
pub struct PickedBundle<'a> {
    graph: &'a StageGraph,
    setting: &'a Setting,
    picked: &'a Picked,
}

impl<'a> BundleProcessor<'a> {
    /// The processor of parts that a foreign runner has picked.
    pub fn picked(
        graph: &'a StageGraph,
        setting: &'a Setting,
        picked: &'a Picked,
    ) -> PickedBundle<'a> {
        PickedBundle { graph, setting, picked }
    }
}

impl PickedBundle<'_> {
    /// Feeds all sources, one after the other, and commits what the sinks were given.
    ///
    /// What is to be called once the commit is durable comes back, for whoever learns of that.
    ///
    /// # Errors
    /// Whatever fails in the parts, in a source or in a sink, with step and recipe line; panics in
    /// code of the recipe too. No sink has committed then.
    pub fn run(
        &self,
        sources: Vec<Source<'_>>,
        sinks: Vec<Sink>,
    ) -> Result<(BundleReport, OnDurable)> {
        let env = self.setting.env(self.graph);
        if let Some(node) = self.picked.parts.iter().find_map(|part| self.node_of(part.part)) {
            env.enter(node);
        }
        let outcome = guard::catch(&env, || {
            metrics::within(env.recorder(), || self.feed(sources, sinks, &env))?;
            env.take_outcome()
        });
        let (mut metrics, prepared) = outcome?;
        prepared.into_iter().try_for_each(Prepared::commit)?;
        metrics.elements = BundleProcessor::counts_of(self.graph, &env);
        let failures = Failures::default();
        let report = BundleReport { metrics, read_count: env.progress().done, failures };
        Ok((report, OnDurable(Callbacks::of(&env))))
    }

    fn feed(&self, sources: Vec<Source<'_>>, sinks: Vec<Sink>, env: &Env) -> Result<()> {
        let mut chain = self.link(sinks, env)?;
        let mut entries = Vec::new();
        for (wire, records) in sources {
            let mut end = self.take_end(&mut chain, wire);
            if let Some(collection) = self.made_by_runner(wire) {
                end = self.picked.shapes[wire.0].elements.counted(end, collection, env);
            }
            entries.push((wire, records, end));
        }
        for (wire, mut records, next) in entries {
            let elements = &self.picked.shapes[wire.0].elements;
            elements.read(records.as_mut(), Stamps::Each, usize::MAX, next, env)?;
        }
        // What nothing of this bundle feeds ends without an element.
        for (wire, receivers) in chain {
            let elements = &self.picked.shapes[wire.0].elements;
            let next = elements.tee(receivers);
            elements.read(&mut NoRecords, Stamps::Each, usize::MAX, next, env)?;
        }
        Ok(())
    }

    /// The receivers of every wire, from the sinks back to the sources.
    fn link(&self, sinks: Vec<Sink>, env: &Env) -> Result<BTreeMap<Wire, Vec<AnyReceiver>>> {
        let mut ends = BTreeMap::<Wire, Vec<AnyReceiver>>::new();
        for (wire, sink) in sinks {
            let elements = &self.picked.shapes[wire.0].elements;
            ends.entry(wire).or_default().push(elements.write(sink, Stamps::Each, env));
        }
        for picked in self.picked.parts.iter().rev() {
            let mut outputs = Vec::new();
            let mut shapes = self.graph.shapes_of(picked.part)?.1;
            if picked.part == Part::Join {
                shapes.extend(picked.inputs.first().map(|wire| self.picked.shapes[wire.0].clone()));
            }
            for (place, shape) in shapes.iter().enumerate() {
                let end = match picked.outputs.get(place).copied().flatten() {
                    Some(wire) => self.take_end(&mut ends, wire),
                    None => shape.elements.tee(Vec::new()),
                };
                let made = self.made_by(picked.part, place);
                outputs.push(match made {
                    Some(collection) => shape.elements.counted(end, collection, env),
                    None => end,
                });
            }
            let receivers = self.link_part(picked, outputs, env)?;
            for (&wire, receiver) in picked.inputs.iter().zip(receivers) {
                ends.entry(wire).or_default().push(receiver);
            }
        }
        Ok(ends)
    }

    /// The receivers of the inputs of a part.
    fn link_part(
        &self,
        picked: &PickedPart,
        mut outputs: Vec<AnyReceiver>,
        env: &Env,
    ) -> Result<Vec<AnyReceiver>> {
        let graph = self.graph.graph();
        let mut only = || outputs.pop().ok_or_else(|| Error::internal("a part without an output"));
        Ok(match picked.part {
            Part::Join => {
                let Some(wire) = picked.inputs.first() else { return Ok(Vec::new()) };
                self.picked.shapes[wire.0].elements.ways_into(only()?, picked.inputs.len())
            }
            Part::Whole(id) => {
                let node = graph.node(id);
                match &node.operation {
                    Operation::ParDo(pardo) => {
                        let idle = graph.collection(node.inputs[0]).idle_stamp();
                        vec![pardo.link(id, &node.sides, idle, outputs, env)?]
                    }
                    Operation::Window(assign) => vec![assign.link(only()?, env)],
                    Operation::Flatten => {
                        let elements = &graph.collection(node.outputs[0]).elements;
                        elements.ways_into(only()?, picked.inputs.len())
                    }
                    other => {
                        let error = Error::internal(format!("{other:?} is the runner's to do"));
                        return Err(self.graph.steps()[id.0 as usize].locate(error));
                    }
                }
            }
            Part::Group(id, part) => {
                let Operation::Group(group) = &graph.node(id).operation else {
                    return Err(no_such(self.graph, id, part));
                };
                let layout = self.graph.key_layout(id);
                let receiver = group.part(part, id, &layout, only()?, env)?;
                vec![receiver.ok_or_else(|| no_such(self.graph, id, part))?]
            }
            Part::Spread(id) => {
                vec![graph.collection(id).elements.spread(Spreading::InTurns, only()?)]
            }
            Part::Keep(id) => {
                vec![graph.collection(id).elements.spread(Spreading::ByContent, only()?)]
            }
            Part::Gather(id) => vec![graph.collection(id).elements.gather(only()?)],
            Part::TakeOver(id) => graph.collection(id).elements.ways_into(only()?, 1),
            Part::KeepWindow(id) => vec![graph.collection(id).elements.keep_window(only()?)],
        })
    }

    fn take_end(&self, ends: &mut BTreeMap<Wire, Vec<AnyReceiver>>, wire: Wire) -> AnyReceiver {
        let next = ends.remove(&wire).unwrap_or_default();
        self.picked.shapes[wire.0].elements.tee(next)
    }

    /// The collection of the graph that an output of a part is, where it is one.
    fn made_by(&self, part: Part, place: usize) -> Option<CollectionId> {
        let graph = self.graph.graph();
        match part {
            Part::Whole(node) => graph.node(node).outputs.get(place).copied(),
            Part::Group(node, GroupPart::Extract | GroupPart::Combine | GroupPart::ByTime) => {
                graph.node(node).outputs.first().copied()
            }
            Part::Gather(collection) | Part::TakeOver(collection) => Some(collection),
            _ => None,
        }
    }

    /// The collection that comes on a wire, where the runner itself has made it, and nothing else that
    /// reads it counts its elements.
    fn made_by_runner(&self, wire: Wire) -> Option<CollectionId> {
        let graph = self.graph.graph();
        let first_reader = |id| graph.consumers(id).next().map(|node| (node, graph.node(node)));
        self.picked.parts.iter().find_map(|picked| {
            let place = picked.inputs.iter().position(|&input| input == wire)?;
            let (id, is_first) = match picked.part {
                Part::Whole(node) | Part::Group(node, _) => {
                    let id = *graph.node(node).inputs.get(place)?;
                    (id, first_reader(id).is_some_and(|(first, _)| first == node))
                }
                Part::Spread(id) => {
                    let is_reshuffle = |node: &Node| matches!(node.operation, Operation::Reshuffle);
                    (id, first_reader(id).is_some_and(|(_, node)| is_reshuffle(node)))
                }
                Part::Keep(id) => (id, first_reader(id).is_none()),
                Part::Gather(_) | Part::TakeOver(_) | Part::KeepWindow(_) | Part::Join => {
                    return None;
                }
            };
            // The inputs of these are what the runner has grouped for the part alone.
            let is_inner = matches!(
                picked.part,
                Part::Group(_, GroupPart::Merge | GroupPart::Extract | GroupPart::Combine)
                    | Part::Group(_, GroupPart::ByTime)
            );
            let is_runners = self.graph.is_made_by_runner(id) && !self.graph.is_taken_over(id);
            (is_first && is_runners && !is_inner).then_some(id)
        })
    }

    /// The node whose code a part runs, or that has made what it reads or writes.
    fn node_of(&self, part: Part) -> Option<NodeId> {
        match part {
            Part::Whole(node) | Part::Group(node, _) => Some(node),
            Part::Spread(id)
            | Part::Gather(id)
            | Part::TakeOver(id)
            | Part::KeepWindow(id)
            | Part::Keep(id) => Some(self.graph.graph().collection(id).producer),
            Part::Join => None,
        }
    }

    /// Loads a side input of these records: keyed by window where it is in windows, else without keys.
    ///
    /// # Errors
    /// Records that do not have the shape of the view, or that cannot be read.
    pub fn load_side(&self, view: ViewId, records: &mut dyn Records) -> Result<()> {
        let graph = self.graph.graph();
        let View { collection, loader } = graph.view(view);
        let windowing = &graph.collection(*collection).windowing;
        let made_by = &self.graph.steps()[graph.collection(*collection).producer.0 as usize];
        let load = || {
            let mut windows = BTreeMap::<Window, RawValuesBuilder>::new();
            while records.advance()? {
                let Record { mut key, head, tail } = records.record();
                let window =
                    if windowing.is_global() { Window::Global } else { decode_window(&mut key)? };
                let values = windows.entry(window).or_insert_with(|| self.setting.group_builder());
                values.push(head, tail)?;
            }
            let mut shelf = self.setting.shelf();
            if windowing.is_global() {
                let values = windows.remove(&Window::Global);
                let values = values.unwrap_or_else(|| self.setting.group_builder()).finish()?;
                return Ok(ViewLoad::Whole(loader.load(Arc::new(values), &mut shelf)?));
            }
            let mut views = BTreeMap::new();
            for (window, values) in windows {
                let view = loader.load(Arc::new(values.finish()?), &mut shelf);
                views.insert(window, view.map_err(|error| error.at("window", window))?);
            }
            let nothing = loader.load(Arc::new(NoRecords), &mut shelf);
            Ok(ViewLoad::ByWindow(windowing.clone(), views, nothing))
        };
        self.setting.views.load(view, load).map_err(|error| made_by.locate(error))
    }

    /// The side inputs that the parts read.
    pub fn sides(&self) -> impl Iterator<Item = (NodeId, &Side)> {
        self.picked.parts.iter().flat_map(|picked| {
            let node = if let Part::Whole(node) = picked.part { Some(node) } else { None };
            let sides = node.map(|node| (node, &self.graph.graph().node(node).sides));
            sides.into_iter().flat_map(|(node, sides)| sides.iter().map(move |side| (node, side)))
        })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}
