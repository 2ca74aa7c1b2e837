//! Logs of jobs: where they are, and how they are read to their end.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use crate::aws::api::BatchApi;
use crate::aws::operations::GET_LOG_EVENTS;
use crate::aws::refusal::Failed;
use crate::aws::shapes::{JobDetail, LogEvent, LogPage};

/// The group of jobs whose definition names no other.
pub const DEFAULT_LOG_GROUP: &str = "/aws/batch/job";
/// Lines that one request gives at the most.
const PAGE_LINES: usize = 10_000;

/// Where the output of one attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPlace {
    /// The log group.
    pub group: String,
    /// The stream.
    pub stream: String,
}

impl LogPlace {
    /// Where the output of a job's attempts is, the last attempt last; nothing before it has
    /// started. A group that is named holds over that of the definition.
    pub fn of(job: &JobDetail, group: Option<&str>) -> Vec<Self> {
        let own = job.container.log_configuration.options.get("awslogs-group");
        let group = group.or(own.map(String::as_str)).unwrap_or(DEFAULT_LOG_GROUP);
        let attempts = job.attempts.iter().map(|it| &it.container.log_stream_name);
        let mut streams: Vec<&String> = attempts.collect();
        let current = &job.container.log_stream_name;
        if streams.last() != Some(&current) {
            streams.push(current);
        }
        let named = streams.into_iter().filter(|stream| !stream.is_empty());
        named.map(|stream| Self { group: group.to_owned(), stream: stream.clone() }).collect()
    }
}

impl BatchApi {
    /// Reads a log from its start to where it ends now, page by page; whether there is one.
    ///
    /// A stream may be announced and never come: then nobody has written.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses; a log group that does not exist; what `each` returns.
    pub fn read_log(
        &self,
        place: &LogPlace,
        each: impl FnMut(LogEvent) -> Result<()>,
    ) -> Result<bool> {
        self.read_log_from(place, None, each).map(|token| token.is_some())
    }

    /// Reads a log from where an earlier call has ended to where it ends now; where that is, or nothing
    /// if there is no such log.
    ///
    /// # Errors
    /// As [`BatchApi::read_log`].
    pub fn read_log_from(
        &self,
        place: &LogPlace,
        mut token: Option<String>,
        mut each: impl FnMut(LogEvent) -> Result<()>,
    ) -> Result<Option<String>> {
        loop {
            let Some(page) = self.log_page(place, token.as_deref(), true, PAGE_LINES)? else {
                return Ok(None);
            };
            page.events.into_iter().try_for_each(&mut each)?;
            // The end is where a token leads to itself.
            let next = page.next_forward_token;
            if next.is_empty() || token.as_ref() == Some(&next) {
                return Ok(Some(next));
            }
            token = Some(next);
        }
    }

    /// The last lines of a log, at most so many, oldest first.
    ///
    /// # Errors
    /// AWS cannot be asked, or refuses; a log group that does not exist.
    pub fn last_lines(&self, place: &LogPlace, limit: usize) -> Result<Vec<LogEvent>> {
        let mut lines: Vec<LogEvent> = Vec::new();
        let mut token = None;
        while lines.len() < limit {
            let wanted = (limit - lines.len()).min(PAGE_LINES);
            let Some(page) = self.log_page(place, token.as_deref(), false, wanted)? else { break };
            let next = page.next_backward_token;
            lines.splice(0..0, page.events);
            if next.is_empty() || token.as_ref() == Some(&next) {
                break;
            }
            token = Some(next);
        }
        Ok(lines.split_off(lines.len().saturating_sub(limit)))
    }

    fn log_page(
        &self,
        place: &LogPlace,
        token: Option<&str>,
        from_head: bool,
        limit: usize,
    ) -> Result<Option<LogPage>> {
        let LogPlace { group, stream } = place;
        let mut request = json!({
            "logGroupName": group,
            "logStreamName": stream,
            "startFromHead": from_head,
            "limit": limit,
        });
        if let Some(token) = token {
            request["nextToken"] = token.into();
        }
        match self.ask_or_failed(&GET_LOG_EVENTS, &request) {
            Ok(answer) => Ok(serde_json::from_value::<LogPage>(answer).ok()),
            Err(failed) if is_missing(&failed, "log stream") => Ok(None),
            Err(failed) if is_missing(&failed, "") => Err(no_group(group)),
            Err(failed) => Err(failed.error),
        }
    }
}

fn is_missing(failed: &Failed, what: &str) -> bool {
    failed.code == "ResourceNotFoundException" && failed.error.message().contains(what)
}

fn no_group(group: &str) -> Error {
    let message = format!("there is no log group `{group}`");
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::NotFound, message).mend(format!(
        "name the one of the job definition by batch.log_group or --log-group; jobs without one write to {DEFAULT_LOG_GROUP}"
    ))
}

/// A line of a log, as JSON.
pub fn log_json(event: &LogEvent) -> Value {
    json!({
        "message": event.message,
        "timestamp": event.timestamp,
        "ingestion_time": event.ingestion_time,
    })
}
