//! `levain cancel`: stops a run from anywhere, and waits until it has stopped.

use std::time::{Duration, Instant};

use clap::Args;
use levain::batch::aws::{Seconds, launcher_of_run};
use levain::batch::launch::{JobId, Launcher as _};
use levain::dataflow::error::Result;
use levain::job::{Run, find_run};
use serde_json::json;

use crate::cli::again::Given;
use crate::cli::config::ConfigArgs;
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::records::{RunArg, found, state_name};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Also ends the jobs of AWS Batch at once, whatever they do, and waits for nothing
    #[arg(long)]
    pub(crate) now: bool,

    /// Only the driver stops; workers of AWS Batch do what is open of their stage
    #[arg(long, conflicts_with = "now")]
    pub(crate) keep_workers: bool,

    /// How long it is waited for the end
    #[arg(long, value_name = "TIME", default_value = "90s")]
    pub(crate) wait: String,
}

/// Stops a run.
pub(crate) fn cancel(
    args: &CancelArgs,
    own: &ConfigArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let run = found(&args.run, settled)?;
    let (limit, store): (Seconds, _) = (args.wait.parse()?, settled.store()?);
    let why = format!("cancelled by `levain cancel`, process {}", std::process::id());
    if args.keep_workers {
        run.leave_to_workers(&store, &why)?;
        let text = format!(
            "asked      {}   its driver goes, its workers do what is open; `levain resume` goes on",
            run.summary.id
        );
        return told(&run, "LEFT", &text, &[], out);
    }
    if run.summary.state.is_some() {
        let state = state_name(run.summary.state);
        let stopped = if args.now { end_jobs(&run, own, settled, signals)? } else { Vec::new() };
        let text = format!("nothing to cancel: the run {} has ended, {state}", run.summary.id);
        return told(&run, state, &text, &stopped, out);
    }
    run.cancel(&store, &why)?;
    let stopped = if args.now { end_jobs(&run, own, settled, signals)? } else { Vec::new() };
    if args.now {
        let text = format!("asked      {}   {} jobs were ended", run.summary.id, stopped.len());
        return told(&run, "ASKED", &text, &stopped, out);
    }
    let run = wait(&run, settled, Duration::from_secs(limit.0), signals)?;
    if run.summary.state.is_some() {
        let state = state_name(run.summary.state);
        let id = &run.summary.id;
        let text =
            format!("{state}  {id}   what is done is kept: levain resume {}", run.summary.folder);
        return told(&run, state, &text, &stopped, out);
    }
    let text = format!(
        "asked      {}   nobody has answered for {} s: its driver is gone, or hangs",
        run.summary.id, limit.0
    );
    told(&run, "ASKED", &text, &stopped, out)?;
    Ok(Finished::Partly)
}

fn told(run: &Run, state: &str, text: &str, stopped: &[JobId], out: &Out) -> Result<Finished> {
    let jobs: Vec<&str> = stopped.iter().map(|id| id.0.as_str()).collect();
    let document = json!({ "v": 1, "run": run.summary.id, "state": state, "ended_jobs": jobs });
    out.result(text, &document)?;
    Ok(Finished::Whole)
}

/// Waits until the run has an end; one that nobody drives gets it here.
fn wait(run: &Run, settled: &Settled, limit: Duration, signals: &Watched) -> Result<Run> {
    let (store, began) = (settled.store()?, Instant::now());
    let folder = run.summary.folder.to_string();
    loop {
        let now = find_run(&folder, None, &store)?;
        if now.summary.state.is_some() || began.elapsed() >= limit {
            return Ok(now);
        }
        // Once all stages of a part have run, a driver does more without saying so.
        if let Some((_, place)) = run.current_place(&store)?
            && place.is_open()?
            && !place.is_driven()?
        {
            run.end_cancelled(&store)?;
            continue;
        }
        signals.wait(LOOK_EVERY)?;
    }
}

/// Ends what was submitted for a run and has not ended; those of AWS Batch alone outlive a driver.
fn end_jobs(
    run: &Run,
    own: &ConfigArgs,
    settled: &Settled,
    signals: &Watched,
) -> Result<Vec<JobId>> {
    if run.again().is_none_or(|again| again.runner != "batch") {
        return Ok(Vec::new());
    }
    let settings = Given::of(run, own, signals)?.batch()?;
    let launcher = launcher_of_run(&settings, signals.token())?;
    let mut ids = Vec::new();
    for job in run.jobs(&settled.store()?)? {
        match job.id {
            Some(id) => ids.push(id),
            // Its answer was lost; it may be there.
            None => ids.extend(launcher.find(&job.name)?),
        }
    }
    launcher.stop(&ids, "cancelled")?;
    Ok(ids)
}
