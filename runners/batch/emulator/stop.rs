//! CancelJob, TerminateJob, and both for many jobs.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::ask::Ask;
use crate::clock::now_ms;
use crate::job::Key;
use crate::status::Status;
use crate::world::World;

const BULK: usize = 50;

/// What ends: jobs that wait, or those that run, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Waiting,
    All,
}

pub(crate) fn cancel(world: &mut World, ask: Ask<'_>) -> Answer {
    one(world, ask, Reach::Waiting)
}

pub(crate) fn terminate(world: &mut World, ask: Ask<'_>) -> Answer {
    one(world, ask, Reach::All)
}

pub(crate) fn cancel_many(world: &mut World, ask: Ask<'_>) -> Answer {
    many(world, ask, Reach::Waiting)
}

pub(crate) fn terminate_many(world: &mut World, ask: Ask<'_>) -> Answer {
    many(world, ask, Reach::All)
}

fn one(world: &mut World, ask: Ask<'_>, reach: Reach) -> Answer {
    let (id, reason) = (ask.text("jobId")?, ask.text("reason")?);
    stop(world, id, reason, reach);
    Ok(json!({}))
}

/// Jobs that are not known count as stopped.
fn many(world: &mut World, ask: Ask<'_>, reach: Reach) -> Answer {
    let (ids, reason) = (ask.texts("jobs")?, ask.text("reason")?);
    if ids.is_empty() || ids.len() > BULK {
        return Err(Refusal::client("jobs must have 1 to 50 entries"));
    }
    for id in &ids {
        stop(world, id, reason, reach);
    }
    Ok(json!({"successful": ids, "errors": Vec::<Value>::new()}))
}

fn stop(world: &mut World, id: &str, reason: &str, reach: Reach) {
    let Some(key) = world.jobs.find(id) else { return };
    let children: Vec<Key> = world.jobs.children(key).map(|job| job.key).collect();
    let is_array = !children.is_empty();
    if is_array && let Some(array) = world.jobs.get_mut(key).filter(|job| !job.status.has_ended()) {
        mark(&mut array.is_cancelled, &mut array.is_terminated, reach);
    }
    for key in if is_array { children } else { vec![key] } {
        stop_one(world, key, reason, reach);
    }
}

fn stop_one(world: &mut World, key: Key, reason: &str, reach: Reach) {
    let kill_ms = now_ms() + world.options.grace_ms();
    let Some(job) = world.jobs.get_mut(key).filter(|job| !job.status.has_ended()) else { return };
    let is_waiting = job.status < Status::Starting;
    if !is_waiting && reach == Reach::Waiting {
        return;
    }
    mark(&mut job.is_cancelled, &mut job.is_terminated, reach);
    match &mut job.run {
        Some(run) => run.stop(reason, kill_ms),
        None => world.jobs.fail(key, reason),
    }
}

fn mark(is_cancelled: &mut bool, is_terminated: &mut bool, reach: Reach) {
    match reach {
        Reach::Waiting => *is_cancelled = true,
        Reach::All => *is_terminated = true,
    }
}
