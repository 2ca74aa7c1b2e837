//! What a format must say to be written.

use std::fmt;

use dataflow::Element;
use dataflow::prelude::Result;

use super::ShardFile;

/// How elements become a file.
///
/// What must hold: the same elements in the same order give the same bytes.
pub trait FileSink: Clone + fmt::Debug + Send + Sync + 'static {
    /// What is written.
    type In: Element;

    /// The name of the transform.
    fn name(&self) -> &'static str;

    /// What files of this format are called in a manifest.
    fn format(&self) -> String;

    /// How the names of such files end, compression included: `.txt.gz`.
    fn suffix(&self) -> String;

    /// The arguments that change what is written.
    fn parameters(&self) -> String;

    /// Bytes that a writer holds besides the element that it is given.
    fn working_bytes(&self) -> u64;

    /// Begins a file.
    ///
    /// # Errors
    /// Arguments that make no file, or a store that fails.
    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<Self::In>>>;
}

/// A file that is being written.
pub trait RecordWriter<T> {
    /// Adds a record.
    ///
    /// # Errors
    /// An element that the format cannot hold, or a store that fails.
    fn write(&mut self, element: &T) -> Result<()>;

    /// Ends the file, and gives back what it was written to.
    ///
    /// # Errors
    /// A store that fails.
    fn finish(self: Box<Self>) -> Result<ShardFile>;
}
