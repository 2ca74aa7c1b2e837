//! The account: credentials, queues, compute environments, permissions, the job definition.

use levain::batch::aws::{
    BatchApi, BatchSettings, DefinitionRequest, Listing, LogPlace, Read, Seconds,
    environment_fault, fitting_classes, unknown_queue, whole_name,
};
use levain::batch::aws::{ComputeEnvironment, JobQueue};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::objects::{AwsAccess, now_ms};

use super::checks::Checks;
use crate::cli::batch::duration;

/// Whose credentials these are, and how long they last.
pub(super) fn credentials(
    settings: &BatchSettings,
    expected: Option<Seconds>,
    checks: &mut Checks,
) {
    let facts = match AwsAccess::of(settings.profile.as_deref()).facts() {
        Ok(facts) => facts,
        Err(error) => return checks.failure("credentials", error),
    };
    let left = facts.expires_at_ms.map(|end| u64::try_from((end - now_ms()) / 1000).unwrap_or(0));
    let ends = match left {
        Some(seconds) => format!(", expires in {}", duration(seconds)),
        None => String::new(),
    };
    checks.well("credentials", &format!("{}, key {}{ends}", facts.origin, facts.key));
    if let (Some(left), Some(expected)) = (left, expected)
        && left < expected.0
    {
        let text = format!(
            "end before the run does (expected {}); workers use their own role, the driver waits for new ones",
            duration(expected.0)
        );
        checks.warning("credentials", &text, &facts.mend);
    }
}

/// Checks what is asked of Batch; whether a job could run.
pub(super) fn check(api: &BatchApi, settings: &BatchSettings, checks: &mut Checks) -> bool {
    if let Ok(arn) = api.identity()
        && !arn.is_empty()
    {
        checks.well("identity", &format!("{arn} in {}", api.region()));
    }
    let mut can_run = false;
    for name in &settings.queue {
        can_run |= queue(api, name, settings, checks);
    }
    permissions(api, settings, checks);
    definition(api, settings, checks) && can_run
}

/// Checks a queue and its compute environments; whether a job could run there.
fn queue(api: &BatchApi, name: &str, settings: &BatchSettings, checks: &mut Checks) -> bool {
    let found = match api.queues(&[name]) {
        Ok(found) => found.into_iter().next(),
        // To submit needs no permission to look.
        Err(error) if error.code() == ErrorCode::LAUNCHER_DENIED => {
            checks.warning("queue", error.message(), error.advice().unwrap_or_default());
            return true;
        }
        Err(error) => {
            checks.failure("queue", error);
            return false;
        }
    };
    let Some(queue) = found else {
        checks.failure("queue", unknown_queue(name, api.region()));
        return false;
    };
    let queue = queue_fault(&queue, settings);
    let queue = match queue {
        Ok(queue) => queue,
        Err(error) => {
            checks.failure("queue", error);
            return false;
        }
    };
    let order = queue.compute_environment_order.iter();
    let names: Vec<&str> = order.map(|it| it.compute_environment.as_str()).collect();
    let plain: Vec<&str> = names.iter().map(|it| it.rsplit('/').next().unwrap_or(it)).collect();
    checks.well("queue", &format!("{} ENABLED/VALID → {}", queue.job_queue_name, plain.join(", ")));
    match api.environments(&names) {
        Ok(found) => environments(&found, &plain, settings, checks),
        Err(error) => {
            checks.warning("environment", error.message(), error.advice().unwrap_or_default());
            true
        }
    }
}

fn queue_fault<'a>(queue: &'a Read<JobQueue>, settings: &BatchSettings) -> Result<&'a JobQueue> {
    let queue = &queue.value;
    let name = &queue.job_queue_name;
    let fault = |what: String, mend: &str| {
        Err(Error::new(ErrorCode::NOT_STARTING, ErrorKind::ResourceExhausted, what).mend(mend))
    };
    let (has_policy, has_share) =
        (!queue.scheduling_policy_arn.is_empty(), settings.share_identifier.is_some());
    match (queue.state.as_str(), queue.status.as_str()) {
        ("DISABLED", _) => fault(
            format!("{name} is DISABLED"),
            &format!("aws batch update-job-queue --job-queue {name} --state ENABLED"),
        ),
        (_, "INVALID") => fault(
            format!("{name} is INVALID: {}", queue.status_reason),
            "mend what the reason names",
        ),
        _ if queue.compute_environment_order.is_empty() => fault(
            format!("{name} has no compute environment"),
            "attach one that is ENABLED and VALID",
        ),
        _ if has_policy && !has_share => fault(
            format!("{name} has a scheduling policy, and no share identifier is set"),
            "set batch.share_identifier",
        ),
        _ if !has_policy && has_share => fault(
            format!("{name} has no scheduling policy, and refuses share identifiers"),
            "unset batch.share_identifier",
        ),
        _ => Ok(queue),
    }
}

fn environments(
    found: &[Read<ComputeEnvironment>],
    names: &[&str],
    settings: &BatchSettings,
    checks: &mut Checks,
) -> bool {
    let mut can_run = false;
    for environment in found.iter().map(|it| &it.value) {
        let resources = &environment.compute_resources;
        let name = &environment.compute_environment_name;
        let fault = environment_fault(environment, settings.vcpus, settings.memory_ladder[0].0);
        match fault {
            Some((what, mend, _)) => checks.failure(
                "environment",
                Error::new(ErrorCode::NOT_STARTING, ErrorKind::ResourceExhausted, what).mend(mend),
            ),
            None => {
                can_run = true;
                let number = |it: Option<i64>| it.map_or("?".to_owned(), |it| it.to_string());
                let (now, most) = (number(resources.desired_vcpus), number(resources.max_vcpus));
                checks.well(
                    "environment",
                    &format!("{name} ENABLED/VALID {} {now}/{most} vCPU", resources.kind),
                );
            }
        }
    }
    let is_found =
        |name: &&&str| found.iter().any(|it| it.value.compute_environment_name == **name);
    for missing in names.iter().filter(|name| !is_found(name)) {
        let message = format!("the compute environment {missing} is gone");
        let error = Error::new(ErrorCode::NOT_STARTING, ErrorKind::NotFound, message);
        checks.failure("environment", error.mend("attach another one to the queue"));
    }
    can_run
}

/// Tries what only looks; each that is denied is told with what it is for.
fn permissions(api: &BatchApi, settings: &BatchSettings, checks: &mut Checks) {
    let queue = &settings.queue[0];
    let stream = LogPlace {
        group: settings
            .log_group
            .clone()
            .unwrap_or(levain::batch::aws::DEFAULT_LOG_GROUP.to_owned()),
        stream: "levain-doctor".to_owned(),
    };
    let tries: [(&str, &str, Result<()>); 5] = [
        (
            "batch:DescribeJobs",
            "where jobs stand is not told; runs go on by what the store says",
            api.describe_jobs(&["levain-doctor"]).map(drop),
        ),
        (
            "batch:ListJobs",
            "jobs whose submission was interrupted are not found again",
            api.list_jobs(&Listing::InState { queue, state: "RUNNING" }, 1).map(drop),
        ),
        (
            "batch:GetJobQueueSnapshot",
            "jobs that wait are explained less well",
            api.front_of(queue).map(drop),
        ),
        (
            "batch:DescribeJobDefinitions",
            "a definition must be named (batch.job_definition)",
            api.definitions(Some("levain-doctor"), true).map(drop),
        ),
        (
            "logs:GetLogEvents",
            "logs of workers are not shown",
            api.last_lines(&stream, 1).map(drop),
        ),
    ];
    let mut allowed = Vec::new();
    for (action, effect, tried) in tries {
        match tried {
            Ok(()) => allowed.push(action.split(':').next_back().unwrap_or(action)),
            Err(error) if error.code() == ErrorCode::LAUNCHER_DENIED => {
                let text = format!("{action} is denied → {effect}");
                checks.warning("permissions", &text, error.advice().unwrap_or_default());
            }
            // The request itself was refused, and not who sent it: for a queue that is not there.
            Err(error) if error.code() == ErrorCode::LAUNCHER_FAILED && !error.is_transient() => {}
            Err(error) => checks.failure("permissions", error),
        }
    }
    if !allowed.is_empty() {
        checks.well("permissions", &allowed.join(", "));
    }
}

/// Checks the job definition; whether there is one.
fn definition(api: &BatchApi, settings: &BatchSettings, checks: &mut Checks) -> bool {
    let named = settings.job_definition.clone();
    let name = match named.map_or_else(|| Ok(DefinitionRequest::new(settings, None)?.name), Ok) {
        Ok(name) => name,
        Err(error) => {
            checks.failure("definition", error);
            return false;
        }
    };
    match api.definitions(Some(&name), true) {
        Ok(found) => match found.first() {
            Some(found) => {
                let image = &found.value.container_properties.image;
                let classes =
                    fitting_classes(settings.vcpus, settings.memory_ladder[0], settings.gpus);
                let text = format!(
                    "{} image {image}; {} vCPU + {} fits {}",
                    whole_name(&found.value),
                    settings.vcpus,
                    settings.memory_ladder[0],
                    classes.join(", ")
                );
                checks.well("definition", &text);
                true
            }
            None => {
                let message = format!("there is no job definition `{name}` in use");
                let error = Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message);
                let mend =
                    "run `levain batch jobdef ensure` with the image, or name one that is there";
                checks.failure("definition", error.mend(mend));
                false
            }
        },
        Err(error) if error.code() == ErrorCode::LAUNCHER_DENIED => {
            checks.warning(
                "definition",
                &format!("{name} cannot be looked at, and is used as it is"),
                "",
            );
            settings.job_definition.is_some()
        }
        Err(error) => {
            checks.failure("definition", error);
            false
        }
    }
}
