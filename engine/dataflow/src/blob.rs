//! Payloads that a transform puts aside for a later one: large bytes that need not go through the
//! shuffle, which then carries only where they lie.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::shuffle::Scratch;

/// Blobs of one run, by key; they are gone when the run is.
///
/// What must hold: whoever is told of a blob after its bundle has committed can read it, on every
/// worker of the run; storing the same bytes twice under one key is harmless.
pub trait BlobStore: Debug + Send + Sync {
    /// Stores these parts, one after the other, as the blob of `key`.
    ///
    /// # Errors
    /// A store that is full or fails.
    fn put(&self, key: &str, parts: &[Bytes]) -> Result<()>;

    /// Starts to fetch ranges of a blob; they come in this order.
    ///
    /// Memory: the bytes of the ranges, until they are waited for.
    ///
    /// # Errors
    /// No such blob.
    fn fetch(&self, key: &str, ranges: &[Range<u64>]) -> Result<Box<dyn FetchedBlobs>>;
}

/// How large bytes travel that a later transform needs.
#[derive(Debug, Clone)]
pub enum Payloads {
    /// They are put aside, and elements say where they lie.
    Aside(Arc<dyn BlobStore>),
    /// They go through the shuffle, in their elements.
    InElements {
        /// The most bytes that an element may have.
        limit_bytes: u64,
    },
}

/// Ranges of a blob that are on their way.
pub trait FetchedBlobs: Send {
    /// Waits for the bytes of each range.
    ///
    /// # Errors
    /// A store that fails, a range beyond the end of the blob.
    fn wait(self: Box<Self>) -> Result<Vec<Bytes>>;
}

/// Blobs in one file of the scratch folder of this process.
#[derive(Debug)]
pub struct ScratchBlobs {
    scratch: Scratch,
    shelf: Mutex<Shelf>,
}

/// Where each blob lies; the file comes with the first one.
#[derive(Debug, Default)]
struct Shelf {
    file: Option<Arc<File>>,
    length: u64,
    blobs: BTreeMap<String, Range<u64>>,
}

impl ScratchBlobs {
    /// No blobs yet; they will go into this folder, and be counted as spilled.
    pub fn new(scratch: Scratch) -> Self {
        Self { scratch, shelf: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a blob, which nobody else writes.
    fn reserve(&self, bytes: u64) -> Result<(Arc<File>, u64)> {
        let mut shelf = self.lock();
        if shelf.file.is_none() {
            shelf.file = Some(Arc::new(self.scratch.file()?));
        }
        let Some(file) = &shelf.file else { return Err(Error::internal("a file was just made")) };
        let reserved = (Arc::clone(file), shelf.length);
        shelf.length += bytes;
        Ok(reserved)
    }
}

impl BlobStore for ScratchBlobs {
    fn put(&self, key: &str, parts: &[Bytes]) -> Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let (file, start) = self.reserve(bytes)?;
        let mut at = start;
        for part in parts {
            file.write_all_at(part, at).map_err(|error| self.scratch.cannot_spill(error))?;
            at += part.len() as u64;
        }
        self.scratch.count(bytes);
        self.lock().blobs.insert(key.to_owned(), start..at);
        Ok(())
    }

    fn fetch(&self, key: &str, ranges: &[Range<u64>]) -> Result<Box<dyn FetchedBlobs>> {
        let shelf = self.lock();
        let (Some(file), Some(blob)) = (&shelf.file, shelf.blobs.get(key)) else {
            return Err(Error::internal(format!("there is no blob `{key}`")));
        };
        let ranges = ranges.iter().map(|range| blob.start + range.start..blob.start + range.end);
        let (scratch, ranges) = (self.scratch.clone(), ranges.collect::<Vec<_>>());
        if ranges.iter().any(|range| range.end > blob.end) {
            return Err(Error::internal(format!("ranges beyond the end of the blob `{key}`")));
        }
        Ok(Box::new(ScratchRanges { file: Arc::clone(file), scratch, ranges }))
    }
}

struct ScratchRanges {
    file: Arc<File>,
    scratch: Scratch,
    ranges: Vec<Range<u64>>,
}

impl FetchedBlobs for ScratchRanges {
    fn wait(self: Box<Self>) -> Result<Vec<Bytes>> {
        let read = |range: &Range<u64>| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            self.file.read_exact_at(&mut bytes, range.start).map_err(|error| {
                let error = Error::from(error).context("cannot read spilled data back");
                self.scratch.locate(error)
            })?;
            Ok(Bytes::from(bytes))
        };
        self.ranges.iter().map(read).collect()
    }
}

/// The error for a payload that came back from a store of blobs as something else.
pub fn damaged_blob(key: &str, why: &str) -> Error {
    let message = format!("spilled data is damaged: {why}");
    Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
        .at("blob", key)
        .mend("run again; if it happens again, check the disk of the scratch folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(start: u64, end: u64) -> [Range<u64>; 1] {
        [Range { start, end }]
    }

    #[test]
    fn ranges_of_blobs_come_back() {
        let blobs = ScratchBlobs::new(Scratch::default());
        blobs.put("a", &[Bytes::from("hello"), Bytes::from(" world")]).expect("stored");
        blobs.put("b", &[Bytes::from("xyz")]).expect("stored");
        let read = |key: &str, ranges: &[Range<u64>]| blobs.fetch(key, ranges)?.wait();
        assert_eq!(read("a", &[6..11, 0..0, 4..7]).expect("there"), ["world", "", "o w"]);
        assert_eq!(read("b", &one(0, 3)).expect("there"), ["xyz"]);
        assert_eq!(blobs.scratch.spilled_bytes(), 14);
    }

    #[test]
    fn the_last_blob_of_a_key_is_the_one_that_is_read() {
        let blobs = ScratchBlobs::new(Scratch::default());
        for text in ["one", "two"] {
            blobs.put("a", &[Bytes::from(text)]).expect("stored");
        }
        let read = blobs.fetch("a", &one(0, 3)).and_then(FetchedBlobs::wait);
        assert_eq!(read.expect("there"), ["two"]);
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let blobs = ScratchBlobs::new(Scratch::default());
        assert!(blobs.fetch("a", &one(0, 0)).is_err());
        blobs.put("a", &[Bytes::from("one")]).expect("stored");
        assert!(blobs.fetch("a", &one(2, 4)).is_err());
        blobs.put("b", &[Bytes::from("two")]).expect("stored");
        assert!(blobs.fetch("a", &one(2, 4)).is_err(), "the next blob is not of this one");
    }
}
