//! Tags of jobs and definitions, by their ARNs.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::definitions;
use crate::world::World;

pub(crate) fn list(world: &mut World, arn: &str, _ask: Ask<'_>) -> Answer {
    Ok(json!({"tags": of(world, arn)?}))
}

pub(crate) fn add(world: &mut World, arn: &str, ask: Ask<'_>) -> Answer {
    let added = ask.text_map("tags")?;
    of(world, arn)?.extend(added);
    Ok(json!({}))
}

/// Removes the tags that the query names, which stands behind the ARN.
pub(crate) fn remove(world: &mut World, arn_and_query: &str, _ask: Ask<'_>) -> Answer {
    let (arn, query) = arn_and_query.split_once('?').unwrap_or((arn_and_query, ""));
    let tags = of(world, arn)?;
    for key in query.split('&').filter_map(|part| part.strip_prefix("tagKeys=")) {
        tags.remove(percent_decode_str(key).decode_utf8_lossy().as_ref());
    }
    Ok(json!({}))
}

/// The tags of a job or a definition.
fn of<'a>(world: &'a mut World, arn: &str) -> Answer<&'a mut BTreeMap<String, String>> {
    if arn.contains(":job-definition/") {
        return Ok(&mut definitions::find(&mut world.definitions, arn)?.tags);
    }
    let job = world.jobs.find(arn).and_then(|key| world.jobs.get_mut(key));
    let job = job.ok_or_else(|| Refusal::client(format!("{arn} does not exist")))?;
    let spec = &job.spec;
    Ok(job.tags.get_or_insert_with(|| spec.tags.clone()))
}
