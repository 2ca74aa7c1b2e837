//! Where spilled data goes, and how much went there.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// The folder of a run's spill files. Clones count together.
///
/// The files have no name: they are gone when they are closed, also when the process is killed.
#[derive(Debug, Clone, Default)]
pub struct Scratch(Arc<Folder>);

#[derive(Debug, Default)]
struct Folder {
    path: Option<PathBuf>,
    spilled_bytes: AtomicU64,
}

impl Scratch {
    /// Spills into this folder; `None` is the system's folder for such files.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(Arc::new(Folder { path, spilled_bytes: AtomicU64::new(0) }))
    }

    /// Bytes that were written so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.0.spilled_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, bytes: u64) {
        self.0.spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An empty file.
    pub(crate) fn file(&self) -> Result<File> {
        let file = match &self.0.path {
            Some(path) => tempfile::tempfile_in(path),
            None => tempfile::tempfile(),
        };
        file.map_err(|error| self.cannot_spill(error))
    }

    pub(crate) fn cannot_spill(&self, error: std::io::Error) -> Error {
        self.locate(Error::from(error).context("cannot spill to disk"))
            .mend("free disk space, name another scratch folder, or allow more memory")
    }

    /// Adds the folder to an error.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.0.path {
            Some(path) => error.at("scratch", path.display()),
            None => error.at("scratch", tempfile::env::temp_dir().display()),
        }
    }
}
