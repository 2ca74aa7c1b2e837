//! The run store: what a run was asked, what it planned, what it committed, how it ended.
//!
//! It lies beside the destination, `DST.levain/<run>/`, and never inside it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use ::bake::{BakePlan, ValidationReport};
use array::{GroupPath, WrittenUnit};
use bytes::Bytes;
use chunks::{DoneUnits, Written};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::job::about::RunAbout;
use crate::job::cancel::CANCEL;

/// The version of the run store's form.
const VERSION: u32 = 1;
/// The units that were there when the run began, if workers are to know.
const DONE_UNITS: &str = "done-units.json";
/// Groups within groups of which runs are looked for.
const GROUP_DEPTH: usize = 4;
/// Characters of the name of a run.
pub(crate) const RUN_NAME_LENGTH: usize = 26;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// One run in a run store.
#[derive(Debug, Clone)]
pub(crate) struct RunStore {
    location: Location,
    objects: Objects,
}

#[derive(Debug, Serialize, Deserialize)]
struct RunRecord<'a> {
    v: u32,
    run: &'a str,
    destination: String,
    fingerprint: String,
    started_ms: u64,
    #[serde(flatten)]
    about: std::borrow::Cow<'a, RunAbout>,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ResultRecord {
    v: u32,
    /// `SUCCEEDED`, `FAILED` or `CANCELLED`.
    pub(crate) state: String,
    /// The error, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether units are left that belong to no store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_remains: bool,
}

/// How a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) state: &'a str,
    pub(crate) error: Option<&'a Error>,
    pub(crate) has_remains: bool,
}

/// A run that was, and that had a plan.
#[derive(Debug, Clone)]
pub(crate) struct PastRun {
    location: Location,
    objects: Objects,
    plan: Bytes,
    /// How it ended; nothing for a run whose end nobody knows, be it that its result cannot be
    /// read.
    result: Option<ResultRecord>,
}

impl PastRun {
    fn open(location: &Location, store: &StoreOptions) -> Result<Option<Self>> {
        let objects = Objects::open(location, store)?;
        let Some(plan) = objects.try_get("plan.json")? else { return Ok(None) };
        let result = objects.try_get("result.json")?;
        let result = result.and_then(|body| serde_json::from_slice(&body).ok());
        Ok(Some(Self { location: location.clone(), objects, plan, result }))
    }

    /// Where it lies.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Its records.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What it planned; nothing if this version cannot read that.
    pub(crate) fn plan(&self) -> Option<BakePlan> {
        serde_json::from_slice(&self.plan).ok()
    }

    /// Whether it came to its end.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.state == "SUCCEEDED")
    }

    /// Whether somebody has said how it ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.result.is_some()
    }

    /// Whether it may have left units that belong to no store.
    pub(crate) fn has_remains(&self) -> bool {
        self.result.as_ref().is_none_or(|result| result.has_remains)
    }
}

impl RunStore {
    /// The folder of all runs of a destination.
    pub(crate) fn folder(destination: &Location) -> Result<Location> {
        let name = format!("{}.levain", destination.file_name());
        match destination.parent() {
            Some(parent) => Ok(parent.join(&name)),
            None => Err(Error::internal("the destination has no name")),
        }
    }

    /// The name under which runs of a destination are kept below a place that several share.
    pub(crate) fn place_within(place: &Location, destination: &Location) -> Location {
        let digest = xxh3_64(destination.to_string().as_bytes());
        place.join(&format!("{}-{digest:016x}", destination.file_name()))
    }

    /// A new run of this destination; nothing is written yet.
    pub(crate) fn new(destination: &Location, store: &StoreOptions) -> Result<Self> {
        let location = Self::folder(destination)?.join(&new_run_id());
        let objects = Objects::open(&location, store)?;
        Ok(Self { location, objects })
    }

    /// A run that is there.
    pub(crate) fn at(location: &Location, store: &StoreOptions) -> Result<Self> {
        Ok(Self { location: location.clone(), objects: Objects::open(location, store)? })
    }

    /// What the run has planned.
    ///
    /// # Errors
    /// No plan, or one of another version.
    pub(crate) fn plan(&self) -> Result<BakePlan> {
        serde_json::from_slice(&self.objects.get("plan.json")?).map_err(|why| {
            let message = format!("the plan of the run cannot be read: {why}");
            Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
                .at("run", &self.location)
                .mend("give the workers the binary that the driver runs")
        })
    }

    /// Says which units were there when the run began, for whoever builds its pipeline again.
    pub(crate) fn put_done(&self, done: &DoneUnits) -> Result<()> {
        let units = done.iter().flat_map(|(array, units)| {
            units.iter().map(|(index, unit)| Written {
                array: array.clone(),
                index: index.clone(),
                encoded_bytes: unit.encoded_bytes,
                crc32c: unit.crc32c,
            })
        });
        self.put(DONE_UNITS, &units.collect::<Vec<_>>())
    }

    /// The units that were there when the run began.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub(crate) fn done(&self) -> Result<DoneUnits> {
        let mut done = DoneUnits::default();
        let Some(body) = self.objects.try_get(DONE_UNITS)? else { return Ok(done) };
        let units: Vec<Written> = serde_json::from_slice(&body).map_err(|why| {
            let message = format!("the list of units of the run cannot be read: {why}");
            Error::new(ErrorCode::METADATA_BROKEN, ErrorKind::Corrupt, message)
                .at("run", &self.location)
        })?;
        for unit in units {
            let written = WrittenUnit { encoded_bytes: unit.encoded_bytes, crc32c: unit.crc32c };
            done.entry(unit.array).or_default().insert(unit.index, written);
        }
        Ok(done)
    }

    /// All runs of this destination that had a plan, oldest first: others have written nothing.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn history(destination: &Location, store: &StoreOptions) -> Result<Vec<PastRun>> {
        let folder = Self::folder(destination)?;
        let runs = Self::runs(&folder, store)?.into_iter();
        let opened = runs.map(|run| PastRun::open(&folder.join(&run), store));
        opened.filter_map(Result::transpose).collect()
    }

    /// The newest of them.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn newest(destination: &Location, store: &StoreOptions) -> Result<Option<PastRun>> {
        let folder = Self::folder(destination)?;
        let runs = Self::runs(&folder, store)?.into_iter().rev();
        let mut opened = runs.map(|run| PastRun::open(&folder.join(&run), store));
        opened.find_map(Result::transpose).transpose()
    }

    /// The name of the newest run of a destination, whatever became of it; none if there is none.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn newest_name(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<Option<String>> {
        let runs = Self::runs(&Self::folder(destination)?, store)?;
        // `groups` holds the runs of groups.
        Ok(runs.into_iter().rfind(|name| name.len() == RUN_NAME_LENGTH))
    }

    /// The variables and groups of which the newest run has left units that belong to no store.
    pub(crate) fn names_of_dead_run(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<BTreeSet<String>> {
        let Some(run) = Self::newest(destination, store)?.filter(PastRun::has_remains) else {
            return Ok(BTreeSet::new());
        };
        let plan = run.plan();
        let names = plan.iter().flat_map(BakePlan::top_names);
        Ok(names.map(str::to_owned).collect())
    }

    /// The names of all runs, oldest first.
    fn runs(folder: &Location, store: &StoreOptions) -> Result<Vec<String>> {
        let (mut runs, _) = Objects::open(folder, store)?.list_folder("")?;
        for run in &mut runs {
            *run = run.trim_end_matches('/').to_owned();
        }
        runs.sort();
        Ok(runs)
    }

    /// The place beside which the runs of a group of the store at `root` are kept, never within the
    /// store: below a shared one, if there is one.
    pub(crate) fn place_of(
        shared: Option<&Location>,
        root: &Location,
        group: &GroupPath,
    ) -> Result<Location> {
        let root = shared.map_or(root.clone(), |shared| Self::place_within(shared, root));
        if group.is_root() {
            return Ok(root);
        }
        Ok(Self::folder(&root)?.join("groups").join(&group.to_string()))
    }

    /// The place beside which the runs of a store, or of a group in one, are kept: below a shared one
    /// if that has some.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn place_of_runs(
        shared: Option<&Location>,
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<Location> {
        let (mut root, mut names) = (destination.clone(), Vec::new());
        for _ in 0..=GROUP_DEPTH {
            let group = names
                .iter()
                .rev()
                .try_fold(GroupPath::default(), |group, name: &String| group.child(name));
            // What is no name of a group ends the search.
            let (Ok(group), Some(above)) = (group, root.parent()) else { break };
            for shared in shared.map(Some).into_iter().chain([None]) {
                let place = Self::place_of(shared, &root, &group)?;
                match Self::newest_name(&place, store) {
                    Ok(None) => {}
                    // Nobody needs a right to look beside the store that he has named.
                    Err(why) if !group.is_root() && why.kind() == ErrorKind::PermissionDenied => {}
                    found => return found.map(|_| place),
                }
            }
            names.push(root.file_name().to_owned());
            root = above;
        }
        Ok(destination.clone())
    }

    /// The objects of this run.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where this run lies.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Says by which plan the run writes: from then on it is the newest run of its destination.
    pub(crate) fn put_plan(&self, plan: &impl Serialize) -> Result<()> {
        self.put("plan.json", plan)
    }

    /// Says that the run begins. One without a plan, as that of a coarser level, is no run that others
    /// find.
    pub(crate) fn begin(
        &self,
        destination: &Location,
        fingerprint: &str,
        about: &RunAbout,
    ) -> Result<()> {
        let run = RunRecord {
            v: VERSION,
            run: self.location.file_name(),
            destination: destination.to_string(),
            fingerprint: fingerprint.to_owned(),
            started_ms: now_ms(),
            about: std::borrow::Cow::Borrowed(about),
        };
        self.put("run.json", &run)
    }

    /// Forgets that an earlier driver of the run was asked to stop.
    pub(crate) fn forget_cancel(&self) -> Result<()> {
        self.objects.delete(CANCEL)
    }

    /// Forgets how an earlier driver of the run has ended.
    pub(crate) fn reopen(&self) -> Result<()> {
        ["result.json", "report.json"].iter().try_for_each(|key| self.objects.delete(key))
    }

    /// Says what the checks of the run have found, and gives the place where that is said.
    pub(crate) fn put_validation(&self, report: &ValidationReport) -> Result<Location> {
        self.put("validation.json", report)?;
        Ok(self.location.join("validation.json"))
    }

    /// Keeps a document of the run.
    pub(crate) fn put_document(&self, key: &str, value: &impl Serialize) -> Result<()> {
        self.put(key, value)
    }

    /// Says how the run ended.
    pub(crate) fn end(&self, end: End<'_>) -> Result<()> {
        let End { state, error, has_remains } = end;
        let (state, error) = (state.to_owned(), error.map(ToString::to_string));
        self.put("result.json", &ResultRecord { v: VERSION, state, error, has_remains })
    }

    fn put(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let body = serde_json::to_vec_pretty(value)
            .map_err(|why| Error::internal(format!("{key} has no JSON: {why}")))?;
        self.objects.put(key, Bytes::from(body)).wait()
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A ULID: names of runs sort by the time at which they began.
fn new_run_id() -> String {
    let random = || u128::from(RandomState::new().build_hasher().finish());
    let bits = u128::from(now_ms()) << 80 | (random() << 64 | random()) & ((1 << 80) - 1);
    (0..RUN_NAME_LENGTH)
        .rev()
        .map(|place| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::new_run_id;

    #[test]
    fn run_names_have_26_characters_and_differ() {
        let (first, second) = (new_run_id(), new_run_id());
        assert_eq!((first.len(), second.len()), (26, 26));
        assert_ne!(first, second);
        assert!(first[..6] <= second[..6]);
    }
}
