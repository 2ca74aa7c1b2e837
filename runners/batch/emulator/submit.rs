//! SubmitJob: what is refused, and what a job is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::definitions::{self, Definition};
use crate::job::{Dependency, DependencyKind, Job, Key, Spec};
use crate::places;
use crate::resources::Resources;
use crate::retry::Retry;
use crate::rules::Kind;
use crate::world::{World, arn, check_name, check_size, check_timeout};

const PAYLOAD_BYTES: usize = 30 << 10;
const ARRAY_SIZES: std::ops::RangeInclusive<i64> = 2..=10_000;
const DEPENDENCIES: usize = 20;
const TAGS: usize = 50;
const PRIORITIES: std::ops::RangeInclusive<i64> = 0..=9999;

pub(crate) fn submit(world: &mut World, ask: Ask<'_>) -> Answer {
    let name = ask.text("jobName")?;
    check_name("Job name", name)?;
    check_size(ask, PAYLOAD_BYTES, "Job payload size is above the limit of 30 KiB")?;
    let share = ask.maybe_text("shareIdentifier")?;
    let queue = queue(world, ask.text("jobQueue")?, share)?;
    let size = size(ask)?;
    let depends = dependencies(world, ask, size)?;
    let definition = definitions::find(&mut world.definitions, ask.text("jobDefinition")?)?.clone();
    for other in ["nodeOverrides", "eksPropertiesOverride", "ecsPropertiesOverride"] {
        if ask.raw(other).is_some() {
            return Err(Refusal::client(format!("this emulator knows no {other}")));
        }
    }
    let id = world.next_id();
    let mut spec = spec(ask, &definition, id.clone(), world.options.min_timeout_s())?;
    (spec.queue, spec.depends) = (queue, depends);
    let answer = json!({"jobArn": arn("job", &id), "jobName": name, "jobId": id});
    let key = Key { serial: world.id_count, index: None };
    world.jobs.add(Job::new(key, Arc::new(spec), now_ms()), size);
    Ok(answer)
}

/// The name of the queue that a job may be submitted to.
fn queue(world: &World, named: &str, share: Option<&str>) -> Answer<String> {
    let (name, queue) = places::queue(world, named)?;
    if !queue.is_enabled || world.rules.stands(Kind::QueueDisabled, name) {
        return Err(Refusal::client(format!("{} is disabled", arn("job-queue", name))));
    }
    match (queue.has_policy, share) {
        (true, None) => Err(Refusal::client("shareIdentifier is required for this job queue")),
        (false, Some(_)) => {
            let message = "shareIdentifier cannot be specified: the queue has no scheduling policy";
            Err(Refusal::client(message))
        }
        _ => Ok(name.to_owned()),
    }
}

/// The number of children of an array; nothing for a job that is none.
fn size(ask: Ask<'_>) -> Answer<Option<u32>> {
    let Some(array) = ask.object("arrayProperties")? else { return Ok(None) };
    match array.number("size")? {
        None => Ok(None),
        Some(size) if ARRAY_SIZES.contains(&size) => Ok(u32::try_from(size).ok()),
        Some(size) => {
            let message = format!("arrayProperties.size must be between 2 and 10000, not {size}");
            Err(Refusal::client(message))
        }
    }
}

fn dependencies(world: &World, ask: Ask<'_>, size: Option<u32>) -> Answer<Vec<Dependency>> {
    let asked = ask.objects("dependsOn")?;
    if asked.len() > DEPENDENCIES {
        return Err(Refusal::client("A job can depend upon a maximum of 20 jobs"));
    }
    let one = |asked: Ask<'_>| -> Answer<Dependency> {
        let id = asked.maybe_text("jobId")?.map(str::to_owned);
        let kind = asked.maybe_text("type")?;
        if kind == Some("SEQUENTIAL") {
            if size.is_none() || id.is_some() {
                let message = "SEQUENTIAL dependencies are for array jobs, and name no job";
                return Err(Refusal::client(message));
            }
            return Ok(Dependency { serial: None, id, kind: DependencyKind::Sequential });
        }
        let named = id.as_deref().unwrap_or("");
        let found = world.jobs.find(named).and_then(|key| world.jobs.get(key));
        let Some(job) = found.filter(|job| job.key.index.is_none()) else {
            return Err(Refusal::client(format!("Job {named} in dependsOn does not exist")));
        };
        let serial = Some(job.key.serial);
        match kind {
            None => Ok(Dependency { serial, id, kind: DependencyKind::Whole }),
            Some("N_TO_N") if size.is_some() && job.array.as_ref().map(|it| it.size) == size => {
                Ok(Dependency { serial, id, kind: DependencyKind::NToN })
            }
            Some("N_TO_N") => Err(Refusal::client("N_TO_N needs two array jobs of the same size")),
            Some(kind) => Err(Refusal::client(format!("{kind} is no type of dependency"))),
        }
    };
    asked.into_iter().map(one).collect()
}

/// What the request and the definition make together; queue and dependencies are still to be said.
fn spec(ask: Ask<'_>, definition: &Definition, id: String, min_timeout_s: u64) -> Answer<Spec> {
    let no_override = serde_json::Map::new();
    let overrides = ask.object("containerOverrides")?.unwrap_or(Ask(&no_override));
    let container = Ask(&definition.container);
    let resources = Resources::parse(overrides)?.over(&definition.resources);
    resources.check(definition.is_fargate())?;
    let mut parameters = definition.parameters.clone();
    parameters.extend(ask.text_map("parameters")?);
    let mut environment = environment(container)?;
    environment.extend(self::environment(overrides)?);
    let tags: BTreeMap<String, String> = ask.text_map("tags")?.into_iter().collect();
    if tags.len() > TAGS {
        return Err(Refusal::client("A job can have at most 50 tags"));
    }
    let priority = ask.number("schedulingPriorityOverride")?;
    if priority.is_some_and(|priority| !PRIORITIES.contains(&priority)) {
        return Err(Refusal::client("schedulingPriorityOverride must be between 0 and 9999"));
    }
    let command = match overrides.texts("command")? {
        command if command.is_empty() => container.texts("command")?,
        command => command,
    };
    let retry = match ask.object("retryStrategy")? {
        Some(retry) => Retry::parse(retry)?,
        None => definition.retry.clone().unwrap_or_default(),
    };
    let own = ["command", "environment", "resourceRequirements", "vcpus", "memory"];
    let rest = definition.container.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    Ok(Spec {
        id,
        name: ask.text("jobName")?.to_owned(),
        queue: String::new(),
        definition_arn: definition.arn(),
        definition_name: definition.name.clone(),
        platforms: definition.platforms.clone(),
        command: command.into_iter().map(|word| substituted(word, &parameters)).collect(),
        environment,
        resources,
        retry,
        timeout_s: check_timeout(ask, min_timeout_s)?.or(definition.timeout_s),
        depends: Vec::new(),
        tags,
        propagates_tags: ask.flag("propagateTags")?.unwrap_or(definition.propagates_tags),
        parameters,
        share: ask.maybe_text("shareIdentifier")?.map(str::to_owned),
        priority: priority.or(definition.priority),
        container: rest.map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}

/// The variables of a container; names of Batch's own are refused.
fn environment(container: Ask<'_>) -> Answer<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    for variable in container.objects("environment")? {
        let name = variable.text("name")?;
        if name.starts_with("AWS_BATCH") {
            let message = format!("Environment variables cannot start with AWS_BATCH: {name}");
            return Err(Refusal::client(message));
        }
        environment.insert(name.to_owned(), variable.maybe_text("value")?.unwrap_or("").to_owned());
    }
    Ok(environment)
}

/// The parameter that a word of a command refers to; the word itself if it refers to none.
fn substituted(word: &str, parameters: &BTreeMap<String, String>) -> String {
    let named = word.strip_prefix("Ref::").and_then(|name| parameters.get(name));
    named.cloned().unwrap_or_else(|| word.to_owned())
}
