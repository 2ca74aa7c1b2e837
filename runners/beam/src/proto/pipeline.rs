//! What a pipeline is: `org.apache.beam.model.pipeline.v1`.
//!
//! Source: Apache Beam, `beam_runner_api.proto`, `endpoints.proto`, `metrics.proto`,
//! `standard_window_fns.proto`.

use std::collections::BTreeMap;

use super::known::{Duration, Timestamp};

/// What a pipeline is made of, by ids that only the message itself knows.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Components {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) transforms: BTreeMap<String, PTransform>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) pcollections: BTreeMap<String, PCollection>,
    #[prost(btree_map = "string, message", tag = "3")]
    pub(crate) windowing_strategies: BTreeMap<String, WindowingStrategy>,
    #[prost(btree_map = "string, message", tag = "4")]
    pub(crate) coders: BTreeMap<String, Coder>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) environments: BTreeMap<String, Environment>,
}

/// A pipeline.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Pipeline {
    #[prost(message, optional, tag = "1")]
    pub(crate) components: Option<Components>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) root_transform_ids: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) requirements: Vec<String>,
}

/// A transform: a primitive, or a composite of others.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PTransform {
    #[prost(message, optional, tag = "1")]
    pub(crate) spec: Option<FunctionSpec>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) subtransforms: Vec<String>,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) inputs: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) outputs: BTreeMap<String, String>,
    #[prost(string, tag = "5")]
    pub(crate) unique_name: String,
    #[prost(message, repeated, tag = "6")]
    pub(crate) display_data: Vec<DisplayData>,
    #[prost(string, tag = "7")]
    pub(crate) environment_id: String,
}

/// A collection.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PCollection {
    #[prost(string, tag = "1")]
    pub(crate) unique_name: String,
    #[prost(string, tag = "2")]
    pub(crate) coder_id: String,
    /// 1 unbounded, 2 bounded
    #[prost(int32, tag = "3")]
    pub(crate) is_bounded: i32,
    #[prost(string, tag = "4")]
    pub(crate) windowing_strategy_id: String,
}

/// What a function is, and all it needs to be made.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FunctionSpec {
    #[prost(string, tag = "1")]
    pub(crate) urn: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) payload: Vec<u8>,
}

/// The payload of `beam:transform:pardo:v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ParDoPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) do_fn: Option<FunctionSpec>,
    #[prost(btree_map = "string, message", tag = "3")]
    pub(crate) side_inputs: BTreeMap<String, SideInput>,
    #[prost(bool, tag = "8")]
    pub(crate) requests_finalization: bool,
}

/// How a ParDo reads a side input.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SideInput {
    #[prost(message, optional, tag = "1")]
    pub(crate) access_pattern: Option<FunctionSpec>,
    #[prost(message, optional, tag = "2")]
    pub(crate) view_fn: Option<FunctionSpec>,
    #[prost(message, optional, tag = "3")]
    pub(crate) window_mapping_fn: Option<FunctionSpec>,
}

/// The payload of a combine and of each of its parts.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CombinePayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) combine_fn: Option<FunctionSpec>,
    #[prost(string, tag = "2")]
    pub(crate) accumulator_coder_id: String,
}

/// The payload of `beam:transform:window_into:v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WindowIntoPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) window_fn: Option<FunctionSpec>,
}

/// A coder, and those that it is made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub(crate) struct Coder {
    #[prost(message, optional, tag = "1")]
    pub(crate) spec: Option<CoderSpec>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) component_coder_ids: Vec<String>,
}

/// The [`FunctionSpec`] of a coder, which can be compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub(crate) struct CoderSpec {
    #[prost(string, tag = "1")]
    pub(crate) urn: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) payload: Vec<u8>,
}

/// Windows, and when groups come out of them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WindowingStrategy {
    #[prost(message, optional, tag = "1")]
    pub(crate) window_fn: Option<FunctionSpec>,
    /// 1 never, 2 when a key is grouped, 3 done already
    #[prost(int32, tag = "2")]
    pub(crate) merge_status: i32,
    #[prost(string, tag = "3")]
    pub(crate) window_coder_id: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) trigger: Option<Trigger>,
    /// 1 discarding, 2 accumulating
    #[prost(int32, tag = "5")]
    pub(crate) accumulation_mode: i32,
    /// 1 end of window, 2 latest in pane, 3 earliest in pane
    #[prost(int32, tag = "6")]
    pub(crate) output_time: i32,
    /// 1 always, 2 if there is something
    #[prost(int32, tag = "7")]
    pub(crate) closing_behavior: i32,
    /// milliseconds
    #[prost(int64, tag = "8")]
    pub(crate) allowed_lateness: i64,
    /// 1 always, 2 if there is something
    #[prost(int32, tag = "9")]
    pub(crate) on_time_behavior: i32,
    #[prost(bool, tag = "10")]
    pub(crate) assigns_to_one_window: bool,
    #[prost(string, tag = "11")]
    pub(crate) environment_id: String,
}

/// When a group is given; only the default is used.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Trigger {
    #[prost(message, optional, tag = "7")]
    pub(crate) default: Option<DefaultTrigger>,
}

/// Once the window is over.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct DefaultTrigger {}

/// Where functions run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Environment {
    #[prost(string, tag = "2")]
    pub(crate) urn: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) payload: Vec<u8>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) capabilities: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) dependencies: Vec<ArtifactInformation>,
}

/// The payload of `beam:env:external:v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExternalPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) endpoint: Option<ApiServiceDescriptor>,
}

/// The payload of `beam:env:process:v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcessPayload {
    /// A file that is run, to which flags are given.
    #[prost(string, tag = "3")]
    pub(crate) command: String,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) env: BTreeMap<String, String>,
}

/// The payload of `beam:env:docker:v1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DockerPayload {
    #[prost(string, tag = "1")]
    pub(crate) container_image: String,
}

/// A file that an environment needs.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArtifactInformation {
    #[prost(string, tag = "1")]
    pub(crate) type_urn: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) type_payload: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) role_urn: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) role_payload: Vec<u8>,
}

/// Something to be shown to people.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DisplayData {
    #[prost(string, tag = "1")]
    pub(crate) urn: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

/// The payload of `beam:display_data:labelled:v1`, of a text.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LabelledPayload {
    #[prost(string, tag = "1")]
    pub(crate) label: String,
    #[prost(string, tag = "2")]
    pub(crate) string_value: String,
    #[prost(string, tag = "6")]
    pub(crate) key: String,
    #[prost(string, tag = "7")]
    pub(crate) namespace: String,
}

/// Where a service is found.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ApiServiceDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) url: String,
}

/// A number of a run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MonitoringInfo {
    #[prost(string, tag = "1")]
    pub(crate) urn: String,
    #[prost(string, tag = "2")]
    pub(crate) r#type: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) payload: Vec<u8>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// The payload of `beam:window_fn:fixed_windows:v1`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct FixedWindowsPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) size: Option<Duration>,
    #[prost(message, optional, tag = "2")]
    pub(crate) offset: Option<Timestamp>,
}

/// The payload of `beam:window_fn:sliding_windows:v1`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct SlidingWindowsPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) size: Option<Duration>,
    #[prost(message, optional, tag = "2")]
    pub(crate) offset: Option<Timestamp>,
    #[prost(message, optional, tag = "3")]
    pub(crate) period: Option<Duration>,
}

/// The payload of `beam:window_fn:session_windows:v1`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct SessionWindowsPayload {
    #[prost(message, optional, tag = "1")]
    pub(crate) gap_size: Option<Duration>,
}
