//! The services of the fake runner, all at one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt as _};
use http::Request;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::body::Body;
use tonic::{Code, Status, Streaming};

use super::Mischief;
use super::engine::Engine;
use crate::proto::fn_api::{
    CONTROL, DATA, Elements, GET_DESCRIPTOR, GetProcessBundleDescriptorRequest,
    GetProvisionInfoResponse, InstructionRequest, InstructionResponse, LOGGING, LogEntries,
    LogEntry, Nothing, PROVISION, ProcessBundleDescriptor, ProvisionInfo, STATE, StateGetResponse,
    StateRequest, StateResponse,
};
use crate::proto::job::{
    ArtifactRequestWrapper, ArtifactResponseWrapper, CANCEL, GetJobMetricsResponse, JobId,
    JobMessage, JobMessagesResponse, JobState, MESSAGES, METRICS, MetricResults, PREPARE,
    PrepareJobRequest, PrepareJobResponse, RUN, ResolveArtifactsRequest, RunJobRequest, STAGE,
};
use crate::proto::known::Struct;
use crate::proto::pipeline::{ApiServiceDescriptor, MonitoringInfo, Pipeline};
use crate::rpc::{Answer, Service, streaming, unary};

/// What the worker sends.
pub(super) enum FromWorker {
    Connected,
    Answered(InstructionResponse),
    Sent(Elements),
    Lost,
}

/// What all services share. Dropping a sender ends the stream that it feeds.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) pipeline: Option<Pipeline>,
    options: Option<Struct>,
    pub(super) control: Option<UnboundedSender<InstructionRequest>>,
    pub(super) data: Option<UnboundedSender<Elements>>,
    pub(super) descriptors: BTreeMap<String, ProcessBundleDescriptor>,
    /// The bytes of side inputs by transform and name.
    pub(super) sides: BTreeMap<(String, String), Vec<u8>>,
    pub(super) metrics: Vec<MonitoringInfo>,
    pub(super) events: Option<UnboundedReceiver<FromWorker>>,
    log: Vec<LogEntry>,
    is_cancelled: bool,
}

pub(super) struct Services {
    endpoint: String,
    mischief: Mischief,
    runtime: Handle,
    shared: Arc<Mutex<Shared>>,
    events: UnboundedSender<FromWorker>,
}

impl Services {
    pub(super) fn new(endpoint: String, mischief: Mischief, runtime: Handle) -> Self {
        let (events, received) = unbounded_channel();
        let shared = Shared { events: Some(received), ..Shared::default() };
        Self { endpoint, mischief, runtime, shared: Arc::new(Mutex::new(shared)), events }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// What the worker has said.
    pub(super) fn log(&self) -> Vec<LogEntry> {
        self.lock().log.clone()
    }

    /// Ends the control stream, as that of a runner which is killed.
    pub(super) fn lose_worker(&self) {
        self.lock().control = None;
        drop(self.events.send(FromWorker::Lost));
    }

    fn run(&self) -> impl Stream<Item = Result<JobMessagesResponse, Status>> + Send + 'static {
        let (sender, receiver) = unbounded_channel();
        let (shared, mischief) = (Arc::clone(&self.shared), self.mischief);
        let (endpoint, runtime) = (self.endpoint.clone(), self.runtime.clone());
        let state = |state: i32| JobMessagesResponse {
            state_response: Some(JobState { state }),
            message_response: None,
        };
        drop(sender.send(state(2)));
        std::thread::spawn(move || {
            let outcome = Engine::run(&shared, mischief, &endpoint, &runtime);
            let is_cancelled = lock(&shared).is_cancelled;
            // Dropped senders end the streams of the worker.
            lock(&shared).control = None;
            lock(&shared).data = None;
            match outcome {
                Ok(()) => drop(sender.send(state(3))),
                Err(_) if is_cancelled => drop(sender.send(state(5))),
                Err(text) => {
                    drop(sender.send(state(4)));
                    let message_text = format!(
                        "java.lang.RuntimeException: bundle failed\n{text}\n\tat Engine.run"
                    );
                    let message = JobMessage { importance: 5, message_text };
                    drop(sender.send(JobMessagesResponse {
                        message_response: Some(message),
                        state_response: None,
                    }));
                }
            }
        });
        stream_of(receiver).map(Ok)
    }
}

pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stream_of<T: Send>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    })
}

impl Service for Services {
    fn call(&self, path: &str, request: Request<Body>) -> Answer {
        match path {
            PREPARE => self.prepare(request),
            STAGE => streaming(request, |stream: Streaming<ArtifactResponseWrapper>| {
                // One question, then the end, once both answers have come.
                let question = ArtifactRequestWrapper {
                    resolve_artifact: Some(ResolveArtifactsRequest::default()),
                    get_artifact: None,
                };
                let rest = stream.take(2).filter_map(|_| async { None });
                futures::stream::iter([Ok(question)]).chain(rest)
            }),
            RUN => {
                unary(request, |_: RunJobRequest| async { Ok(JobId { job_id: "job".to_owned() }) })
            }
            MESSAGES => {
                let messages = self.run();
                streaming(request, |_: Streaming<JobId>| messages)
            }
            CANCEL => {
                let mut shared = self.lock();
                shared.is_cancelled = true;
                shared.control = None;
                unary(request, |_: JobId| async { Ok(JobState { state: 10 }) })
            }
            METRICS => {
                let committed = self.lock().metrics.clone();
                let metrics = Some(MetricResults { attempted: Vec::new(), committed });
                unary(request, |_: JobId| async { Ok(GetJobMetricsResponse { metrics }) })
            }
            other => self.call_of_worker(other, request),
        }
    }
}

impl Services {
    fn prepare(&self, request: Request<Body>) -> Answer {
        let (shared, url) = (Arc::clone(&self.shared), self.endpoint.clone());
        unary(request, |prepare: PrepareJobRequest| async move {
            let mut shared = lock(&shared);
            (shared.pipeline, shared.options) = (prepare.pipeline, prepare.pipeline_options);
            Ok(PrepareJobResponse {
                preparation_id: "preparation".to_owned(),
                artifact_staging_endpoint: Some(ApiServiceDescriptor { url }),
                staging_session_token: "token".to_owned(),
            })
        })
    }

    fn call_of_worker(&self, path: &str, request: Request<Body>) -> Answer {
        match path {
            CONTROL => {
                let (sender, receiver) = unbounded_channel();
                self.lock().control = Some(sender);
                let (events, runtime) = (self.events.clone(), self.runtime.clone());
                streaming(request, move |mut stream: Streaming<InstructionResponse>| {
                    drop(events.send(FromWorker::Connected));
                    runtime.spawn(async move {
                        while let Ok(Some(message)) = stream.message().await {
                            drop(events.send(FromWorker::Answered(message)));
                        }
                    });
                    stream_of(receiver).map(Ok)
                })
            }
            PROVISION => {
                let pipeline_options = self.lock().options.clone();
                let info = ProvisionInfo { pipeline_options, ..ProvisionInfo::default() };
                unary(request, |_: Nothing| async {
                    Ok(GetProvisionInfoResponse { info: Some(info) })
                })
            }
            GET_DESCRIPTOR => {
                let shared = Arc::clone(&self.shared);
                unary(request, |asked: GetProcessBundleDescriptorRequest| async move {
                    let found =
                        lock(&shared).descriptors.get(&asked.process_bundle_descriptor_id).cloned();
                    found.ok_or_else(|| Status::new(Code::NotFound, "no such descriptor"))
                })
            }
            DATA => {
                let (sender, receiver) = unbounded_channel();
                self.lock().data = Some(sender);
                let this = (self.events.clone(), self.runtime.clone());
                streaming(request, move |mut stream: Streaming<Elements>| {
                    let (events, runtime) = this;
                    runtime.spawn(async move {
                        while let Ok(Some(message)) = stream.message().await {
                            drop(events.send(FromWorker::Sent(message)));
                        }
                    });
                    stream_of(receiver).map(Ok)
                })
            }
            LOGGING => {
                let shared = Arc::clone(&self.shared);
                streaming(request, |stream: Streaming<LogEntries>| {
                    // Nothing is ever answered.
                    stream.filter_map(move |entries| {
                        lock(&shared)
                            .log
                            .extend(entries.map(|it| it.log_entries).unwrap_or_default());
                        async { None::<Result<Nothing, Status>> }
                    })
                })
            }
            STATE => {
                let (shared, mischief) = (Arc::clone(&self.shared), self.mischief);
                streaming(request, move |stream: Streaming<StateRequest>| {
                    stream.map(move |request| Ok(page(&lock(&shared), mischief, request?)))
                })
            }
            other => {
                let status = Status::new(Code::Unimplemented, other.to_owned());
                unary(request, |_: Nothing| async { Err::<Nothing, _>(status) })
            }
        }
    }
}

/// One byte of state, and where the next one is.
fn page(shared: &Shared, mischief: Mischief, request: StateRequest) -> StateResponse {
    let answer = StateResponse { id: request.id, ..StateResponse::default() };
    if mischief == Mischief::RefusesState {
        return StateResponse { error: "no state today".to_owned(), ..answer };
    }
    let key = request.state_key.and_then(|key| key.iterable_side_input).unwrap_or_default();
    let Some(bytes) = shared.sides.get(&(key.transform_id, key.side_input_id)) else {
        return StateResponse { error: "no such side input".to_owned(), ..answer };
    };
    let token = request.get.unwrap_or_default().continuation_token;
    let at = token.try_into().map_or(0, u64::from_be_bytes) as usize;
    let next = at + 1;
    let is_last = next >= bytes.len();
    let get = StateGetResponse {
        continuation_token: if is_last { Vec::new() } else { (next as u64).to_be_bytes().to_vec() },
        data: bytes.get(at..next).unwrap_or_default().to_vec(),
    };
    StateResponse { get: Some(get), ..answer }
}
