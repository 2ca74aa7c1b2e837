//! A worker: takes instructions until the runner wants no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crossbeam_channel::unbounded;
use dataflow::bundle::{OnDurable, Setting};
use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::plan::StageGraph;
use futures::future::{Either, select};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::bundle::BundleRun;
use super::data::DataPlane;
use super::descriptor::BundlePlan;
use super::log::Log;
use super::short_ids::ShortIds;
use super::state::StatePlane;
use super::store::Store;
use crate::fault;
use crate::proto::fn_api::{
    CONTROL, GET_DESCRIPTOR, GetProcessBundleDescriptorRequest, InstructionRequest,
    InstructionResponse, MonitoringInfosMetadataResponse, Nothing, ProcessBundleDescriptor,
    ProcessBundleProgressResponse, ProcessBundleRequest, Request, Response,
};
use crate::rpc::{Rpc, queue};

/// Answers on their way: they are small, and whoever makes one waits only for the connection.
const ANSWER_ROOM: usize = 256;

/// Where a worker finds its runner.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    /// What the runner calls the worker.
    pub(crate) worker_id: String,
    /// Where instructions come from.
    pub(crate) control: String,
    /// Where its log goes, if anywhere.
    pub(crate) logging: Option<String>,
    /// Where it asks what the job was submitted with, if anywhere.
    pub(crate) provision: Option<String>,
}

/// What all workers of a process share.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    /// The plan; descriptors name its transforms.
    pub(crate) graph: &'a StageGraph,
    /// The budget and the folder.
    pub(crate) setting: &'a Setting,
    /// Stops all bundles of the setting.
    pub(crate) bundles: &'a CancelToken,
    /// Where results go.
    pub(crate) store: &'a Store,
    /// Moves messages.
    pub(crate) runtime: &'a Handle,
    /// Is true once nobody wants anything any more.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Worker<'_> {
    /// Does what the runner asks, until it closes the control stream or the worker is to stop.
    ///
    /// # Errors
    /// A runner that cannot be reached, or a stream that breaks.
    pub(crate) fn serve(&self, endpoints: &Endpoints) -> Result<()> {
        let connect = Rpc::connect(&endpoints.control);
        let control = self.runtime.block_on(connect)?.for_worker(&endpoints.worker_id)?;
        let (answers, messages) = queue(ANSWER_ROOM);
        let (sender, requests) = unbounded();
        let (rpc, mut stop) = (control.clone(), self.stop.clone());
        let reading = self.runtime.spawn(async move {
            let read = async {
                let answers = messages;
                let mut stream = rpc.stream(CONTROL, answers).await?;
                while let Some(request) = rpc.next(CONTROL, &mut stream).await? {
                    if sender.send(request).is_err() {
                        break;
                    }
                }
                Ok::<(), Error>(())
            };
            let stopped = stop.wait_for(|is_over| *is_over);
            match select(std::pin::pin!(read), std::pin::pin!(stopped)).await {
                Either::Left((read, _)) => read,
                Either::Right(_) => Ok(()),
            }
        });
        let session = Session {
            worker: self,
            worker_id: endpoints.worker_id.clone(),
            control,
            answers,
            log: Log::open(endpoints.logging.as_deref(), &endpoints.worker_id, self.runtime),
            shared: Mutex::default(),
        };
        session.log.info(format!("a worker of plan {} begins", self.graph.fingerprint()));
        std::thread::scope(|scope| {
            for request in &requests {
                session.take(request, scope);
            }
            // What a bundle would still write is of a job that is over, or that others do again.
            self.bundles.cancel();
            session.close();
        });
        session.log.close(self.runtime);
        let read = self.runtime.block_on(reading);
        read.map_err(|why| Error::internal(format!("the control stream: {why}")))?
    }
}

/// One worker, as the runner knows it.
struct Session<'a> {
    worker: &'a Worker<'a>,
    worker_id: String,
    control: Rpc,
    answers: mpsc::Sender<InstructionResponse>,
    log: Log,
    shared: Mutex<Shared>,
}

/// What the bundles of a worker share.
#[derive(Default)]
struct Shared {
    plans: BTreeMap<String, Arc<BundlePlan>>,
    data: BTreeMap<String, Arc<DataPlane>>,
    state: BTreeMap<String, Arc<StatePlane>>,
    durable: BTreeMap<String, OnDurable>,
    short_ids: ShortIds,
    /// Whether nobody waits for anything any more.
    is_closed: bool,
}

impl Session<'_> {
    /// Answers an instruction, or lets a thread run it.
    fn take<'scope>(&'scope self, request: InstructionRequest, scope: &'scope Scope<'scope, '_>) {
        let InstructionRequest { instruction_id, request } = request;
        match request {
            Some(Request::ProcessBundle(request)) => {
                scope.spawn(move || {
                    let outcome = self.process(&instruction_id, &request);
                    self.answer(instruction_id, outcome);
                });
            }
            Some(Request::FinalizeBundle(request)) => {
                scope.spawn(move || {
                    let on_durable = self.lock().durable.remove(&request.instruction_id);
                    let called = on_durable.map_or(Ok(()), |on_durable| {
                        self.worker.store.add_late(&on_durable.call(self.worker.graph))
                    });
                    let called = called.map(|()| Response::FinalizeBundle(Nothing {}));
                    self.answer(instruction_id, called);
                });
            }
            Some(Request::Register(request)) => {
                let descriptors = request.process_bundle_descriptor.iter();
                let read = descriptors.map(|descriptor| self.keep_plan(descriptor).map(drop));
                let read = read.collect::<Result<()>>();
                self.answer(instruction_id, read.map(|()| Response::Register(Nothing {})));
            }
            // Nothing to say is an answer, also for bundles that are not known any more.
            Some(Request::ProcessBundleProgress(_)) => {
                let nothing = ProcessBundleProgressResponse::default();
                self.answer(instruction_id, Ok(Response::ProcessBundleProgress(nothing)));
            }
            Some(Request::ProcessBundleSplit(_)) => {
                self.answer(instruction_id, Ok(Response::ProcessBundleSplit(Nothing {})));
            }
            Some(Request::MonitoringInfos(request)) => {
                let monitoring_info = self.lock().short_ids.named(&request.monitoring_info_id);
                let named = MonitoringInfosMetadataResponse { monitoring_info };
                self.answer(instruction_id, Ok(Response::MonitoringInfos(named)));
            }
            Some(Request::HarnessMonitoringInfos(_)) => {
                self.answer(instruction_id, Ok(Response::HarnessMonitoringInfos(Nothing {})));
            }
            Some(Request::SampleData(_)) => {
                self.answer(instruction_id, Ok(Response::SampleData(Nothing {})));
            }
            None => {
                let message = "an instruction of a kind that is not known";
                let error = Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message);
                self.answer(instruction_id, Err(error));
            }
        }
    }

    fn answer(&self, instruction_id: String, outcome: Result<Response>) {
        let (response, error) = match outcome {
            Ok(response) => (Some(response), String::new()),
            Err(error) => {
                tracing::warn!(instruction = %instruction_id, %error, "a bundle has failed");
                let transform = error.place("step").map(|step| self.transform(step));
                self.log.error(&instruction_id, &transform.unwrap_or_default(), error.to_string());
                (None, fault::to_text(&error))
            }
        };
        let answer = InstructionResponse { instruction_id, error, response };
        // Where the stream has ended, nobody waits for it.
        drop(self.worker.runtime.block_on(self.answers.send(answer)));
    }

    fn process(&self, instruction_id: &str, request: &ProcessBundleRequest) -> Result<Response> {
        let _running = self.worker.store.begin_bundle()?;
        let mut planes = BTreeMap::new();
        let outcome = self.process_with(instruction_id, request, &mut planes);
        planes.values().for_each(|plane: &Arc<DataPlane>| plane.end(instruction_id));
        let (response, on_durable) = outcome?;
        if !on_durable.is_empty() {
            self.lock().durable.insert(instruction_id.to_owned(), on_durable);
        }
        Ok(response)
    }

    fn process_with(
        &self,
        instruction_id: &str,
        request: &ProcessBundleRequest,
        planes: &mut BTreeMap<String, Arc<DataPlane>>,
    ) -> Result<(Response, OnDurable)> {
        let plan = self.plan(&request.process_bundle_descriptor_id)?;
        for port in plan.sources.iter().chain(&plan.sinks) {
            if !planes.contains_key(&port.url) {
                planes.insert(port.url.clone(), self.data(&port.url)?);
            }
        }
        let state = match &plan.state_url {
            Some(url) if !plan.sides.is_empty() => Some(self.state(url)?),
            _ => None,
        };
        let Worker { graph, setting, store, .. } = *self.worker;
        let plan = plan.as_ref();
        let run = BundleRun { graph, setting, store, instruction_id, plan, planes, state };
        let transforms = &plan.transforms;
        let (mut response, on_durable) =
            self.log.within(instruction_id, transforms, || run.run())?;
        // Runners read one form or the other, as other workers of Beam send both.
        response.monitoring_data = self.lock().short_ids.values(&response.monitoring_infos);
        Ok((Response::ProcessBundle(response), on_durable))
    }

    /// What the runner calls the transform of a step.
    fn transform(&self, step: &str) -> String {
        let plans = &self.lock().plans;
        plans.values().find_map(|plan| plan.transforms.get(step)).cloned().unwrap_or_default()
    }

    fn plan(&self, id: &str) -> Result<Arc<BundlePlan>> {
        if let Some(plan) = self.lock().plans.get(id) {
            return Ok(Arc::clone(plan));
        }
        let request =
            GetProcessBundleDescriptorRequest { process_bundle_descriptor_id: id.to_owned() };
        let asked = self.control.unary(GET_DESCRIPTOR, request);
        let descriptor: ProcessBundleDescriptor = self.worker.runtime.block_on(asked)?;
        self.keep_plan(&descriptor)
    }

    fn keep_plan(&self, descriptor: &ProcessBundleDescriptor) -> Result<Arc<BundlePlan>> {
        let plan = Arc::new(BundlePlan::of(self.worker.graph, descriptor)?);
        self.lock().plans.insert(descriptor.id.clone(), Arc::clone(&plan));
        Ok(plan)
    }

    fn data(&self, url: &str) -> Result<Arc<DataPlane>> {
        if let Some(plane) = self.lock().data.get(url) {
            return Ok(Arc::clone(plane));
        }
        let rpc = self.connect(url)?;
        // Another bundle may have connected meanwhile: there is one stream.
        let mut shared = self.lock();
        let open = || Arc::new(DataPlane::open(rpc, url, self.worker.runtime));
        let plane = Arc::clone(shared.data.entry(url.to_owned()).or_insert_with(open));
        if shared.is_closed {
            plane.close(ended());
        }
        Ok(plane)
    }

    fn state(&self, url: &str) -> Result<Arc<StatePlane>> {
        if let Some(plane) = self.lock().state.get(url) {
            return Ok(Arc::clone(plane));
        }
        let rpc = self.connect(url)?;
        let mut shared = self.lock();
        let open = || Arc::new(StatePlane::open(rpc, self.worker.runtime));
        let plane = Arc::clone(shared.state.entry(url.to_owned()).or_insert_with(open));
        if shared.is_closed {
            plane.close(ended());
        }
        Ok(plane)
    }

    fn connect(&self, url: &str) -> Result<Rpc> {
        self.worker.runtime.block_on(Rpc::connect(url))?.for_worker(&self.worker_id)
    }

    /// Ends what runs: nobody waits for it any more.
    fn close(&self) {
        let mut shared = self.lock();
        shared.is_closed = true;
        shared.data.values().for_each(|plane| plane.close(ended()));
        shared.state.values().for_each(|plane| plane.close(ended()));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> Error {
    let message = "the runner has ended the work of this worker";
    Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, message)
}
