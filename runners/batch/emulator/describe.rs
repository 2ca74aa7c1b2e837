//! DescribeJobs: all that is known of jobs.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::job::{Array, Attempt, Dependency, DependencyKind, Job};
use crate::world::{World, arn};

const IDS: usize = 100;

pub(crate) fn describe(world: &mut World, ask: Ask<'_>) -> Answer {
    if ask.raw("jobs").is_none() {
        return Err(Refusal::client("Error executing request, Exception : jobs must not be null."));
    }
    let ids = ask.texts("jobs")?;
    if ids.len() > IDS {
        return Err(Refusal::client("Error executing request, Exception : at most 100 jobs"));
    }
    let keys = ids.into_iter().filter_map(|id| world.jobs.find(id));
    let jobs = keys.filter_map(|key| world.jobs.get(key)).filter(|job| is_shown(world, job));
    let shown: Vec<Value> = jobs.map(detail).collect();
    Ok(json!({"jobs": shown}))
}

/// Whether a job is old enough to be seen by those who did not submit it.
pub(crate) fn is_shown(world: &World, job: &Job) -> bool {
    now_ms() >= job.created_ms + world.options.consistency_ms
}

fn detail(job: &Job) -> Value {
    let spec = &job.spec;
    let mut shown = json!({
        "jobArn": arn("job", &job.id()),
        "jobName": spec.name,
        "jobId": job.id(),
        "jobQueue": arn("job-queue", &spec.queue),
        "status": job.status.name(),
        "attempts": job.attempts.iter().filter(|it| it.stopped_ms.is_some()).map(attempt).collect::<Vec<_>>(),
        "createdAt": job.created_ms,
        "retryStrategy": spec.retry.to_json(),
        // The model demands it, also of a job that has not started.
        "startedAt": job.started_ms.unwrap_or(0),
        "dependsOn": spec.depends.iter().map(dependency).collect::<Vec<_>>(),
        "jobDefinition": spec.definition_arn,
        "parameters": spec.parameters,
        "container": container(job),
        "tags": job.tags.as_ref().unwrap_or(&spec.tags),
        "propagateTags": spec.propagates_tags,
        "platformCapabilities": spec.platforms,
        "isCancelled": job.is_cancelled,
        "isTerminated": job.is_terminated,
    });
    let optional = [
        ("statusReason", job.status_reason.clone().map(Value::from)),
        ("stoppedAt", job.stopped_ms.map(Value::from)),
        ("timeout", spec.timeout_s.map(|it| json!({"attemptDurationSeconds": it}))),
        ("shareIdentifier", spec.share.clone().map(Value::from)),
        ("schedulingPriority", spec.priority.map(Value::from)),
        ("arrayProperties", array(job)),
    ];
    add(&mut shown, optional);
    shown
}

/// The size and the children of an array, the place of a child; nothing for other jobs.
pub(crate) fn array(job: &Job) -> Option<Value> {
    if let Some(index) = job.key.index {
        return Some(json!({"index": index}));
    }
    let Array { size, shown, shown_ms, .. } = job.array.as_ref()?;
    Some(json!({
        "size": size,
        "statusSummary": shown.to_json(),
        "statusSummaryLastUpdatedAt": shown_ms,
    }))
}

fn container(job: &Job) -> Value {
    let spec = &job.spec;
    let environment = spec.environment.iter().map(|(k, v)| json!({"name": k, "value": v}));
    let mut shown = json!({
        "volumes": [],
        "mountPoints": [],
        "ulimits": [],
        "secrets": [],
        "networkInterfaces": [],
    });
    for (name, value) in &spec.container {
        shown[name] = value.clone();
    }
    shown["command"] = json!(spec.command);
    shown["environment"] = environment.collect();
    shown["resourceRequirements"] = spec.resources.to_json();
    if let Some(last) = job.attempts.last() {
        add(&mut shown, of_task(last));
    }
    shown
}

fn attempt(attempt: &Attempt) -> Value {
    let mut container = json!({"networkInterfaces": []});
    add(&mut container, of_task(attempt));
    let mut shown = json!({
        "container": container,
        "startedAt": attempt.started_ms,
        "statusReason": attempt.ending.status_reason,
    });
    add(&mut shown, [("stoppedAt", attempt.stopped_ms.map(Value::from))]);
    shown
}

fn of_task(attempt: &Attempt) -> [(&'static str, Option<Value>); 4] {
    let task = &attempt.task_id;
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/emulated/{task}");
    [
        ("taskArn", Some(arn.into())),
        ("logStreamName", attempt.log_stream.clone().map(Value::from)),
        ("exitCode", attempt.ending.exit_code.map(Value::from)),
        ("reason", attempt.ending.reason.clone().map(Value::from)),
    ]
}

fn dependency(dependency: &Dependency) -> Value {
    let mut shown = json!({});
    let kind = match dependency.kind {
        DependencyKind::Whole => None,
        DependencyKind::NToN => Some("N_TO_N".into()),
        DependencyKind::Sequential => Some("SEQUENTIAL".into()),
    };
    add(&mut shown, [("jobId", dependency.id.clone().map(Value::from)), ("type", kind)]);
    shown
}

/// Adds what is there: what is not is absent, never null.
pub(crate) fn add<const N: usize>(shown: &mut Value, fields: [(&str, Option<Value>); N]) {
    for (name, value) in fields {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
}
