//! JSON lines: one JSON value a line.

use std::fmt;
use std::io::Write;
use std::marker::PhantomData;

use dataflow::Element;
use dataflow::prelude::Result;
use objects::ObjectFile;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compression::{Compression, Encoder};
use crate::fault::{corrupt, unwritten, write_failed};
use crate::lines::{Line, LineRules};
use crate::read::{FileFormat, FileSplit, ReadFiles};
use crate::text::STREAM_BYTES;
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// Reads files of one JSON value a line as elements of a serde type.
///
/// Lines of white space alone are left out. What [`crate::ReadText`] says of compression, ranges
/// and memory holds. A line that is no `T` is an error with file, byte and column.
///
/// Source: JSON Lines, <https://jsonlines.org>.
pub type ReadJson<T> = ReadFiles<JsonLines<T>>;

impl<T: Element + DeserializeOwned> ReadJson<T> {
    /// Reads all values.
    pub fn new() -> Self {
        Self::of(JsonLines { rules: LineRules::default(), of: PhantomData })
    }

    /// Refuses lines that are longer; the limit is 8 MiB unless this is called.
    #[must_use]
    pub fn with_max_line_bytes(mut self, bytes: usize) -> Self {
        self.format.rules.max_line_bytes = bytes;
        self
    }
}

impl<T: Element + DeserializeOwned> Default for ReadJson<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The format of [`ReadJson`].
pub struct JsonLines<T> {
    rules: LineRules,
    of: PhantomData<fn() -> T>,
}

impl<T: Element + DeserializeOwned> FileFormat for JsonLines<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "ReadJson"
    }

    fn parameters(&self) -> String {
        format!("{:?}", self.rules)
    }

    fn working_bytes(&self) -> u64 {
        self.rules.working_bytes()
    }

    fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>> {
        self.rules.split(file, split_bytes)
    }

    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(T) -> Result<()>,
    ) -> Result<()> {
        self.rules.read(file, split, &mut |line| match value_of(line)? {
            Some(value) => out(value),
            None => Ok(()),
        })
    }
}

fn value_of<T: DeserializeOwned>(line: Line<'_>) -> Result<Option<T>> {
    if line.bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(line.bytes).map(Some).map_err(|why| {
        let error = corrupt(format!("a line is no {}: {why}", short_name::<T>()))
            .at("byte", line.offset)
            .at("column", why.column())
            .mend("every line must be one JSON value of the type; correct the line, or the type");
        match line.number {
            Some(number) => error.at("line", number),
            None => error,
        }
    })
}

/// The name of a type without its path.
pub(crate) fn short_name<T>() -> String {
    dataflow::ptransform::short_type_name::<T>()
}

/// Writes elements of a serde type as JSON, one a line.
///
/// JSON has no infinite floats and no NaN: they are written as `null`, which `Option<f64>` reads.
/// See [`WriteFiles`] for shards, order and manifest.
pub type WriteJson<T> = WriteFiles<JsonSink<T>>;

impl<T: Element + Serialize> WriteJson<T> {
    /// Writes to shards whose names begin so.
    pub fn to(prefix: impl Into<String>) -> Self {
        Self::of(JsonSink { compression: Compression::default(), of: PhantomData }, prefix)
    }

    /// Compresses each shard.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        self.map(|sink| sink.compression = compression)
    }
}

/// The format of [`WriteJson`].
pub struct JsonSink<T> {
    compression: Compression,
    of: PhantomData<fn(T)>,
}

impl<T: Element + Serialize> FileSink for JsonSink<T> {
    type In = T;

    fn name(&self) -> &'static str {
        "WriteJson"
    }

    fn format(&self) -> String {
        format!("json lines, {}", self.compression)
    }

    fn suffix(&self) -> String {
        format!(".jsonl{}", self.compression.suffix())
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        STREAM_BYTES
    }

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<T>>> {
        let out = Encoder::new(self.compression, file).map_err(write_failed)?;
        Ok(Box::new(JsonWriter { out, line: Vec::new() }))
    }
}

struct JsonWriter {
    out: Encoder<ShardFile>,
    line: Vec<u8>,
}

impl<T: Serialize> RecordWriter<T> for JsonWriter {
    fn write(&mut self, value: &T) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value).map_err(|why| unwritten(&why.to_string()))?;
        self.line.push(b'\n');
        self.out.write_all(&self.line).map_err(write_failed)
    }

    fn finish(self: Box<Self>) -> Result<ShardFile> {
        self.out.finish().map_err(write_failed)
    }
}

impl<T> Clone for JsonLines<T> {
    fn clone(&self) -> Self {
        Self { rules: self.rules, of: PhantomData }
    }
}

impl<T> fmt::Debug for JsonLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonLines").field(&self.rules).finish()
    }
}

impl<T> Clone for JsonSink<T> {
    fn clone(&self) -> Self {
        Self { compression: self.compression, of: PhantomData }
    }
}

impl<T> fmt::Debug for JsonSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSink").field(&self.compression).finish()
    }
}
