//! Runs that were: found by their name, their folder or their destination, and what is known of
//! them.

use std::fmt::Display;

use ::bake::read_commits;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::job::about::Again;
use crate::job::run_store::{RUN_NAME_LENGTH, ResultRecord, RunStore};
use crate::report::{FailureIndex, FailureRecord, Report, RunState};

/// What ends the name of a folder in which runs are kept.
const FOLDER_END: &str = ".levain";

/// What is known of a run without its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its name.
    pub id: String,
    /// The folder of its records.
    pub folder: Location,
    /// Where its output lies, if its record says so.
    pub destination: Option<String>,
    /// The command: `bake`, `rechunk`; empty if it is not known.
    pub kind: String,
    /// When it began, in milliseconds since 1970; 0 if it is not known.
    pub started_ms: u64,
    /// How it ended; nothing while it runs, or if it was killed.
    pub state: Option<RunState>,
}

/// The record of a run at its beginning, as far as it is read.
#[derive(Debug, Default, Deserialize)]
struct Begun {
    #[serde(default)]
    destination: Option<String>,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    started_ms: u64,
    #[serde(default)]
    again: Option<Again>,
    #[serde(default)]
    host: String,
    #[serde(default)]
    process: u32,
}

/// A run in a run store.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is known of it.
    pub summary: RunSummary,
    objects: Objects,
    result: Option<ResultRecord>,
    again: Option<Again>,
    process: (String, u32),
}

impl Run {
    /// Opens the run in a folder; `None` if there is none.
    ///
    /// # Errors
    /// A store that fails, or records that are damaged.
    pub fn open(folder: &Location, store: &StoreOptions) -> Result<Option<Self>> {
        let objects = Objects::open(folder, store)?;
        let Some(begun) = read::<Begun>(&objects, "run.json")? else { return Ok(None) };
        let result = read::<ResultRecord>(&objects, "result.json")?;
        let state = result.as_ref().map(|result| match result.state.as_str() {
            "SUCCEEDED" => RunState::Succeeded,
            "CANCELLED" => RunState::Cancelled,
            _ => RunState::Failed,
        });
        let Begun { destination, kind, started_ms, again, host, process } = begun;
        let process = (host, process);
        let (id, folder) = (folder.file_name().to_owned(), folder.clone());
        let summary = RunSummary { id, folder, destination, kind, started_ms, state };
        Ok(Some(Self { summary, objects, result, again, process }))
    }

    /// Its report, if it has ended and could write one.
    ///
    /// # Errors
    /// A store that fails, or a report that is damaged.
    pub fn report(&self) -> Result<Option<Report>> {
        read(&self.objects, "report.json")
    }

    /// The same as it was written.
    ///
    /// # Errors
    /// As [`Run::report`].
    pub fn report_json(&self) -> Result<Option<Value>> {
        read(&self.objects, "report.json")
    }

    /// What failed, in groups; nothing if nothing did, or if the run has no report.
    ///
    /// # Errors
    /// A store that fails, or records that are damaged.
    pub fn failure_index(&self) -> Result<Option<FailureIndex>> {
        read(&self.objects, "failures/index.json")
    }

    /// A failure by its name.
    ///
    /// # Errors
    /// No such failure, a store that fails, or a record that is damaged.
    pub fn failure(&self, id: &str) -> Result<FailureRecord> {
        let record = read(&self.objects, &format!("failures/{id}.json"))?;
        record.ok_or_else(|| damaged("a failure has no record", "record", id))
    }

    /// Units that it has committed so far.
    ///
    /// # Errors
    /// A store that fails, or records that are damaged.
    pub fn committed_count(&self) -> Result<u64> {
        let mut count = 0;
        read_commits(&self.objects, |record| {
            count += record.units.len() as u64;
            Ok(())
        })?;
        Ok(count)
    }

    /// How its command is given again; nothing for a run that keeps no arguments.
    pub fn again(&self) -> Option<&Again> {
        self.again.as_ref()
    }

    /// The machine and the process that began it; nothing where that is not known.
    pub fn process(&self) -> Option<(&str, u32)> {
        let (host, process) = &self.process;
        (*process != 0).then_some((host.as_str(), *process))
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The error that ended it, in a sentence, if one did.
    pub fn error(&self) -> Option<&str> {
        self.result.as_ref()?.error.as_deref()
    }

    /// Writes its page anew, from its report.
    ///
    /// # Errors
    /// A run without a report, or a store that fails.
    pub fn write_page(&self, report: &Report) -> Result<Location> {
        let page = bytes::Bytes::from(crate::report::page(report));
        self.objects.put("report.html", page).wait()?;
        Ok(self.summary.folder.join("report.html"))
    }
}

fn read<T: DeserializeOwned>(objects: &Objects, key: &str) -> Result<Option<T>> {
    let Some(body) = objects.try_get(key)? else { return Ok(None) };
    let value = serde_json::from_slice(&body);
    value
        .map(Some)
        .map_err(|why| damaged(format!("a record of a run is damaged: {why}"), "record", key))
}

fn damaged(message: impl AsRef<str>, role: &str, place: impl Display) -> Error {
    let error = Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::Corrupt, message);
    error.at(role, place).mend("run the command of the run again")
}

/// All runs below a place, oldest first: of a destination and its groups, of a folder of runs, or of a folder or
/// store in which there are some. `runs` is where runs are kept that do not lie beside their
/// destinations.
///
/// # Errors
/// A store that fails, or records that are damaged.
pub fn list_runs(
    place: &Location,
    runs: Option<&Location>,
    store: &StoreOptions,
) -> Result<Vec<Run>> {
    let mut found = Vec::new();
    for folder in folders_of(place, runs, store)? {
        for name in names_in(&folder, store)?.into_iter().filter(|name| is_run_name(name)) {
            found.extend(Run::open(&folder.join(&name), store)?);
        }
    }
    found.sort_by(|a, b| a.summary.id.cmp(&b.summary.id));
    found.dedup_by(|a, b| a.summary.folder == b.summary.folder);
    Ok(found)
}

/// The folders of runs that a place stands for.
fn folders_of(
    place: &Location,
    runs: Option<&Location>,
    store: &StoreOptions,
) -> Result<Vec<Location>> {
    if place.file_name().ends_with(FOLDER_END) {
        return Ok(vec![place.clone()]);
    }
    let mut folders = Vec::new();
    if !place.file_name().is_empty() {
        folders.push(RunStore::folder(place)?);
        if let Some(runs) = runs {
            folders.push(RunStore::folder(&RunStore::place_within(runs, place))?);
        }
        // A group within a store.
        let of_group = RunStore::folder(&RunStore::place_of_runs(runs, place, store)?)?;
        if !folders.contains(&of_group) {
            folders.push(of_group);
        }
    }
    let within = names_in(place, store)?.into_iter().filter(|name| name.ends_with(FOLDER_END));
    folders.extend(within.map(|name| place.join(&name)));
    let mut of_groups = Vec::new();
    for folder in &folders {
        add_groups(&folder.join("groups"), store, &mut of_groups)?;
    }
    folders.extend(of_groups);
    Ok(folders)
}

/// The folders of runs of all groups below.
fn add_groups(place: &Location, store: &StoreOptions, found: &mut Vec<Location>) -> Result<()> {
    for name in names_in(place, store)? {
        let below = place.join(&name);
        if name.ends_with(FOLDER_END) {
            found.push(below);
        } else {
            add_groups(&below, store, found)?;
        }
    }
    Ok(())
}

fn names_in(folder: &Location, store: &StoreOptions) -> Result<Vec<String>> {
    let (folders, _) = Objects::open(folder, store)?.list_folder("")?;
    Ok(folders.into_iter().map(|name| name.trim_end_matches('/').to_owned()).collect())
}

fn is_run_name(name: &str) -> bool {
    name.len() == RUN_NAME_LENGTH
        && name.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_uppercase())
}

/// The run that a text names: its folder, a destination (its newest run), or its name alone, which
/// is looked for below `runs`, or in the folder in which the process runs.
///
/// # Errors
/// No such run, a store that fails, or records that are damaged.
pub fn find_run(text: &str, runs: Option<&Location>, store: &StoreOptions) -> Result<Run> {
    let here = Location::parse(".")?;
    if is_run_name(text) {
        let places = runs.into_iter().chain([&here]);
        for place in places {
            let known = list_runs(place, None, store)?;
            if let Some(run) = known.into_iter().find(|run| run.summary.id == text) {
                return Ok(run);
            }
        }
        return Err(no_run(text, "name its folder, DST.levain/RUN, or set store.url"));
    }
    let place = Location::parse(text)?;
    if is_run_name(place.file_name())
        && let Some(run) = Run::open(&place, store)?
    {
        return Ok(run);
    }
    let newest = list_runs(&place, runs, store)?.pop();
    newest.ok_or_else(|| no_run(text, "`levain runs FOLDER` lists the runs of a folder"))
}

fn no_run(text: &str, mend: &str) -> Error {
    let error = Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, "there is no such run");
    error.at("run", text).mend(mend)
}
