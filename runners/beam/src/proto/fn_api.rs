//! What a runner and its workers say to each other: `org.apache.beam.model.fn_execution.v1`.
//!
//! Source: Apache Beam, `beam_fn_api.proto`, `beam_provision_api.proto`.

use std::collections::BTreeMap;

use super::known::{Struct, Timestamp};
use super::pipeline::{
    ApiServiceDescriptor, Coder, MonitoringInfo, PCollection, PTransform, WindowingStrategy,
};

/// The path of a method of a service of this package.
macro_rules! method {
    ($service:literal, $method:literal) => {
        concat!("/org.apache.beam.model.fn_execution.v1.", $service, "/", $method)
    };
}

pub(crate) const CONTROL: &str = method!("BeamFnControl", "Control");
pub(crate) const GET_DESCRIPTOR: &str = method!("BeamFnControl", "GetProcessBundleDescriptor");
pub(crate) const DATA: &str = method!("BeamFnData", "Data");
pub(crate) const STATE: &str = method!("BeamFnState", "State");
pub(crate) const LOGGING: &str = method!("BeamFnLogging", "Logging");
pub(crate) const START_WORKER: &str = method!("BeamFnExternalWorkerPool", "StartWorker");
pub(crate) const PROVISION: &str = method!("ProvisionService", "GetProvisionInfo");
pub(crate) const STOP_WORKER: &str = method!("BeamFnExternalWorkerPool", "StopWorker");

/// What a worker is asked to do.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InstructionRequest {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
    #[prost(oneof = "Request", tags = "1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007")]
    pub(crate) request: Option<Request>,
}

/// The kinds of instructions.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "1000")]
    Register(RegisterRequest),
    #[prost(message, tag = "1001")]
    ProcessBundle(ProcessBundleRequest),
    #[prost(message, tag = "1002")]
    ProcessBundleProgress(ProcessBundleProgressRequest),
    #[prost(message, tag = "1003")]
    ProcessBundleSplit(ProcessBundleSplitRequest),
    #[prost(message, tag = "1004")]
    FinalizeBundle(FinalizeBundleRequest),
    #[prost(message, tag = "1005")]
    MonitoringInfos(MonitoringInfosMetadataRequest),
    #[prost(message, tag = "1006")]
    HarnessMonitoringInfos(Nothing),
    #[prost(message, tag = "1007")]
    SampleData(Nothing),
}

/// What came of an instruction.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InstructionResponse {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
    #[prost(string, tag = "2")]
    pub(crate) error: String,
    #[prost(oneof = "Response", tags = "1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007")]
    pub(crate) response: Option<Response>,
}

/// The kinds of answers, as those of instructions.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Response {
    #[prost(message, tag = "1000")]
    Register(Nothing),
    #[prost(message, tag = "1001")]
    ProcessBundle(ProcessBundleResponse),
    #[prost(message, tag = "1002")]
    ProcessBundleProgress(ProcessBundleProgressResponse),
    #[prost(message, tag = "1003")]
    ProcessBundleSplit(Nothing),
    #[prost(message, tag = "1004")]
    FinalizeBundle(Nothing),
    #[prost(message, tag = "1005")]
    MonitoringInfos(MonitoringInfosMetadataResponse),
    #[prost(message, tag = "1006")]
    HarnessMonitoringInfos(Nothing),
    #[prost(message, tag = "1007")]
    SampleData(Nothing),
}

/// A message of which nothing is said or read here.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

/// Descriptors for later, as old runners send them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegisterRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) process_bundle_descriptor: Vec<ProcessBundleDescriptor>,
}

/// Which descriptor is asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetProcessBundleDescriptorRequest {
    #[prost(string, tag = "1")]
    pub(crate) process_bundle_descriptor_id: String,
}

/// The transforms of a bundle, and all they refer to.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) transforms: BTreeMap<String, PTransform>,
    #[prost(btree_map = "string, message", tag = "3")]
    pub(crate) pcollections: BTreeMap<String, PCollection>,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(crate) windowing_strategies: BTreeMap<String, WindowingStrategy>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) coders: BTreeMap<String, Coder>,
    #[prost(message, optional, tag = "7")]
    pub(crate) state_api_service_descriptor: Option<ApiServiceDescriptor>,
}

/// Runs a bundle.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleRequest {
    #[prost(string, tag = "1")]
    pub(crate) process_bundle_descriptor_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) elements: Option<Elements>,
}

/// A bundle has run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleResponse {
    #[prost(message, repeated, tag = "3")]
    pub(crate) monitoring_infos: Vec<MonitoringInfo>,
    #[prost(bool, tag = "4")]
    pub(crate) requires_finalization: bool,
    #[prost(btree_map = "string, bytes", tag = "5")]
    pub(crate) monitoring_data: BTreeMap<String, Vec<u8>>,
}

/// Which metrics have these short ids?
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MonitoringInfosMetadataRequest {
    #[prost(string, repeated, tag = "1")]
    pub(crate) monitoring_info_id: Vec<String>,
}

/// The metrics of short ids, without their values.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MonitoringInfosMetadataResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) monitoring_info: BTreeMap<String, MonitoringInfo>,
}

/// How far is it?
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleProgressRequest {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
}

/// So far.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleProgressResponse {
    #[prost(message, repeated, tag = "3")]
    pub(crate) monitoring_infos: Vec<MonitoringInfo>,
}

/// May something be left to others?
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessBundleSplitRequest {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
}

/// What a bundle has made is durable.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FinalizeBundleRequest {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
}

/// The payload of a source or a sink: where its elements travel, and how.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RemoteGrpcPort {
    #[prost(message, optional, tag = "1")]
    pub(crate) api_service_descriptor: Option<ApiServiceDescriptor>,
    #[prost(string, tag = "2")]
    pub(crate) coder_id: String,
}

/// Elements and timers of any number of bundles.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Elements {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data: Vec<Data>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) timers: Vec<Timers>,
}

/// Elements of one source or sink.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Data {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
    #[prost(string, tag = "2")]
    pub(crate) transform_id: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: bytes::Bytes,
    #[prost(bool, tag = "4")]
    pub(crate) is_last: bool,
}

/// Timers of one family; none is ever set here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Timers {
    #[prost(string, tag = "1")]
    pub(crate) instruction_id: String,
    #[prost(string, tag = "2")]
    pub(crate) transform_id: String,
    #[prost(string, tag = "3")]
    pub(crate) timer_family_id: String,
    #[prost(bool, tag = "5")]
    pub(crate) is_last: bool,
}

/// Asks for state.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) instruction_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) state_key: Option<StateKey>,
    #[prost(message, optional, tag = "1000")]
    pub(crate) get: Option<StateGetRequest>,
}

/// State, or why there is none.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateResponse {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) error: String,
    #[prost(message, optional, tag = "1000")]
    pub(crate) get: Option<StateGetResponse>,
}

/// Which page.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateGetRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) continuation_token: Vec<u8>,
}

/// A page, and the token of the next one.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateGetResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) continuation_token: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
}

/// Which state.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StateKey {
    #[prost(message, optional, tag = "1")]
    pub(crate) runner: Option<RunnerKey>,
    #[prost(message, optional, tag = "4")]
    pub(crate) iterable_side_input: Option<IterableSideInput>,
}

/// What a runner has named itself: the rest of a large iterable.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RunnerKey {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
}

/// All values of a side input in a window.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IterableSideInput {
    #[prost(string, tag = "1")]
    pub(crate) transform_id: String,
    #[prost(string, tag = "2")]
    pub(crate) side_input_id: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) window: Vec<u8>,
}

/// Lines of a log.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LogEntries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) log_entries: Vec<LogEntry>,
}

/// A line of a log.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LogEntry {
    /// 1 trace, 2 debug, 3 info, 4 notice, 5 warn, 6 error, 7 critical
    #[prost(int32, tag = "1")]
    pub(crate) severity: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) timestamp: Option<Timestamp>,
    #[prost(string, tag = "3")]
    pub(crate) message: String,
    #[prost(string, tag = "5")]
    pub(crate) instruction_id: String,
    #[prost(string, tag = "6")]
    pub(crate) transform_id: String,
    #[prost(string, tag = "7")]
    pub(crate) log_location: String,
    #[prost(string, tag = "8")]
    pub(crate) thread: String,
}

/// A worker is wanted.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StartWorkerRequest {
    #[prost(string, tag = "1")]
    pub(crate) worker_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) control_endpoint: Option<ApiServiceDescriptor>,
    #[prost(message, optional, tag = "3")]
    pub(crate) logging_endpoint: Option<ApiServiceDescriptor>,
    #[prost(message, optional, tag = "5")]
    pub(crate) provision_endpoint: Option<ApiServiceDescriptor>,
}

/// It starts, or why not.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StartWorkerResponse {
    #[prost(string, tag = "1")]
    pub(crate) error: String,
}

/// A worker is not wanted any more.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StopWorkerRequest {
    #[prost(string, tag = "1")]
    pub(crate) worker_id: String,
}

/// What a worker must know that was started with nothing but its name.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetProvisionInfoResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) info: Option<ProvisionInfo>,
}

/// What a job was submitted with, and where its services are.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProvisionInfo {
    #[prost(message, optional, tag = "3")]
    pub(crate) pipeline_options: Option<Struct>,
    #[prost(message, optional, tag = "8")]
    pub(crate) logging_endpoint: Option<ApiServiceDescriptor>,
    #[prost(message, optional, tag = "10")]
    pub(crate) control_endpoint: Option<ApiServiceDescriptor>,
}
