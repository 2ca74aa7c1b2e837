//! `levain batch jobs`: what there is on the queues.

use levain::batch::aws::{BatchApi, BatchSettings, BatchState, JobSummary, Listing, Read};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use super::args::JobsArgs;
use super::times::{json_time, local_time};
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::Table;

/// Letters of a reason that a table shows; `levain batch job` shows all.
const REASON_LETTERS: usize = 60;

/// Lists jobs.
pub(super) fn jobs(
    args: &JobsArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    let settings = args.place.over(settled.batch()?);
    let states = states_of(args)?;
    check_queue(&settings)?;
    let api = super::open(&settings, signals)?;
    let mut found = Vec::new();
    for queue in &settings.queue {
        found.extend(of_queue(&api, queue, args, &states)?);
    }
    let is_wanted = |job: &Read<JobSummary>| match &settings.job_definition {
        Some(wanted) => is_of_definition(&job.value.job_definition, wanted),
        None => true,
    };
    found.retain(is_wanted);
    found.sort_by_key(|job| (std::cmp::Reverse(job.value.created_at), job.value.job_id.clone()));
    let document: Vec<Value> = found.iter().map(|job| job_json(&job.value)).collect();
    out.result(&text_of(&found), &json!({ "v": 1, "jobs": document }))?;
    Ok(Finished::Whole)
}

/// Refuses settings without a queue.
pub(super) fn check_queue(settings: &BatchSettings) -> Result<()> {
    if !settings.queue.is_empty() {
        return Ok(());
    }
    let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, "no queue is named");
    Err(error.at("key", "batch.queue").mend("give --queue NAME, or the setting batch.queue"))
}

fn states_of(args: &JobsArgs) -> Result<Vec<BatchState>> {
    if args.active || args.inactive {
        let all = BatchState::ALL.into_iter();
        return Ok(all.filter(|state| state.is_active() == args.active).collect());
    }
    if args.state.is_empty() {
        return Ok(BatchState::ALL.to_vec());
    }
    let state = |name: &String| {
        BatchState::of(name).ok_or_else(|| {
            let all = BatchState::ALL.map(|it| it.name().to_lowercase()).join(", ");
            let message = format!("`{name}` is no state of a job");
            Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
                .at("flag", "--state")
                .mend(format!("there are: {all}"))
        })
    };
    args.state.iter().map(state).collect()
}

fn of_queue(
    api: &BatchApi,
    queue: &str,
    args: &JobsArgs,
    states: &[BatchState],
) -> Result<Vec<Read<JobSummary>>> {
    if let Some(run) = &args.run {
        let found = jobs_of_run(api, queue, run)?;
        let is_in = |job: &Read<JobSummary>| {
            BatchState::of(&job.value.status).is_none_or(|state| states.contains(&state))
        };
        return Ok(found.into_iter().filter(is_in).take(args.limit).collect());
    }
    let mut found = Vec::new();
    for state in states {
        let listing = Listing::InState { queue, state: state.name() };
        found.extend(api.list_jobs(&listing, args.limit)?);
    }
    Ok(found)
}

/// The jobs of a run, by their names.
pub(super) fn jobs_of_run(api: &BatchApi, queue: &str, run: &str) -> Result<Vec<Read<JobSummary>>> {
    let name = format!("levain-{run}-*");
    let found = api.list_jobs(&Listing::Named { queue, name: &name }, usize::MAX)?;
    // The filter does not tell capitals from small letters.
    Ok(found.into_iter().filter(|job| run_of(&job.value.job_name) == run).collect())
}

/// The run of a job, by its name `levain-RUN-...`; `-` if it is not one of ours.
pub(super) fn run_of(name: &str) -> &str {
    let parts: Vec<&str> = name.split('-').collect();
    match parts[..] {
        ["levain", run, _, _, ..] if !run.is_empty() => run,
        _ => "-",
    }
}

/// Whether the ARN of a definition is that of a name, of `name:revision` or of an ARN.
fn is_of_definition(arn: &str, wanted: &str) -> bool {
    let wanted = wanted.rsplit('/').next().unwrap_or(wanted);
    let whole = arn.rsplit('/').next().unwrap_or(arn);
    whole == wanted || whole.split(':').next() == Some(wanted)
}

fn text_of(jobs: &[Read<JobSummary>]) -> String {
    let mut table =
        Table::new(["JOB", "ID", "RUN", "STATE", "WORKERS", "CREATED", "STOPPED", "REASON"])
            .with_right(&[4]);
    for job in jobs.iter().map(|job| &job.value) {
        let reason: String = job.status_reason.chars().take(REASON_LETTERS).collect();
        let size = job.array_properties.as_ref().and_then(|it| it.size).unwrap_or(1);
        table.row([
            job.job_name.clone(),
            job.job_id.clone(),
            run_of(&job.job_name).to_owned(),
            job.status.clone(),
            size.to_string(),
            local_time(job.created_at),
            local_time(job.stopped_at),
            reason,
        ]);
    }
    match jobs.len() {
        1 => format!("{table}1 job\n"),
        count => format!("{table}{count} jobs\n"),
    }
}

/// The eight fields that every job has, and its run.
fn job_json(job: &JobSummary) -> Value {
    json!({
        "name": job.job_name,
        "id": job.job_id,
        "arn": job.job_arn,
        "run": (run_of(&job.job_name) != "-").then(|| run_of(&job.job_name)),
        "state": job.status,
        "reason": job.status_reason,
        "created": json_time(job.created_at),
        "started": json_time(job.started_at),
        "stopped": json_time(job.stopped_at),
        "workers": job.array_properties.as_ref().and_then(|it| it.size).unwrap_or(1),
        "job_definition": job.job_definition,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_told_by_their_names_and_definitions() {
        assert_eq!(run_of("levain-01ABC-1-0003"), "01ABC");
        assert_eq!((run_of("levain-test"), run_of("other-01ABC-1-0003")), ("-", "-"));
        let arn = "arn:aws:batch:r:123456789012:job-definition/levain:3";
        for wanted in ["levain", "levain:3", arn] {
            assert!(is_of_definition(arn, wanted), "{wanted}");
        }
        assert!(!is_of_definition(arn, "levain:2") && !is_of_definition(arn, "leva"));
    }
}
