//! Compute environments and job queues: where jobs would run, if there were machines.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::rules::Kind;
use crate::status::Status;
use crate::world::{World, arn, check_name};

/// A compute environment.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    kind: String,
    state: String,
    resources: Option<Map<String, Value>>,
    tags: BTreeMap<String, String>,
}

/// A job queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) is_enabled: bool,
    priority: i64,
    /// Names of compute environments.
    pub(crate) environments: Vec<String>,
    /// Whether jobs need a share identifier.
    pub(crate) has_policy: bool,
    /// `schedulingPolicyArn`, `jobStateTimeLimitActions` and tags, as they were sent.
    extra: Map<String, Value>,
}

impl Environment {
    /// The most vCPUs that one job can get, in thousandths.
    pub(crate) fn max_milli_vcpus(&self) -> Option<u64> {
        let max = self.resources.as_ref()?.get("maxvCpus")?.as_u64()?;
        Some(max * 1000)
    }
}

/// What follows the last `/` of an ARN; a name stays as it is.
pub(crate) fn name_of(named: &str) -> &str {
    named.rsplit_once('/').map_or(named, |(_, name)| name)
}

/// The queue that a name or an ARN means, and its name.
pub(crate) fn queue<'a>(world: &'a World, named: &str) -> Answer<(&'a str, &'a Queue)> {
    let found = world.queues.get_key_value(name_of(named));
    let found = found.map(|(name, queue)| (name.as_str(), queue));
    found.ok_or_else(|| Refusal::client(format!("JobQueue {named} does not exist")))
}

/// Creates a queue and a compute environment for it, with room for all slots.
pub(crate) fn create_pair(world: &mut World, name: &str) -> Answer<()> {
    let environment = format!("{name}-ce");
    let resources = json!({
        "type": "EC2", "minvCpus": 0, "maxvCpus": world.options.slots, "instanceTypes": ["optimal"],
        "subnets": ["subnet-00000001"], "securityGroupIds": ["sg-00000001"], "instanceRole": "ecsInstanceRole",
    });
    let environment_request = json!({
        "computeEnvironmentName": environment, "type": "MANAGED", "computeResources": resources,
    });
    let queue_request = json!({
        "jobQueueName": name, "priority": 1,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": environment}],
    });
    create_environment(world, Ask(environment_request.as_object().expect("an object")))?;
    create_queue(world, Ask(queue_request.as_object().expect("an object"))).map(drop)
}

pub(crate) fn create_environment(world: &mut World, ask: Ask<'_>) -> Answer {
    let (name, kind) = (ask.text("computeEnvironmentName")?, ask.text("type")?);
    check_name("Compute environment name", name)?;
    if !["MANAGED", "UNMANAGED"].contains(&kind) {
        return Err(Refusal::client(format!("type is {kind}, not MANAGED or UNMANAGED")));
    }
    if world.environments.contains_key(name) {
        return Err(Refusal::client("Object already exists"));
    }
    let resources = ask.object("computeResources")?.map(|it| it.0.clone());
    if kind == "MANAGED" && resources.is_none() {
        return Err(Refusal::client("computeResources must not be null for MANAGED environments"));
    }
    let environment = Environment {
        kind: kind.to_owned(),
        state: ask.maybe_text("state")?.unwrap_or("ENABLED").to_owned(),
        resources,
        tags: ask.text_map("tags")?.into_iter().collect(),
    };
    world.environments.insert(name.to_owned(), environment);
    Ok(json!({
        "computeEnvironmentName": name,
        "computeEnvironmentArn": arn("compute-environment", name),
    }))
}

pub(crate) fn update_environment(world: &mut World, ask: Ask<'_>) -> Answer {
    let named = ask.text("computeEnvironment")?;
    let state = ask.maybe_text("state")?;
    let found = world.environments.get_mut(name_of(named));
    let found = found.ok_or_else(|| Refusal::client(format!("{named} does not exist")))?;
    if let Some(state) = state {
        state.clone_into(&mut found.state);
    }
    Ok(json!({
        "computeEnvironmentName": name_of(named),
        "computeEnvironmentArn": arn("compute-environment", name_of(named)),
    }))
}

pub(crate) fn describe_environments(world: &mut World, ask: Ask<'_>) -> Answer {
    let named = ask.texts("computeEnvironments")?;
    let all = world.environments.iter().filter(|(name, _)| is_named(&named, name));
    let shown: Vec<Value> = all.map(|(name, it)| shown_environment(world, name, it)).collect();
    Ok(json!({"computeEnvironments": shown}))
}

fn shown_environment(world: &World, name: &str, it: &Environment) -> Value {
    let is_valid = !world.rules.stands(Kind::CeInvalid, name);
    let reason = if is_valid {
        "ComputeEnvironment Healthy"
    } else {
        "CLIENT_ERROR - the service role cannot be assumed"
    };
    let mut shown = json!({
        "computeEnvironmentName": name,
        "computeEnvironmentArn": arn("compute-environment", name),
        "ecsClusterArn": cluster_arn(name),
        "type": it.kind,
        "state": it.state,
        "status": if is_valid { "VALID" } else { "INVALID" },
        "statusReason": reason,
        "containerOrchestrationType": "ECS",
        "serviceRole": "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch",
        "tags": it.tags,
    });
    if let Some(resources) = &it.resources {
        shown["computeResources"] = Value::Object(resources.clone());
        shown["computeResources"]["desiredvCpus"] = desired_vcpus(world, name).into();
    }
    shown
}

/// vCPUs that Batch would want for what runs, and for what waits although it could.
fn desired_vcpus(world: &World, environment: &str) -> u64 {
    let is_here = |queue: &str| {
        world.queues.get(queue).is_some_and(|it| it.environments.iter().any(|e| e == environment))
    };
    let jobs = world.jobs.live().filter(|job| {
        let is_wanted = job.status.holds_capacity()
            || (job.status == Status::Runnable && world.rules.stuck(job).is_some());
        is_wanted && job.array.is_none() && is_here(&job.spec.queue)
    });
    let milli: u64 = jobs.map(|job| job.spec.resources.milli_vcpus()).sum();
    milli.div_ceil(1000)
}

/// The container instances of the clusters that are asked for: none where nothing runs.
pub(crate) fn describe_clusters(world: &mut World, ask: Ask<'_>) -> Answer {
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for named in ask.texts("clusters")? {
        let Some(name) = world.environments.keys().find(|name| cluster_arn(name) == named) else {
            failures.push(json!({"arn": named, "reason": "MISSING"}));
            continue;
        };
        let running = world.jobs.live().filter(|job| job.status == Status::Running);
        let running_count = running.filter(|job| job.array.is_none()).count();
        clusters.push(json!({
            "clusterArn": named,
            "clusterName": name_of(&cluster_arn(name)),
            "status": "ACTIVE",
            "registeredContainerInstancesCount": u32::from(running_count > 0),
            "runningTasksCount": running_count,
            "pendingTasksCount": 0,
        }));
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

fn cluster_arn(environment: &str) -> String {
    format!("arn:aws:ecs:us-east-1:123456789012:cluster/{environment}_Batch_emulated")
}

pub(crate) fn create_queue(world: &mut World, ask: Ask<'_>) -> Answer {
    let name = ask.text("jobQueueName")?;
    check_name("Job queue name", name)?;
    if world.queues.contains_key(name) {
        return Err(Refusal::client("Object already exists"));
    }
    let Some(priority) = ask.number("priority")? else {
        return Err(Refusal::client("priority must not be null"));
    };
    let order = ask.objects("computeEnvironmentOrder")?;
    if order.is_empty() || order.len() > 3 {
        return Err(Refusal::client("computeEnvironmentOrder must have 1 to 3 entries"));
    }
    let mut environments = Vec::new();
    for entry in order {
        let named = entry.text("computeEnvironment")?;
        if !world.environments.contains_key(name_of(named)) {
            return Err(Refusal::client(format!("{named} does not exist")));
        }
        environments.push((entry.number("order")?.unwrap_or(0), name_of(named).to_owned()));
    }
    environments.sort();
    let names = ["schedulingPolicyArn", "jobStateTimeLimitActions", "tags"];
    let extra =
        names.into_iter().filter_map(|name| Some((name.to_owned(), ask.raw(name)?.clone())));
    let queue = Queue {
        is_enabled: ask.maybe_text("state")?.unwrap_or("ENABLED") == "ENABLED",
        priority,
        environments: environments.into_iter().map(|(_, name)| name).collect(),
        has_policy: ask.maybe_text("schedulingPolicyArn")?.is_some(),
        extra: extra.collect(),
    };
    world.queues.insert(name.to_owned(), queue);
    Ok(json!({"jobQueueName": name, "jobQueueArn": arn("job-queue", name)}))
}

pub(crate) fn update_queue(world: &mut World, ask: Ask<'_>) -> Answer {
    let name = queue(world, ask.text("jobQueue")?)?.0.to_owned();
    let state = ask.maybe_text("state")?;
    let queue = world.queues.get_mut(&name).expect("just found");
    if let Some(state) = state {
        queue.is_enabled = state == "ENABLED";
    }
    if let Some(priority) = ask.number("priority")? {
        queue.priority = priority;
    }
    Ok(json!({"jobQueueName": name, "jobQueueArn": arn("job-queue", &name)}))
}

pub(crate) fn describe_queues(world: &mut World, ask: Ask<'_>) -> Answer {
    let named = ask.texts("jobQueues")?;
    let all = world.queues.iter().filter(|(name, _)| is_named(&named, name));
    let shown = all.map(|(name, it)| {
        let order = it.environments.iter().enumerate().map(|(place, name)| {
            json!({"order": place + 1, "computeEnvironment": arn("compute-environment", name)})
        });
        let is_enabled = it.is_enabled && !world.rules.stands(Kind::QueueDisabled, name);
        let mut shown = json!({
            "jobQueueName": name,
            "jobQueueArn": arn("job-queue", name),
            "state": if is_enabled { "ENABLED" } else { "DISABLED" },
            "status": "VALID",
            "statusReason": "JobQueue Healthy",
            "priority": it.priority,
            "computeEnvironmentOrder": order.collect::<Vec<_>>(),
        });
        for (name, value) in &it.extra {
            shown[name] = value.clone();
        }
        shown
    });
    let shown: Vec<Value> = shown.collect();
    Ok(json!({"jobQueues": shown}))
}

/// The first jobs of a queue that wait for capacity, in their order.
pub(crate) fn snapshot(world: &mut World, ask: Ask<'_>) -> Answer {
    let (name, _) = queue(world, ask.text("jobQueue")?)?;
    let waiting = world.jobs.live().filter(|job| {
        job.status == Status::Runnable && job.array.is_none() && job.spec.queue == name
    });
    let front: Vec<Value> = waiting
        .take(100)
        .map(|job| json!({"jobArn": arn("job", &job.id()), "earliestTimeAtPosition": job.entered_ms}))
        .collect();
    Ok(json!({"frontOfQueue": {"jobs": front, "lastUpdatedAt": now_ms()}}))
}

fn is_named(named: &[&str], name: &str) -> bool {
    named.is_empty() || named.iter().any(|it| name_of(it) == name)
}
