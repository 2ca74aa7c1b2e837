//! Nodes as transforms that others know.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dataflow::bundle::Part;
use dataflow::capability::Capability;
use dataflow::coder::CoderKind;
use dataflow::error::{Error, Result};
use dataflow::graph::{
    Collection, CollectionId, Elementwise, GroupPart, Grouping, Node, NodeId, Operation, Shape,
    Side,
};
use dataflow::plan::StageGraph;
use dataflow::window::{Window, Windowing};
use prost::Message;

use super::coders::Vocabulary;
use super::composites::{Leaf, compose};
use super::{Handler, Role, urns};
use crate::proto::pipeline::{
    CombinePayload, Components, DisplayData, Environment, FunctionSpec, LabelledPayload,
    PCollection, PTransform, ParDoPayload, Pipeline, SideInput, WindowIntoPayload,
};

/// The id of the one environment.
const ENVIRONMENT: &str = "levain";
const BOUNDED: i32 = 2;
/// The name of the only input, and of the only output, of what has one.
const IN: &str = "in";
const OUT: &str = "out";

/// The pipeline of a graph, whose functions run in this environment.
///
/// Combining begins before the shuffle where it can: what a runner that does so by itself would make
/// of a combine is what is sent to all.
///
/// # Errors
/// What a runner of Beam cannot do, with the transform and its recipe line.
pub(crate) fn translate(graph: &StageGraph, environment: Environment) -> Result<Pipeline> {
    let windowed = graph.graph().nodes.iter().flat_map(|node| &node.sides);
    let windowed = windowed.map(|side| graph.graph().view(side.view).collection);
    let is_windowed = |id: &CollectionId| is_read_by_window(graph.graph().collection(*id));
    let mut translation = Translation {
        graph,
        vocabulary: Vocabulary::default(),
        pcollections: BTreeMap::new(),
        leaves: Vec::new(),
        known: BTreeMap::new(),
        requirements: BTreeSet::new(),
        windowed: windowed.filter(is_windowed).collect(),
    };
    for (id, node) in graph.graph().iter() {
        let placed = translation.node(id, node).and_then(|()| translation.around(id, node));
        placed.map_err(|error| graph.steps()[id.0 as usize].locate(error))?;
    }
    if graph.graph().nodes.is_empty() {
        translation.no_transform()?;
    }
    Ok(translation.finish(environment))
}

/// Whether side inputs of a collection are pairs of a window and bytes.
///
/// Those in windows are; and those of nullable elements, since runners in Java cannot hand out nulls.
pub(crate) fn is_read_by_window(collection: &Collection) -> bool {
    !collection.windowing.is_global() || matches!(collection.coder, CoderKind::Nullable(_))
}

struct Translation<'a> {
    graph: &'a StageGraph,
    vocabulary: Vocabulary,
    pcollections: BTreeMap<String, PCollection>,
    leaves: Vec<Leaf>,
    /// Composites that runners know, by name.
    known: BTreeMap<String, FunctionSpec>,
    requirements: BTreeSet<String>,
    /// Collections that are read as side inputs, as pairs of a window and bytes.
    windowed: BTreeSet<CollectionId>,
}

impl Translation<'_> {
    fn node(&mut self, id: NodeId, node: &Node) -> Result<()> {
        let name = node.name.clone();
        let outputs = node.outputs.iter().map(|&output| self.collection(output));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        let input = |place: usize| collection_id(node.inputs[place]);
        match &node.operation {
            Operation::Impulse => {
                let spec = FunctionSpec { urn: urns::IMPULSE.to_owned(), payload: Vec::new() };
                self.leaf(name, spec, vec![], vec![(OUT.into(), outputs[0].clone())], false);
            }
            Operation::ParDo(pardo) => self.par_do(id, node, pardo.as_ref(), outputs),
            Operation::Window(_) => {
                let window_fn = Some(Handler::spec(self.graph, Role::Part(Part::Whole(id))));
                let payload = WindowIntoPayload { window_fn }.encode_to_vec();
                let spec = FunctionSpec { urn: urns::WINDOW_INTO.to_owned(), payload };
                self.one_to_one(name, spec, input(0), outputs[0].clone());
            }
            Operation::Flatten if node.inputs.is_empty() => {
                self.nothing(id, &name, outputs[0].clone())?;
            }
            Operation::Flatten => {
                let handler = Handler::spec(self.graph, Role::Part(Part::Whole(id)));
                let spec = FunctionSpec { urn: urns::FLATTEN.to_owned(), payload: handler.payload };
                let inputs = (0..node.inputs.len())
                    .map(|place| Ok((place.to_string(), self.flattened(id, node, place)?)));
                let inputs = inputs.collect::<Result<_>>()?;
                let outputs = vec![(OUT.into(), outputs[0].clone())];
                self.leaf(name, spec, inputs, outputs, true);
            }
            Operation::Reshuffle => {
                let (from, to) = (node.inputs[0], node.outputs[0]);
                let parts = (Part::Spread(from), Part::Gather(to));
                // What is grouped stands at the end of time, and is late to some runners when it is
                // put back: those move elements as they are.
                let spec = FunctionSpec { urn: urns::RESHUFFLE.to_owned(), payload: Vec::new() };
                self.known.insert(name.clone(), spec);
                self.through_bytes(&name, self.moved_id(from), outputs[0].clone(), parts)?;
            }
            Operation::Group(group) => self.group(id, node, group.as_ref(), &outputs[0])?,
        }
        Ok(())
    }

    /// A pipeline without a transform: some runners refuse a job in which nothing is made, and some never
    /// end one in which no worker has anything to do.
    fn no_transform(&mut self) -> Result<()> {
        let impulse = self.impulse("Nothing/Impulse", "nothing".to_owned())?;
        let spec = par_do_of(Handler::spec(self.graph, Role::Nothing));
        let inputs = vec![(IN.to_owned(), impulse)];
        self.leaf("Nothing/Take".to_owned(), spec, inputs, vec![], true);
        Ok(())
    }

    /// A flatten of no collection: some runners wait for ever for what makes it, so it is made of an
    /// impulse, of which nothing comes.
    fn nothing(&mut self, id: NodeId, name: &str, output: String) -> Result<()> {
        let impulse = self.impulse(&format!("{name}/Impulse"), format!("n{}_impulse", id.0))?;
        let spec = self.handler(Part::Whole(id));
        self.one_to_one(format!("{name}/Nothing"), spec, impulse, output);
        Ok(())
    }

    /// An impulse that the recipe does not know of; its collection.
    fn impulse(&mut self, name: &str, id: String) -> Result<String> {
        let bytes = Shape::of::<Bytes>().coder;
        let impulse = self.add(id, &bytes, &Windowing::default())?;
        let spec = FunctionSpec { urn: urns::IMPULSE.to_owned(), payload: Vec::new() };
        self.leaf(name.to_owned(), spec, vec![], vec![(OUT.into(), impulse.clone())], false);
        Ok(impulse)
    }

    /// What a flatten reads at this place.
    ///
    /// Runners in Java put a flatten into the stage of whatever makes one of its inputs. Where an input is
    /// read by others too, it may be where stages are cut: then it would reach the flatten on two ways.
    /// With a ParDo between, nothing but that ParDo reads it for the flatten.
    fn flattened(&mut self, id: NodeId, node: &Node, place: usize) -> Result<String> {
        let input = node.inputs[place];
        let from = self.moved_id(input);
        if self.reader_count(input) < 2 {
            return Ok(from);
        }
        let collection = self.graph.graph().collection(input);
        let passed = format!("n{}_in{place}", id.0);
        let passed = self.add(passed, &collection.coder, &collection.windowing)?;
        let spec = par_do_of(Handler::spec(self.graph, Role::Pass(input)));
        self.one_to_one(format!("{}:in{place}", node.name), spec, from, passed.clone());
        Ok(passed)
    }

    /// How often a collection is read.
    fn reader_count(&self, id: CollectionId) -> usize {
        let graph = self.graph.graph();
        let sides = graph.nodes.iter().flat_map(|node| &node.sides);
        let looked_up = sides.filter(|side| graph.view(side.view).collection == id).count();
        let is_result = usize::from(graph.collection(id).is_result);
        graph.consumers(id).count() + looked_up + is_result
    }

    /// What is made of the outputs of a node besides what the recipe says.
    fn around(&mut self, _: NodeId, node: &Node) -> Result<()> {
        for (place, &id) in node.outputs.iter().enumerate() {
            let name = match &node.operation {
                Operation::ParDo(pardo) if place > 0 => {
                    format!("{}.{}", node.name, pardo.facts().tags[place - 1])
                }
                _ => node.name.clone(),
            };
            if self.graph.is_taken_over(id) {
                let collection = self.graph.graph().collection(id);
                let taken = self.add(taken_id(id), &collection.coder, &collection.windowing)?;
                let spec = self.handler(Part::TakeOver(id));
                self.one_to_one(format!("{name}:taken"), spec, collection_id(id), taken);
            }
            if self.windowed.contains(&id) {
                let kind = Shape::of::<(Window, Bytes)>().coder;
                let to = self.add(windowed_id(id), &kind, &Windowing::default())?;
                let spec = self.handler(Part::KeepWindow(id));
                self.one_to_one(format!("{name}:windows"), spec, collection_id(id), to);
            }
            if self.graph.graph().collection(id).is_result {
                self.keep(&format!("{name}:result"), id)?;
            } else if self.is_unseen(id) {
                // What a runner makes and nothing reads is counted all the same.
                let pair = Shape::of::<(i64, Bytes)>().coder;
                let counted = format!("{}_counted", collection_id(id));
                let counted = self.add(counted, &pair, &Windowing::default())?;
                let spec = self.handler(Part::Keep(id));
                self.one_to_one(format!("{name}:count"), spec, collection_id(id), counted);
            }
        }
        Ok(())
    }

    /// Whether a collection is made by the runner alone and read by nothing.
    fn is_unseen(&self, id: CollectionId) -> bool {
        let graph = self.graph.graph();
        self.graph.is_made_by_runner(id)
            && graph.consumers(id).next().is_none()
            && !self.graph.is_taken_over(id)
    }

    fn par_do(&mut self, id: NodeId, node: &Node, pardo: &dyn Elementwise, outputs: Vec<String>) {
        let facts = pardo.facts();
        let needs_finalization = facts.dofn.needs.contains(&Capability::BundleFinalization);
        if needs_finalization {
            self.requirements.insert(urns::NEEDS_FINALIZATION.to_owned());
        }
        let mut inputs = vec![(IN.to_owned(), collection_id(node.inputs[0]))];
        let mut side_inputs = BTreeMap::new();
        for (place, side) in node.sides.iter().enumerate() {
            inputs.push((side_name(place), self.side_collection(side)));
            side_inputs.insert(side_name(place), self.side_input(side));
        }
        let payload = ParDoPayload {
            do_fn: Some(Handler::spec(self.graph, Role::Part(Part::Whole(id)))),
            side_inputs,
            requests_finalization: needs_finalization,
        };
        let spec = FunctionSpec { urn: urns::PAR_DO.to_owned(), payload: payload.encode_to_vec() };
        let outputs = outputs.into_iter().enumerate();
        let outputs = outputs.map(|(place, id)| (place.to_string(), id)).collect();
        self.leaf(node.name.clone(), spec, inputs, outputs, true);
        if let Some((_, leaf)) = self.leaves.last_mut()
            && !facts.dofn.parameters.is_empty()
        {
            leaf.display_data.push(labelled("Parameters", "parameters", &facts.dofn.parameters));
        }
    }

    fn side_collection(&self, side: &Side) -> String {
        let collection = self.graph.graph().view(side.view).collection;
        if self.windowed.contains(&collection) {
            windowed_id(collection)
        } else {
            self.moved_id(collection)
        }
    }

    /// What stands for a collection where its elements are flattened, reshuffled or looked up.
    fn moved_id(&self, id: CollectionId) -> String {
        if self.graph.is_taken_over(id) { taken_id(id) } else { collection_id(id) }
    }

    /// All views read all elements, and then make of them what they are; the shapes are ours.
    fn side_input(&self, side: &Side) -> SideInput {
        let shape = format!("{:?}", self.graph.graph().view(side.view).loader);
        let spec = |urn: &str, payload: Vec<u8>| Some(FunctionSpec { urn: urn.into(), payload });
        SideInput {
            access_pattern: spec(urns::ITERABLE_SIDE_INPUT, Vec::new()),
            view_fn: spec("levain:view:v1", shape.into_bytes()),
            window_mapping_fn: spec("beam:window_mapping_fn:global:v1", Vec::new()),
        }
    }

    fn group(&mut self, id: NodeId, node: &Node, group: &dyn Grouping, output: &str) -> Result<()> {
        let (name, input) = (&node.name, collection_id(node.inputs[0]));
        let facts = group.facts();
        let before = self.graph.graph().collection(node.inputs[0]).windowing.clone();
        let Some(accumulator) = &facts.accumulator else {
            if !facts.is_by_time {
                self.group_by_key(name.clone(), input, output.to_owned());
                return Ok(());
            }
            let timed = self.part_collection(id, group, GroupPart::KeepTimes, false, &before)?;
            let groups =
                self.part_collection(id, group, GroupPart::ByTime, true, &before.grouped())?;
            let (keep, sort) = (GroupPart::KeepTimes, GroupPart::ByTime);
            let spec = self.handler(Part::Group(id, keep));
            self.one_to_one(format!("{name}/KeepTimes"), spec, input, timed.clone());
            self.group_by_key(format!("{name}/Group"), timed, groups.clone());
            let spec = self.handler(Part::Group(id, sort));
            self.one_to_one(format!("{name}/ByTime"), spec, groups, output.to_owned());
            return Ok(());
        };
        // An accumulator has no room for the times of its values.
        let is_lifted = !self.graph.key_layout(id).carries_times();
        let payload = |part: GroupPart, accumulator_coder_id: String| {
            let combine_fn = Some(Handler::spec(self.graph, Role::Part(Part::Group(id, part))));
            CombinePayload { combine_fn, accumulator_coder_id }.encode_to_vec()
        };
        let accumulator = self.vocabulary.inner_coder(accumulator);
        let spec = |urn: &str, part: GroupPart| FunctionSpec {
            urn: urn.to_owned(),
            payload: payload(part, accumulator.clone()),
        };
        if !is_lifted {
            // As a ParDo: runners in Java know combines of groups only within what they lift.
            let grouped = self.handler(Part::Group(id, GroupPart::Combine));
            let groups =
                self.part_collection(id, group, GroupPart::Combine, true, &before.grouped())?;
            self.group_by_key(format!("{name}/Group"), input, groups.clone());
            self.one_to_one(format!("{name}/Combine"), grouped, groups, output.to_owned());
            return Ok(());
        }
        let first = spec(urns::PRECOMBINE, GroupPart::Precombine);
        let merge = spec(urns::MERGE_ACCUMULATORS, GroupPart::Merge);
        let extract = spec(urns::EXTRACT_OUTPUTS, GroupPart::Extract);
        let after = before.grouped();
        let partial = self.part_collection(id, group, GroupPart::Precombine, false, &before)?;
        let groups = self.part_collection(id, group, GroupPart::Merge, true, &after)?;
        let merged = self.part_collection(id, group, GroupPart::Merge, false, &after)?;
        self.one_to_one(format!("{name}/Precombine"), first, input, partial.clone());
        self.group_by_key(format!("{name}/Group"), partial, groups.clone());
        self.one_to_one(format!("{name}/Merge"), merge, groups, merged.clone());
        self.one_to_one(format!("{name}/ExtractOutputs"), extract, merged, output.to_owned());
        Ok(())
    }

    /// The collection that a part of a grouping reads, or writes.
    fn part_collection(
        &mut self,
        id: NodeId,
        group: &dyn Grouping,
        part: GroupPart,
        is_input: bool,
        windowing: &Windowing,
    ) -> Result<String> {
        let shapes = group.shapes(part);
        let (input, output) =
            shapes.ok_or_else(|| Error::internal(format!("{part:?} is no part of a grouping")))?;
        let (shape, way) = if is_input { (input, "to") } else { (output, "of") };
        self.add(format!("n{}_{way}_{part:?}", id.0), &shape.coder, windowing)
    }

    /// Lets the runner group elements as bytes, out of their windows, and makes them again.
    fn through_bytes(
        &mut self,
        name: &str,
        input: String,
        output: String,
        (before, after): (Part, Part),
    ) -> Result<()> {
        let (pairs, groups) = self.pairs_and_groups(&output)?;
        let spec = self.handler(before);
        self.one_to_one(format!("{name}/Spread"), spec, input, pairs.clone());
        self.group_by_key(format!("{name}/Group"), pairs, groups.clone());
        let spec = self.handler(after);
        self.one_to_one(format!("{name}/Gather"), spec, groups, output);
        Ok(())
    }

    /// Hands the elements of a collection to the caller, by groups that replace each other when they
    /// come again.
    fn keep(&mut self, name: &str, id: CollectionId) -> Result<()> {
        let (pairs, groups) = self.pairs_and_groups(&format!("{}_kept", collection_id(id)))?;
        let spec = self.handler(Part::Keep(id));
        self.one_to_one(format!("{name}/Keep"), spec, collection_id(id), pairs.clone());
        self.group_by_key(format!("{name}/Group"), pairs, groups.clone());
        let spec = par_do_of(Handler::spec(self.graph, Role::Store(id)));
        let inputs = vec![(IN.to_owned(), groups)];
        self.leaf(format!("{name}/Store"), spec, inputs, vec![], true);
        Ok(())
    }

    fn pairs_and_groups(&mut self, of: &str) -> Result<(String, String)> {
        let pair = Shape::of::<(i64, Bytes)>().coder;
        let group = Shape::of::<(i64, Vec<Bytes>)>().coder;
        let global = Windowing::default();
        let pairs = self.add(format!("{of}_pairs"), &pair, &global)?;
        Ok((pairs, self.add(format!("{of}_groups"), &group, &global)?))
    }

    fn collection(&mut self, id: CollectionId) -> Result<String> {
        let collection = self.graph.graph().collection(id);
        self.add(collection_id(id), &collection.coder, &collection.windowing)
    }

    fn add(&mut self, id: String, kind: &CoderKind, windowing: &Windowing) -> Result<String> {
        let pcollection = PCollection {
            unique_name: id.clone(),
            coder_id: self.vocabulary.coder(kind),
            is_bounded: BOUNDED,
            windowing_strategy_id: self.vocabulary.strategy(windowing, ENVIRONMENT)?,
        };
        self.pcollections.insert(id.clone(), pcollection);
        Ok(id)
    }

    fn handler(&self, part: Part) -> FunctionSpec {
        par_do_of(Handler::spec(self.graph, Role::Part(part)))
    }

    fn group_by_key(&mut self, name: String, input: String, output: String) {
        let spec = FunctionSpec { urn: urns::GROUP_BY_KEY.to_owned(), payload: Vec::new() };
        self.leaf(name, spec, vec![(IN.into(), input)], vec![(OUT.into(), output)], false);
    }

    fn one_to_one(&mut self, name: String, spec: FunctionSpec, input: String, output: String) {
        self.leaf(name, spec, vec![(IN.into(), input)], vec![(OUT.into(), output)], true);
    }

    fn leaf(
        &mut self,
        unique_name: String,
        spec: FunctionSpec,
        inputs: Vec<(String, String)>,
        outputs: Vec<(String, String)>,
        is_ours: bool,
    ) {
        let transform = PTransform {
            unique_name,
            spec: Some(spec),
            inputs: inputs.into_iter().collect(),
            outputs: outputs.into_iter().collect(),
            environment_id: if is_ours { ENVIRONMENT.to_owned() } else { String::new() },
            ..PTransform::default()
        };
        self.leaves.push((format!("transform_{}", self.leaves.len()), transform));
    }

    fn finish(self, environment: Environment) -> Pipeline {
        let mut transforms = BTreeMap::new();
        let root_transform_ids = compose(&self.leaves, &self.known, &mut transforms);
        let components = Components {
            transforms,
            pcollections: self.pcollections,
            windowing_strategies: self.vocabulary.strategies,
            coders: self.vocabulary.coders,
            environments: BTreeMap::from([(ENVIRONMENT.to_owned(), environment)]),
        };
        Pipeline {
            components: Some(components),
            root_transform_ids,
            requirements: self.requirements.into_iter().collect(),
        }
    }
}

/// A ParDo of a function alone.
fn par_do_of(do_fn: FunctionSpec) -> FunctionSpec {
    let payload = ParDoPayload { do_fn: Some(do_fn), ..ParDoPayload::default() };
    FunctionSpec { urn: urns::PAR_DO.to_owned(), payload: payload.encode_to_vec() }
}

fn collection_id(id: CollectionId) -> String {
    format!("c{}", id.0)
}

fn taken_id(id: CollectionId) -> String {
    format!("c{}_taken", id.0)
}

fn windowed_id(id: CollectionId) -> String {
    format!("c{}_windows", id.0)
}

/// The name of a side input of a ParDo, by its place among them.
pub(crate) fn side_name(place: usize) -> String {
    format!("side{place}")
}

fn labelled(label: &str, key: &str, text: &str) -> DisplayData {
    let payload = LabelledPayload {
        label: label.to_owned(),
        string_value: text.to_owned(),
        key: key.to_owned(),
        namespace: "levain".to_owned(),
    };
    DisplayData { urn: urns::LABELLED.to_owned(), payload: payload.encode_to_vec() }
}
