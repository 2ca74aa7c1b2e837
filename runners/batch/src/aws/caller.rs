//! Calls AWS: paces, retries by class, waits for credentials, and reads answers leniently.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, Result};
use objects::{AwsAccess, AwsFailure, AwsRequest};
use serde::Serialize;
use serde_json::Value;

use crate::aws::operations::{Form, Operation};
use crate::aws::pace::{Pace, full_jitter};
use crate::aws::refusal::{Class, Failed, broken, refused};
use crate::aws::units::invalid;

/// How AWS is called.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// Requests a second, of all operations together.
    pub requests_per_second: f64,
    /// How long a call is repeated that fails in passing.
    pub patience: Duration,
    /// How long new credentials are waited for when these have ended.
    pub credential_grace: Duration,
    /// The first and the longest wait between attempts.
    pub backoff: (Duration, Duration),
    /// Ends all waiting.
    pub cancel: CancelToken,
}

impl Default for CallOptions {
    /// For commands: somebody looks on. A run waits longer.
    fn default() -> Self {
        Self {
            requests_per_second: 5.0,
            patience: Duration::from_secs(60),
            credential_grace: Duration::ZERO,
            backoff: (Duration::from_secs(1), Duration::from_secs(60)),
            cancel: CancelToken::default(),
        }
    }
}

impl CallOptions {
    /// For runs: what fails in passing is repeated, and credentials are waited for, without end.
    #[must_use]
    pub fn of_run(mut self) -> Self {
        self.patience = Duration::MAX;
        self.credential_grace = Duration::MAX;
        self
    }

    /// Sets how long new credentials are waited for when these have ended.
    #[must_use]
    pub fn with_credential_grace(mut self, grace: Duration) -> Self {
        self.credential_grace = grace;
        self
    }
}

/// A permission that was there is believed to come back: roles take a while to be known everywhere.
const DENIED_ATTEMPTS: u32 = 5;
const DENIED_WAIT: Duration = Duration::from_secs(12);
/// How long new credentials are waited for before the same are tried again.
const CREDENTIAL_WAIT: Duration = Duration::from_secs(5);
/// Waiting looks so often whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Calls the services of one region; clones share their pace.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    access: AwsAccess,
    region: String,
    endpoint: Option<String>,
    options: CallOptions,
    pace: Mutex<Pace>,
    allowed: Mutex<BTreeSet<&'static str>>,
}

impl Caller {
    /// Calls with these credentials; `region` and `endpoint` hold over what they name.
    ///
    /// # Errors
    /// Nobody names a region.
    pub(super) fn new(
        access: AwsAccess,
        region: Option<String>,
        endpoint: Option<String>,
        options: CallOptions,
    ) -> Result<Self> {
        let region = region.or_else(|| access.region()).ok_or_else(|| {
            invalid("no region is set")
                .mend("set batch.region, --region, AWS_REGION, or the region of the profile")
        })?;
        let pace = Mutex::new(Pace::new(options.requests_per_second, Instant::now()));
        let allowed = Mutex::default();
        Ok(Self(Arc::new(Shared { access, region, endpoint, options, pace, allowed })))
    }

    pub(super) fn access(&self) -> &AwsAccess {
        &self.0.access
    }

    pub(super) fn region(&self) -> &str {
        &self.0.region
    }

    /// Calls an operation until it is done, refused, or out of patience.
    ///
    /// # Errors
    /// Why it was not done, and whether it may have been.
    pub(super) fn call(
        &self,
        operation: &Operation,
        body: &impl Serialize,
    ) -> Result<Value, Failed> {
        let request = self.request(operation, body).map_err(client)?;
        let options = &self.0.options;
        let started = Instant::now();
        let (mut attempt, mut denied) = (0, 0);
        loop {
            let failed = match self.once(operation, &request)? {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let is_done = match failed.class {
                Class::Throttled | Class::NotReached => false,
                Class::Server | Class::Lost => !operation.is_repeatable,
                Class::Denied => {
                    denied += 1;
                    denied >= DENIED_ATTEMPTS || !self.was_allowed(operation)
                }
                _ => true,
            };
            if is_done || started.elapsed() >= options.patience {
                return Err(failed);
            }
            tracing::debug!(action = operation.action, error = %failed.error, "again");
            let (first, most) = options.backoff;
            let wait = match failed.class {
                Class::Denied => DENIED_WAIT.min(most),
                _ => full_jitter(attempt, first, most, crate::random::number()),
            };
            attempt += 1;
            self.wait(wait).map_err(client)?;
        }
    }

    /// One attempt; credentials that have ended are replaced first, and asked with again.
    fn once(
        &self,
        operation: &Operation,
        request: &AwsRequest,
    ) -> Result<Result<Value, Failed>, Failed> {
        let mut refused_since = None;
        loop {
            let wait = self.pace().take(Instant::now());
            self.wait(wait).map_err(client)?;
            let answer = match self.0.access.send(request.clone()) {
                Ok(answer) => answer,
                Err(AwsFailure::NotSigned(error)) => return Err(client(error)),
                Err(AwsFailure::NotReached(why)) => {
                    return Ok(Err(broken(operation, Class::NotReached, &why, &request.url)));
                }
                Err(AwsFailure::Lost(why)) => {
                    return Ok(Err(broken(operation, Class::Lost, &why, &request.url)));
                }
            };
            if (200..300).contains(&answer.status) {
                self.allowed().insert(operation.action);
                if refused_since.is_some() {
                    self.0.access.end_pause();
                }
                let read = match operation.form {
                    Form::Query(_) => {
                        Ok(Value::String(String::from_utf8_lossy(&answer.body).into_owned()))
                    }
                    _ if answer.body.is_empty() => Ok(Value::Null),
                    _ => serde_json::from_slice(&answer.body),
                };
                let why = "the answer is no JSON";
                return Ok(read.map_err(|_| broken(operation, Class::Lost, why, &request.url)));
            }
            let failed = refused(operation, &answer);
            match failed.class {
                Class::Throttled => {
                    self.pace().refused(Instant::now());
                    return Ok(Err(failed));
                }
                Class::Unrecognized if self.allowed().is_empty() => return Err(failed),
                Class::Expired | Class::Unrecognized => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    self.renew(&answer, since).map_err(|error| Failed { error, ..failed })?;
                }
                _ => return Ok(Err(failed)),
            }
        }
    }

    /// Waits a while for new credentials; without any, those that there are may be taken after all,
    /// as long as is allowed.
    fn renew(&self, refused: &objects::AwsAnswer, since: Instant) -> Result<()> {
        self.0.options.cancel.check()?;
        let left = self.0.options.credential_grace.saturating_sub(since.elapsed());
        match self.0.access.renew(refused, left.min(CREDENTIAL_WAIT)) {
            Err(error) if left.is_zero() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn request(&self, operation: &Operation, body: &impl Serialize) -> Result<AwsRequest> {
        let service = operation.service;
        let json = "application/x-amz-json-1.1".to_owned();
        let headers = match operation.form {
            Form::Rest => vec![("content-type", "application/json".to_owned())],
            Form::Target(target) => {
                vec![("content-type", json), ("x-amz-target", target.to_owned())]
            }
            Form::Query(_) => {
                vec![("content-type", "application/x-www-form-urlencoded".to_owned())]
            }
        };
        let bytes = match operation.form {
            Form::Query(version) => query(operation, version, body)?,
            _ => json_of(body)?,
        };
        let named = self.0.endpoint.clone().or_else(|| self.0.access.endpoint(service));
        let region = &self.0.region;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{service}.{region}.{domain}");
        let url = format!("{}{}", named.unwrap_or_else(own).trim_end_matches('/'), operation.path);
        Ok(AwsRequest { service, region: region.clone(), url, headers, body: bytes.into() })
    }

    /// Waits, unless everything is to end.
    pub(super) fn wait(&self, wait: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            self.0.options.cancel.check()?;
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            crate::pause(left.min(LOOK_EVERY));
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn allowed(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn was_allowed(&self, operation: &Operation) -> bool {
        self.allowed().contains(operation.action)
    }
}

fn json_of(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|why| Error::internal(format!("a request has no JSON: {why}")))
}

/// A query: action, version, and the fields of the request, which are texts without signs that have
/// a meaning there.
fn query(operation: &Operation, version: &str, body: &impl Serialize) -> Result<Vec<u8>> {
    let action = operation.action.rsplit(':').next().unwrap_or_default();
    let mut text = format!("Action={action}&Version={version}");
    let fields: Value = serde_json::from_slice(&json_of(body)?).unwrap_or_default();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.*:".contains(c);
        if !value.chars().all(is_plain) {
            return Err(Error::internal(format!("`{value}` stands in no query")));
        }
        // The one sign of names that a form writes otherwise.
        text.push_str(&format!("&{name}={}", value.replace(':', "%3A")));
    }
    Ok(text.into_bytes())
}

fn client(error: Error) -> Failed {
    Failed { class: Class::Client, code: String::new(), error }
}
