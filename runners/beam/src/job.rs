//! A job of a job server: prepared, staged, run, watched.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;

use crate::proto::job::{
    ArtifactRequestWrapper, ArtifactResponseWrapper, CANCEL, GetJobMetricsResponse, JobId,
    JobMessage, JobMessagesResponse, JobState, MESSAGES, METRICS, MetricResults, PREPARE,
    PrepareJobRequest, PrepareJobResponse, RUN, ResolveArtifactsResponse, RunJobRequest, STAGE,
};
use crate::proto::known::{Kind, Struct};
use crate::proto::pipeline::Pipeline;
use crate::rpc::{Answers, Rpc, queue};
use crate::{fault, metrics};

/// How often it is looked whether the run is to stop.
const CANCEL_PERIOD: Duration = Duration::from_millis(100);
/// How long messages may follow the end of a job: the cause of a failure may be the last of them.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Errors that a runner tells, beyond which nothing new is learnt.
const ERROR_LIMIT: usize = 100;
const ERROR_IMPORTANCE: i32 = 5;
const WARNING_IMPORTANCE: i32 = 4;

/// The states of a job that others follow, and what they are called.
const STATES: [(i32, &str); 12] = [
    (0, "unspecified"),
    (1, "stopped"),
    (2, "running"),
    (DONE, "done"),
    (FAILED, "failed"),
    (CANCELLED, "cancelled"),
    (6, "updated"),
    (7, "draining"),
    (8, "drained"),
    (9, "starting"),
    (10, "cancelling"),
    (11, "updating"),
];
const DONE: i32 = 3;
const FAILED: i32 = 4;
const CANCELLED: i32 = 5;
const UPDATED: i32 = 6;
const DRAINED: i32 = 8;

/// A job server, and how jobs are submitted to it.
#[derive(Debug)]
pub(crate) struct JobServer {
    rpc: Rpc,
}

/// What is submitted.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) pipeline: Pipeline,
    pub(crate) name: String,
    /// Options of the runner by their names.
    pub(crate) options: BTreeMap<String, String>,
}

impl JobServer {
    /// Connects to a job server.
    ///
    /// # Errors
    /// Nobody who answers there.
    pub(crate) async fn connect(endpoint: &str) -> Result<Self> {
        Ok(Self { rpc: Rpc::connect(endpoint).await? })
    }

    /// Submits a job and follows it to its end; its numbers.
    ///
    /// # Errors
    /// A server that refuses it, or what made the job fail: the cause, where a worker has told it.
    pub(crate) async fn run(&self, job: Submission, cancel: &CancelToken) -> Result<Metrics> {
        let fields = options_of(&job);
        let request = PrepareJobRequest {
            pipeline: Some(job.pipeline),
            pipeline_options: Some(Struct { fields }),
            job_name: job.name,
        };
        let prepared: PrepareJobResponse = self.rpc.unary(PREPARE, request).await?;
        let PrepareJobResponse { preparation_id, artifact_staging_endpoint, .. } = prepared;
        if let Some(staging) = artifact_staging_endpoint {
            stage(&staging.url, prepared.staging_session_token).await?;
        }
        let job: JobId = self.rpc.unary(RUN, RunJobRequest { preparation_id }).await?;
        tracing::info!(job = %job.job_id, "the job runs");
        let watched = self.watch(&job, cancel).await;
        watched.map_err(|error| error.at("job", &job.job_id))?;
        let response: GetJobMetricsResponse = self.rpc.unary(METRICS, job).await?;
        let MetricResults { attempted, committed } = response.metrics.unwrap_or_default();
        // Some runners know only what was attempted.
        Ok(metrics::of_infos(if committed.is_empty() { &attempted } else { &committed }))
    }

    /// Follows a job to its end.
    async fn watch(&self, job: &JobId, cancel: &CancelToken) -> Result<()> {
        let mut stream = self.rpc.stream(MESSAGES, futures::stream::iter([job.clone()])).await?;
        let mut errors = Vec::new();
        let mut is_cancelled = false;
        let end = loop {
            let next = self.rpc.next(MESSAGES, &mut stream);
            let Ok(message) = tokio::time::timeout(CANCEL_PERIOD, next).await else {
                if !is_cancelled && cancel.is_cancelled() {
                    is_cancelled = true;
                    let _: JobState = self.rpc.unary(CANCEL, job.clone()).await?;
                }
                continue;
            };
            let Some(message) = message? else {
                return Err(failed("the runner does not say what became of the job"));
            };
            if let Some(state) = told(message, &mut errors)
                && [DONE, FAILED, CANCELLED, UPDATED, DRAINED].contains(&state)
            {
                break state;
            }
        };
        match end {
            DONE => Ok(()),
            _ if is_cancelled => cancel.check(),
            _ => {
                let last_words = self.last_words(&mut stream, &mut errors);
                // Where they never end, what was said is what there is.
                drop(tokio::time::timeout(LAST_WORDS, last_words).await);
                Err(cause(end, &errors))
            }
        }
    }

    async fn last_words(
        &self,
        stream: &mut Answers<JobMessagesResponse>,
        errors: &mut Vec<String>,
    ) {
        while let Ok(Some(message)) = self.rpc.next(MESSAGES, stream).await {
            told(message, errors);
        }
    }
}

/// Takes what a runner says: an error is kept; a new state is returned.
fn told(message: JobMessagesResponse, errors: &mut Vec<String>) -> Option<i32> {
    if let Some(JobMessage { importance, message_text }) = message.message_response {
        match importance {
            ERROR_IMPORTANCE => {
                tracing::error!(text = %message_text, "the runner says");
                if errors.len() < ERROR_LIMIT {
                    errors.push(message_text);
                }
            }
            WARNING_IMPORTANCE => tracing::warn!(text = %message_text, "the runner says"),
            _ => tracing::debug!(text = %message_text, "the runner says"),
        }
    }
    let state = message.state_response?.state;
    tracing::info!(state = name_of(state), "the job");
    Some(state)
}

/// Why a job has failed: what a worker has said, else what the runner says.
fn cause(end: i32, errors: &[String]) -> Error {
    if let Some(error) = errors.iter().find_map(|text| fault::of_text(text)) {
        return error;
    }
    let says = errors.iter().flat_map(|text| text.lines()).rfind(|line| !line.trim().is_empty());
    let says = says.unwrap_or("the runner does not say why");
    failed(&format!("the job ended as {}: {}", name_of(end), says.trim()))
}

fn failed(message: &str) -> Error {
    Error::new(ErrorCode::JOB_FAILED, ErrorKind::ResourceExhausted, message)
        .mend("the log of the runner says more")
}

fn name_of(state: i32) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("unknown", |(_, name)| name)
}

/// Answers what a staging server asks: there are no files, but it asks all the same.
async fn stage(url: &str, staging_token: String) -> Result<()> {
    let rpc = Rpc::connect(url).await?;
    let (answers, messages) = queue(4);
    let hello = ArtifactResponseWrapper { staging_token, ..ArtifactResponseWrapper::default() };
    let closed = |_| failed("the staging of files was closed");
    answers.send(hello).await.map_err(closed)?;
    let mut stream = rpc.stream::<_, ArtifactRequestWrapper>(STAGE, messages).await?;
    while let Some(request) = rpc.next(STAGE, &mut stream).await? {
        let mut answer = ArtifactResponseWrapper::default();
        if let Some(resolve) = request.resolve_artifact {
            let replacements = resolve.artifacts;
            answer.resolve_artifact_response = Some(ResolveArtifactsResponse { replacements });
        } else {
            return Err(failed("the runner asks for a file that was not offered"));
        }
        answers.send(answer).await.map_err(closed)?;
    }
    Ok(())
}

fn options_of(job: &Submission) -> BTreeMap<String, crate::proto::known::Value> {
    let own = [("job_name", job.name.as_str()), ("runner", "PortableRunner")];
    let given = job.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let options = own.into_iter().chain(given);
    let named = options.map(|(name, value)| {
        (format!("beam:option:{name}:v1"), Kind::StringValue(value.to_owned()).into())
    });
    named.collect()
}
