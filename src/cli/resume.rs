//! `levain resume`: goes on with a run, by the command that its records keep.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Run, list_runs};
use levain::report::RunState;
use serde_json::json;

use crate::cli::again::Given;
use crate::cli::args::{Command, Progress};
use crate::cli::config::ConfigArgs;
use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::records::{RunArg, found};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::workers::RunnerName;
use crate::cli::{bake, detach};

/// The exit code of a run that has left something out, which another attempt may bring.
const PARTLY: u8 = 3;

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Where it runs from now on [default: where it ran]
    #[arg(long, value_enum)]
    pub(crate) runner: Option<RunnerName>,

    /// The most workers at once [default: as before]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroU32>,

    /// Threads that compute [default: as before]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// The greatest resident memory [default: as before]
    #[arg(long, value_name = "SIZE")]
    pub(crate) mem: Option<String>,

    /// How progress is shown [default: as before]
    #[arg(long, value_enum)]
    pub(crate) progress: Option<Progress>,

    /// Goes on without this terminal
    #[arg(long)]
    pub(crate) detach: bool,
}

/// Goes on with a run.
pub(crate) fn resume(
    args: &ResumeArgs,
    own: &ConfigArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let run = found(&args.run, settled)?;
    if is_complete(&run)? {
        let id = &run.summary.id;
        let text = format!("nothing to resume: the run {id} is complete");
        out.result(&text, &json!({ "v": 1, "run": id, "up_to_date": true }))?;
        return Ok(Finished::Whole);
    }
    check_newest(&run, settled)?;
    let mut given = Given::of(&run, own, signals)?;
    if detach::is_asked(args.detach) {
        let destination = run.summary.destination.as_deref().unwrap_or_default();
        return detach::detach(settled.words(), destination, out, signals);
    }
    given.enter()?;
    if let Some(run) = given.run_args() {
        run.workers.runner = args.runner.unwrap_or(run.workers.runner);
        run.workers.workers = args.workers.or(run.workers.workers);
        run.threads = args.threads.or(run.threads);
        run.mem = args.mem.clone().or(run.mem.take());
        run.progress = args.progress.unwrap_or(run.progress);
    }
    let Given { mut command, settled, .. } = given;
    match &mut command {
        Command::Bake(args) => {
            (args.resume, args.detach) = (true, false);
            bake::bake(args, &settled, out, signals)
        }
        Command::Rechunk(args) => {
            (args.resume, args.detach) = (true, false);
            bake::rechunk(args, &settled, out, signals)
        }
        _ => Err(Error::internal("a command that does not write was to be gone on with")),
    }
}

/// Whether there is nothing left that another attempt could bring.
fn is_complete(run: &Run) -> Result<bool> {
    if run.summary.state != Some(RunState::Succeeded) {
        return Ok(false);
    }
    Ok(run.report()?.is_none_or(|report| report.exit.code != PARTLY))
}

/// Only the newest run of a destination can be gone on with: what others have left is gone.
fn check_newest(run: &Run, settled: &Settled) -> Result<()> {
    let Some(folder) = run.summary.folder.parent() else { return Ok(()) };
    let runs = list_runs(&folder, None, &settled.store()?)?;
    // Those of groups lie below.
    let is_of_same = |it: &&Run| it.summary.folder.parent().as_ref() == Some(&folder);
    let newest = runs.iter().rfind(is_of_same);
    let Some(newest) = newest.filter(|it| it.summary.id > run.summary.id) else {
        return Ok(());
    };
    let message = "a later run of the same destination has taken the place of this one";
    Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::Conflict, message)
        .at("run", &run.summary.id)
        .at("later", &newest.summary.id)
        .mend(format!("levain resume {}", newest.summary.folder)))
}
