//! ListJobs: jobs of a queue by status or by name, children of an array, page by page.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::describe::{add, array, is_shown};
use crate::job::{Job, Key};
use crate::places;
use crate::status::Status;
use crate::world::{World, arn};

const PAGE: usize = 1000;
const FILTERED_PAGE: usize = 100;

/// What a list is asked for.
enum Wanted<'a> {
    Status(Status),
    Name(Vec<String>),
    Definition(Vec<String>),
    Before(u64),
    After(u64),
    /// Children: a filter does not apply to them.
    Child(&'a str, Status),
}

pub(crate) fn list(world: &mut World, ask: Ask<'_>) -> Answer {
    let places = ["jobQueue", "arrayJobId", "multiNodeJobId"].map(|name| ask.raw(name).is_some());
    if places.into_iter().filter(|is_set| *is_set).count() != 1 {
        let message = "Exactly one of jobQueue, arrayJobId, multiNodeJobId must be set";
        return Err(Refusal::client(message));
    }
    let wanted = wanted(ask)?;
    let found: Vec<&Job> = match wanted {
        Wanted::Child(id, status) => {
            let array = world.jobs.find(id).filter(|key| key.index.is_none());
            let children = array.into_iter().flat_map(|key| world.jobs.children(key));
            children.filter(|job| job.status == status).collect()
        }
        _ => {
            let (queue, _) = places::queue(world, ask.maybe_text("jobQueue")?.unwrap_or(""))?;
            let jobs = world.jobs.all().filter(|job| job.key.index.is_none());
            jobs.filter(|job| job.spec.queue == queue && wanted.describes(job)).collect()
        }
    };
    let mut found: Vec<&Job> = found.into_iter().filter(|job| is_shown(world, job)).collect();
    let is_filtered = !matches!(wanted, Wanted::Status(_) | Wanted::Child(..));
    if is_filtered {
        // The newest first, as the service has them.
        found.reverse();
    }
    page(ask, &found, is_filtered)
}

fn page(ask: Ask<'_>, found: &[&Job], is_filtered: bool) -> Answer {
    let most = if is_filtered { FILTERED_PAGE } else { PAGE };
    let asked = ask.number("maxResults")?.and_then(|it| usize::try_from(it).ok()).unwrap_or(most);
    let after = ask.maybe_text("nextToken")?.map(parse_token).transpose()?;
    let start = match after {
        None => 0,
        Some(last) => {
            found.partition_point(|job| if is_filtered { job.key >= last } else { job.key <= last })
        }
    };
    let end = found.len().min(start + asked.clamp(1, most));
    let shown: Vec<Value> = found[start..end].iter().map(|job| summary(job)).collect();
    let mut answer = json!({"jobSummaryList": shown});
    let last = found[start..end].last().filter(|_| end < found.len());
    add(&mut answer, [("nextToken", last.map(|job| token(job.key).into()))]);
    Ok(answer)
}

fn wanted<'a>(ask: Ask<'a>) -> Answer<Wanted<'a>> {
    let status = match ask.maybe_text("jobStatus")? {
        None => Status::Running,
        Some(name) => Status::parse(name)
            .ok_or_else(|| Refusal::client(format!("{name} is no valid jobStatus")))?,
    };
    if let Some(id) = ask.maybe_text("arrayJobId")? {
        return Ok(Wanted::Child(id, status));
    }
    let filters = ask.objects("filters")?;
    let [filter] = filters.as_slice() else {
        return match filters.len() {
            0 => Ok(Wanted::Status(status)),
            _ => Err(Refusal::client("Only one filter can be used at a time")),
        };
    };
    let values: Vec<String> =
        filter.texts("values")?.into_iter().map(str::to_ascii_lowercase).collect();
    let moment = || {
        let moment = values.first().and_then(|it| it.parse().ok());
        moment.ok_or_else(|| Refusal::client("the value of the filter is no time"))
    };
    match filter.text("name")? {
        "JOB_NAME" => Ok(Wanted::Name(values)),
        "JOB_DEFINITION" => Ok(Wanted::Definition(values)),
        "BEFORE_CREATED_AT" => moment().map(Wanted::Before),
        "AFTER_CREATED_AT" => moment().map(Wanted::After),
        other => Err(Refusal::client(format!("{other} is no valid filter"))),
    }
}

impl Wanted<'_> {
    fn describes(&self, job: &Job) -> bool {
        let is_any = |patterns: &[String], name: &str| {
            let name = name.to_ascii_lowercase();
            patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *pattern,
            })
        };
        match self {
            Self::Status(status) | Self::Child(_, status) => job.status == *status,
            Self::Name(names) => is_any(names, &job.spec.name),
            Self::Definition(names) => {
                is_any(names, &job.spec.definition_name) || is_any(names, &job.spec.definition_arn)
            }
            Self::Before(moment) => job.created_ms < *moment,
            Self::After(moment) => job.created_ms > *moment,
        }
    }
}

fn summary(job: &Job) -> Value {
    let mut shown = json!({
        "jobArn": arn("job", &job.id()),
        "jobId": job.id(),
        "jobName": job.spec.name,
        "createdAt": job.created_ms,
        "status": job.status.name(),
        "jobDefinition": job.spec.definition_arn,
    });
    let ending = job.attempts.last().map(|attempt| {
        let mut container = json!({});
        let (code, reason) = (attempt.ending.exit_code, attempt.ending.reason.clone());
        add(
            &mut container,
            [("exitCode", code.map(Value::from)), ("reason", reason.map(Value::from))],
        );
        container
    });
    let optional = [
        ("statusReason", job.status_reason.clone().map(Value::from)),
        ("startedAt", job.started_ms.map(Value::from)),
        ("stoppedAt", job.stopped_ms.map(Value::from)),
        ("container", ending),
        ("arrayProperties", array(job).map(without_time)),
    ];
    add(&mut shown, optional);
    shown
}

/// Summaries of arrays in lists do not say how old they are.
fn without_time(mut array: Value) -> Value {
    if let Some(fields) = array.as_object_mut() {
        fields.remove("statusSummaryLastUpdatedAt");
    }
    array
}

fn token(key: Key) -> String {
    format!("{}/{}", key.serial, key.index.map_or(String::new(), |index| index.to_string()))
}

fn parse_token(text: &str) -> Answer<Key> {
    let key = text.split_once('/').and_then(|(serial, index)| {
        let index = if index.is_empty() { None } else { Some(index.parse().ok()?) };
        Some(Key { serial: serial.parse().ok()?, index })
    });
    key.ok_or_else(|| Refusal::client("nextToken is not valid"))
}
