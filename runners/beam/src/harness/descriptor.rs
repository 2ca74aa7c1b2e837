//! What a runner wants to be run, in terms of our pipeline.
//!
//! Ids and names are the runner's; of ours there is only what our functions say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use dataflow::bundle::{Part, Picked, PickedPart, Wire};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::graph::{CollectionId, GroupPart, NodeId, Operation, Shape};
use dataflow::plan::StageGraph;
use dataflow::view::ViewId;
use dataflow::window::TimestampCombiner;
use prost::Message;

use crate::coder::WireCoder;
use crate::proto::fn_api::{ProcessBundleDescriptor, RemoteGrpcPort};
use crate::proto::pipeline::{
    CombinePayload, FunctionSpec, PTransform, ParDoPayload, WindowIntoPayload,
};
use crate::submit::{Handler, Role, is_read_by_window, side_name, urns};

/// A descriptor, understood.
#[derive(Debug)]
pub(crate) struct BundlePlan {
    /// The parts and how they are wired.
    pub(crate) picked: Picked,
    /// Where elements come in.
    pub(crate) sources: Vec<Port>,
    /// Where they go out.
    pub(crate) sinks: Vec<Port>,
    /// Collections that are kept for the caller, and the wires that they come on.
    pub(crate) stores: Vec<(Wire, CollectionId)>,
    /// Side inputs to be read.
    pub(crate) sides: Vec<SideRead>,
    /// What the runner calls a transform that runs parts of a step, for what is said of it.
    pub(crate) transforms: Arc<BTreeMap<String, String>>,
    /// Where side inputs are read from.
    pub(crate) state_url: Option<String>,
}

/// A source or a sink.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) transform_id: String,
    pub(crate) url: String,
    pub(crate) wire: Wire,
    /// The coder of the values that travel.
    pub(crate) coder: WireCoder,
    /// The coder of their windows.
    pub(crate) window: WireCoder,
    /// What the values are here; `None` where nobody knows, and they pass as they are.
    pub(crate) kind: Option<WireCoder>,
    /// Whether they are groups that a runner has made, each the only pane of its key and window.
    pub(crate) is_grouped: bool,
    /// Whether they are such groups, and stand at the end of their window.
    pub(crate) ends_windows: bool,
}

/// A side input of one transform.
#[derive(Debug)]
pub(crate) struct SideRead {
    pub(crate) view: ViewId,
    pub(crate) transform_id: String,
    pub(crate) side_input_id: String,
    /// The coder of the elements that come.
    pub(crate) coder: WireCoder,
    /// What they are here.
    pub(crate) kind: WireCoder,
    /// Whether they are pairs of a window and bytes.
    pub(crate) is_by_window: bool,
}

impl BundlePlan {
    /// The plan of a descriptor.
    ///
    /// # Errors
    /// Transforms of other pipelines or kinds, or a descriptor that contradicts itself.
    pub(crate) fn of(graph: &StageGraph, descriptor: &ProcessBundleDescriptor) -> Result<Self> {
        let mut reading = Reading {
            graph,
            descriptor,
            wires: BTreeMap::new(),
            shapes: Vec::new(),
            parts: Vec::new(),
            ports: Vec::new(),
            stores: Vec::new(),
            sides: Vec::new(),
            transforms: BTreeMap::new(),
        };
        for (id, transform) in &descriptor.transforms {
            let read = reading.transform(id, transform);
            read.map_err(|error| error.at("transform", &transform.unique_name))?;
        }
        reading.finish()
    }
}

struct Reading<'a> {
    graph: &'a StageGraph,
    descriptor: &'a ProcessBundleDescriptor,
    /// The wire of each collection of the runner.
    wires: BTreeMap<String, Wire>,
    shapes: Vec<Option<Shape>>,
    parts: Vec<PickedPart>,
    /// Sources and sinks, the latter marked.
    ports: Vec<(bool, String, Wire, RemoteGrpcPort)>,
    stores: Vec<(Wire, CollectionId)>,
    sides: Vec<SideRead>,
    transforms: BTreeMap<String, String>,
}

impl Reading<'_> {
    fn transform(&mut self, id: &str, transform: &PTransform) -> Result<()> {
        let spec = transform.spec.clone().unwrap_or_default();
        match spec.urn.as_str() {
            urns::SOURCE => {
                let wire = self.wire(only(&transform.outputs)?);
                self.ports.push((false, id.to_owned(), wire, decode(&spec)?));
            }
            urns::SINK => {
                let wire = self.wire(only(&transform.inputs)?);
                self.ports.push((true, id.to_owned(), wire, decode(&spec)?));
            }
            urns::PAR_DO => self.par_do(id, transform, &decode(&spec)?)?,
            urns::WINDOW_INTO => {
                let payload: WindowIntoPayload = decode(&spec)?;
                let role = Handler::read(payload.window_fn.as_ref())?.role(self.graph)?;
                self.run(id, role, transform, only(&transform.inputs)?)?;
            }
            urns::FLATTEN => self.flatten(transform, &spec),
            urn => {
                let part = match urn {
                    urns::PRECOMBINE => GroupPart::Precombine,
                    urns::MERGE_ACCUMULATORS => GroupPart::Merge,
                    urns::EXTRACT_OUTPUTS => GroupPart::Extract,
                    urns::COMBINE_GROUPED_VALUES => GroupPart::Combine,
                    _ => return Err(refused(&format!("`{urn}` is not known"))),
                };
                let payload: CombinePayload = decode(&spec)?;
                let role = Handler::read(payload.combine_fn.as_ref())?.role(self.graph)?;
                // Runners that lift combines themselves copy the function of one part into others.
                let Role::Part(Part::Group(node, _)) = role else {
                    return Err(refused("the function of a combine does not combine"));
                };
                let role = Role::Part(Part::Group(node, part));
                self.run(id, role, transform, only(&transform.inputs)?)?;
            }
        }
        Ok(())
    }

    fn par_do(&mut self, id: &str, transform: &PTransform, payload: &ParDoPayload) -> Result<()> {
        let role = Handler::read(payload.do_fn.as_ref())?.role(self.graph)?;
        let is_main = |(name, _): &(&String, &String)| !payload.side_inputs.contains_key(*name);
        let mut mains = transform.inputs.iter().filter(is_main);
        let (Some((_, main)), None) = (mains.next(), mains.next()) else {
            return Err(refused("a ParDo has one main input"));
        };
        if let Role::Part(Part::Whole(node)) = role {
            self.read_sides(id, node, transform)?;
        }
        self.run(id, role, transform, main)
    }

    fn read_sides(&mut self, id: &str, node: NodeId, transform: &PTransform) -> Result<()> {
        let graph = self.graph.graph();
        for (place, side) in graph.node(node).sides.iter().enumerate() {
            let name = side_name(place);
            let missing = || refused(&format!("the side input `{name}` is missing"));
            let pcollection = transform.inputs.get(&name).ok_or_else(missing)?;
            let pcollection = self.descriptor.pcollections.get(pcollection).ok_or_else(missing)?;
            let collection = graph.collection(graph.view(side.view).collection);
            let is_by_window = is_read_by_window(collection);
            let pair = || WireCoder::Kv(Box::new(WireCoder::Bytes), Box::new(WireCoder::Bytes));
            self.sides.push(SideRead {
                view: side.view,
                transform_id: id.to_owned(),
                side_input_id: name,
                coder: WireCoder::resolve(&self.descriptor.coders, &pcollection.coder_id)?,
                kind: if is_by_window { pair() } else { WireCoder::from(&collection.coder) },
                is_by_window,
            });
        }
        Ok(())
    }

    /// Adds a part or a store that reads `input`.
    fn run(&mut self, id: &str, role: Role, transform: &PTransform, input: &str) -> Result<()> {
        let input = self.wire(input);
        let part = match role {
            Role::Part(part) => part,
            Role::Store(collection) => {
                self.shape(input, &Shape::of::<(i64, Vec<Bytes>)>());
                self.stores.push((input, collection));
                return Ok(());
            }
            Role::Nothing => {
                self.shape(input, &Shape::of::<Bytes>());
                return Ok(());
            }
            Role::Pass(collection) => {
                let shape = Shape::from(self.graph.graph().collection(collection));
                self.shape(input, &shape);
                let output = transform.outputs.values().next().map(|id| self.wire(id));
                output.into_iter().for_each(|wire| self.shape(wire, &shape));
                let (inputs, outputs) = (vec![input], vec![output]);
                self.parts.push(PickedPart { part: Part::Join, inputs, outputs });
                return Ok(());
            }
        };
        let (inputs, outputs) = self.graph.shapes_of(part)?;
        let Some(shape) = inputs.first() else {
            return self.nothing(input, transform, &outputs);
        };
        self.shape(input, shape);
        if let Part::Whole(node) | Part::Group(node, _) = part {
            let step = &self.graph.graph().nodes[node.0 as usize].name;
            self.transforms.insert(step.clone(), id.to_owned());
        }
        let is_single = outputs.len() == 1;
        let wires = outputs.iter().enumerate().map(|(place, shape)| {
            // What a runner calls the only output of a transform means nothing.
            let id = match is_single {
                true => transform.outputs.values().next(),
                false => transform.outputs.get(&place.to_string()),
            };
            let wire = id.map(|id| self.wire(id))?;
            self.shape(wire, shape);
            Some(wire)
        });
        let outputs = wires.collect();
        self.parts.push(PickedPart { part, inputs: vec![input], outputs });
        Ok(())
    }

    /// A flatten of no collection: what comes goes nowhere, and what goes out comes from nowhere.
    fn nothing(&mut self, input: Wire, transform: &PTransform, outputs: &[Shape]) -> Result<()> {
        self.shape(input, &Shape::of::<Bytes>());
        let output = self.wire(only(&transform.outputs)?);
        outputs.iter().for_each(|shape| self.shape(output, shape));
        Ok(())
    }

    /// A flatten of ours, or one that the runner has put in.
    fn flatten(&mut self, transform: &PTransform, spec: &FunctionSpec) {
        let inputs = transform.inputs.values().map(|id| self.wire(id)).collect();
        let output = transform.outputs.values().next().map(|id| self.wire(id));
        let handler = FunctionSpec { urn: urns::HANDLER.to_owned(), payload: spec.payload.clone() };
        let known = Handler::read(Some(&handler)).and_then(|handler| handler.role(self.graph));
        let mut part = Part::Join;
        if let Ok(Role::Part(Part::Whole(node))) = known {
            part = Part::Whole(node);
            if let (Some(wire), Ok((_, outputs))) = (output, self.graph.shapes_of(part)) {
                outputs.iter().for_each(|shape| self.shape(wire, shape));
            }
        }
        self.parts.push(PickedPart { part, inputs, outputs: vec![output] });
    }

    fn wire(&mut self, id: &str) -> Wire {
        if let Some(&wire) = self.wires.get(id) {
            return wire;
        }
        let wire = Wire(self.shapes.len());
        self.wires.insert(id.to_owned(), wire);
        self.shapes.push(None);
        wire
    }

    fn shape(&mut self, wire: Wire, shape: &Shape) {
        self.shapes[wire.0].get_or_insert_with(|| shape.clone());
    }

    fn finish(mut self) -> Result<BundlePlan> {
        self.spread_shapes();
        let parts = in_order(std::mem::take(&mut self.parts))?;
        let (mut sources, mut sinks) = (Vec::new(), Vec::new());
        for (is_sink, id, wire, port) in std::mem::take(&mut self.ports) {
            let port = self.port(id, wire, &port, &parts)?;
            if is_sink { sinks.push(port) } else { sources.push(port) }
        }
        let raw = Shape::of::<Bytes>;
        let shapes = self.shapes.into_iter().map(|shape| shape.unwrap_or_else(raw)).collect();
        let state = self.descriptor.state_api_service_descriptor.as_ref();
        Ok(BundlePlan {
            picked: Picked { shapes, parts },
            sources,
            sinks,
            stores: self.stores,
            sides: self.sides,
            transforms: Arc::new(self.transforms),
            state_url: state.map(|state| state.url.clone()).filter(|url| !url.is_empty()),
        })
    }

    /// What is flattened has one shape on all sides.
    fn spread_shapes(&mut self) {
        let is_flatten = |part: &&PickedPart| part.inputs.len() > 1 || part.part == Part::Join;
        let wires = |part: &PickedPart| {
            let outputs = part.outputs.iter().flatten();
            part.inputs.iter().chain(outputs).copied().collect::<Vec<Wire>>()
        };
        let flattens: Vec<_> = self.parts.iter().filter(is_flatten).map(wires).collect();
        for _ in 0..flattens.len() {
            for wires in &flattens {
                let known = wires.iter().find_map(|wire| self.shapes[wire.0].clone());
                if let Some(shape) = known {
                    wires.iter().for_each(|&wire| self.shape(wire, &shape));
                }
            }
        }
    }

    fn port(
        &self,
        transform_id: String,
        wire: Wire,
        port: &RemoteGrpcPort,
        parts: &[PickedPart],
    ) -> Result<Port> {
        let coder = WireCoder::resolve(&self.descriptor.coders, &port.coder_id)?;
        let WireCoder::WindowedValue(coder, window) = coder else {
            return Err(refused(&format!("elements travel as {coder}, without windows")));
        };
        let url = port.api_service_descriptor.as_ref().map(|it| it.url.clone());
        let shape = self.shapes[wire.0].as_ref();
        let readers = parts.iter().filter(|part| part.inputs.contains(&wire));
        let groups: Vec<_> = readers.filter_map(|part| self.groups_of(part.part)).collect();
        let of_window_end = |id: &CollectionId| {
            let windowing = &self.graph.graph().collection(*id).windowing;
            windowing.timestamp_combiner == TimestampCombiner::EndOfWindow
        };
        Ok(Port {
            transform_id,
            url: url.unwrap_or_default(),
            wire,
            coder: *coder,
            window: *window,
            kind: shape.map(|shape| WireCoder::from(&shape.coder)),
            is_grouped: !groups.is_empty(),
            ends_windows: groups.iter().any(of_window_end),
        })
    }

    /// The collection whose windows the groups have that a part reads, where a runner has made them.
    ///
    /// What is known of such groups is not asked of the runner. Bounded input with the default trigger
    /// gives each key and window one pane, at its end: some runners say of it that nothing has fired, and
    /// they disagree on the end by a millisecond, since some count microseconds.
    fn groups_of(&self, part: Part) -> Option<CollectionId> {
        let graph = self.graph.graph();
        let read = match part {
            Part::Group(node, GroupPart::Merge | GroupPart::Combine | GroupPart::ByTime) => {
                return graph.node(node).inputs.first().copied();
            }
            // It reads what was taken over, beside other collections.
            Part::Whole(node) if matches!(graph.node(node).operation, Operation::Flatten) => None,
            Part::Whole(node) | Part::Group(node, _) => graph.node(node).inputs.first().copied(),
            Part::Spread(id) | Part::TakeOver(id) | Part::KeepWindow(id) | Part::Keep(id) => {
                Some(id)
            }
            Part::Gather(_) | Part::Join => None,
        };
        let is_group = |id: &CollectionId| {
            let producer = graph.collection(*id).producer;
            self.graph.is_made_by_runner(*id)
                && matches!(graph.node(producer).operation, Operation::Group(_))
        };
        read.filter(is_group)
    }
}

/// Parts in an order in which each stands after what makes its inputs.
fn in_order(parts: Vec<PickedPart>) -> Result<Vec<PickedPart>> {
    let made = parts.iter().flat_map(|part| part.outputs.iter().flatten().copied());
    let mut open: BTreeSet<Wire> = made.collect();
    let (mut left, mut ordered) = (parts, Vec::new());
    while !left.is_empty() {
        let is_ready = |part: &PickedPart| part.inputs.iter().all(|wire| !open.contains(wire));
        let (ready, waiting): (Vec<_>, Vec<_>) = left.into_iter().partition(is_ready);
        if ready.is_empty() {
            return Err(refused("transforms run in a circle"));
        }
        for wire in ready.iter().flat_map(|part| part.outputs.iter().flatten()) {
            open.remove(wire);
        }
        ordered.extend(ready);
        left = waiting;
    }
    Ok(ordered)
}

fn only(collections: &BTreeMap<String, String>) -> Result<&String> {
    let mut ids = collections.values();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id),
        _ => Err(refused(&format!("one input or output is expected, not {}", collections.len()))),
    }
}

fn decode<M: Message + Default>(spec: &FunctionSpec) -> Result<M> {
    M::decode(&spec.payload[..]).map_err(|why| refused(&format!("its payload is damaged: {why}")))
}

fn refused(why: &str) -> Error {
    let message = format!("the runner asks for a bundle that cannot be run: {why}");
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
}
