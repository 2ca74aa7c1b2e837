//! The objects of one run, read and written as documents.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{
    Edge, EdgeBytes, Location, ObjectFacts, ObjectWriter, Objects, Pending, StoreOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::requests::{Requests, Tally};
use crate::store::{ResultRecord, RunRecord, keys};

/// Folders of what is kept for as long as a run goes on.
const KEPT_WHILE_IT_GOES_ON: [&str; 4] =
    [keys::RECORDS, keys::PAYLOADS, keys::CLAIMS, keys::HEARTBEATS];
/// Lists of a folder that is deleted: one may show what was there before.
const DELETE_ROUNDS: usize = 3;

/// The objects of one run; cheap to clone.
#[derive(Debug, Clone)]
pub struct RunStore {
    objects: Objects,
    tally: Arc<Tally>,
}

impl RunStore {
    /// The run whose objects lie below `root`; nothing is asked of the store yet.
    ///
    /// # Errors
    /// Settings of a store that make no sense.
    pub fn open(root: &Location, options: &StoreOptions) -> Result<Self> {
        Ok(Self { objects: Objects::open(root, options)?, tally: Arc::default() })
    }

    /// A handle of the same run that counts its requests by itself.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { objects: self.objects.clone(), tally: Arc::default() }
    }

    /// What was asked of the store through this handle and its clones.
    pub fn requests(&self) -> Requests {
        self.tally.so_far()
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
        let run: RunRecord = self.read_named(keys::RUN)?.ok_or_else(|| {
            let message = "there is no run to work on";
            Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
                .at("run", self.root())
        })?;
        run.check_version(self)?;
        Ok(run)
    }

    /// Whether there is a run that has begun, whatever became of it.
    ///
    /// # Errors
    /// A store that fails.
    pub fn has_begun(&self) -> Result<bool> {
        self.has(keys::RUN)
    }

    /// Whether there is a run that has begun and has no end.
    ///
    /// # Errors
    /// A store that fails.
    pub fn is_open(&self) -> Result<bool> {
        Ok(self.has(keys::RUN)? && !self.has(keys::RESULT)?)
    }

    /// The errors of submissions that were refused, each with how often it came.
    ///
    /// # Errors
    /// A store that fails.
    pub fn refusals(&self) -> Result<BTreeMap<String, u32>> {
        Ok(self.read(keys::REFUSALS)?.unwrap_or_default())
    }

    /// Takes back that a run has failed, so that it can be gone on with: tasks that have failed are
    /// tried again, and what was committed stays. Nothing happens to a run that has no end; false for one
    /// that cannot be gone on with, because there is none or it has succeeded.
    ///
    /// # Errors
    /// A store that fails.
    pub fn reopen(&self) -> Result<bool> {
        if !self.has(keys::RUN)? {
            return Ok(false);
        }
        let Some(ended) = self.read::<ResultRecord>(keys::RESULT)? else { return Ok(true) };
        if ended.state == "SUCCEEDED" {
            return Ok(false);
        }
        self.delete_all(keys::FAILURES)?;
        let decisions = self.list(keys::PLANS)?.into_iter().map(|it| it.key);
        decisions.filter(|key| key.contains(".x")).try_for_each(|key| self.delete(&key))?;
        // Last, so that whoever dies before leaves a run that has an end.
        self.delete(keys::RESULT)?;
        Ok(true)
    }

    /// Creates a document if there is none, and says whether it is this one.
    pub(crate) fn create<T: Serialize>(&self, key: &str, document: &T) -> Result<bool> {
        self.create_bytes(key, encoded(document)?)
    }

    /// The same, of bytes.
    pub(crate) fn create_bytes(&self, key: &str, bytes: Bytes) -> Result<bool> {
        self.tally.put(bytes.len() as u64);
        self.objects.create(key, bytes)
    }

    /// Writes a document in place of the one that may be there.
    pub(crate) fn put<T: Serialize>(&self, key: &str, document: &T) -> Result<()> {
        self.put_pieces(key, vec![encoded(document)?])
    }

    /// Writes pieces, one after the other, as one object.
    pub(crate) fn put_pieces(&self, key: &str, pieces: Vec<Bytes>) -> Result<()> {
        self.start_put(key, pieces).wait()
    }

    /// Starts to write pieces, one after the other, as one object.
    pub(crate) fn start_put(&self, key: &str, pieces: Vec<Bytes>) -> Pending<()> {
        self.tally.put(pieces.iter().map(|piece| piece.len() as u64).sum());
        self.objects.put_pieces(key, pieces)
    }

    /// Begins to write a long object, of which so many parts of so many bytes in all will be sent.
    pub(crate) fn writer(&self, key: &str, bytes: u64) -> Result<ObjectWriter> {
        // Two requests more begin and end it.
        let parts = bytes.div_ceil(ObjectWriter::PART_BYTES) + 1;
        (0..parts).for_each(|_| self.tally.put(0));
        self.tally.put(bytes);
        self.objects.writer(key)
    }

    /// Starts to read ranges of an object.
    pub(crate) fn start_fetch(&self, key: &str, ranges: Vec<Range<u64>>) -> Pending<Vec<Bytes>> {
        ranges.iter().for_each(|range| self.tally.get(range.end - range.start));
        self.objects.fetch(key, ranges)
    }

    /// Reads the beginning of an object; `None` if it does not exist.
    pub(crate) fn first(&self, key: &str, bytes: u64) -> Result<Option<EdgeBytes>> {
        let read = self.objects.edge(key, Edge::First(bytes)).wait()?;
        self.tally.get(read.as_ref().map_or(0, |read| read.bytes.len() as u64));
        Ok(read)
    }

    /// Deletes an object; one that does not exist is no error.
    pub(crate) fn delete(&self, key: &str) -> Result<()> {
        self.tally.delete();
        self.objects.delete(key)
    }

    /// Removes what is kept for as long as a run goes on, once it has ended: what anybody still writes there
    /// does not matter.
    pub(crate) fn tidy(&self) -> Result<()> {
        KEPT_WHILE_IT_GOES_ON.iter().try_for_each(|folder| self.delete_all(folder))?;
        self.sweep()
    }

    /// Removes what writes that were cut short have left there, which no list shows; no write that matters may be
    /// under way.
    pub(crate) fn sweep(&self) -> Result<()> {
        KEPT_WHILE_IT_GOES_ON.iter().try_for_each(|folder| self.sweep_folder(folder))
    }

    fn sweep_folder(&self, folder: &str) -> Result<()> {
        self.tally.list();
        self.objects.sweep(folder)
    }

    /// The keys of what [`RunStore::sweep`] would remove.
    pub(crate) fn unfinished(&self) -> Result<Vec<String>> {
        let found = KEPT_WHILE_IT_GOES_ON.iter().map(|folder| {
            self.tally.list();
            self.objects.unfinished(folder)
        });
        Ok(found.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Deletes all objects below a folder, until a list shows none.
    pub(crate) fn delete_all(&self, folder: &str) -> Result<()> {
        for _ in 0..DELETE_ROUNDS {
            self.tally.list();
            if self.objects.delete_all(folder)? == 0 {
                break;
            }
            self.tally.delete();
        }
        Ok(())
    }

    /// Reads a document; `None` if there is none.
    pub(crate) fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let read = self.objects.try_get(key)?;
        self.tally.get(read.as_ref().map_or(0, |bytes| bytes.len() as u64));
        read.map(|bytes| self.decoded(key, &bytes)).transpose()
    }

    /// Reads documents that are there, many at once; what has gone meanwhile is left out.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<Vec<(String, T)>> {
        let keys: Vec<String> = keys.into_iter().collect();
        let reads = keys.iter().map(|key| (key.clone(), None)).collect();
        let found = self.objects.fetch_many(reads).wait()?;
        found.iter().for_each(|read| self.tally.get(read.as_ref().map_or(0, |it| it.len() as u64)));
        let found = keys.into_iter().zip(found).filter_map(|(key, bytes)| Some((key, bytes?)));
        found.map(|(key, bytes)| Ok((key.clone(), self.decoded(&key, &bytes)?))).collect()
    }

    /// Lists what lies below a folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<ObjectFacts>> {
        self.tally.list();
        self.objects.list(folder)
    }

    /// The names of the objects at the root.
    pub(crate) fn list_root(&self) -> Result<Vec<String>> {
        self.tally.list();
        let (_, objects) = self.objects.list_folder("")?;
        Ok(objects.into_iter().map(|facts| facts.key).collect())
    }

    /// When an object was last written, in milliseconds since 1970, by the clock of the store.
    pub(crate) fn written_ms(&self, key: &str) -> Result<i64> {
        self.tally.get(0);
        Ok(self.objects.facts(key)?.last_modified_ms)
    }

    /// Whether there is such an object.
    ///
    /// Asked by its first byte, which costs as much: an answer to HEAD does not say why it is none, and to
    /// tell keys that have ended from all else would take a second request.
    pub(crate) fn has(&self, key: &str) -> Result<bool> {
        Ok(self.first(key, 1)?.is_some())
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
