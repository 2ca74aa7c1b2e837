//! The control plane, for tests: counts of calls, rules of faults, and a fresh start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::rules::Rule;
use crate::status::Counts;
use crate::world::World;

/// How often an operation was called, and how that ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call {
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
}

/// Calls by operation.
pub(crate) type Calls = BTreeMap<String, Call>;

/// Answers what is asked below `/_emu`, but for the machine's own affairs.
pub(crate) fn answer(world: &mut World, path: &str, ask: Ask<'_>) -> Answer {
    match path {
        "/_emu/state" => Ok(state(world)),
        "/_emu/processes" => Ok(processes(world)),
        "/_emu/faults" => faults(world, ask),
        "/_emu/reset" => {
            *world = World::new(std::sync::Arc::clone(&world.options), world.address.clone())?;
            Ok(json!({}))
        }
        _ => Err(Refusal::new(404, "UnknownOperationException", format!("no {path} here"))),
    }
}

fn state(world: &World) -> Value {
    let mut counts = Counts::default();
    for job in world.jobs.all().filter(|job| job.array.is_none()) {
        counts.add(job.status);
    }
    let calls = world.calls.iter().map(|(operation, it)| {
        let total = it.answered + it.refused + it.dropped;
        let shown = json!({
            "calls": total, "answered": it.answered, "refused": it.refused, "dropped": it.dropped,
        });
        (operation.clone(), shown)
    });
    let calls: serde_json::Map<String, Value> = calls.collect();
    json!({"calls": calls, "jobs": counts.to_json(), "faults": world.rules.to_json()})
}

/// The processes that run, so that a test can kill one.
fn processes(world: &World) -> Value {
    let running = world.jobs.live().filter_map(|job| {
        let run = job.run.as_ref()?;
        Some(json!({
            "jobId": job.id(),
            "jobName": job.spec.name,
            "attempt": job.attempt_number(),
            "processId": run.process.id(),
        }))
    });
    json!({"processes": running.collect::<Vec<_>>()})
}

fn faults(world: &mut World, ask: Ask<'_>) -> Answer {
    let Some(rules) = ask.raw("rules").cloned() else {
        return Err(Refusal::client("no rules: send {\"rules\": []} for none"));
    };
    let rules: Vec<Rule> = serde_json::from_value(rules)
        .map_err(|error| Refusal::client(format!("not a list of rules: {error}")))?;
    let count = rules.len();
    world.rules.replace(rules);
    Ok(json!({"rules": count}))
}
