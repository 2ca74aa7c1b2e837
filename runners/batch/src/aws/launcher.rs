//! AWS Batch as a place for workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use crate::INDEX_VARIABLE;
use crate::aws::api::{BatchApi, Listing, Read};
use crate::aws::caller::CallOptions;
use crate::aws::definition::{definition_of, resources};
use crate::aws::diagnose::diagnose;
use crate::aws::end::End;
use crate::aws::logs::LogPlace;
use crate::aws::settings::BatchSettings;
use crate::aws::shapes::{ArrayProperties, JobDetail};
use crate::aws::states::{BatchState, STOP_REASON, cause_of};
use crate::aws::units::invalid;
use crate::launch::{
    Diagnosis, JobId, JobState, JobStatus, Launcher, LogLine, StateCounts, Submission, Submitted,
    WorkerEnd, WorkerId,
};

/// The tag that says to which run a job belongs.
pub const RUN_TAG: &str = "levain:run";
/// Batch tells of a job within a moment; see `spec/batch.md` 1.11.
const TOLD_AFTER: Duration = Duration::from_secs(10);
/// Workers of one array.
pub const ARRAY_LIMIT: u32 = 10_000;

/// Starts workers on AWS Batch.
#[derive(Debug)]
pub struct AwsLauncher {
    api: BatchApi,
    settings: BatchSettings,
    definition: OnceLock<String>,
    queue: AtomicUsize,
    /// What may not be looked at, and errors of launching and stopping, with their counts.
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    denied: BTreeSet<String>,
    errors: BTreeMap<String, u32>,
}

impl AwsLauncher {
    /// A launcher of these settings; nothing is asked yet.
    ///
    /// # Errors
    /// Settings that AWS would refuse.
    pub fn new(api: BatchApi, settings: BatchSettings) -> Result<Self> {
        settings.check()?;
        if settings.queue.is_empty() {
            return Err(invalid("no queue is named")
                .at("key", "batch.queue")
                .mend("set batch.queue or --queue to the queue of your account"));
        }
        let (definition, queue, notes) = Default::default();
        Ok(Self { api, settings, definition, queue, notes })
    }

    /// The service that it asks.
    pub fn api(&self) -> &BatchApi {
        &self.api
    }

    /// The queue that jobs go to now.
    pub fn queue(&self) -> &str {
        &self.settings.queue[self.queue.load(Ordering::Relaxed)]
    }

    /// What cannot be told, and why: `Batch details unavailable (batch:DescribeJobs denied)`.
    pub fn unavailable(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.denied.iter().map(|action| unavailable(action)).collect()
    }

    /// The errors of submitting and stopping so far, each once, with its count.
    pub fn errors(&self) -> Vec<(String, u32)> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.errors.iter().map(|(text, count)| (text.clone(), *count)).collect()
    }

    /// Looks whether the queues are there, before anything is done for which they would be needed; where
    /// that is denied they are taken to be.
    ///
    /// Cost: a request for each queue.
    ///
    /// # Errors
    /// A queue that is not there; a service that cannot be asked.
    pub fn check_queues(&self) -> Result<()> {
        for queue in &self.settings.queue {
            let found = self.api.queues(&[queue]).map(|found| found.len());
            let is_denied = matches!(&found, Err(it) if it.code() == ErrorCode::LAUNCHER_DENIED);
            if self.if_allowed(found)? == 0 && !is_denied {
                return Err(unknown_queue(queue, self.api.region()));
            }
        }
        Ok(())
    }

    fn definition(&self) -> Result<&str> {
        if let Some(known) = self.definition.get() {
            return Ok(known);
        }
        let found = definition_of(&self.settings, &self.api)?;
        Ok(self.definition.get_or_init(|| found))
    }

    /// The request of a submission, as it goes out.
    ///
    /// # Errors
    /// A submission that Batch would refuse.
    pub fn request(&self, submission: &Submission) -> Result<Value> {
        let workers = submission.workers.get();
        if workers > ARRAY_LIMIT {
            let message = format!("{workers} workers are too many for one job");
            return Err(invalid(message).mend(format!("submit at most {ARRAY_LIMIT} at once")));
        }
        if workers > 1 && submission.index_variable != INDEX_VARIABLE {
            let message = format!("Batch knows no other index than {INDEX_VARIABLE}");
            return Err(Error::internal(message));
        }
        let environment = submission.environment.iter();
        let environment = environment.map(|(name, value)| json!({ "name": name, "value": value }));
        let of_worker = submission.resources;
        let mut tags = self.settings.tags.clone();
        tags.extend(submission.tags.clone());
        let mut request = json!({
            "jobName": submission.name,
            "jobQueue": self.queue(),
            "jobDefinition": self.definition()?,
            "containerOverrides": {
                "command": submission.command,
                "environment": environment.collect::<Vec<_>>(),
                "resourceRequirements":
                    resources(of_worker.vcpus, of_worker.memory_mib, of_worker.gpus),
            },
            "retryStrategy": retry_strategy(submission.attempts.get()),
            "tags": tags,
            "propagateTags": true,
        });
        if workers > 1 {
            request["arrayProperties"] = json!({ "size": workers });
        }
        if let Some(seconds) = submission.timeout_s {
            request["timeout"] = json!({ "attemptDurationSeconds": seconds.max(60) });
        }
        if let Some(share) = &self.settings.share_identifier {
            request["shareIdentifier"] = share.as_str().into();
        }
        if let Some(priority) = self.settings.priority {
            request["schedulingPriorityOverride"] = priority.into();
        }
        Ok(request)
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            *notes.errors.entry(format!("{}: {}", error.code(), error.message())).or_default() += 1;
        }
        result
    }

    /// What may not be looked at is nothing that a run fails for.
    fn if_allowed<T: Default>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(error) if error.code() == ErrorCode::LAUNCHER_DENIED => {
                let action = error.place("action").unwrap_or_default().to_owned();
                let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                if notes.denied.insert(action.clone()) {
                    let unavailable = unavailable(&action);
                    tracing::warn!("{unavailable}; the run goes on by what the store says");
                }
                Ok(T::default())
            }
            other => other,
        }
    }
}

fn unavailable(action: &str) -> String {
    format!("Batch details unavailable ({action} denied)")
}

/// A queue that is not there.
pub fn unknown_queue(queue: &str, region: &str) -> Error {
    let message = format!("there is no queue `{queue}` in {region}");
    Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message)
        .mend("correct its name or the region, or make one: `levain infra print`")
}

/// Which ends are worth another attempt: those that are not the program's, and 200 to 209.
///
/// Without a last line that ends all others, everything else would be repeated.
pub(super) fn retry_strategy(attempts: u32) -> Value {
    json!({
        "attempts": attempts.clamp(1, 10),
        "evaluateOnExit": [
            { "onStatusReason": "Host EC2*", "action": "RETRY" },
            { "onStatusReason": "Task failed to start*", "action": "RETRY" },
            { "onStatusReason": "Your Spot Task*", "action": "RETRY" },
            { "onExitCode": "20*", "action": "RETRY" },
            { "onReason": "*", "action": "EXIT" },
        ],
    })
}

impl Launcher for AwsLauncher {
    fn name(&self) -> &'static str {
        "aws-batch"
    }

    fn lag(&self) -> Duration {
        TOLD_AFTER
    }

    fn submit(&self, submission: &Submission) -> Result<Submitted> {
        let request = self.request(submission)?;
        self.noted(self.api.submit(&request))
    }

    fn find(&self, name: &str) -> Result<Vec<JobId>> {
        let mut found = Vec::new();
        for queue in &self.settings.queue {
            found.extend(self.api.list_jobs(&Listing::Named { queue, name }, usize::MAX)?);
        }
        found.sort_by_key(|job| job.value.created_at);
        Ok(found.into_iter().map(|job| JobId(job.value.job_id)).collect())
    }

    fn find_live(&self, prefix: &str) -> Result<Vec<JobId>> {
        let name = format!("{prefix}*");
        let mut found = Vec::new();
        for queue in &self.settings.queue {
            let listing = Listing::Named { queue, name: &name };
            let jobs = self.api.list_jobs(&listing, usize::MAX)?.into_iter();
            let is_live = |state: &str| BatchState::of(state).is_none_or(BatchState::is_active);
            found.extend(jobs.filter(|job| is_live(&job.value.status)));
        }
        Ok(found.into_iter().map(|job| JobId(job.value.job_id)).collect())
    }

    fn describe(&self, jobs: &[JobId]) -> Result<Vec<JobStatus>> {
        let ids: Vec<&str> = jobs.iter().map(|id| id.0.as_str()).collect();
        let found = self.if_allowed(self.api.describe_jobs(&ids))?;
        Ok(found.iter().map(|job| status_of(&job.value)).collect())
    }

    fn failed_workers(&self, job: &JobId) -> Result<Vec<WorkerEnd>> {
        let state = BatchState::Failed.name();
        let listing = Listing::Children { array: &job.0, state };
        let children = self.if_allowed(self.api.list_jobs(&listing, usize::MAX))?;
        let mut ids: Vec<&str> = children.iter().map(|it| it.value.job_id.as_str()).collect();
        if ids.is_empty() {
            ids.push(&job.0);
        }
        let details = self.if_allowed(self.api.describe_jobs(&ids))?;
        let mut ends: Vec<WorkerEnd> = details.iter().filter_map(|it| end_of(job, it)).collect();
        ends.sort_by(|a, b| a.worker.cmp(&b.worker));
        Ok(ends)
    }

    fn stop(&self, jobs: &[JobId], reason: &str) -> Result<()> {
        let ids: Vec<&str> = jobs.iter().map(|id| id.0.as_str()).collect();
        self.noted(self.api.stop(&ids, &format!("{STOP_REASON}{reason}")))
    }

    fn logs(&self, worker: &WorkerId, line_limit: usize) -> Result<Vec<LogLine>> {
        let child = format!("{}:{}", worker.job, worker.index);
        let found = self.if_allowed(self.api.describe_jobs(&[&child, &worker.job.0]))?;
        let is_child = |it: &&Read<JobDetail>| it.value.job_id == child;
        let job = found.iter().find(is_child).or_else(|| found.first());
        let group = self.settings.log_group.as_deref();
        let place = job.and_then(|job| LogPlace::of(&job.value, group).pop());
        let Some(place) = place else { return Ok(Vec::new()) };
        let lines = self.if_allowed(self.api.last_lines(&place, line_limit))?;
        let line = |event: crate::aws::shapes::LogEvent| LogLine {
            at_ms: event.timestamp,
            text: event.message,
        };
        Ok(lines.into_iter().map(line).collect())
    }

    fn diagnose(&self, job: &JobId) -> Result<Option<Diagnosis>> {
        self.if_allowed(diagnose(&self.api, &job.0))
    }

    fn fall_back(&self) -> Option<String> {
        let last = self.settings.queue.len() - 1;
        let next = |at: usize| (at < last).then_some(at + 1);
        let before = self.queue.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(self.settings.queue[before + 1].clone())
    }
}

/// Where a job stands, and its workers.
fn status_of(job: &JobDetail) -> JobStatus {
    let workers = counts_of(job);
    let state = match BatchState::of(&job.status) {
        Some(BatchState::Succeeded) => JobState::Succeeded,
        Some(BatchState::Failed) => JobState::Failed,
        // The parent of an array stays PENDING while its children run.
        _ if workers.running > 0 => JobState::Running,
        _ if workers.starting > 0 => JobState::Starting,
        _ => JobState::Waiting,
    };
    JobStatus {
        id: JobId(job.job_id.clone()),
        name: job.job_name.clone(),
        state,
        reason: job.status_reason.clone(),
        workers,
    }
}

fn counts_of(job: &JobDetail) -> StateCounts {
    let alone = BTreeMap::from([(job.status.clone(), 1)]);
    let summary = match &job.array_properties {
        Some(ArrayProperties { size: Some(_), status_summary, .. }) => status_summary,
        _ => &alone,
    };
    let mut counts = StateCounts::default();
    for (state, count) in summary {
        let place = match BatchState::of(state) {
            Some(BatchState::Starting) => &mut counts.starting,
            Some(BatchState::Running) => &mut counts.running,
            Some(BatchState::Succeeded) => &mut counts.succeeded,
            Some(BatchState::Failed) => &mut counts.failed,
            _ => &mut counts.waiting,
        };
        *place += count;
    }
    counts
}

/// How a worker has ended; nothing if it has not, or ended well.
fn end_of(job: &JobId, detail: &Read<JobDetail>) -> Option<WorkerEnd> {
    let detail = &detail.value;
    let is_parent = detail.array_properties.as_ref().is_some_and(|it| it.size.is_some());
    if BatchState::of(&detail.status) != Some(BatchState::Failed) || is_parent {
        return None;
    }
    let by_id = detail.job_id.rsplit_once(':').and_then(|(_, index)| index.parse().ok());
    let told = detail.array_properties.as_ref().and_then(|it| it.index);
    let index = told.and_then(|index| u32::try_from(index).ok()).or(by_id).unwrap_or(0);
    let end = End::of(detail);
    Some(WorkerEnd {
        worker: WorkerId { job: job.clone(), index },
        attempts: u32::try_from(detail.attempts.len()).unwrap_or(u32::MAX),
        cause: cause_of(&end),
        reason: end.text(),
    })
}

/// The launcher of the settings, for runs: what fails in passing is waited out.
///
/// # Errors
/// Settings that AWS would refuse, or no region.
pub fn launcher_of_run(settings: &BatchSettings, cancel: CancelToken) -> Result<Arc<AwsLauncher>> {
    let mut options = CallOptions { cancel, ..Default::default() }.of_run();
    if let Some(wait) = settings.credential_wait {
        options = options.with_credential_grace(Duration::from_secs(wait.0));
    }
    let api = BatchApi::open(settings, options)?;
    Ok(Arc::new(AwsLauncher::new(api, settings.clone())?))
}

/// Tags of a job of a run.
pub fn run_tags(run: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [(RUN_TAG, run)];
    own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests;
