//! A job of a job server: prepared, staged, run, watched.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;
use prost::Message as _;

use crate::capabilities::RunnerKind;
use crate::proto::fn_api::Nothing;
use crate::proto::job::{
    ArtifactRequestWrapper, ArtifactResponseWrapper, CANCEL, DESCRIBE,
    DescribePipelineOptionsResponse, GetJobMetricsResponse, JobId, JobMessage, JobMessagesResponse,
    JobState, MESSAGES, METRICS, MetricResults, PREPARE, PrepareJobRequest, PrepareJobResponse,
    RUN, ResolveArtifactsResponse, RunJobRequest, STAGE, STATE,
};
use crate::proto::known::{Kind, Struct};
use crate::proto::pipeline::Pipeline;
use crate::rpc::{Answers, Rpc, queue, said};
use crate::runner::start_runtime;
use crate::submit::urns;
use crate::{fault, metrics};

/// How often it is looked whether the run is to stop.
const CANCEL_PERIOD: Duration = Duration::from_millis(100);
/// How long messages may follow the end of a job: the cause of a failure may be the last of them.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Errors that a runner tells, beyond which nothing new is learnt.
const ERROR_LIMIT: usize = 100;
/// How servers of Java, Python and C++, and how those of Go, begin to speak of messages above their limit.
const SIZE_LIMIT: &str = "exceeds maximum size";
const SIZE_LIMIT_OF_GO: &str = "larger than max";
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
/// After these nothing comes.
const ENDS: [i32; 5] = [DONE, FAILED, CANCELLED, UPDATED, DRAINED];

/// Ends a job that an earlier driver has left on the runner behind `endpoint`, and waits until nobody
/// works on it any more. Where nobody listens, nobody works.
///
/// # Errors
/// A job that goes on for longer than `patience`.
pub fn end_job(endpoint: &str, job: &str, patience: Duration) -> Result<()> {
    let runtime = start_runtime()?;
    let ended = runtime.block_on(async {
        match JobServer::connect(endpoint).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(%error, job, "it is not known what became of a job");
                Ok(())
            }
            server => server?.end(job, patience).await,
        }
    });
    runtime.shutdown_background();
    ended
}

fn still_running(job: &JobId, endpoint: &str) -> Error {
    let message = "a job of an earlier driver does not end, and may still write";
    Error::new(ErrorCode::LOCKED, ErrorKind::Conflict, message)
        .at("job", &job.job_id)
        .at("endpoint", endpoint)
        .mend("wait until the runner has ended it, then try again")
}

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
    /// From what workers of other processes build the pipeline.
    pub(crate) job: Option<String>,
    /// Is told what the runner calls the job.
    pub(crate) on_submit: OnSubmit,
}

/// What is called with the name of a job once it runs.
#[derive(Clone, Default)]
pub(crate) struct OnSubmit(pub(crate) Option<Arc<Listener>>);

type Listener = dyn Fn(&str) -> Result<()> + Send + Sync;

impl fmt::Debug for OnSubmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnSubmit").field("is_set", &self.0.is_some()).finish()
    }
}

impl JobServer {
    /// Connects to a job server.
    ///
    /// # Errors
    /// Nobody who answers there.
    pub(crate) async fn connect(endpoint: &str) -> Result<Self> {
        Ok(Self { rpc: Rpc::connect(endpoint).await? })
    }

    /// The runner that it speaks for, where its options say so. It is the first question: whoever cannot
    /// answer it is no job server.
    ///
    /// # Errors
    /// Somebody else who listens there.
    pub(crate) async fn kind(&self) -> Result<Option<RunnerKind>> {
        let described: DescribePipelineOptionsResponse =
            match self.rpc.unary(DESCRIBE, Nothing {}).await {
                // It is no part of what a job server must do.
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
                described => described.map_err(|error| self.is_none(&error))?,
            };
        let names = described.options.iter().map(|option| option.name.as_str());
        Ok(RunnerKind::of_options(names))
    }

    fn is_none(&self, why: &Error) -> Error {
        let message = format!("what answers is no job server of Beam: {}", said(why));
        Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported, message)
            .at("endpoint", self.rpc.url())
            .mend("name the address of the runner's job server as HOST:PORT; it speaks gRPC without TLS")
    }

    /// Submits a job and follows it to its end; its numbers.
    ///
    /// # Errors
    /// A server that refuses it, or what made the job fail: the cause, where a worker has told it.
    pub(crate) async fn run(&self, job: Submission, cancel: &CancelToken) -> Result<Metrics> {
        let (fields, on_submit) = (options_of(&job), job.on_submit);
        let request = PrepareJobRequest {
            pipeline: Some(job.pipeline),
            pipeline_options: Some(Struct { fields }),
            job_name: job.name,
        };
        let bytes = request.encoded_len();
        let prepared = self.rpc.unary(PREPARE, request).await;
        let prepared: PrepareJobResponse = prepared.map_err(|error| too_large(error, bytes))?;
        let PrepareJobResponse { preparation_id, artifact_staging_endpoint, .. } = prepared;
        if let Some(staging) = artifact_staging_endpoint {
            stage(&staging.url, prepared.staging_session_token).await?;
        }
        let job: JobId = self.rpc.unary(RUN, RunJobRequest { preparation_id }).await?;
        tracing::info!(job = %job.job_id, "the job runs");
        on_submit.0.map_or(Ok(()), |call| call(&job.job_id))?;
        let watched = self.watch(&job, cancel).await;
        watched.map_err(|error| error.at("job", &job.job_id))?;
        let response: GetJobMetricsResponse = self.rpc.unary(METRICS, job).await?;
        let MetricResults { attempted, committed } = response.metrics.unwrap_or_default();
        // Some runners know only what was attempted.
        Ok(metrics::of_infos(if committed.is_empty() { &attempted } else { &committed }))
    }

    /// Ends a job that somebody else has submitted, and waits until it has ended.
    ///
    /// # Errors
    /// A job that goes on for longer than `patience`.
    async fn end(&self, job: &str, patience: Duration) -> Result<()> {
        let job = JobId { job_id: job.to_owned() };
        let mut state: JobState = match self.rpc.unary(CANCEL, job.clone()).await {
            // A server that was started anew knows nothing of it, and nobody works on it.
            Err(error) if error.kind() != ErrorKind::Transient => return Ok(()),
            cancelled => cancelled?,
        };
        let began = Instant::now();
        while !ENDS.contains(&state.state) {
            if began.elapsed() > patience {
                return Err(still_running(&job, self.rpc.url()));
            }
            tokio::time::sleep(CANCEL_PERIOD).await;
            state = self.rpc.unary(STATE, job.clone()).await?;
        }
        Ok(())
    }

    /// Follows a job to its end.
    async fn watch(&self, job: &JobId, cancel: &CancelToken) -> Result<()> {
        let mut stream = self.rpc.stream(MESSAGES, futures::stream::iter([job.clone()])).await?;
        let mut errors = Vec::new();
        let mut was_asked_to_stop = false;
        let end = loop {
            if !was_asked_to_stop && cancel.is_cancelled() {
                was_asked_to_stop = true;
                let _: JobState = self.rpc.unary(CANCEL, job.clone()).await?;
            }
            let next = self.rpc.next(MESSAGES, &mut stream);
            let Ok(message) = tokio::time::timeout(CANCEL_PERIOD, next).await else { continue };
            let Some(message) = message.map_err(|error| self.is_lost(&error))? else {
                // Who was asked to stop has stopped, whatever else became of it.
                cancel.check()?;
                // Servers in Java may end the stream of a job that fails at once before they tell so.
                let state = self.rpc.unary(STATE, job.clone()).await;
                let JobState { state, .. } = state.map_err(|error| self.is_lost(&error))?;
                if ENDS.contains(&state) {
                    break state;
                }
                return Err(failed("the runner does not say what became of the job"));
            };
            if let Some(state) = told(message, &mut errors)
                && ENDS.contains(&state)
            {
                break state;
            }
        };
        match end {
            DONE => Ok(()),
            _ if was_asked_to_stop => cancel.check(),
            _ => {
                let last_words = self.last_words(&mut stream, &mut errors);
                // Where they never end, what was said is what there is.
                drop(tokio::time::timeout(LAST_WORDS, last_words).await);
                Err(cause(end, &errors))
            }
        }
    }

    fn is_lost(&self, why: &Error) -> Error {
        let message = format!("the runner was lost while the job ran: {}", said(why));
        Error::new(ErrorCode::LAUNCHER_FAILED, why.kind(), message)
            .at("endpoint", self.rpc.url())
            .mend("look at the log of the runner, and run again once it is there")
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
                // If the job fails, its cause is told; what a runner has tried again is for those who ask.
                tracing::info!(text = %message_text, "the runner says that something failed");
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
    let says = errors.iter().rev().find_map(|text| root_cause(text));
    let says = says.unwrap_or("the runner does not say why");
    failed(&format!("the job ended as {}: {says}", name_of(end)))
}

/// What a server that takes no messages of this size says, with what to do about it.
fn too_large(error: Error, bytes: usize) -> Error {
    if !error.message().contains(SIZE_LIMIT) && !error.message().contains(SIZE_LIMIT_OF_GO) {
        return error;
    }
    let message =
        format!("the pipeline is larger than the messages that the runner takes: {}", said(&error));
    Error::new(error.code(), error.kind(), message)
        .at("bytes", bytes)
        .mend("read data from files in place of `Create`, or raise the limit of the job server")
}

/// What a text says went wrong first, without the stack and the wrappers around it: Java names the cause
/// last but before where it was, Python last of all.
fn root_cause(text: &str) -> Option<&str> {
    let lines = || text.lines().map(str::trim);
    let is_place = |line: &str| {
        line.is_empty()
            || line.starts_with("at ")
            || line.starts_with("...") && line.ends_with("more")
            || line.starts_with("Suppressed:")
    };
    let cause = lines().rev().find_map(|line| line.strip_prefix("Caused by:"));
    let is_java = || lines().any(|line| line.starts_with("at "));
    let first = || lines().find(|line| !is_place(line)).filter(|_| is_java());
    let cause = cause.or_else(first).or_else(|| lines().rfind(|line| !is_place(line)))?;
    Some(cause.trim())
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
    let told = job.job.iter().map(|job| (urns::JOB_OPTION, job.as_str()));
    let options = own.into_iter().chain(given).chain(told);
    let named = options.map(|(name, value)| {
        (format!("beam:option:{name}:v1"), Kind::StringValue(value.to_owned()).into())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(root_cause(text), Some(want));
    }

    #[test]
    fn the_cause_is_told_without_its_wrappers() {
        check(
            "java.lang.RuntimeException: the job failed\n\tat org.apache.Flink.run(Flink.java:1)\n\
             Caused by: java.lang.Exception: a bundle failed\n\tat org.apache.Beam.x(B.java:2)\n\
             Caused by: java.io.IOException: No space left on device\n\tat java.io.F.w(F.java:3)\n\
             \t... 13 more\n",
            "java.io.IOException: No space left on device",
        );
        check(
            "java.lang.Error: it is full\n\tat org.apache.A.b(C.java:4)\n",
            "java.lang.Error: it is full",
        );
        check(
            "Traceback (most recent call last):\n  File \"x.py\", line 3, in f\n    g()\n\
             ValueError: no such coder\n\n",
            "ValueError: no such coder",
        );
        check("job was killed", "job was killed");
        assert_eq!(root_cause(" \n"), None);
    }
}
