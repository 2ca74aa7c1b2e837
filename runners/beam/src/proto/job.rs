//! How a pipeline is submitted: `org.apache.beam.model.job_management.v1`.
//!
//! Source: Apache Beam, `beam_job_api.proto`, `beam_artifact_api.proto`.

use super::known::Struct;
use super::pipeline::{ApiServiceDescriptor, ArtifactInformation, MonitoringInfo, Pipeline};

/// The path of a method of a service of this package.
macro_rules! method {
    ($service:literal, $method:literal) => {
        concat!("/org.apache.beam.model.job_management.v1.", $service, "/", $method)
    };
}

pub(crate) const PREPARE: &str = method!("JobService", "Prepare");
pub(crate) const RUN: &str = method!("JobService", "Run");
pub(crate) const CANCEL: &str = method!("JobService", "Cancel");
pub(crate) const STATE: &str = method!("JobService", "GetState");
pub(crate) const MESSAGES: &str = method!("JobService", "GetMessageStream");
pub(crate) const METRICS: &str = method!("JobService", "GetJobMetrics");
pub(crate) const DESCRIBE: &str = method!("JobService", "DescribePipelineOptions");
pub(crate) const STAGE: &str = method!("ArtifactStagingService", "ReverseArtifactRetrievalService");

/// A pipeline that is to run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PrepareJobRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) pipeline: Option<Pipeline>,
    #[prost(message, optional, tag = "2")]
    pub(crate) pipeline_options: Option<Struct>,
    #[prost(string, tag = "3")]
    pub(crate) job_name: String,
}

/// It was understood; where its files go.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PrepareJobResponse {
    #[prost(string, tag = "1")]
    pub(crate) preparation_id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) artifact_staging_endpoint: Option<ApiServiceDescriptor>,
    #[prost(string, tag = "3")]
    pub(crate) staging_session_token: String,
}

/// The options that a job server knows.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DescribePipelineOptionsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) options: Vec<PipelineOptionDescriptor>,
}

/// One of them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PipelineOptionDescriptor {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// Start it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RunJobRequest {
    #[prost(string, tag = "1")]
    pub(crate) preparation_id: String,
}

/// Names a job, as several requests and one answer do in their first field.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JobId {
    #[prost(string, tag = "1")]
    pub(crate) job_id: String,
}

/// The state of a job, as an event and as the answer to a cancel.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct JobState {
    /// See [`super::super::job`].
    #[prost(int32, tag = "1")]
    pub(crate) state: i32,
}

/// A message or a new state.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JobMessagesResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) message_response: Option<JobMessage>,
    #[prost(message, optional, tag = "2")]
    pub(crate) state_response: Option<JobState>,
}

/// Something that a runner says of a job.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JobMessage {
    /// 1 debug, 2 detailed, 3 basic, 4 warning, 5 error
    #[prost(int32, tag = "3")]
    pub(crate) importance: i32,
    #[prost(string, tag = "4")]
    pub(crate) message_text: String,
}

/// The numbers of a job.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetJobMetricsResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) metrics: Option<MetricResults>,
}

/// Of all attempts, and of those that count.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MetricResults {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attempted: Vec<MonitoringInfo>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) committed: Vec<MonitoringInfo>,
}

/// What a runner asks of who stages files.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArtifactRequestWrapper {
    #[prost(message, optional, tag = "1000")]
    pub(crate) resolve_artifact: Option<ResolveArtifactsRequest>,
    #[prost(message, optional, tag = "1001")]
    pub(crate) get_artifact: Option<GetArtifactRequest>,
}

/// What it is answered.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArtifactResponseWrapper {
    #[prost(string, tag = "1")]
    pub(crate) staging_token: String,
    #[prost(bool, tag = "2")]
    pub(crate) is_last: bool,
    #[prost(message, optional, tag = "1000")]
    pub(crate) resolve_artifact_response: Option<ResolveArtifactsResponse>,
    #[prost(message, optional, tag = "1001")]
    pub(crate) get_artifact_response: Option<GetArtifactResponse>,
}

/// Which files are these?
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResolveArtifactsRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) artifacts: Vec<ArtifactInformation>,
}

/// These.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResolveArtifactsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) replacements: Vec<ArtifactInformation>,
}

/// The bytes of a file, please.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetArtifactRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) artifact: Option<ArtifactInformation>,
}

/// Some of them.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetArtifactResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) data: Vec<u8>,
}
