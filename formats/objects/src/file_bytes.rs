//! The bytes of a file: held whole if there are few, else fetched by ranges.
//!
//! Every range is checked against the length of the file before anything is allocated or asked
//! for. Nothing here knows what the bytes mean.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::file::ObjectFile;
use crate::pending::Pending;

/// Files below this length are read whole, once: one request costs less than three.
const HELD_BYTES: u64 = 4 << 20;

/// A file that can be read at any place.
pub struct FileBytes {
    file: ObjectFile,
    name: String,
    length: u64,
    held: Option<Bytes>,
}

impl FileBytes {
    /// Takes the file, and reads it if it is small.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(file: ObjectFile) -> Result<Self> {
        let (name, length) = (file.location().to_string(), file.size_bytes());
        let held = if length < HELD_BYTES { Some(file.read(0..length)?) } else { None };
        Ok(Self { file, name, length, held })
    }

    /// Takes a file whose headers are kept, if they are: then it is not read whole, however small.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn with_index(file: ObjectFile) -> Result<Self> {
        if !file.has_kept() {
            return Self::new(file);
        }
        let (name, length) = (file.location().to_string(), file.size_bytes());
        Ok(Self { file, name, length, held: None })
    }

    /// The bytes of a range of the headers, waiting for them; the next time without a request, where
    /// a cache keeps them.
    ///
    /// # Errors
    /// A range outside of the file, or a store that fails.
    pub fn read_header(&self, range: Range<u64>) -> Result<Bytes> {
        self.check(&range)?;
        if let Some(bytes) = self.kept(&range) {
            return Ok(bytes);
        }
        let start = range.start;
        let bytes = self.read(range)?;
        self.keep(start, &bytes);
        Ok(bytes)
    }

    /// The bytes of a range of the headers, if a cache keeps them.
    pub fn kept(&self, range: &Range<u64>) -> Option<Bytes> {
        self.file.kept(range)
    }

    /// Keeps a part of the headers that was read, if a cache is to keep them.
    pub fn keep(&self, start: u64, bytes: &Bytes) {
        self.file.keep(start, bytes);
    }

    /// Writes the headers that were read since into the cache.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub fn save_kept(&self) -> Result<()> {
        self.file.save_kept()
    }

    /// The place of the file, as users wrote it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether reading costs no request.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The bytes of one range, waiting for them.
    ///
    /// # Errors
    /// A range outside of the file, or a store that fails.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.check(&range)?;
        match &self.held {
            Some(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            None => self.file.read(range),
        }
    }

    /// Starts to fetch ranges together.
    ///
    /// # Errors
    /// A range outside of the file.
    pub fn fetch(&self, ranges: Vec<Range<u64>>) -> Result<Pending<Vec<Bytes>>> {
        ranges.iter().try_for_each(|range| self.check(range))?;
        Ok(match &self.held {
            Some(bytes) => {
                let slice =
                    |range: Range<u64>| bytes.slice(range.start as usize..range.end as usize);
                Pending::ready(ranges.into_iter().map(slice).collect())
            }
            None => self.file.fetch(ranges),
        })
    }

    /// Refuses a range that the file does not hold.
    ///
    /// # Errors
    /// A range outside of the file.
    pub fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start <= range.end && range.end <= self.length {
            return Ok(());
        }
        let Range { start, end } = range;
        let message =
            format!("bytes {start}..{end} lie outside of a file of {} bytes", self.length);
        Err(Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
            .mend("the file is damaged or was cut short; copy it again from where it came from")
            .at("file", &self.name))
    }
}

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBytes({}, {} bytes)", self.name, self.length)
    }
}
