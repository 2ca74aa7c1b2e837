//! `levain gc`: removes what runs have left that nobody reads any more.

use clap::Args;
use levain::batch::{Leavings, RunStore};
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, Result};
use levain::job::{Run, find_run, list_runs};
use levain::objects::Location;
use serde_json::json;

use crate::cli::exit::Finished;
use crate::cli::out::{Out, error_json};
use crate::cli::records::state_name;
use crate::cli::settled::Settled;
use crate::cli::table::{Table, count};

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// A run, or a destination or a folder, of which it is all runs [default: the setting store.url, or
    /// this folder]
    #[arg(value_name = "RUN|FOLDER|DST")]
    pub(crate) place: Option<String>,

    /// Says what would be removed, and removes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What there is to remove of a run.
struct Found {
    run: Run,
    store: RunStore,
    leavings: Leavings,
}

/// Removes what runs have left.
pub(crate) fn gc(args: &GcArgs, settled: &Settled, out: &Out) -> Result<Finished> {
    let runs = runs_of(args, settled)?;
    let is_one = runs.len() == 1;
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for run in runs {
        for (_, store) in run.meeting_places(&settled.store()?)? {
            let run = run.clone();
            match store.leavings() {
                Ok(leavings) => found.push(Found { run, store, leavings }),
                Err(error) if error.code() == ErrorCode::LOCKED && !is_one => {
                    skipped.push((run, error));
                }
                Err(error) => return Err(error),
            }
        }
    }
    found.retain(|it| !it.leavings.keys.is_empty());
    let text = text_of(&found, &skipped, args.dry_run);
    if !args.dry_run {
        // What is removed is told before it is.
        out.line(&text)?;
        found.iter().try_for_each(|it| it.store.remove(&it.leavings))?;
    }
    let removed = found.iter().map(|it| {
        json!({
            "run": it.run.summary.id,
            "folder": it.store.root().to_string(),
            "objects": it.leavings.keys.len(),
            "bytes": it.leavings.bytes,
            "keys": it.leavings.keys,
        })
    });
    let document = json!({
        "v": 1,
        "dry_run": args.dry_run,
        "runs": removed.collect::<Vec<_>>(),
        "skipped": skipped.iter().map(|(run, error)| json!({
            "run": run.summary.id, "error": error_json(error, error.code().exit_code()),
        })).collect::<Vec<_>>(),
    });
    if args.dry_run || out.is_json() {
        out.result(&text, &document)?;
    }
    Ok(if skipped.is_empty() { Finished::Whole } else { Finished::Partly })
}

fn runs_of(args: &GcArgs, settled: &Settled) -> Result<Vec<Run>> {
    let store = settled.store()?;
    let place = match (&args.place, settled.run_store()) {
        (Some(place), _) => Location::parse(place)?,
        (None, Some(shared)) => shared.clone(),
        (None, None) => Location::parse(".")?,
    };
    let runs = list_runs(&place, settled.run_store(), &store)?;
    match &args.place {
        Some(text) if runs.is_empty() => Ok(vec![find_run(text, settled.run_store(), &store)?]),
        _ => Ok(runs),
    }
}

fn text_of(found: &[Found], skipped: &[(Run, Error)], is_dry: bool) -> String {
    let mut table = Table::new(["RUN", "STATE", "OBJECTS", "SIZE", "FOLDER"]).with_right(&[2, 3]);
    for Found { run, store, leavings } in found {
        table.row([
            run.summary.id.clone(),
            state_name(run.summary.state).to_owned(),
            count(leavings.keys.len() as u64),
            ByteSize(leavings.bytes).to_string(),
            store.root().to_string(),
        ]);
    }
    let mut text = match found {
        [] => "nothing to remove\n".to_owned(),
        _ => table.to_string(),
    };
    for (run, error) in skipped {
        text.push_str(&format!("{} is left alone: {}\n", run.summary.id, error.message()));
    }
    if is_dry && !found.is_empty() {
        text.push_str("nothing was removed\n");
    }
    text
}
