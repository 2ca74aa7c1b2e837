//! The run store: what a run was asked, what it planned, what it committed, how it ended.
//!
//! It lies beside the destination, `DST.levain/<run>/`, and never inside it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use ::bake::BakePlan;
use bytes::Bytes;
use dataflow::error::{Error, Result};
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};

/// The version of the run store's form.
const VERSION: u32 = 1;
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
}

impl RunStore {
    /// The folder of all runs of a destination.
    fn folder(destination: &Location) -> Result<Location> {
        let name = format!("{}.levain", destination.file_name());
        match destination.parent() {
            Some(parent) => Ok(parent.join(&name)),
            None => Err(Error::internal("the destination has no name")),
        }
    }

    /// A new run of this destination; nothing is written yet.
    pub(crate) fn new(destination: &Location, store: &StoreOptions) -> Result<Self> {
        let location = Self::folder(destination)?.join(&new_run_id());
        let objects = Objects::open(&location, store)?;
        Ok(Self { location, objects })
    }

    /// The newest run of this destination, if it has succeeded: what it wrote is what is there.
    pub(crate) fn last_success(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<Option<Objects>> {
        let Some(run) = Self::newest(destination, store)? else { return Ok(None) };
        let result = read_result(&run)?;
        Ok(result.is_some_and(|result| result.state == "SUCCEEDED").then_some(run))
    }

    /// The variables that the newest run was to write, if it ended without saying how.
    pub(crate) fn variables_of_dead_run(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<BTreeSet<String>> {
        let Some(run) = Self::newest(destination, store)? else { return Ok(BTreeSet::new()) };
        if read_result(&run)?.is_some() {
            return Ok(BTreeSet::new());
        }
        let plan = run.try_get("plan.json")?;
        let plan = plan.and_then(|body| serde_json::from_slice::<BakePlan>(&body).ok());
        let variables = plan.into_iter().flat_map(|plan| plan.variables);
        Ok(variables.map(|variable| variable.name).collect())
    }

    fn newest(destination: &Location, store: &StoreOptions) -> Result<Option<Objects>> {
        let folder = Self::folder(destination)?;
        let newest = Self::runs(&folder, store)?.pop();
        newest.map(|run| Objects::open(&folder.join(&run), store)).transpose()
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

    /// Where this run lies.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Says that the run begins, and by which plan.
    pub(crate) fn begin(
        &self,
        destination: &Location,
        fingerprint: &str,
        plan: &impl Serialize,
    ) -> Result<()> {
        let run = RunRecord {
            v: VERSION,
            run: self.location.file_name(),
            destination: destination.to_string(),
            fingerprint: fingerprint.to_owned(),
            started_ms: now_ms(),
        };
        self.put("run.json", &run)?;
        self.put("plan.json", plan)
    }

    /// Says how the run ended.
    pub(crate) fn end(&self, state: &str, error: Option<&Error>) -> Result<()> {
        let error = error.map(ToString::to_string);
        self.put("result.json", &ResultRecord { v: VERSION, state: state.to_owned(), error })
    }

    fn put(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let body = serde_json::to_vec_pretty(value)
            .map_err(|why| Error::internal(format!("{key} has no JSON: {why}")))?;
        self.objects.put(key, Bytes::from(body)).wait()
    }
}

fn read_result(run: &Objects) -> Result<Option<ResultRecord>> {
    let body = run.try_get("result.json")?;
    // A result that cannot be read is that of a run whose end nobody knows.
    Ok(body.and_then(|body| serde_json::from_slice(&body).ok()))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A ULID: names of runs sort by the time at which they began.
fn new_run_id() -> String {
    let random = || u128::from(RandomState::new().build_hasher().finish());
    let bits = u128::from(now_ms()) << 80 | (random() << 64 | random()) & ((1 << 80) - 1);
    (0..26).rev().map(|place| char::from(ALPHABET[(bits >> (5 * place) & 31) as usize])).collect()
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
