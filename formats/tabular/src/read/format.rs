//! What a format must say to be read.

use std::fmt;

use dataflow::Element;
use dataflow::prelude::Result;
use objects::ObjectFile;
use serde::{Deserialize, Serialize};

/// A part of a file that is read by itself, as its format counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct FileSplit {
    /// The first byte, row group or record batch.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
    /// Whether the split is the whole file: a compressed one can be read from its start alone.
    pub is_whole: bool,
}

impl FileSplit {
    /// A part.
    pub fn part(start: u64, end: u64) -> Self {
        Self { start, end, is_whole: false }
    }

    /// All of a file of so many units.
    pub fn whole(end: u64) -> Self {
        Self { start: 0, end, is_whole: true }
    }
}

/// How files of one format become elements.
///
/// What must hold: the splits of a file, read in any order, give each of its records once, and
/// reading a split holds at most `working_bytes` whatever the length of the file.
pub trait FileFormat: Clone + fmt::Debug + Send + Sync + 'static {
    /// What a record becomes.
    type Out: Element;

    /// The name of the transform.
    fn name(&self) -> &'static str;

    /// The arguments that change what is read.
    fn parameters(&self) -> String;

    /// Bytes that reading one split holds.
    fn working_bytes(&self) -> u64;

    /// Cuts a file into splits of about `split_bytes`.
    ///
    /// # Errors
    /// A file that is not of this format, or a store that fails.
    fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>>;

    /// Puts out the records of a split.
    ///
    /// # Errors
    /// A record that is none, with its place in the file; or whatever `out` returns.
    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(Self::Out) -> Result<()>,
    ) -> Result<()>;
}
