//! What is kept, where, and how much of it.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::location::Location;

/// Where files of servers and clouds are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// A folder, or a place in a store.
    pub place: Location,
    /// What is kept of a file.
    pub keeps: CacheKeeps,
    /// The most bytes of files that a folder keeps; those that were not used for the longest time
    /// go first. Those in use stay.
    pub size_bytes: Option<u64>,
}

/// What is kept of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheKeeps {
    /// All of it: it is fetched once.
    #[default]
    Files,
    /// What was read of it to open it, such as the headers of GRIB messages and the indexes of
    /// HDF5 chunks; its elements are fetched from where it lies, by ranges.
    Indexes,
}

impl CacheOptions {
    /// Keeps whole files at this place, as many as come.
    pub fn new(place: Location) -> Self {
        Self { place, keeps: CacheKeeps::default(), size_bytes: None }
    }

    /// Sets what is kept of a file.
    #[must_use]
    pub fn with_keeps(mut self, keeps: CacheKeeps) -> Self {
        self.keeps = keeps;
        self
    }

    /// Sets the most bytes that are kept.
    ///
    /// # Errors
    /// A place that is no folder: what others use there cannot be told.
    pub fn with_size_bytes(mut self, bytes: u64) -> Result<Self> {
        if self.place.is_local_path().is_none() {
            let message = "only a cache in a folder is kept within a size";
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::Unsupported, message);
            return Err(error
                .at("cache", &self.place)
                .mend("give a folder, or set a rule of the bucket that deletes what is old"));
        }
        self.size_bytes = Some(bytes);
        Ok(self)
    }
}

impl FromStr for CacheKeeps {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "files" => Ok(Self::Files),
            "indexes" => Ok(Self::Indexes),
            _ => {
                let message = format!("a cache keeps no `{text}`");
                let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
                Err(error.mend("it keeps: files, indexes"))
            }
        }
    }
}

impl fmt::Display for CacheKeeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::Indexes => "indexes",
        })
    }
}
