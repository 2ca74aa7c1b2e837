//! `levain batch submit`: one job with any command.

use std::collections::BTreeMap;
use std::time::Duration;

use levain::batch::INDEX_VARIABLE;
use levain::batch::Launcher;
use levain::batch::aws::{AwsLauncher, Seconds, job_name};
use levain::batch::launch::{JobId, JobStatus, Resources, Submission, Submitted};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::json;

use super::args::SubmitArgs;
use crate::cli::exit::Finished;
use crate::cli::out::{Out, say};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Submits a job.
pub(super) fn submit(
    args: &SubmitArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    let settings = args.size.over(args.place.over(settled.batch()?))?;
    let api = super::open(&settings, signals)?;
    let launcher = AwsLauncher::new(api, settings.clone())?;
    let timeout: Seconds = args.timeout.parse()?;
    let submission = Submission {
        name: job_name(&[&args.name]),
        workers: args.workers,
        command: args.command.clone(),
        environment: variables(&args.env)?,
        index_variable: INDEX_VARIABLE,
        resources: Resources {
            vcpus: settings.vcpus,
            memory_mib: settings.memory_ladder[0].0,
            gpus: settings.gpus,
        },
        attempts: args.attempts,
        timeout_s: Some(timeout.0),
        tags: BTreeMap::from([("levain:test".to_owned(), "submit".to_owned())]),
    };
    let Submitted::As(id) = launcher.submit(&submission)? else {
        return Err(unknown(&submission.name));
    };
    let queue = launcher.queue();
    if !args.wait {
        let text = format!("submitted {id} to {queue}\nlook at it: levain batch job {id}\n");
        out.result(&text, &json!({ "v": 1, "id": id, "name": submission.name, "queue": queue }))?;
        return Ok(Finished::Whole);
    }
    say(&format!("submitted {id} to {queue}"));
    let status = follow(&launcher, &id, signals)?;
    let text = format!("{id} {:?}\n", status.state);
    out.result(&text, &json!({ "v": 1, "id": id, "name": submission.name, "status": status }))?;
    if status.workers.failed == 0 {
        return Ok(Finished::Whole);
    }
    let ends = launcher.failed_workers(&id)?;
    let reason = ends.first().map_or(status.reason, |end| end.reason.clone());
    let error =
        Error::new(ErrorCode::JOB_FAILED, ErrorKind::ResourceExhausted, "the job has failed");
    Err(error
        .at("job", &id)
        .at("reason", reason)
        .mend(format!("look at `levain batch job {id}` and `levain batch logs {id}`")))
}

fn unknown(name: &str) -> Error {
    let message = "the answer of AWS was lost: the job may have been submitted or not";
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Transient, message)
        .at("name", name)
        .mend("look for its name in `levain batch jobs` before it is submitted again")
}

fn follow(launcher: &dyn Launcher, id: &JobId, signals: &Watched) -> Result<JobStatus> {
    let mut last = None;
    loop {
        if let Some(status) = launcher.describe(std::slice::from_ref(id))?.pop() {
            if last != Some(status.state) {
                say(&format!("{id} {:?}", status.state));
                last = Some(status.state);
            }
            if status.state.has_ended() {
                return Ok(status);
            }
        }
        signals.wait(LOOK_EVERY)?;
    }
}

fn variables(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.starts_with("AWS_BATCH") => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => {
            // The text is not shown: its value may be a secret, which has no place here.
            let message = "a variable is not NAME=VALUE, or AWS keeps its name for itself";
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
            Err(error.at("flag", "--env").mend("write NAME=VALUE, without AWS_BATCH at the start"))
        }
    };
    pairs.iter().map(pair).collect()
}
