//! Job definitions: registered in revisions, described, deregistered.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::resources::Resources;
use crate::retry::Retry;
use crate::world::{World, arn, check_name, check_size, check_timeout};

const DEFINITION_BYTES: usize = 24 << 10;

/// One revision of a definition.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) revision: usize,
    is_active: bool,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout_s: Option<u64>,
    pub(crate) platforms: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) propagates_tags: bool,
    pub(crate) priority: Option<i64>,
    /// `containerProperties` as they were sent.
    pub(crate) container: Map<String, Value>,
    pub(crate) resources: Resources,
}

/// All revisions, by name; a revision is one more than its place.
pub(crate) type Definitions = BTreeMap<String, Vec<Definition>>;

impl Definition {
    pub(crate) fn arn(&self) -> String {
        arn("job-definition", &self.full_name())
    }

    pub(crate) fn is_fargate(&self) -> bool {
        self.platforms.iter().any(|platform| platform == "FARGATE")
    }

    fn full_name(&self) -> String {
        format!("{}:{}", self.name, self.revision)
    }

    fn parse(ask: Ask<'_>, min_timeout_s: u64) -> Answer<Self> {
        let name = ask.text("jobDefinitionName")?;
        check_name("Job definition name", name)?;
        let kind = ask.text("type")?;
        let Some(container) = ask.object("containerProperties")?.filter(|_| kind == "container")
        else {
            let message =
                "this emulator runs definitions of type container with containerProperties";
            return Err(Refusal::client(message));
        };
        container.text("image")?;
        container.texts("command")?;
        container.objects("environment")?;
        let mut platforms = ask.texts("platformCapabilities")?;
        if platforms.is_empty() {
            platforms.push("EC2");
        }
        let resources = Resources::parse(container)?;
        resources.check(platforms.contains(&"FARGATE"))?;
        let retry = ask.object("retryStrategy")?.map(Retry::parse).transpose()?;
        Ok(Self {
            name: name.to_owned(),
            revision: 0,
            is_active: true,
            parameters: ask.text_map("parameters")?.into_iter().collect(),
            retry,
            timeout_s: check_timeout(ask, min_timeout_s)?,
            platforms: platforms.into_iter().map(str::to_owned).collect(),
            tags: ask.text_map("tags")?.into_iter().collect(),
            propagates_tags: ask.flag("propagateTags")?.unwrap_or(false),
            priority: ask.number("schedulingPriority")?,
            container: container.0.clone(),
            resources,
        })
    }

    fn to_json(&self) -> Value {
        let mut shown = json!({
            "jobDefinitionName": self.name,
            "jobDefinitionArn": self.arn(),
            "revision": self.revision,
            "status": if self.is_active { "ACTIVE" } else { "INACTIVE" },
            "type": "container",
            "parameters": self.parameters,
            "platformCapabilities": self.platforms,
            "propagateTags": self.propagates_tags,
            "tags": self.tags,
            "containerOrchestrationType": "ECS",
            "containerProperties": self.container,
        });
        if let Some(retry) = &self.retry {
            shown["retryStrategy"] = retry.to_json();
        }
        if let Some(timeout_s) = self.timeout_s {
            shown["timeout"] = json!({"attemptDurationSeconds": timeout_s});
        }
        if let Some(priority) = self.priority {
            shown["schedulingPriority"] = priority.into();
        }
        shown
    }
}

pub(crate) fn register(world: &mut World, ask: Ask<'_>) -> Answer {
    check_size(ask, DEFINITION_BYTES, "JobDefinitionsize is above the limits 24 KiB")?;
    let mut definition = Definition::parse(ask, world.options.min_timeout_s())?;
    let revisions = world.definitions.entry(definition.name.clone()).or_default();
    definition.revision = revisions.len() + 1;
    let answer = json!({
        "jobDefinitionName": definition.name,
        "jobDefinitionArn": definition.arn(),
        "revision": definition.revision,
    });
    revisions.push(definition);
    Ok(answer)
}

pub(crate) fn deregister(world: &mut World, ask: Ask<'_>) -> Answer {
    let named = ask.text("jobDefinition")?;
    if !tail(named).contains(':') {
        return Err(Refusal::client(format!("{named} names no revision")));
    }
    find(&mut world.definitions, named)?.is_active = false;
    Ok(json!({}))
}

pub(crate) fn describe(world: &mut World, ask: Ask<'_>) -> Answer {
    let named = ask.texts("jobDefinitions")?;
    let (name, status) = (ask.maybe_text("jobDefinitionName")?, ask.maybe_text("status")?);
    let is_meant = |it: &&Definition| {
        name.is_none_or(|name| name == it.name)
            && status.is_none_or(|status| (status == "ACTIVE") == it.is_active)
            // Names without a revision find nothing here, as in the service.
            && (named.is_empty() || named.iter().any(|&it_is| tail(it_is) == it.full_name()))
    };
    let all = world.definitions.values().flat_map(|revisions| revisions.iter().rev());
    let found: Vec<Value> = all.filter(is_meant).map(Definition::to_json).collect();
    Ok(json!({"jobDefinitions": found}))
}

/// The active revision that a name, `name:revision` or ARN means; the newest for a name alone.
pub(crate) fn find<'a>(
    definitions: &'a mut Definitions,
    named: &str,
) -> Answer<&'a mut Definition> {
    let (name, revision) = match tail(named).split_once(':') {
        Some((name, revision)) => (name, Some(revision)),
        None => (tail(named), None),
    };
    let revisions = definitions.get_mut(name).into_iter().flat_map(|all| all.iter_mut().rev());
    let mut active = revisions.filter(|it| it.is_active);
    let found = active.find(|it| revision.is_none_or(|wanted| wanted == it.revision.to_string()));
    found.ok_or_else(|| {
        Refusal::client(format!("JobDefinition {named} is not ACTIVE or does not exist"))
    })
}

/// What follows the kind in an ARN; a name stays as it is.
fn tail(named: &str) -> &str {
    named.rsplit_once("job-definition/").map_or(named, |(_, tail)| tail)
}
