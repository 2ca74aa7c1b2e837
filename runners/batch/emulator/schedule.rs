//! How jobs go on: from SUBMITTED to RUNNABLE, to a process, and to their end.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::now_ms;
use crate::group;
use crate::job::{DependencyKind, Job, Key};
use crate::rules::Kind;
use crate::run;
use crate::status::Status;
use crate::world::World;

/// Milliseconds between two looks at the memory of all processes.
const MEMORY_EVERY_MS: u64 = 50;

const TOO_LARGE: &str = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - The job's resource \
    requirement (vCPU) is larger than maxvCpus of the CE(s) attached to the job queue.";

/// What the scheduler remembers between two looks.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    memory: BTreeMap<u32, u64>,
    memory_ms: u64,
}

impl Scheduler {
    /// Looks at all jobs once.
    pub(crate) fn tick(&mut self, world: &mut World) {
        let now = now_ms();
        let with = |world: &World, status: Status| -> Vec<Key> {
            let jobs = world.jobs.live().filter(|job| job.status == status && job.array.is_none());
            jobs.map(|job| job.key).collect()
        };
        let running = with(world, Status::Running);
        if !running.is_empty() && now >= self.memory_ms + MEMORY_EVERY_MS {
            self.memory = group::memory_bytes();
            self.memory_ms = now;
        }
        for key in running {
            run::look(world, key, &self.memory);
        }
        for key in with(world, Status::Submitted) {
            leave_submitted(world, key, now);
        }
        for key in with(world, Status::Pending) {
            leave_pending(world, key);
        }
        for key in with(world, Status::Starting) {
            if is_due(world, key, "starting", now) {
                run::begin(world, key);
            }
        }
        give_capacity(world, now);
        for key in world
            .jobs
            .live()
            .filter(|job| job.array.is_some())
            .map(|job| job.key)
            .collect::<Vec<_>>()
        {
            look_at_array(world, key);
        }
        show_summaries(world, now);
        forget(world, now);
    }
}

/// Whether a job has been for long enough where it is.
fn is_due(world: &World, key: Key, name: &str, now: u64) -> bool {
    let options = &world.options;
    let Some(job) = world.jobs.get(key) else { return false };
    let span = match job.status {
        Status::Submitted => options.submitted_ms,
        Status::Starting => options.starting_ms,
        _ => options.runnable_ms,
    };
    let draw = world.draw.of(name).of(&job.place(job.attempt_number()));
    now >= job.entered_ms + span.drawn(draw)
}

fn leave_submitted(world: &mut World, key: Key, now: u64) {
    if !is_due(world, key, "submitted", now) {
        return;
    }
    let has_dependencies = world.jobs.get(key).is_some_and(|job| !job.spec.depends.is_empty());
    let next = if has_dependencies { Status::Pending } else { Status::Runnable };
    world.jobs.set(key, next);
}

fn leave_pending(world: &mut World, key: Key) {
    let Some(job) = world.jobs.get(key) else { return };
    let before: Vec<Option<Status>> = dependencies(world, job);
    if before.contains(&Some(Status::Failed)) {
        world.jobs.fail(key, "Dependent Job failed");
    } else if before.iter().all(|status| matches!(status, None | Some(Status::Succeeded))) {
        world.jobs.set(key, Status::Runnable);
    }
}

/// Where the jobs stand that a job waits for; nothing for one that is forgotten, or not there.
fn dependencies(world: &World, job: &Job) -> Vec<Option<Status>> {
    let status = |key: Key| world.jobs.get(key).map(|job| job.status);
    let all = job.spec.depends.iter().map(|dependency| match dependency.kind {
        DependencyKind::Whole => status(Key { serial: dependency.serial?, index: None }),
        DependencyKind::NToN => status(Key { serial: dependency.serial?, index: job.key.index }),
        DependencyKind::Sequential => {
            let before = job.key.index?.checked_sub(1)?;
            status(Key { index: Some(before), ..job.key })
        }
    });
    all.collect()
}

/// Starts jobs in their order as far as the slots reach; a job that does not fit holds up its queue.
fn give_capacity(world: &mut World, now: u64) {
    let slots = u64::from(world.options.slots) * 1000;
    let live = world.jobs.live().filter(|job| job.status.holds_capacity() && job.array.is_none());
    let mut used: u64 = live.map(|job| job.spec.resources.milli_vcpus()).sum();
    let waiting = world.jobs.live().filter(|job| job.status == Status::Runnable);
    let waiting: Vec<Key> = waiting.filter(|job| job.array.is_none()).map(|job| job.key).collect();
    let mut held_up = BTreeSet::new();
    for key in waiting {
        let Some(job) = world.jobs.get(key) else { continue };
        if let Some(rule) = world.rules.stuck(job) {
            let reason = rule.reason.clone();
            set_reason(world, key, reason);
            continue;
        }
        let (queue, wanted) = (job.spec.queue.clone(), job.spec.resources.milli_vcpus());
        if held_up.contains(&queue)
            || !is_open(world, &queue)
            || !is_due(world, key, "runnable", now)
        {
            continue;
        }
        if wanted > largest(world, &queue) {
            set_reason(world, key, Some(TOO_LARGE.to_owned()));
            held_up.insert(queue);
        } else if used + wanted > slots {
            held_up.insert(queue);
        } else if !is_held_back(world, key, now) {
            used += wanted;
            set_reason(world, key, None);
            world.jobs.set(key, Status::Starting);
        }
    }
}

fn set_reason(world: &mut World, key: Key, reason: Option<String>) {
    if let Some(job) = world.jobs.get_mut(key) {
        job.status_reason = reason;
    }
}

/// Whether a queue has a compute environment that is in order.
fn is_open(world: &World, queue: &str) -> bool {
    let Some(queue) = world.queues.get(queue) else { return false };
    queue.environments.iter().any(|name| !world.rules.stands(Kind::CeInvalid, name))
}

/// Thousandths of vCPUs of the largest job that a queue can run.
fn largest(world: &World, queue: &str) -> u64 {
    let slots = u64::from(world.options.slots) * 1000;
    let names = world.queues.get(queue).map(|it| it.environments.as_slice()).unwrap_or_default();
    let all = names.iter().filter_map(|name| world.environments.get(name));
    let most = all.map(|it| it.max_milli_vcpus().unwrap_or(slots)).max();
    most.unwrap_or(0).min(slots)
}

/// Whether a rule makes the job wait: drawn when it could first start, then kept.
fn is_held_back(world: &mut World, key: Key, now: u64) -> bool {
    let Some(job) = world.jobs.get_mut(key) else { return false };
    if job.held_until_ms.is_none() {
        let delay_s = world.rules.on_job(Kind::SlowStart, job).map_or(0.0, |rule| rule.delay_s);
        job.held_until_ms = Some(now + (delay_s * 1000.0) as u64);
    }
    let is_held = job.held_until_ms.is_some_and(|until| now < until);
    if !is_held {
        job.held_until_ms = None;
    }
    is_held
}

/// An array is PENDING as soon as a child can run, and ends with the last of them.
fn look_at_array(world: &mut World, key: Key) {
    let Some(job) = world.jobs.get(key) else { return };
    let Some(array) = &job.array else { return };
    let (counts, is_submitted) = (array.counts, job.status == Status::Submitted);
    let (failed, succeeded) = (counts.of(Status::Failed), counts.of(Status::Succeeded));
    if failed + succeeded == counts.total() {
        if failed > 0 {
            world.jobs.fail(key, "Array Child Job failed");
        } else {
            world.jobs.set(key, Status::Succeeded);
        }
    } else if is_submitted
        && counts.of(Status::Submitted) + counts.of(Status::Pending) < counts.total()
    {
        let now = now_ms();
        if let Some(job) = world.jobs.get_mut(key) {
            job.started_ms = Some(now);
        }
        world.jobs.set(key, Status::Pending);
    }
}

/// Renews the summaries of arrays that are older than they may be.
fn show_summaries(world: &mut World, now: u64) {
    let lag_ms = world.options.summary_lag_ms;
    for array in world.jobs.all_mut().filter_map(|job| job.array.as_mut()) {
        if array.shown != array.counts && now >= array.shown_ms + lag_ms {
            array.shown = array.counts;
            array.shown_ms = now;
        }
    }
}

/// Forgets jobs that have ended long ago, or that a rule makes vanish.
fn forget(world: &mut World, now: u64) {
    let keep_ms = world.options.keep_ms;
    let ended = world.jobs.all().filter(|job| job.key.index.is_none() && job.status.has_ended());
    let ended: Vec<(Key, u64)> =
        ended.filter_map(|job| Some((job.key, now.saturating_sub(job.stopped_ms?)))).collect();
    for (key, age_ms) in ended {
        let Some(job) = world.jobs.get_mut(key) else { continue };
        if job.vanishes_after_ms.is_none() {
            let rule = world.rules.on_job(Kind::Vanish, job);
            job.vanishes_after_ms = Some(rule.map_or(u64::MAX, |it| (it.after_s * 1000.0) as u64));
        }
        if age_ms >= keep_ms.min(job.vanishes_after_ms.unwrap_or(u64::MAX)) {
            world.jobs.forget(key);
        }
    }
}
