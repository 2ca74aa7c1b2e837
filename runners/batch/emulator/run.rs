//! An attempt while it runs: how it begins, what befalls it, and how it ends.

use std::collections::BTreeMap;

use crate::clock::now_ms;
use crate::group::Signal;
use crate::job::{Attempt, Job, Key};
use crate::process::Process;
use crate::retry::Ending;
use crate::rules::Kind;
use crate::status::Status;
use crate::world::World;

const EXITED: &str = "Essential container in task exited";
const TIMED_OUT: &str = "Job attempt duration exceeded timeout";
const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
const NOT_PULLED: &str = "CannotPullContainerError: pull image manifest has been retried 5 time(s)";
/// Characters of the definition's name in the name of a log stream.
const STREAM_NAME_CHARACTERS: usize = 200;

/// The process of an attempt, and what is to befall it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) process: Process,
    /// When its machine goes away, where that has been noticed.
    pub(crate) notice_ms: Option<u64>,
    /// In no order.
    blows: Vec<(u64, Blow)>,
    /// How it ends if it is killed now.
    fate: Option<Ending>,
    /// Why it ends for good, whatever the exit code.
    last_reason: Option<String>,
    kill_ms: Option<u64>,
    timeout_ms: Option<u64>,
}

/// What befalls a process.
#[derive(Debug, Clone, PartialEq)]
enum Blow {
    Notice { gone_ms: u64, is_told: bool },
    Gone,
    OutOfMemory,
    Killed,
    Stop,
    Continue,
}

/// Starts the command of a job that is STARTING.
pub(crate) fn begin(world: &mut World, key: Key) {
    let task_id = world.next_id().replace('-', "");
    let World { jobs, rules, logs, options, address, queues, .. } = world;
    let Some(job) = jobs.get_mut(key) else { return };
    let now = now_ms();
    let cannot_pull = rules.on_job(Kind::TaskFailedToStart, job).is_some();
    let number = job.attempt_number();
    let blows = blows(job, rules, now);
    let mut attempt = Attempt {
        task_id: task_id.clone(),
        log_stream: None,
        started_ms: now,
        stopped_ms: None,
        ending: Ending::default(),
    };
    job.started_ms = Some(now);
    if cannot_pull {
        job.attempts.push(attempt);
        let status_reason = "Task failed to start".to_owned();
        let ending = Ending { exit_code: None, reason: Some(NOT_PULLED.to_owned()), status_reason };
        return end(world, key, ending, None);
    }
    let name: String = job.spec.definition_name.chars().take(STREAM_NAME_CHARACTERS).collect();
    let stream = format!("{name}/default/{task_id}");
    let log = logs.entry(stream.clone()).or_default();
    attempt.log_stream = Some(stream);
    job.attempts.push(attempt);
    let environment_name =
        queues.get(&job.spec.queue).and_then(|queue| queue.environments.first()).cloned();
    let mut environment = surroundings(&options.pass_env);
    environment.extend(job.spec.environment.clone());
    environment.insert("AWS_BATCH_JOB_ID".to_owned(), job.id());
    environment.insert("AWS_BATCH_JOB_ATTEMPT".to_owned(), number.to_string());
    environment.insert("AWS_BATCH_JQ_NAME".to_owned(), job.spec.queue.clone());
    environment.insert("AWS_BATCH_CE_NAME".to_owned(), environment_name.unwrap_or_default());
    if let Some(index) = key.index {
        environment.insert("AWS_BATCH_JOB_ARRAY_INDEX".to_owned(), index.to_string());
    }
    if options.imds {
        let place = format!("http://{address}/_emu/imds/{task_id}");
        environment.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), place);
    }
    match Process::start(&job.spec.command, &environment, log) {
        Ok(process) => {
            job.run = Some(Run {
                process,
                notice_ms: None,
                blows,
                fate: None,
                last_reason: None,
                kill_ms: None,
                timeout_ms: job.spec.timeout_s.map(|seconds| now + seconds * 1000),
            });
            jobs.set(key, Status::Running);
        }
        Err(error) => {
            let reason = Some(format!("CannotStartContainerError: {error}"));
            let status_reason = "Task failed to start".to_owned();
            end(world, key, Ending { exit_code: Some(127), reason, status_reason }, None);
        }
    }
}

/// Does to a running job what is due, and ends it if its process has ended.
pub(crate) fn look(world: &mut World, key: Key, memory: &BTreeMap<u32, u64>) {
    let grace_ms = world.options.grace_ms();
    let Some(job) = world.jobs.get_mut(key) else { return };
    let memory_limit = job.spec.resources.memory_bytes();
    let Some(run) = &mut job.run else { return };
    let now = now_ms();
    run.suffer(now);
    let used = memory.get(&run.process.id()).copied().unwrap_or(0);
    if memory_limit > 0 && used > memory_limit && run.fate.is_none() {
        run.kill(out_of_memory());
    }
    if run.timeout_ms.is_some_and(|timeout_ms| now >= timeout_ms) && run.last_reason.is_none() {
        run.stop(TIMED_OUT, now + grace_ms);
    }
    if run.kill_ms.is_some_and(|kill_ms| now >= kill_ms) {
        run.process.signal(Signal::Kill);
    }
    let exited = |exit_code: Option<i32>, status_reason: &str| Ending {
        exit_code,
        reason: None,
        status_reason: status_reason.to_owned(),
    };
    let ending = match run.process.exit_code() {
        Ok(None) => return,
        Ok(Some(code)) => exited(Some(code), EXITED),
        // The system has lost it: so has Batch.
        Err(error) => exited(None, &format!("Host lost: {error}")),
    };
    // A process that was killed may have ended by itself just before.
    let was_killed = ending.exit_code == Some(128 + libc::SIGKILL);
    let fate = run.fate.take().filter(|_| was_killed);
    let last_reason = run.last_reason.take();
    end(world, key, fate.unwrap_or(ending), last_reason.as_deref());
}

impl Run {
    /// Asks the process to end for good, and sees to it at `kill_ms`.
    pub(crate) fn stop(&mut self, reason: &str, kill_ms: u64) {
        if self.last_reason.is_none() {
            self.last_reason = Some(reason.to_owned());
            self.process.signal(Signal::Term);
            self.kill_ms = Some(kill_ms);
        }
    }

    fn kill(&mut self, fate: Ending) {
        self.fate.get_or_insert(fate);
        self.process.signal(Signal::Kill);
    }

    /// What is due by now befalls the process.
    fn suffer(&mut self, now: u64) {
        let (due, later) = self.blows.drain(..).partition(|(at_ms, _)| *at_ms <= now);
        self.blows = later;
        let mut due: Vec<(u64, Blow)> = due;
        due.sort_by_key(|(at_ms, _)| *at_ms);
        for (_, blow) in due {
            match blow {
                Blow::Notice { gone_ms, is_told } => {
                    self.notice_ms = Some(gone_ms);
                    if is_told {
                        self.process.signal(Signal::Term);
                    }
                }
                Blow::Gone => self.kill(host_gone(self.process.id())),
                Blow::OutOfMemory => self.kill(out_of_memory()),
                Blow::Killed => self.process.signal(Signal::Kill),
                Blow::Stop => self.process.signal(Signal::Stop),
                Blow::Continue => self.process.signal(Signal::Continue),
            }
        }
    }
}

/// What the rules have in store for an attempt that begins now.
fn blows(job: &Job, rules: &mut crate::rules::Rules, now: u64) -> Vec<(u64, Blow)> {
    let at = |seconds: f64| now + (seconds * 1000.0) as u64;
    let mut blows = Vec::new();
    if let Some(rule) = rules.on_job(Kind::SpotKill, job) {
        let gone_ms = at(rule.after_s + rule.notice_s);
        if rule.notice_s > 0.0 || rule.sigterm {
            blows.push((at(rule.after_s), Blow::Notice { gone_ms, is_told: rule.sigterm }));
        }
        blows.push((gone_ms, Blow::Gone));
    }
    if let Some(rule) = rules.on_job(Kind::OomKill, job) {
        blows.push((at(rule.after_s), Blow::OutOfMemory));
    }
    if let Some(rule) = rules.on_job(Kind::Sigkill137, job) {
        blows.push((at(rule.after_s), Blow::Killed));
    }
    if let Some(rule) = rules.on_job(Kind::Freeze, job) {
        blows.push((at(rule.after_s), Blow::Stop));
        blows.push((at(rule.after_s + rule.for_s), Blow::Continue));
    }
    blows
}

/// Ends the attempt that runs, and with it the job, unless it is tried again.
fn end(world: &mut World, key: Key, ending: Ending, last_reason: Option<&str>) {
    let Some(job) = world.jobs.get_mut(key) else { return };
    job.run = None;
    let retries = job.attempts.len() < job.spec.retry.attempts && job.spec.retry.retries(&ending);
    let is_done = ending.exit_code == Some(0);
    job.status_reason = Some(last_reason.unwrap_or(&ending.status_reason).to_owned());
    if let Some(attempt) = job.attempts.last_mut() {
        attempt.stopped_ms = Some(now_ms());
        attempt.ending = ending;
    }
    let status = match last_reason {
        // Whatever it made of being stopped.
        Some(_) => Status::Failed,
        None if is_done => Status::Succeeded,
        None if retries => Status::Runnable,
        None => Status::Failed,
    };
    world.jobs.set(key, status);
}

fn out_of_memory() -> Ending {
    let reason = Some(OUT_OF_MEMORY.to_owned());
    Ending { exit_code: Some(137), reason, status_reason: EXITED.to_owned() }
}

fn host_gone(process_id: u32) -> Ending {
    let status_reason = format!("Host EC2 (instance i-0{process_id:016x}) terminated.");
    Ending { exit_code: None, reason: None, status_reason }
}

/// What every job gets of the emulator's own environment: the path, and what was asked for.
#[expect(clippy::disallowed_methods, reason = "a program: it passes on what it was told to")]
fn surroundings(names: &[String]) -> BTreeMap<String, String> {
    let names = names.iter().map(String::as_str).chain(["PATH"]);
    names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}
