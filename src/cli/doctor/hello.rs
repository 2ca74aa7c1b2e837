//! The hello job: one that is submitted, starts, reaches the store from inside, writes a log, and is
//! stopped: all that workers do.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use levain::batch::aws::{
    AwsLauncher, BatchApi, BatchSettings, Seconds, job_name, meaning_of, run_tags,
};
use levain::batch::launch::{
    Cause, JobId, JobState, JobStatus, Resources, Submission, Submitted, WorkerEnd, WorkerId,
};
use levain::batch::{INDEX_VARIABLE, Launcher as _};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::objects::{Location, Objects, StoreOptions, now_ms};
use serde_json::json;

use super::DoctorArgs;
use super::checks::Checks;
use crate::cli::batch::duration;
use crate::cli::out::Out;
use crate::cli::signals::Watched;

/// A store that is not reached is given up after so long: the job shall say why, not hang.
const REACH_TIMEOUT_MS: u64 = 10_000;
/// The longest that the hello job may run.
const JOB_TIMEOUT_S: u64 = 300;
/// Lines of its log that an error shows.
const LOG_LINES: usize = 8;

/// Submits the hello job and follows it.
///
/// # Errors
/// A signal came.
pub(super) fn hello(
    args: &DoctorArgs,
    api: &BatchApi,
    (settings, url, reach): (&BatchSettings, &str, &StoreOptions),
    checks: &mut Checks,
    signals: &Watched,
) -> Result<()> {
    let run = format!("hello{:x}", now_ms());
    let place = Location::parse(url)?.join(&run);
    let launcher = AwsLauncher::new(api.clone(), settings.clone())?;
    let submitted = launcher.submit(&submission(args, settings, &run, &place)?);
    let id = match submitted {
        Ok(Submitted::As(id)) => id,
        Ok(Submitted::Unknown) => {
            let message = "the answer to the submission was lost";
            let error = Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Transient, message);
            checks.failure("hello", error.mend("run this again"));
            return Ok(());
        }
        Err(error) => {
            checks.failure("hello", error);
            return Ok(());
        }
    };
    let followed = follow(args, &launcher, &id, signals);
    // Stopped in any case: it costs money, and stopping is to be tried.
    let stopped = launcher.stop(std::slice::from_ref(&id), "the hello job has been looked at");
    let outcome = followed.and_then(|phases| verdict(&launcher, &id, &place, reach, &phases));
    match outcome {
        Ok(text) => checks.well("hello", &text),
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => checks.failure("hello", error.at("job", &id)),
    }
    if let Err(error) = stopped {
        let what = "stop and cost guards would not work";
        checks.failure("jobs", error.context(what));
    }
    if let Ok(objects) = Objects::open(&place, reach) {
        // What stays is one small object below a name of its own.
        drop(objects.delete_all(""));
    }
    Ok(())
}

fn submission(
    args: &DoctorArgs,
    settings: &BatchSettings,
    run: &str,
    place: &Location,
) -> Result<Submission> {
    let command = [args.program.as_str(), "doctor", "--inside", "--store", &place.to_string()];
    let mut environment = BTreeMap::new();
    if let Some(region) = &settings.region {
        environment.insert("AWS_REGION".to_owned(), region.clone());
    }
    Ok(Submission {
        name: job_name(&["levain", run, "1-0000"]),
        workers: NonZeroU32::MIN,
        command: command.map(str::to_owned).to_vec(),
        environment,
        index_variable: INDEX_VARIABLE,
        resources: Resources {
            vcpus: settings.vcpus,
            memory_mib: settings.memory_ladder[0].0,
            gpus: settings.gpus,
        },
        attempts: NonZeroU32::MIN,
        timeout_s: Some(JOB_TIMEOUT_S),
        tags: run_tags(run, &[]),
    })
}

/// The phases of a job that has ended: how long each took; or why it did not.
struct Followed {
    status: JobStatus,
    phases: Vec<String>,
}

fn follow(
    args: &DoctorArgs,
    launcher: &AwsLauncher,
    id: &JobId,
    signals: &Watched,
) -> Result<Followed> {
    let (limit, look): (Seconds, Seconds) = (args.wait.parse()?, args.look.parse()?);
    let look = Duration::from_secs(look.0).max(Duration::from_millis(100));
    let began = Instant::now();
    let (mut phases, mut state, mut since) = (Vec::new(), JobState::Waiting, Instant::now());
    loop {
        if let Some(status) = launcher.describe(std::slice::from_ref(id))?.pop() {
            if status.state != state {
                let name = format!("{state:?}").to_lowercase();
                phases.push(format!("{name} {}", duration(since.elapsed().as_secs())));
                (state, since) = (status.state, Instant::now());
            }
            if state.has_ended() {
                return Ok(Followed { status, phases });
            }
        } else if let Some(why) = launcher.unavailable().first() {
            let error = Error::new(ErrorCode::LAUNCHER_DENIED, ErrorKind::PermissionDenied, why);
            return Err(error.mend("allow it: `levain infra policy --for driver`"));
        }
        if began.elapsed() >= Duration::from_secs(limit.0) {
            return Err(stuck(launcher, id, state, limit)?);
        }
        signals.wait(look)?;
    }
}

/// Why a job has not ended within the time that it was given.
fn stuck(launcher: &AwsLauncher, id: &JobId, state: JobState, limit: Seconds) -> Result<Error> {
    let found = launcher.diagnose(id)?;
    let why = found.as_ref().map_or("nobody says why", |it| it.finding.as_str());
    let message = format!("the job has not ended after {limit}, it is {state:?}: {why}");
    let mut error = Error::new(ErrorCode::NOT_STARTING, ErrorKind::ResourceExhausted, message);
    if let Some(found) = found {
        error = error.at("evidence", found.evidence.join("\n")).mend(found.mend);
    }
    Ok(error.mend("give it more time (--wait)"))
}

/// What has come of the job: its phases, or what went wrong.
fn verdict(
    launcher: &AwsLauncher,
    id: &JobId,
    place: &Location,
    reach: &StoreOptions,
    followed: &Followed,
) -> Result<String> {
    let worker = WorkerId { job: id.clone(), index: 0 };
    let log = launcher.logs(&worker, LOG_LINES);
    if followed.status.state == JobState::Failed {
        let end = launcher.failed_workers(id)?.pop();
        let lines: Vec<String> = log.unwrap_or_default().into_iter().map(|it| it.text).collect();
        return Err(failed(end.as_ref(), &lines));
    }
    let objects = Objects::open(place, reach)?;
    objects.get("hello.json").map_err(|error| {
        error
            .context("the job says that it has written to the store, and nothing is there")
            .mend("the worker wrote to another store: look at its endpoint and region")
    })?;
    let log = match log {
        Ok(lines) if !lines.is_empty() => "log found".to_owned(),
        Ok(_) => "no log yet".to_owned(),
        Err(error) => format!("log: {}", error.message()),
    };
    Ok(format!("{}, wrote to store, stopped, {log}", followed.phases.join(" → ")))
}

/// What a failed hello job means.
fn failed(end: Option<&WorkerEnd>, log: &[String]) -> Error {
    let told = log.iter().rev().find(|line| line.contains("error[") || line.contains("hello:"));
    let (cause, reason) =
        end.map_or((Cause::Other, "nothing is said of its end"), |it| (it.cause, &it.reason));
    let meaning = reason.split("; ").collect::<Vec<_>>();
    let meaning = meaning.iter().rev().find_map(|part| meaning_of(part));
    let (what, mend) = match cause {
        Cause::Exit(6 | 5) => (
            "worker started, could not reach store",
            "in order of likelihood: the subnet is public and gives no public IPv4; no NAT and no S3 endpoint; \
             the security group allows no outbound HTTPS; the job role may not reach the bucket",
        ),
        Cause::Exit(127 | 126) => (
            "the program is not in the image",
            "name it by --program, or put it there: `levain image print-dockerfile`",
        ),
        Cause::Exit(2) => ("the program of the image is another version", "make the image anew"),
        Cause::OutOfMemory => ("the job ran out of memory", "give it more by --memory"),
        Cause::CannotStart => {
            ("the container did not start", meaning.map_or("look at the reason", |it| it.mend))
        }
        Cause::Reclaimed => ("the machine was taken away", "run this again"),
        Cause::Timeout => ("the job took too long", "look at its log: it may wait for the network"),
        Cause::Killed => ("the job was killed, and nobody says why", "look at its log"),
        _ => ("the job has failed", meaning.map_or("look at its log", |it| it.mend)),
    };
    let message = told.map_or(what.to_owned(), |line| format!("{what}: {}", line.trim()));
    let error = Error::new(ErrorCode::JOB_FAILED, ErrorKind::ResourceExhausted, message);
    let error = error.at("reason", reason);
    let error = if log.is_empty() { error } else { error.at("log", log.join("\n")) };
    error.mend(mend)
}

/// What the hello job does, where workers are.
///
/// # Errors
/// The store is not reached.
pub(super) fn inside(url: &str, out: Out) -> Result<()> {
    let options =
        StoreOptions::default().with_retry_count(1).with_request_timeout_ms(REACH_TIMEOUT_MS);
    let options = StoreOptions { retry_timeout_ms: REACH_TIMEOUT_MS, ..options };
    let objects = Objects::open(&Location::parse(url)?, &options)?;
    let version = env!("CARGO_PKG_VERSION");
    let document = json!({ "v": 1, "version": version, "at_ms": now_ms() });
    objects.put("hello.json", document.to_string().into()).wait()?;
    objects.get("hello.json")?;
    out.result(&format!("hello: reached {url}, levain {version}"), &document)
}
