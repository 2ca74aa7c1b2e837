//! The objects of one run, read and written as documents.

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, ObjectFacts, Objects, StoreOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{RunRecord, keys};

/// The objects of one run; cheap to clone.
#[derive(Debug, Clone)]
pub struct RunStore {
    objects: Objects,
}

impl RunStore {
    /// The run whose objects lie below `root`; nothing is asked of the store yet.
    ///
    /// # Errors
    /// Settings of a store that make no sense.
    pub fn open(root: &Location, options: &StoreOptions) -> Result<Self> {
        Ok(Self { objects: Objects::open(root, options)? })
    }

    /// The objects.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where they lie.
    pub fn root(&self) -> &Location {
        self.objects.root()
    }

    /// What the run is.
    ///
    /// # Errors
    /// No run, one of another version, a store that fails.
    pub fn run_record(&self) -> Result<RunRecord> {
        let run: RunRecord = self.read(keys::RUN)?.ok_or_else(|| {
            let message = "there is no run to work on";
            Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
                .at("run", self.root())
        })?;
        run.check_version(self)?;
        Ok(run)
    }

    /// Whether there is a run that has begun and has no end.
    ///
    /// # Errors
    /// A store that fails.
    pub fn is_open(&self) -> Result<bool> {
        Ok(self.has(keys::RUN)? && !self.has(keys::RESULT)?)
    }

    /// Creates a document if there is none, and says whether it is this one.
    pub(crate) fn create<T: Serialize>(&self, key: &str, document: &T) -> Result<bool> {
        self.objects.create(key, encoded(document)?)
    }

    /// Writes a document in place of the one that may be there.
    pub(crate) fn put<T: Serialize>(&self, key: &str, document: &T) -> Result<()> {
        self.objects.put(key, encoded(document)?).wait()
    }

    /// Reads a document; `None` if there is none.
    pub(crate) fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.objects.try_get(key)?.map(|bytes| self.decoded(key, &bytes)).transpose()
    }

    /// Reads documents that are there, many at once; what has gone meanwhile is left out.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<Vec<(String, T)>> {
        let keys: Vec<String> = keys.into_iter().collect();
        let reads = keys.iter().map(|key| (key.clone(), None)).collect();
        let found = self.objects.fetch_many(reads).wait()?;
        let found = keys.into_iter().zip(found).filter_map(|(key, bytes)| Some((key, bytes?)));
        found.map(|(key, bytes)| Ok((key.clone(), self.decoded(&key, &bytes)?))).collect()
    }

    /// Lists what lies below a folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<ObjectFacts>> {
        self.objects.list(folder)
    }

    /// Whether there is such an object.
    pub(crate) fn has(&self, key: &str) -> Result<bool> {
        match self.objects.facts(key) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn decoded<T: DeserializeOwned>(&self, key: &str, bytes: &Bytes) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|why| {
            let message = format!("a document of the run store cannot be read: {why}");
            Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
                .at("object", self.root().join(key))
                .mend("begin a new run: this one was written by another version, or is damaged")
        })
    }
}

fn encoded<T: Serialize>(document: &T) -> Result<Bytes> {
    let bytes = serde_json::to_vec(document);
    let bytes = bytes.map_err(|why| Error::internal(format!("a document has no form: {why}")))?;
    Ok(bytes.into())
}
