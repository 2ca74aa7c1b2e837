//! `levain batch stop`: ends jobs, and says what has become of them.

use std::time::{Duration, Instant};

use levain::batch::aws::{BatchApi, BatchSettings, BatchState, STOP_REASON, Seconds};
use levain::dataflow::error::Result;
use serde_json::{Value, json};

use super::args::StopArgs;
use super::jobs::{check_queue, jobs_of_run};
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::table::Table;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A job that was asked to end.
struct Asked {
    id: String,
    name: String,
    state: String,
}

impl Asked {
    fn has_ended(&self) -> bool {
        BatchState::of(&self.state).is_some_and(|state| !state.is_active())
    }

    /// What has become of it: never more than what was seen.
    fn outcome(&self) -> String {
        match (self.has_ended(), self.state.as_str()) {
            (true, state) => format!("ended, {state}"),
            (false, "") => "requested".to_owned(),
            (false, state) => format!("requested, still {state}"),
        }
    }
}

/// Ends jobs.
pub(super) fn stop(
    args: &StopArgs,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    let settings = args.place.over(settled.batch()?);
    let limit: Seconds = args.wait.parse()?;
    let api = super::open(&settings, signals)?;
    let mut asked = match &args.run {
        Some(run) => of_run(&api, &settings, run)?,
        None => {
            let named = args.ids.iter().map(|id| id.rsplit("job/").next().unwrap_or(id).to_owned());
            named.map(|id| Asked { id, name: String::new(), state: String::new() }).collect()
        }
    };
    let ids: Vec<&str> = asked.iter().map(|it| it.id.as_str()).collect();
    api.stop(&ids, &format!("{STOP_REASON}{}", args.reason))?;
    if !args.no_wait {
        wait(&api, &mut asked, Duration::from_secs(limit.0), signals)?;
    }
    let is_open = |it: &&Asked| !args.no_wait && !it.has_ended();
    let open = asked.iter().filter(is_open).count();
    out.result(&text_of(&asked), &json_of(&asked))?;
    if open > 0 {
        out.warning(&format!(
            "{open} of {} jobs have not ended yet; AWS ends them when it can",
            asked.len()
        ));
        return Ok(Finished::Partly);
    }
    Ok(Finished::Whole)
}

fn of_run(api: &BatchApi, settings: &BatchSettings, run: &str) -> Result<Vec<Asked>> {
    check_queue(settings)?;
    let mut asked = Vec::new();
    for queue in &settings.queue {
        let jobs = jobs_of_run(api, queue, run)?.into_iter().map(|job| job.value);
        let live = jobs.filter(|it| BatchState::of(&it.status).is_none_or(BatchState::is_active));
        asked.extend(live.map(|it| Asked { id: it.job_id, name: it.job_name, state: it.status }));
    }
    Ok(asked)
}

fn wait(api: &BatchApi, asked: &mut [Asked], limit: Duration, signals: &Watched) -> Result<()> {
    let began = Instant::now();
    loop {
        let ids: Vec<&str> =
            asked.iter().filter(|it| !it.has_ended()).map(|it| it.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let seen = api.describe_jobs(&ids)?;
        for job in seen {
            if let Some(own) = asked.iter_mut().find(|it| it.id == job.value.job_id) {
                (own.name, own.state) = (job.value.job_name, job.value.status);
            }
        }
        if asked.iter().all(Asked::has_ended) || began.elapsed() >= limit {
            return Ok(());
        }
        signals.wait(LOOK_EVERY)?;
    }
}

fn text_of(asked: &[Asked]) -> String {
    if asked.is_empty() {
        return "no job to stop\n".to_owned();
    }
    let mut table = Table::new(["JOB", "ID", "STOP"]);
    for job in asked {
        table.row([job.name.clone(), job.id.clone(), job.outcome()]);
    }
    table.to_string()
}

fn json_of(asked: &[Asked]) -> Value {
    let jobs = asked.iter().map(|job| {
        json!({ "id": job.id, "name": job.name, "state": job.state, "ended": job.has_ended() })
    });
    json!({ "v": 1, "jobs": jobs.collect::<Vec<_>>() })
}
