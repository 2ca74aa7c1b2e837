//! What the fake runner does with a pipeline: one transform after the other, in two bundles each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Mischief;
use super::services::{FromWorker, Shared, lock};
use super::values::{decoded_elements, dressed, encoded, encoded_element, put_coder};
use crate::coder::{Pane, Value, WireCoder};
use crate::proto::fn_api::{
    Data, Elements, InstructionRequest, ProcessBundleDescriptor, ProcessBundleProgressRequest,
    ProcessBundleRequest, ProcessBundleSplitRequest, RemoteGrpcPort, Request, Response,
    START_WORKER, StartWorkerRequest, StartWorkerResponse,
};
use crate::proto::pipeline::{
    ApiServiceDescriptor, Components, ExternalPayload, FunctionSpec, PCollection, PTransform,
    ParDoPayload,
};
use crate::rpc::Rpc;
use crate::submit::urns;

const PATIENCE: Duration = Duration::from_secs(60);
/// Messages have so many bytes: less than a header.
const MESSAGE_BYTES: usize = 7;
/// The least time of all.
const MIN_MILLIS: i64 = i64::MIN / 1000;
/// The end of the global window.
const END_MILLIS: i64 = i64::MAX / 1000 - 24 * 60 * 60 * 1000;

pub(super) struct Engine<'a> {
    shared: &'a Mutex<Shared>,
    mischief: Mischief,
    endpoint: String,
    runtime: &'a Handle,
    events: UnboundedReceiver<FromWorker>,
    components: Components,
    collections: BTreeMap<String, Vec<Value>>,
    next_id: usize,
}

impl<'a> Engine<'a> {
    /// Runs the pipeline that was prepared; the text of a failure.
    pub(super) fn run(
        shared: &'a Mutex<Shared>,
        mischief: Mischief,
        endpoint: &str,
        runtime: &'a Handle,
    ) -> Result<(), String> {
        let pipeline = lock(shared).pipeline.clone().expect("a pipeline was prepared");
        let events = lock(shared).events.take().expect("one job a server");
        let mut engine = Self {
            shared,
            mischief,
            endpoint: endpoint.to_owned(),
            runtime,
            events,
            components: pipeline.components.unwrap_or_default(),
            collections: BTreeMap::new(),
            next_id: 0,
        };
        engine.start_worker();
        let mut open: Vec<String> = pipeline.root_transform_ids.into_iter().rev().collect();
        while let Some(id) = open.pop() {
            let transform = engine.components.transforms[&id].clone();
            open.extend(transform.subtransforms.iter().rev().cloned());
            // What a composite says is known to others: what it holds is run here.
            if let Some(spec) = &transform.spec
                && transform.subtransforms.is_empty()
            {
                engine.leaf(&transform, spec)?;
            }
        }
        Ok(())
    }

    fn start_worker(&mut self) {
        let environment = self.components.environments.values().next().expect("one");
        let pool = ExternalPayload::decode(&environment.payload[..]).expect("a payload");
        let pool = pool.endpoint.expect("an endpoint").url;
        let start = StartWorkerRequest {
            worker_id: "worker of the fake runner".to_owned(),
            control_endpoint: Some(self.address()),
            logging_endpoint: Some(self.address()),
            provision_endpoint: Some(self.address()),
        };
        let started = self.runtime.block_on(async {
            let rpc = Rpc::connect(&pool).await?;
            rpc.unary::<_, StartWorkerResponse>(START_WORKER, start).await
        });
        assert_eq!(started.expect("the pool answers").error, "");
        assert!(matches!(self.event(), Some(FromWorker::Connected)), "the worker connects");
    }

    fn address(&self) -> ApiServiceDescriptor {
        ApiServiceDescriptor { url: self.endpoint.clone() }
    }

    fn event(&mut self) -> Option<FromWorker> {
        let next = async {
            let next = tokio::time::timeout(PATIENCE, self.events.recv());
            next.await.expect("the worker does not answer in time")
        };
        self.runtime.block_on(next)
    }

    fn leaf(&mut self, transform: &PTransform, spec: &FunctionSpec) -> Result<(), String> {
        let only = |ids: &BTreeMap<String, String>| ids.values().next().cloned();
        match spec.urn.as_str() {
            urns::IMPULSE => {
                let element = Value::Windowed {
                    timestamp: MIN_MILLIS,
                    windows: vec![Value::GlobalWindow],
                    pane: Pane::NO_FIRING,
                    value: Box::new(Value::Bytes(Vec::new())),
                };
                self.collections.insert(only(&transform.outputs).expect("one"), vec![element]);
            }
            urns::GROUP_BY_KEY => {
                let input = only(&transform.inputs).expect("one");
                let groups = self.grouped(&input);
                self.collections.insert(only(&transform.outputs).expect("one"), groups);
            }
            _ => self.bundles(transform, spec)?,
        }
        Ok(())
    }

    /// Groups by the bytes of key and window.
    fn grouped(&self, input: &str) -> Vec<Value> {
        let (coder, window) = self.coders_of(input);
        let WireCoder::Kv(key_coder, _) = coder else { panic!("pairs are grouped") };
        let mut groups = BTreeMap::<(Vec<u8>, Vec<u8>), (Value, Value, Vec<Value>)>::new();
        for element in &self.collections[input] {
            let Value::Windowed { windows, value, .. } = element else {
                panic!("a windowed value")
            };
            let Value::Kv(key, value) = value.as_ref() else { panic!("a pair") };
            for one in windows {
                let bytes = (encoded(key, &key_coder), encoded(one, &window));
                let group = groups.entry(bytes);
                let group = group.or_insert_with(|| (key.as_ref().clone(), one.clone(), vec![]));
                group.2.push(value.as_ref().clone());
            }
        }
        let group = |(key, window, values): (Value, Value, Vec<Value>)| Value::Windowed {
            timestamp: match window {
                Value::IntervalWindow { end, .. } => end - 1,
                _ => END_MILLIS,
            },
            windows: vec![window],
            // As some runners say of all groups.
            pane: Pane::NO_FIRING,
            value: Box::new(Value::Kv(Box::new(key), Box::new(Value::Iterable(values)))),
        };
        groups.into_values().map(group).collect()
    }

    fn coders_of(&self, collection: &str) -> (WireCoder, WireCoder) {
        let Components { coders, pcollections, windowing_strategies, .. } = &self.components;
        let pcollection = &pcollections[collection];
        let strategy = &windowing_strategies[&pcollection.windowing_strategy_id];
        let coder = |id: &str| WireCoder::resolve(coders, id).expect("a known coder");
        (coder(&pcollection.coder_id), coder(&strategy.window_coder_id))
    }

    fn new_id(&mut self, kind: &str) -> String {
        self.next_id += 1;
        format!("{kind}{}", self.next_id)
    }

    /// Runs a transform of the worker in two bundles at once.
    fn bundles(&mut self, transform: &PTransform, spec: &FunctionSpec) -> Result<(), String> {
        let stage = self.stage(transform, spec);
        let instructions = [self.new_id("I"), self.new_id("I")];
        let mut messages = Vec::new();
        for (place, instruction) in instructions.iter().enumerate() {
            for (id, collection) in &stage.sources {
                let bytes = self.bytes_of(collection, |at| at % 2 == place);
                messages.push(self.messages(instruction, id, &bytes));
            }
        }
        let messages = in_turns(&messages);
        let is_open = lock(self.shared).data.is_some();
        let half = if is_open { messages.len() / 2 } else { 0 };
        let (early, late) = messages.split_at(half);
        self.send(early);
        for instruction in &instructions {
            self.process(instruction, &stage.id);
        }
        if self.mischief == Mischief::DropsControl {
            lock(self.shared).control = None;
            return Err("the worker is lost".to_owned());
        }
        while lock(self.shared).data.is_none() {
            // A worker that cannot run a bundle never asks for its data.
            if let Ok(FromWorker::Answered(answer)) = self.events.try_recv()
                && !answer.error.is_empty()
            {
                return Err(answer.error);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        match self.mischief {
            Mischief::DropsData => {
                self.send(&late[..late.len() / 2]);
                lock(self.shared).data = None;
            }
            _ => self.send(late),
        }
        let outputs = self.collect(&stage, &instructions)?;
        // Nobody waits for this any more.
        self.send(&self.messages(&instructions[0], "nothing", b"stray"));
        for (sink, collection) in &stage.sinks {
            let (coder, window) = self.coders_of(collection);
            let mut elements = Vec::new();
            for instruction in &instructions {
                let bytes = outputs.get(&(instruction.clone(), sink.clone()));
                let bytes = bytes.map_or(&[][..], Vec::as_slice);
                elements.extend(decoded_elements(bytes, &dressed(&coder), &window)?);
            }
            self.collections.insert(collection.clone(), elements);
        }
        Ok(())
    }

    /// The bytes of the elements of a collection at some places.
    fn bytes_of(&self, collection: &str, is_wanted: impl Fn(usize) -> bool) -> Vec<u8> {
        let (coder, window) = self.coders_of(collection);
        let elements = self.collections[collection].iter().enumerate();
        let elements = elements.filter(|(at, _)| is_wanted(*at));
        let mut bytes: Vec<u8> = elements
            .flat_map(|(_, element)| encoded_element(element, &dressed(&coder), &window))
            .collect();
        if self.mischief == Mischief::CutsElement {
            bytes.pop();
        }
        bytes
    }

    fn messages(&self, instruction: &str, transform: &str, bytes: &[u8]) -> Vec<Data> {
        let data = |data: &[u8], is_last| Data {
            instruction_id: instruction.to_owned(),
            transform_id: transform.to_owned(),
            data: data.to_vec().into(),
            is_last,
        };
        let mut messages: Vec<Data> =
            bytes.chunks(MESSAGE_BYTES).map(|bytes| data(bytes, false)).collect();
        messages.push(data(&[], true));
        messages
    }

    fn send(&self, messages: &[Data]) {
        let shared = lock(self.shared);
        let Some(data) = &shared.data else { return };
        for message in messages {
            drop(data.send(Elements { data: vec![message.clone()], timers: Vec::new() }));
        }
    }

    fn process(&mut self, instruction: &str, descriptor: &str) {
        let ask = |id: &str, request: Request| {
            let shared = lock(self.shared);
            let request =
                InstructionRequest { instruction_id: id.to_owned(), request: Some(request) };
            drop(shared.control.as_ref().map(|control| control.send(request)));
        };
        for of in [instruction, "nothing"] {
            let of = of.to_owned();
            ask(
                "split",
                Request::ProcessBundleSplit(ProcessBundleSplitRequest { instruction_id: of }),
            );
        }
        let id = descriptor.to_owned();
        let request = ProcessBundleRequest { process_bundle_descriptor_id: id, elements: None };
        ask(instruction, Request::ProcessBundle(request));
        for of in [instruction, "nothing"] {
            let of = of.to_owned();
            let request = ProcessBundleProgressRequest { instruction_id: of };
            ask("progress", Request::ProcessBundleProgress(request));
        }
    }

    /// What the bundles put out, once all have answered and every sink has ended.
    fn collect(
        &mut self,
        stage: &Stage,
        instructions: &[String],
    ) -> Result<BTreeMap<(String, String), Vec<u8>>, String> {
        let mut outputs = BTreeMap::<(String, String), Vec<u8>>::new();
        let mut running: BTreeSet<String> = instructions.iter().cloned().collect();
        let mut open = BTreeSet::new();
        for instruction in instructions {
            open.extend(stage.sinks.iter().map(|(sink, _)| (instruction.clone(), sink.clone())));
        }
        while !running.is_empty() || !open.is_empty() {
            match self.event() {
                Some(FromWorker::Answered(answer)) => {
                    if !answer.error.is_empty() {
                        return Err(answer.error);
                    }
                    if let Some(Response::ProcessBundle(response)) = answer.response {
                        assert!(running.remove(&answer.instruction_id), "it was not running");
                        lock(self.shared).metrics.extend(response.monitoring_infos);
                    }
                }
                Some(FromWorker::Sent(elements)) => {
                    for data in elements.data {
                        let place = (data.instruction_id, data.transform_id);
                        assert!(open.contains(&place), "{place:?} has ended or is none");
                        if data.is_last {
                            open.remove(&place);
                        }
                        outputs.entry(place).or_default().extend_from_slice(&data.data);
                    }
                }
                Some(FromWorker::Connected) => panic!("a worker connects once"),
                Some(FromWorker::Lost) | None => return Err("the worker is gone".to_owned()),
            }
        }
        Ok(outputs)
    }

    /// Describes a transform with a source for each input and a sink for each output, all renamed.
    fn stage(&mut self, transform: &PTransform, spec: &FunctionSpec) -> Stage {
        let mut descriptor = ProcessBundleDescriptor {
            id: self.new_id("D"),
            state_api_service_descriptor: Some(self.address()),
            ..ProcessBundleDescriptor::default()
        };
        let (mut sources, mut sinks) = (Vec::new(), Vec::new());
        let own = self.new_id("T");
        let sides = match spec.urn.as_str() {
            urns::PAR_DO => ParDoPayload::decode(&spec.payload[..]).expect("a payload").side_inputs,
            _ => BTreeMap::new(),
        };
        let mut renamed = PTransform {
            spec: Some(spec.clone()),
            unique_name: format!("renamed {}", transform.unique_name),
            ..PTransform::default()
        };
        if spec.urn == urns::FLATTEN {
            // One of the runner's own says nothing of itself.
            renamed.spec = Some(FunctionSpec { urn: spec.urn.clone(), payload: Vec::new() });
        }
        for (name, collection) in &transform.inputs {
            let id = self.put_collection(&mut descriptor, collection);
            if sides.contains_key(name) {
                let (coder, _) = self.coders_of(collection);
                let values = self.collections[collection].iter().flat_map(|element| {
                    let Value::Windowed { value, .. } = element else { panic!("windowed") };
                    encoded(value, &dressed(&coder))
                });
                let bytes = values.collect();
                lock(self.shared).sides.insert((own.clone(), name.clone()), bytes);
                renamed.inputs.insert(name.clone(), id);
                continue;
            }
            let source = self.new_id("S");
            let outputs = BTreeMap::from([("None".to_owned(), id.clone())]);
            let port = self.port(&mut descriptor, urns::SOURCE, collection);
            let port = PTransform { outputs, spec: Some(port), ..PTransform::default() };
            descriptor.transforms.insert(source.clone(), port);
            sources.push((source, collection.clone()));
            renamed.inputs.insert(format!("input of {name}"), id);
        }
        let is_single = transform.outputs.len() == 1;
        for (name, collection) in &transform.outputs {
            let id = self.put_collection(&mut descriptor, collection);
            let sink = self.new_id("X");
            let inputs = BTreeMap::from([("None".to_owned(), id.clone())]);
            let port = self.port(&mut descriptor, urns::SINK, collection);
            let port = PTransform { inputs, spec: Some(port), ..PTransform::default() };
            descriptor.transforms.insert(sink.clone(), port);
            sinks.push((sink, collection.clone()));
            let name = if is_single { "None".to_owned() } else { name.clone() };
            renamed.outputs.insert(name, id);
        }
        descriptor.transforms.insert(own, renamed);
        let id = descriptor.id.clone();
        lock(self.shared).descriptors.insert(id.clone(), descriptor);
        Stage { id, sources, sinks }
    }

    fn put_collection(
        &mut self,
        descriptor: &mut ProcessBundleDescriptor,
        collection: &str,
    ) -> String {
        let (coder, _) = self.coders_of(collection);
        let coder_id = put_coder(&mut descriptor.coders, &dressed(&coder));
        let id = self.new_id("P");
        let pcollection = PCollection { coder_id, ..PCollection::default() };
        descriptor.pcollections.insert(id.clone(), pcollection);
        id
    }

    fn port(
        &self,
        descriptor: &mut ProcessBundleDescriptor,
        urn: &str,
        collection: &str,
    ) -> FunctionSpec {
        let (coder, window) = self.coders_of(collection);
        let is_lie = self.mischief == Mischief::LiesAboutCoder && urn == urns::SOURCE;
        let coder = if is_lie { WireCoder::Double } else { dressed(&coder) };
        let coder = WireCoder::WindowedValue(Box::new(coder), Box::new(window));
        let coder_id = put_coder(&mut descriptor.coders, &coder);
        let port = RemoteGrpcPort { api_service_descriptor: Some(self.address()), coder_id };
        FunctionSpec { urn: urn.to_owned(), payload: port.encode_to_vec() }
    }
}

/// A descriptor, and the collections at its ends.
struct Stage {
    id: String,
    sources: Vec<(String, String)>,
    sinks: Vec<(String, String)>,
}

/// The messages of all, one of each in turn.
fn in_turns(lists: &[Vec<Data>]) -> Vec<Data> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let at = |place: usize| lists.iter().filter_map(move |list| list.get(place)).cloned();
    (0..longest).flat_map(at).collect()
}
