//! `levain batch job`: one job, where it stands, and why.

use std::fmt::Write;

use levain::batch::Launcher as _;
use levain::batch::aws::{
    AwsLauncher, BatchApi, BatchSettings, BatchState, End, JobDetail, RUN_TAG, Read, diagnose,
    meaning_of,
};
use levain::batch::launch::{Diagnosis, JobId, WorkerEnd};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use super::args::JobArgs;
use super::jobs::run_of;
use super::times::{json_time, local_time};
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::Table;

/// Workers that are shown for people.
const SHOWN: usize = 20;

/// Shows a job.
pub(super) fn job(
    args: &JobArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    let settings = args.place.over(settled.batch()?);
    let api = super::open(&settings, signals)?;
    let job = described(&api, &args.id)?;
    let ends = ends_of(&api, &settings, &job.value)?;
    let why = diagnose(&api, &job.value.job_id)?;
    let text = text_of(&job.value, &ends, why.as_ref());
    out.result(&text, &json_of(&job, &ends, why.as_ref()))?;
    Ok(Finished::Whole)
}

/// What AWS knows of a job, by its id or its ARN.
///
/// # Errors
/// There is no such job.
pub(super) fn described(api: &BatchApi, id: &str) -> Result<Read<JobDetail>> {
    let id = id.rsplit("job/").next().unwrap_or(id);
    api.describe_jobs(&[id])?.into_iter().next().ok_or_else(|| {
        let message = format!("there is no job `{id}`");
        Error::new(ErrorCode::UNKNOWN_JOB, ErrorKind::NotFound, message)
            .at("region", api.region())
            .mend("look at `levain batch jobs`: AWS forgets jobs a week after their end, and a new one may take seconds to be told of")
    })
}

fn ends_of(api: &BatchApi, settings: &BatchSettings, job: &JobDetail) -> Result<Vec<WorkerEnd>> {
    let is_array = job.array_properties.as_ref().is_some_and(|it| it.size.is_some());
    let has_failed = |state: &str| state == BatchState::Failed.name();
    let failed =
        |it: &levain::batch::aws::ArrayProperties| it.status_summary.get("FAILED").copied();
    let count = job.array_properties.as_ref().and_then(failed).unwrap_or(0);
    if !(has_failed(&job.status) || is_array && count > 0) {
        return Ok(Vec::new());
    }
    let queue = vec![job.job_queue.clone()];
    let settings = BatchSettings { queue, ..settings.clone() };
    AwsLauncher::new(api.clone(), settings)?.failed_workers(&JobId(job.job_id.clone()))
}

fn text_of(job: &JobDetail, ends: &[WorkerEnd], why: Option<&Diagnosis>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() && value != "-" {
            writeln!(text, " {name:<11} {value}").expect("a string takes every text");
        }
    };
    line("name", &job.job_name);
    line("id", &job.job_id);
    line("arn", &job.job_arn);
    line("run", run_tag(job));
    let meaning = BatchState::of(&job.status).map_or("", BatchState::meaning);
    line("state", &format!("{}: {meaning}", job.status));
    line("reason", &job.status_reason);
    let end = End::of(job);
    let said = [job.status_reason.as_str(), end.reason].into_iter().rev().find_map(meaning_of);
    if let Some(meaning) = said.filter(|_| why.is_none()) {
        line("that is", meaning.is);
        line("try", meaning.mend);
    }
    line("created", &local_time(job.created_at));
    line("started", &local_time(job.started_at));
    line("stopped", &local_time(job.stopped_at));
    line("queue", job.job_queue.rsplit('/').next().unwrap_or_default());
    line("definition", job.job_definition.rsplit('/').next().unwrap_or_default());
    line("command", &job.container.command.join(" "));
    let amounts = job.container.resource_requirements.iter();
    let amounts = amounts.map(|it| format!("{} {}", it.kind.to_lowercase(), it.value));
    line("resources", &amounts.collect::<Vec<_>>().join(", "));
    if let Some(array) = job.array_properties.as_ref().filter(|it| it.size.is_some()) {
        let counts = BatchState::ALL.iter().filter_map(|state| {
            let count = array.status_summary.get(state.name()).filter(|count| **count > 0)?;
            Some(format!("{count} {}", state.name().to_lowercase()))
        });
        line("workers", &counts.collect::<Vec<_>>().join(", "));
    }
    line("attempts", &job.attempts.len().to_string());
    if let Some(why) = why {
        text.push_str(&diagnosis_text(why));
    }
    if !ends.is_empty() {
        text.push_str(&ends_text(ends));
    }
    text
}

/// Why a job does not start, for people.
pub(crate) fn diagnosis_text(why: &Diagnosis) -> String {
    let evidence: String = why.evidence.iter().map(|it| format!("   seen  {it}\n")).collect();
    let mend = why.mend.replace('\n', "\n         ");
    let pass = if why.may_pass { "" } else { "   waiting does not help\n" };
    format!(" does not start: {}\n{evidence}{pass}   try   {mend}\n", why.finding)
}

fn ends_text(ends: &[WorkerEnd]) -> String {
    let mut table = Table::new(["WORKER", "ATTEMPTS", "CAUSE", "REASON"]).with_right(&[0, 1]);
    for end in ends.iter().take(SHOWN) {
        table.row([
            end.worker.index.to_string(),
            end.attempts.to_string(),
            format!("{:?}", end.cause),
            end.reason.clone(),
        ]);
    }
    let more = ends.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more\n") } else { String::new() };
    format!("{table}{rest}")
}

fn run_tag(job: &JobDetail) -> &str {
    job.tags.get(RUN_TAG).map_or_else(|| run_of(&job.job_name), String::as_str)
}

fn json_of(job: &Read<JobDetail>, ends: &[WorkerEnd], why: Option<&Diagnosis>) -> Value {
    let Read { value: job, json } = job;
    json!({
        "v": 1,
        "job": {
            "name": job.job_name,
            "id": job.job_id,
            "arn": job.job_arn,
            "run": Some(run_tag(job)).filter(|it| *it != "-"),
            "state": job.status,
            "reason": job.status_reason,
            "created": json_time(job.created_at),
            "started": json_time(job.started_at),
            "stopped": json_time(job.stopped_at),
        },
        "failed_workers": ends,
        "diagnosis": why,
        "aws": json,
    })
}
