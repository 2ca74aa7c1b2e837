//! CSV: one element of a serde type a row.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::rc::Rc;

use csv::{ErrorKind, Position};
use dataflow::Element;
use dataflow::error::Error;
use dataflow::prelude::Result;
use objects::ObjectFile;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compression::{Compression, Encoder};
use crate::fault::{corrupt, read_failed, unwritten, write_failed};
use crate::json::short_name;
use crate::lines::decoded;
use crate::read::{BlockReader, FileFormat, FileSplit, ReadFiles};
use crate::text::STREAM_BYTES;
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// How fields and rows are told apart, and whether the first row names the fields.
///
/// Quotes are `"`, doubled within a field; a quoted field may have line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvDialect {
    /// What stands between fields; a comma by default.
    pub delimiter: u8,
    /// Whether the first row names the fields; true by default.
    pub has_header: bool,
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self { delimiter: b',', has_header: true }
    }
}

/// Reads the rows of CSV files as elements of a serde type.
///
/// With a header, fields are found by name, in any order; without one by place. Rows that have
/// another number of fields than the first are an error. A file is one split, because a line end
/// may stand in quotes: many files are read in parallel, one is not. Compressed files are
/// recognised by how they begin. Memory: a few blocks of 2 MiB, and the longest row.
///
/// A row that is no `T` is an error with file, line and byte.
///
/// Source: RFC 4180.
pub type ReadCsv<T> = ReadFiles<CsvRows<T>>;

impl<T: Element + DeserializeOwned> ReadCsv<T> {
    /// Reads all rows.
    pub fn new() -> Self {
        let dialect = CsvDialect::default();
        Self::of(CsvRows { dialect, max_row_bytes: 8 << 20, of: PhantomData })
    }

    /// Sets delimiter and header.
    #[must_use]
    pub fn with_dialect(mut self, dialect: CsvDialect) -> Self {
        self.format.dialect = dialect;
        self
    }

    /// Refuses rows that are longer, as one is whose quote never ends; the limit is 8 MiB unless
    /// this is called.
    #[must_use]
    pub fn with_max_row_bytes(mut self, bytes: u64) -> Self {
        self.format.max_row_bytes = bytes;
        self
    }
}

impl<T: Element + DeserializeOwned> Default for ReadCsv<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The format of [`ReadCsv`].
pub struct CsvRows<T> {
    dialect: CsvDialect,
    max_row_bytes: u64,
    of: PhantomData<fn() -> T>,
}

impl<T: Element + DeserializeOwned> FileFormat for CsvRows<T> {
    type Out = T;

    fn name(&self) -> &'static str {
        "ReadCsv"
    }

    fn parameters(&self) -> String {
        format!("{:?} {}", self.dialect, self.max_row_bytes)
    }

    fn working_bytes(&self) -> u64 {
        // A row is held as read, as cut, and with the room that it grew into.
        BlockReader::WORKING_BYTES + STREAM_BYTES + 4 * self.max_row_bytes
    }

    fn split(&self, file: &ObjectFile, _: u64) -> Result<Vec<FileSplit>> {
        Ok(vec![FileSplit::whole(file.size_bytes())])
    }

    fn read(
        &self,
        file: &ObjectFile,
        _: FileSplit,
        out: &mut dyn FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let allowance = Allowance::new(self.max_row_bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.dialect.delimiter)
            .has_headers(self.dialect.has_header)
            .from_reader(allowance.guard(decoded(file)?));
        for row in reader.deserialize::<T>() {
            out(row.map_err(failed::<T>)?)?;
            allowance.renew();
        }
        Ok(())
    }
}

/// The error of a row that nobody decodes.
pub(crate) fn failed_row(error: csv::Error) -> Error {
    failed::<()>(error)
}

fn failed<T>(error: csv::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("a row has {len} fields, those before have {expected_len}")
        }
        ErrorKind::Utf8 { err, .. } => format!("a row is no UTF-8: {err}"),
        ErrorKind::Deserialize { err, .. } => match err.field() {
            Some(field) => {
                let name = short_name::<T>();
                format!("a row is no {name}: {}, in field {}", err.kind(), field + 1)
            }
            None => format!("a row is no {}: {}", short_name::<T>(), err.kind()),
        },
        _ => error.to_string(),
    };
    let at = error.position().cloned();
    match error.into_kind() {
        ErrorKind::Io(error) => read_failed("cannot read rows", error),
        _ => placed(corrupt(message), at.as_ref()).mend(
            "correct the row, or the type; a field with a delimiter or a line end stands in quotes",
        ),
    }
}

fn placed(error: Error, at: Option<&Position>) -> Error {
    match at {
        Some(at) => error.at("line", at.line()).at("byte", at.byte()),
        None => error,
    }
}

/// The bytes that may be read before the next record ends.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    left: Rc<Cell<u64>>,
    limit: u64,
}

impl Allowance {
    /// Readers read ahead, which is no part of a record.
    const AHEAD_BYTES: u64 = 256 << 10;

    pub(crate) fn new(limit: u64) -> Self {
        Self { left: Rc::new(Cell::new(limit + Self::AHEAD_BYTES)), limit }
    }

    /// A record has ended.
    pub(crate) fn renew(&self) {
        self.left.set(self.limit + Self::AHEAD_BYTES);
    }

    pub(crate) fn guard<R: Read>(&self, stream: R) -> Guarded<R> {
        Guarded { stream, allowance: self.clone() }
    }
}

/// A stream that ends with an error when a record is too long.
pub(crate) struct Guarded<R> {
    stream: R,
    allowance: Allowance,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(out)?;
        let left = self.allowance.left.get();
        let Some(left) = left.checked_sub(count as u64) else {
            let message = format!("a record is longer than {} bytes", self.allowance.limit);
            return Err(io::Error::other(corrupt(message).mend(
                "look for a quote that is not closed, or raise the limit of this transform",
            )));
        };
        self.allowance.left.set(left);
        Ok(count)
    }
}

/// Writes elements of a serde type as rows of CSV.
///
/// Each shard begins with a header of the field names, if elements have names; an empty shard is an
/// empty file. Fields of a type must be plain values: what nests is refused. See [`WriteFiles`] for
/// shards, order and manifest.
pub type WriteCsv<T> = WriteFiles<CsvRowSink<T>>;

impl<T: Element + Serialize> WriteCsv<T> {
    /// Writes to shards whose names begin so.
    pub fn to(prefix: impl Into<String>) -> Self {
        let (dialect, compression) = (CsvDialect::default(), Compression::default());
        Self::of(CsvRowSink { dialect, compression, of: PhantomData }, prefix)
    }

    /// Sets delimiter and header.
    #[must_use]
    pub fn with_dialect(self, dialect: CsvDialect) -> Self {
        self.map(|sink| sink.dialect = dialect)
    }

    /// Compresses each shard.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        self.map(|sink| sink.compression = compression)
    }
}

/// The format of [`WriteCsv`].
pub struct CsvRowSink<T> {
    dialect: CsvDialect,
    compression: Compression,
    of: PhantomData<fn(T)>,
}

impl<T: Element + Serialize> FileSink for CsvRowSink<T> {
    type In = T;

    fn name(&self) -> &'static str {
        "WriteCsv"
    }

    fn format(&self) -> String {
        format!("csv, {}", self.compression)
    }

    fn suffix(&self) -> String {
        format!(".csv{}", self.compression.suffix())
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        STREAM_BYTES
    }

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<T>>> {
        let out = Encoder::new(self.compression, file).map_err(write_failed)?;
        let writer = csv::WriterBuilder::new()
            .delimiter(self.dialect.delimiter)
            .has_headers(self.dialect.has_header)
            .from_writer(out);
        Ok(Box::new(RowWriter(writer)))
    }
}

struct RowWriter(csv::Writer<Encoder<ShardFile>>);

impl<T: Serialize> RecordWriter<T> for RowWriter {
    fn write(&mut self, row: &T) -> Result<()> {
        self.0.serialize(row).map_err(|error| {
            let message = error.to_string();
            match error.into_kind() {
                ErrorKind::Io(error) => write_failed(error),
                _ => unwritten(&message),
            }
        })
    }

    fn finish(self: Box<Self>) -> Result<ShardFile> {
        let out = self.0.into_inner();
        let out = out.map_err(|error| write_failed(error.into_error()))?;
        out.finish().map_err(write_failed)
    }
}

impl<T> Clone for CsvRows<T> {
    fn clone(&self) -> Self {
        Self { dialect: self.dialect, max_row_bytes: self.max_row_bytes, of: PhantomData }
    }
}

impl<T> fmt::Debug for CsvRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CsvRows").field(&self.dialect).field(&self.max_row_bytes).finish()
    }
}

impl<T> Clone for CsvRowSink<T> {
    fn clone(&self) -> Self {
        Self { dialect: self.dialect, compression: self.compression, of: PhantomData }
    }
}

impl<T> fmt::Debug for CsvRowSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CsvRowSink").field(&self.dialect).field(&self.compression).finish()
    }
}
