//! `levain gc`: removes what runs have left that nobody reads any more.

use std::collections::BTreeMap;

use clap::Args;
use levain::batch::{Leavings, RunStore};
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, Result};
use levain::job::{Run, find_run, list_runs};
use levain::objects::{Location, Objects, StoreOptions};
use serde_json::json;

use crate::cli::exit::Finished;
use crate::cli::out::{Out, error_json};
use crate::cli::records::state_name;
use crate::cli::settled::Settled;
use crate::cli::table::{Table, count};
use crate::cli::watch::is_gone;

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

/// What writes that were cut short have left at a destination.
struct Remains {
    destination: Objects,
    keys: Vec<String>,
}

/// Removes what runs have left.
pub(crate) fn gc(args: &GcArgs, settled: &Settled, out: &Out) -> Result<Finished> {
    let runs = runs_of(args, settled)?;
    let is_one = runs.len() == 1;
    let destinations = destinations_of(&runs)?;
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
    found.retain(|it| !it.leavings.is_empty());
    let remains = remains_of(&destinations, settled)?;
    let text = text_of(&found, &remains, &skipped, args.dry_run);
    if !args.dry_run {
        // What is removed is told before it is.
        out.line(&text)?;
        found.iter().try_for_each(|it| it.store.remove(&it.leavings))?;
        remains.iter().try_for_each(|it| it.destination.sweep(""))?;
    }
    let removed = found.iter().map(|it| {
        json!({
            "run": it.run.summary.id,
            "folder": it.store.root().to_string(),
            "objects": it.leavings.keys.len(),
            "bytes": it.leavings.bytes,
            "keys": it.leavings.keys,
            "unfinished": it.leavings.unfinished,
        })
    });
    let document = json!({
        "v": 1,
        "dry_run": args.dry_run,
        "runs": removed.collect::<Vec<_>>(),
        "destinations": remains.iter().map(|it| json!({
            "destination": it.destination.root().to_string(), "unfinished": it.keys,
        })).collect::<Vec<_>>(),
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

/// The stores that these runs have written, by name. Recipes write where they will.
fn destinations_of(runs: &[Run]) -> Result<BTreeMap<String, Location>> {
    let mut destinations = BTreeMap::new();
    for run in runs.iter().map(|run| &run.summary) {
        if let ("bake" | "rechunk", Some(text)) = (run.kind.as_str(), &run.destination) {
            destinations.insert(text.clone(), Location::parse(text)?);
        }
    }
    Ok(destinations)
}

/// What writes that were cut short have left at destinations at which nobody works.
fn remains_of(
    destinations: &BTreeMap<String, Location>,
    settled: &Settled,
) -> Result<Vec<Remains>> {
    let (store, mut remains) = (settled.store()?, Vec::new());
    for place in destinations.values() {
        let runs = list_runs(place, settled.run_store(), &store)?;
        let mut is_quiet = true;
        for run in &runs {
            is_quiet &= !may_be_at_work(run, &store)?;
        }
        if is_quiet {
            let destination = Objects::open(place, &store)?;
            let keys = destination.unfinished("")?;
            remains.push(Remains { destination, keys });
        }
    }
    remains.retain(|it| !it.keys.is_empty());
    Ok(remains)
}

/// Whether somebody works on a run, as far as can be known from here.
fn may_be_at_work(run: &Run, store: &StoreOptions) -> Result<bool> {
    let places = run.meeting_places(store)?;
    let is_known_by_process = places.is_empty() && run.summary.state.is_none();
    if is_known_by_process {
        return Ok(!run.process().is_some_and(|(host, process)| is_gone(host, process)));
    }
    for (_, place) in places {
        match place.leavings() {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::LOCKED => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn text_of(found: &[Found], remains: &[Remains], skipped: &[(Run, Error)], is_dry: bool) -> String {
    let names = ["RUN", "STATE", "OBJECTS", "SIZE", "CUT SHORT", "FOLDER"];
    let mut table = Table::new(names).with_right(&[2, 3, 4]);
    for Found { run, store, leavings } in found {
        table.row([
            run.summary.id.clone(),
            state_name(run.summary.state).to_owned(),
            count(leavings.keys.len() as u64),
            ByteSize(leavings.bytes).to_string(),
            count(leavings.unfinished.len() as u64),
            store.root().to_string(),
        ]);
    }
    for Remains { destination, keys } in remains {
        let none = || "-".to_owned();
        let cut_short = count(keys.len() as u64);
        let folder = destination.root().to_string();
        table.row([none(), none(), none(), none(), cut_short, folder]);
    }
    let is_nothing = found.is_empty() && remains.is_empty();
    let mut text = match is_nothing {
        true => "nothing to remove\n".to_owned(),
        false => table.to_string(),
    };
    for (run, error) in skipped {
        text.push_str(&format!("{} is left alone: {}\n", run.summary.id, error.message()));
    }
    if is_dry && !is_nothing {
        text.push_str("nothing was removed\n");
    }
    text
}
