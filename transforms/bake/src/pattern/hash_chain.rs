//! The chain of hashes over the files of a pattern: whether another begins with the same ones.

use dataflow::error::Result;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::pattern::dim::CombineOp;
use crate::pattern::file_pattern::FilePattern;
use crate::pattern::index::Index;

/// Where to go on after files that were there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    /// All files of the old pattern come first; this is the first new one.
    From(Index),
    /// The patterns have the same files.
    Nothing,
    /// This pattern does not begin with the old one, or its files are read in another way.
    Unrelated,
}

impl FilePattern {
    /// The hashes of what begins with no file, one file, and so on: one more than there are files.
    ///
    /// The first is SHA-256 of the settings and the items per file, as JSON; each other one that of
    /// the one before and of SHA-256 of the URL. Secrets are no part of it. Where there are no
    /// secrets these are the hashes of pangeo-forge's `get_merkle_list`. Memory: one hash.
    ///
    /// # Errors
    /// Each as [`FilePattern::url`].
    pub fn merkle_hashes(&self) -> impl Iterator<Item = Result<[u8; 32]>> + '_ {
        let root: [u8; 32] = Sha256::digest(self.root_text().as_bytes()).into();
        let mut hash = root;
        let chained = (0..self.len()).map(move |number| {
            let url = self.url_at(number)?;
            let file = Sha256::digest(url.as_bytes());
            hash = Sha256::new().chain_update(hash).chain_update(file).finalize().into();
            Ok(hash)
        });
        std::iter::once(Ok(root)).chain(chained)
    }

    /// The last of [`FilePattern::merkle_hashes`]. Cost: all URLs are made.
    ///
    /// # Errors
    /// As [`FilePattern::url`].
    pub fn sha256(&self) -> Result<[u8; 32]> {
        let mut last = [0; 32];
        for hash in self.merkle_hashes() {
            last = hash?;
        }
        Ok(last)
    }

    /// The first file that a pattern with this hash did not have.
    ///
    /// # Errors
    /// As [`FilePattern::url`].
    pub fn start_processing_from(&self, old_sha256: [u8; 32]) -> Result<Resumption> {
        for (number, hash) in (0..).zip(self.merkle_hashes()) {
            if hash? == old_sha256 {
                let from = self.index(number).map(Resumption::From);
                return Ok(from.unwrap_or(Resumption::Nothing));
            }
        }
        Ok(Resumption::Unrelated)
    }

    fn root_text(&self) -> String {
        let mut root = self.settings().clone();
        let concat = self.dims().iter().filter(|dim| dim.op() != CombineOp::Merge);
        let nitems = concat.map(|dim| {
            let nitems = dim.nitems_per_file().map_or(Value::Null, |it| it.get().into());
            (dim.name().to_owned(), nitems)
        });
        root.insert("nitems_per_file".to_owned(), Value::Object(nitems.collect()));
        root.retain(|_, value| !is_empty(value));
        sorted(&Value::Object(root)).to_string()
    }
}

/// Settings that say nothing are as if they were not there.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The same value with the keys of every object in order, so that equal settings have equal texts.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
