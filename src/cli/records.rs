//! `levain runs`, `status`, `failures` and `report`: what the records of runs say.

use clap::Args;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Run, find_run, list_runs};
use levain::objects::Location;
use levain::report::{
    FailureGroup, FailureRecord, Report, RunState, duration, failures_text, moment,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::table::{Table, count};

/// The exit code of `status --exit-status` for a run of which no end is recorded.
pub(crate) const STILL_RUNNING: u8 = 10;

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// A destination, a folder of runs, or a folder or store in which there are some [default: the
    /// setting store.url, or this folder]
    #[arg(value_name = "FOLDER|DST")]
    pub(crate) place: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArg {
    /// A run: its name, its folder, or a destination, of which it is the newest
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Ends with the exit code of the run; 10 if no end of it is recorded
    #[arg(long)]
    pub(crate) exit_status: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FailuresArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Shows every failure by itself, with all that is known of it
    #[arg(long)]
    pub(crate) full: bool,

    /// Only the failures of this group
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
}

/// Lists runs, oldest first.
pub(crate) fn runs(args: &RunsArgs, settled: &Settled, out: &Out) -> Result<()> {
    let here = || Location::parse(".");
    let place = match (&args.place, settled.run_store()) {
        (Some(place), _) => Location::parse(place)?,
        (None, Some(store)) => store.clone(),
        (None, None) => here()?,
    };
    let runs = list_runs(&place, settled.run_store(), &settled.store()?)?;
    let mut table = Table::new(["RUN", "STATE", "COMMAND", "BEGAN", "DESTINATION"]);
    for run in &runs {
        let it = &run.summary;
        let began = if it.started_ms == 0 { "-".to_owned() } else { moment(it.started_ms) };
        let destination = it.destination.clone().unwrap_or_default();
        table.row([
            it.id.clone(),
            state_name(it.state).to_owned(),
            word(&it.kind),
            began,
            destination,
        ]);
    }
    let listed: Vec<Value> = runs.iter().map(summary_json).collect();
    let text = match runs.is_empty() {
        true => format!("no runs in {place}"),
        false => table.to_string(),
    };
    out.result(&text, &json!({ "v": 1, "runs": listed }))
}

fn word(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// What the state of a run is called.
pub(crate) fn state_name(state: Option<RunState>) -> &'static str {
    state.map_or("UNFINISHED", RunState::name)
}

fn summary_json(run: &Run) -> Value {
    let it = &run.summary;
    json!({
        "run": it.id,
        "folder": it.folder.to_string(),
        "state": state_name(it.state),
        "command": it.kind,
        "started_ms": it.started_ms,
        "destination": it.destination,
    })
}

/// The run that is named.
pub(crate) fn found(run: &RunArg, settled: &Settled) -> Result<Run> {
    find_run(&run.run, settled.run_store(), &settled.store()?)
}

/// Says how a run goes, or how it has ended.
pub(crate) fn status(args: &StatusArgs, settled: &Settled, out: &Out) -> Result<Finished> {
    let run = found(&args.run, settled)?;
    let report = run.report()?;
    let committed = run.committed_count()?;
    let mut text = match &report {
        Some(report) => told(report),
        None => untold(&run, committed),
    };
    let refusals = refusals_of(&run, settled)?;
    for Refused { part, error, count: times } in &refusals {
        let part = if part.is_empty() { String::new() } else { format!(" ({part})") };
        text.push_str(&format!("\n  refused  {error} ×{}{part}", count(u64::from(*times))));
    }
    let mut document = summary_json(&run);
    let exit = exit_of(&run)?;
    if let Some(document) = document.as_object_mut() {
        document.insert("v".to_owned(), 1.into());
        document.insert("exit".to_owned(), json!(report.as_ref().map(|report| &report.exit)));
        document
            .insert("tasks".to_owned(), json!(report.as_ref().map(|report| report.tasks_summary)));
        document.insert("committed".to_owned(), committed.into());
        document.insert("error".to_owned(), json!(run.error()));
        document.insert("refusals".to_owned(), json!(refusals));
    }
    out.result(&text, &document)?;
    Ok(match args.exit_status {
        true => Finished::With(exit.unwrap_or(STILL_RUNNING)),
        false => Finished::Whole,
    })
}

/// Submissions of workers that were refused for one reason.
#[derive(Debug, Serialize)]
struct Refused {
    /// The part of the run; empty for the write.
    part: String,
    error: String,
    count: u32,
}

/// All of them, each error once with its count.
fn refusals_of(run: &Run, settled: &Settled) -> Result<Vec<Refused>> {
    let mut refusals = Vec::new();
    for (part, place) in run.meeting_places(&settled.store()?)? {
        let of_part = place.refusals()?.into_iter();
        refusals.extend(of_part.map(|(error, count)| Refused { part: part.clone(), error, count }));
    }
    Ok(refusals)
}

/// The exit code of a run; nothing if no end of it is recorded.
pub(crate) fn exit_of(run: &Run) -> Result<Option<u8>> {
    Ok(match (run.report()?, run.summary.state) {
        (Some(report), _) => Some(report.exit.code),
        (None, None) => None,
        (None, Some(RunState::Succeeded)) => Some(0),
        (None, Some(RunState::Cancelled)) => Some(ErrorCode::CANCELLED.exit_code()),
        (None, Some(RunState::Failed)) => Some(1),
    })
}

/// A run that has a report.
fn told(report: &Report) -> String {
    let (run, outputs, exit) = (&report.run, &report.outputs, &report.exit);
    let mut text = format!(
        "{} {}   {} → {}\n  began    {}   took {}\n  objects  {} of {} committed, {} with fill values, {} missing\n  \
         tasks    {} of {} done, {} failed, {} tried again, {} elements left out\n  exit     {}",
        run.id,
        exit.state.name(),
        run.kind,
        run.destination,
        moment(run.started_ms),
        duration(report.resources.wall_ms),
        count(outputs.chunks_written),
        count(outputs.chunks_expected),
        count(outputs.chunks_filled),
        count(outputs.chunks_missing),
        count(report.tasks_summary.done),
        count(report.tasks_summary.total),
        count(report.tasks_summary.failed),
        count(report.tasks_summary.retried),
        count(report.tasks_summary.quarantined),
        exit.code,
    );
    if let Some(reason) = &exit.reason {
        text.push_str(&format!("   {reason}"));
    }
    if exit.resumable {
        text.push_str(&format!(
            "\n  next     levain resume {}, or the same command with --resume",
            run.folder
        ));
    }
    text.push_str(&format!("\n  report   {}/report.html", run.folder));
    text
}

/// A run without a report: it goes on, was killed, or could not write one.
fn untold(run: &Run, committed: u64) -> String {
    let it = &run.summary;
    let destination = it.destination.clone().unwrap_or_default();
    let mut text =
        format!("{} {}   {} → {destination}", it.id, state_name(it.state), word(&it.kind));
    text.push_str(&format!("\n  objects  {} committed", count(committed)));
    match run.error() {
        Some(error) => text.push_str(&format!("\n{error}")),
        None if it.state.is_none() => text.push_str(
            "\n  no end is recorded: it runs, or it was killed; `levain watch RUN` shows it, and\n  after a kill `levain resume RUN` (or the same command with --resume) goes on",
        ),
        None => {}
    }
    text
}

/// Shows what failed.
pub(crate) fn failures(args: &FailuresArgs, settled: &Settled, out: &Out) -> Result<()> {
    let run = found(&args.run, settled)?;
    let Some(index) = run.failure_index()? else {
        let document =
            json!({ "v": 1, "run": run.summary.id, "count": 0, "groups": [], "failures": [] });
        let text = match run.summary.state {
            Some(RunState::Succeeded) => "nothing failed",
            Some(_) => "no failure is recorded; `levain status RUN` says how the run ended",
            None => "no failure is recorded so far: the run has not ended",
        };
        return out.result(text, &document);
    };
    let is_wanted = |group: &str| args.group.as_deref().is_none_or(|wanted| wanted == group);
    let groups: Vec<&FailureGroup> = index.groups.iter().filter(|it| is_wanted(&it.id)).collect();
    if let (Some(wanted), []) = (&args.group, groups.as_slice()) {
        let known: Vec<&str> = index.groups.iter().map(|group| group.id.as_str()).collect();
        let message = format!("the run has no group `{wanted}` of failures");
        let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
        return Err(error.mend(format!("there are: {}", known.join(", "))));
    }
    let mut records: Vec<FailureRecord> = Vec::new();
    if args.full || out.is_json() {
        for id in &index.records {
            records.extend(Some(run.failure(id)?).filter(|record| is_wanted(&record.group)));
        }
    }
    let mut lines = vec![failures_text(index.count, index.groups.len())];
    lines.extend(groups.iter().map(|group| group_text(group)));
    lines.extend(records.iter().filter(|_| args.full).map(record_text));
    let document = json!({
        "v": 1, "run": index.run, "count": index.count, "groups": groups, "failures": records,
    });
    out.result(&lines.join("\n"), &document)
}

fn group_text(group: &FailureGroup) -> String {
    let step = group.step.as_ref().map(|step| format!(" in {step}")).unwrap_or_default();
    let mut text =
        format!("{} {} ×{}{step}: {}", group.id, group.code, count(group.count), group.message);
    if !group.first.is_empty() {
        let more = if group.count > group.first.len() as u64 { ", ..." } else { "" };
        text.push_str(&format!("\n  first    {}{more}", group.first.join(", ")));
    }
    if let Some(mend) = &group.mend {
        text.push_str(&format!("\n  mend     {mend}"));
    }
    for next in &group.next {
        text.push_str(&format!("\n  next     {next}"));
    }
    text
}

fn record_text(record: &FailureRecord) -> String {
    let chain = record.chain.join(": ");
    let mut text =
        format!("{} {} {} ({}): {chain}", record.id, record.group, record.code, record.class);
    for (role, place) in &record.at {
        text.push_str(&format!("\n  {role:<8} {place}"));
    }
    text.push_str(&format!("\n  tried    {}", record.attempts));
    text
}

/// Writes the page of a run anew from its report, and says where both lie.
pub(crate) fn report(args: &RunArg, settled: &Settled, out: &Out) -> Result<()> {
    let run = found(args, settled)?;
    let Some(report) = run.report()? else {
        let message = "the run has no report";
        let error = Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message);
        let mend = match run.summary.state {
            None => "it has not ended, or was killed: `levain status RUN`; go on with --resume",
            Some(_) => {
                "it could not be written when the run ended; `levain status RUN` says how it ended"
            }
        };
        return Err(error.at("run", &run.summary.folder).mend(mend));
    };
    let page = run.write_page(&report)?.to_string();
    let json = run.summary.folder.join("report.json").to_string();
    out.result(
        &format!("{page}\n{json}"),
        &json!({ "v": 1, "run": report.run.id, "html": page, "json": json }),
    )
}
