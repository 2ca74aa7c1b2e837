//! The run store: what a run was asked, what it planned, what it committed, how it ended.
//!
//! It lies beside the destination, `DST.levain/<run>/`, and never inside it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

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

    /// The newest run of this destination that has succeeded.
    pub(crate) fn last_success(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<Option<Objects>> {
        let folder = Self::folder(destination)?;
        for run in Self::runs(&folder, store)?.into_iter().rev() {
            let objects = Objects::open(&folder.join(&run), store)?;
            if let Some(result) = read_result(&objects)? {
                return Ok((result.state == "SUCCEEDED").then_some(objects));
            }
        }
        Ok(None)
    }

    /// Whether some run of this destination began and did not succeed.
    pub(crate) fn holds_unfinished_run(
        destination: &Location,
        store: &StoreOptions,
    ) -> Result<bool> {
        let folder = Self::folder(destination)?;
        let Some(run) = Self::runs(&folder, store)?.pop() else { return Ok(false) };
        let result = read_result(&Objects::open(&folder.join(&run), store)?)?;
        Ok(result.is_none_or(|result| result.state != "SUCCEEDED"))
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
