//! AWS Batch, operation by operation: pages are put together, lists are cut to what one call takes.

use std::collections::BTreeSet;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{AwsAccess, CredentialFacts};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::aws::caller::{CallOptions, Caller};
use crate::aws::operations as operation;
use crate::aws::operations::Operation;
use crate::aws::refusal::{Class, Failed};
use crate::aws::settings::BatchSettings;
use crate::aws::shapes::{
    Cluster, ComputeEnvironment, JobDefinition, JobDetail, JobQueue, JobSummary,
};
use crate::launch::{JobId, Submitted};

/// Ids that one DescribeJobs takes.
const DESCRIBED_AT_ONCE: usize = 100;
/// Ids that one bulk call to end jobs takes.
const STOPPED_AT_ONCE: usize = 50;
/// The most bytes of a SubmitJob.
const SUBMIT_BYTES: usize = 30 * 1024;

/// AWS Batch in one region; clones share their pace and their credentials.
#[derive(Debug, Clone)]
pub struct BatchApi {
    pub(super) caller: Caller,
}

/// What was read, and the JSON that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<T> {
    /// What we know of it.
    pub value: T,
    /// All of it.
    pub json: Value,
}

/// Which jobs are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing<'a> {
    /// Those of a queue in a state.
    InState {
        /// Name or ARN.
        queue: &'a str,
        /// One of the seven.
        state: &'a str,
    },
    /// Those of a queue with a name, in any state; one `*` at the end stands for anything.
    Named {
        /// Name or ARN.
        queue: &'a str,
        /// The name.
        name: &'a str,
    },
    /// The children of an array in a state.
    Children {
        /// Its id.
        array: &'a str,
        /// One of the seven.
        state: &'a str,
    },
}

impl BatchApi {
    /// Opens the service of the settings; nothing is asked yet.
    ///
    /// # Errors
    /// Nobody names a region.
    pub fn open(settings: &BatchSettings, options: CallOptions) -> Result<Self> {
        let access = AwsAccess::of(settings.profile.as_deref());
        Self::with_access(access, settings, options)
    }

    /// The same with these credentials.
    ///
    /// # Errors
    /// Nobody names a region.
    pub fn with_access(
        access: AwsAccess,
        settings: &BatchSettings,
        options: CallOptions,
    ) -> Result<Self> {
        let (region, endpoint) = (settings.region.clone(), settings.endpoint.clone());
        let requests_per_second = settings.requests_per_second;
        let options = CallOptions { requests_per_second, ..options };
        Ok(Self { caller: Caller::new(access, region, endpoint, options)? })
    }

    /// The region that is asked.
    pub fn region(&self) -> &str {
        self.caller.region()
    }

    /// What is known of the credentials.
    ///
    /// # Errors
    /// Nobody gives any.
    pub fn credential_facts(&self) -> Result<CredentialFacts> {
        self.caller.access().facts()
    }

    /// Since when calls wait for new credentials (milliseconds since 1970), and what to do.
    pub fn pause(&self) -> Option<(i64, String)> {
        self.caller.access().pause()
    }

    /// Submits a job; a request whose answer was lost is not sent again.
    ///
    /// # Errors
    /// A request that was refused, or one that is too long.
    pub fn submit(&self, request: &Value) -> Result<Submitted> {
        let bytes = request.to_string().len();
        if bytes > SUBMIT_BYTES {
            let message = format!("a job of {bytes} bytes is too long: {SUBMIT_BYTES} are allowed");
            return Err(Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::InvalidInput, message)
                .mend("shorten the command, the environment or the tags"));
        }
        match self.caller.call(&operation::SUBMIT_JOB, request) {
            Ok(answer) => match answer["jobId"].as_str() {
                Some(id) => Ok(Submitted::As(JobId(id.to_owned()))),
                None => Ok(Submitted::Unknown),
            },
            Err(failed) if matches!(failed.class, Class::Lost | Class::Server) => {
                tracing::warn!(error = %failed.error, "the answer to a submission was lost");
                Ok(Submitted::Unknown)
            }
            Err(failed) => Err(failed.error),
        }
    }

    /// What is known of jobs; one that is not known is left out.
    ///
    /// Cost: a request for each hundred.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn describe_jobs(&self, ids: &[&str]) -> Result<Vec<Read<JobDetail>>> {
        let mut jobs = Vec::with_capacity(ids.len());
        for ids in ids.chunks(DESCRIBED_AT_ONCE) {
            let answer = self.ask(&operation::DESCRIBE_JOBS, &json!({ "jobs": ids }))?;
            jobs.extend(items(&answer, "jobs"));
        }
        Ok(jobs)
    }

    /// Jobs, at most so many.
    ///
    /// Cost: a request for each thousand, or each hundred by name.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn list_jobs(&self, listing: &Listing<'_>, limit: usize) -> Result<Vec<Read<JobSummary>>> {
        let request = match listing {
            Listing::InState { queue, state } => json!({ "jobQueue": queue, "jobStatus": state }),
            Listing::Named { queue, name } => {
                let filters = json!([{ "name": "JOB_NAME", "values": [name] }]);
                json!({ "jobQueue": queue, "filters": filters })
            }
            Listing::Children { array, state } => {
                json!({ "arrayJobId": array, "jobStatus": state })
            }
        };
        self.pages(&operation::LIST_JOBS, request, "jobSummaryList", limit)
    }

    /// Asks jobs to end, whatever they do: those that wait are cancelled, and all are terminated.
    ///
    /// Cost: two requests for each fifty.
    ///
    /// # Errors
    /// AWS cannot be asked, or does not end one of them.
    pub fn stop(&self, ids: &[&str], reason: &str) -> Result<()> {
        // The reason may have a thousand letters.
        let reason: String = reason.chars().take(1000).collect();
        let (cancel, cancels) = (&operation::CANCEL_JOB, &operation::CANCEL_JOBS);
        if let Err(error) = self.end_all(cancels, cancel, ids, &reason) {
            // To terminate is enough; to cancel first is quicker for those that wait.
            tracing::debug!(%error, "jobs were not cancelled");
        }
        self.end_all(&operation::TERMINATE_JOBS, &operation::TERMINATE_JOB, ids, &reason)
    }

    fn end_all(
        &self,
        bulk: &Operation,
        single: &Operation,
        ids: &[&str],
        reason: &str,
    ) -> Result<()> {
        for ids in ids.chunks(STOPPED_AT_ONCE) {
            let mut left: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            match self.caller.call(bulk, &json!({ "jobs": left, "reason": reason })) {
                Ok(answer) => left = not_ended(&answer),
                Err(failed) if failed.class == Class::UnknownOperation => {}
                Err(failed) => return Err(failed.error),
            }
            // One by one: an older service, or what the bulk call could not do.
            for id in left {
                let ended = self.caller.call(single, &json!({ "jobId": id, "reason": reason }));
                ended.map_err(|failed| failed.error.at("job", &id))?;
            }
        }
        Ok(())
    }

    /// Registers a revision of a job definition.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses; an answer that was lost leaves open what happened.
    pub fn register(&self, request: &Value) -> Result<Read<JobDefinition>> {
        let answer = self.ask(&operation::REGISTER, request)?;
        read(answer).ok_or_else(|| Error::internal("a definition without a name"))
    }

    /// Takes a revision out of use; `name:revision` or an ARN.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn deregister(&self, definition: &str) -> Result<()> {
        self.ask(&operation::DEREGISTER, &json!({ "jobDefinition": definition })).map(drop)
    }

    /// Revisions of job definitions, newest first: of a plain name, of one that is whole
    /// (`name:revision` or an ARN), or of all.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn definitions(
        &self,
        name: Option<&str>,
        is_active: bool,
    ) -> Result<Vec<Read<JobDefinition>>> {
        let mut request = match name {
            // Bare names are not taken by the list, only by the field of their own.
            Some(whole) if whole.contains(':') => json!({ "jobDefinitions": [whole] }),
            Some(plain) => json!({ "jobDefinitionName": plain }),
            None => json!({}),
        };
        if is_active {
            request["status"] = "ACTIVE".into();
        }
        let operation = &operation::DESCRIBE_DEFINITIONS;
        let mut found: Vec<Read<JobDefinition>> =
            self.pages(operation, request, "jobDefinitions", usize::MAX)?;
        let key = |it: &Read<JobDefinition>| it.value.revision.unwrap_or_default();
        found.sort_by(|a, b| {
            let names = a.value.job_definition_name.cmp(&b.value.job_definition_name);
            names.then_with(|| key(b).cmp(&key(a)))
        });
        Ok(found)
    }

    /// Queues by name or ARN; those that do not exist are left out.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn queues(&self, names: &[&str]) -> Result<Vec<Read<JobQueue>>> {
        let request = json!({ "jobQueues": names });
        self.pages(&operation::DESCRIBE_QUEUES, request, "jobQueues", usize::MAX)
    }

    /// Compute environments by name or ARN; those that do not exist are left out.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn environments(&self, names: &[&str]) -> Result<Vec<Read<ComputeEnvironment>>> {
        let request = json!({ "computeEnvironments": names });
        self.pages(&operation::DESCRIBE_ENVIRONMENTS, request, "computeEnvironments", usize::MAX)
    }

    /// The ARNs of the jobs at the front of a queue, at most a hundred.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn front_of(&self, queue: &str) -> Result<Vec<String>> {
        let answer = self.ask(&operation::QUEUE_SNAPSHOT, &json!({ "jobQueue": queue }))?;
        let jobs = answer["frontOfQueue"]["jobs"].as_array().cloned().unwrap_or_default();
        Ok(jobs.iter().filter_map(|job| job["jobArn"].as_str().map(str::to_owned)).collect())
    }

    /// Clusters of ECS.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn clusters(&self, arns: &[&str]) -> Result<Vec<Read<Cluster>>> {
        let answer = self.ask(&operation::DESCRIBE_CLUSTERS, &json!({ "clusters": arns }))?;
        Ok(items(&answer, "clusters"))
    }

    /// The ARN of whoever these credentials are.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses.
    pub fn identity(&self) -> Result<String> {
        let answer = self.ask(&operation::CALLER_IDENTITY, &())?;
        let text = answer.as_str().unwrap_or_default();
        let arn = text.split_once("<Arn>").and_then(|(_, it)| it.split_once('<'));
        Ok(arn.map_or("", |(arn, _)| arn).to_owned())
    }

    pub(super) fn ask(&self, operation: &Operation, request: &impl Serialize) -> Result<Value> {
        self.caller.call(operation, request).map_err(|failed| failed.error)
    }

    pub(super) fn ask_or_failed(
        &self,
        operation: &Operation,
        request: &impl Serialize,
    ) -> Result<Value, Failed> {
        self.caller.call(operation, request)
    }

    fn pages<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        mut request: Value,
        list: &str,
        limit: usize,
    ) -> Result<Vec<Read<T>>> {
        let mut found = Vec::new();
        let mut tokens = BTreeSet::new();
        loop {
            let answer = self.ask(operation, &request)?;
            found.extend(items(&answer, list));
            let next = answer["nextToken"].as_str().unwrap_or_default();
            // A token that comes again would go on for ever.
            if next.is_empty() || found.len() >= limit || !tokens.insert(next.to_owned()) {
                found.truncate(limit);
                return Ok(found);
            }
            request["nextToken"] = next.into();
        }
    }
}

/// The ids that a bulk call has not ended, though asking again may.
fn not_ended(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().filter_map(|error| error["job"].as_str().map(str::to_owned)).collect()
}

fn items<T: DeserializeOwned>(answer: &Value, list: &str) -> Vec<Read<T>> {
    answer[list].as_array().cloned().unwrap_or_default().into_iter().filter_map(read).collect()
}

fn read<T: DeserializeOwned>(json: Value) -> Option<Read<T>> {
    Some(Read { value: serde_json::from_value(json.clone()).ok()?, json })
}
