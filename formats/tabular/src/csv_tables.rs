//! CSV: tables of many rows.

use std::io::Read;

use arrow::csv::reader::Format;
use arrow::csv::{ReaderBuilder, WriterBuilder};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use dataflow::error::Error;
use dataflow::prelude::Result;
use objects::{ObjectFile, StoreOptions, expand};

use crate::compression::{Compression, Encoder};
use crate::csv_rows::{Allowance, CsvDialect};
use crate::fault::{arrow_failed, arrow_unwritten, corrupt, write_failed};
use crate::lines::decoded;
use crate::read::{BlockReader, FileFormat, FileSplit, ReadFiles};
use crate::table::{Table, check_schema};
use crate::text::STREAM_BYTES;
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// Text of one table: rows are cut into tables so that none takes more.
pub(crate) const TABLE_TEXT_BYTES: u64 = 16 << 20;

/// Text that is looked at to infer a schema: a quote that is not closed ends here.
const INFERRED_TEXT_BYTES: u64 = 64 << 20;

/// Reads CSV files as [`Table`]s of some thousand rows.
///
/// Columns have the types of the schema: declare one, or let [`infer_csv_schema`] look at a file.
/// A header must name the columns of the schema, in their order. What [`crate::ReadCsv`] says of
/// splits and compression holds.
///
/// A row that does not fit the schema is an error with file and row, counted from one with the
/// header.
pub type ReadCsvTables = ReadFiles<CsvTables>;

impl ReadCsvTables {
    /// Reads all rows by this schema.
    pub fn new(schema: SchemaRef) -> Self {
        Self::of(CsvTables { schema, dialect: CsvDialect::default(), table_rows: 8192 })
    }

    /// Sets delimiter and header.
    #[must_use]
    pub fn with_dialect(mut self, dialect: CsvDialect) -> Self {
        self.format.dialect = dialect;
        self
    }

    /// Sets the most rows of a table, at least one; 8192 unless this is called.
    #[must_use]
    pub fn with_table_rows(mut self, rows: usize) -> Self {
        self.format.table_rows = rows.max(1);
        self
    }
}

/// Finds a schema that fits the first `max_rows` rows of the first file that a pattern matches.
///
/// No more than 64 MiB of text are looked at; rows that have more are refused.
///
/// To be called before a pipeline is built: the schema is one of its arguments. A later row or file
/// that does not fit is an error of the run then, never a value that is lost.
///
/// # Errors
/// No such file, one that is no CSV, or a store that fails.
pub fn infer_csv_schema(
    pattern: &str,
    dialect: CsvDialect,
    max_rows: usize,
    store: &StoreOptions,
) -> Result<SchemaRef> {
    let found = expand(pattern, store)?;
    let first = found.first().ok_or_else(|| Error::internal("an expansion without a match"))?;
    let file = ObjectFile::open(first, store)?;
    let format =
        Format::default().with_header(dialect.has_header).with_delimiter(dialect.delimiter);
    let schema = decoded(&file).and_then(|text| {
        let text = Allowance::new(INFERRED_TEXT_BYTES).guard(text);
        let inferred = format.infer_schema(text, Some(max_rows));
        inferred.map_err(|error| failed(error).mend("correct the file, or declare the schema"))
    });
    Ok(schema.map_err(|error| error.at("file", first))?.0.into())
}

/// The format of [`ReadCsvTables`].
#[derive(Debug, Clone)]
pub struct CsvTables {
    schema: SchemaRef,
    dialect: CsvDialect,
    table_rows: usize,
}

impl FileFormat for CsvTables {
    type Out = Table;

    fn name(&self) -> &'static str {
        "ReadCsvTables"
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        // The text of a table, its fields, and the table.
        BlockReader::WORKING_BYTES + STREAM_BYTES + 3 * TABLE_TEXT_BYTES
    }

    fn split(&self, file: &ObjectFile, _: u64) -> Result<Vec<FileSplit>> {
        Ok(vec![FileSplit::whole(file.size_bytes())])
    }

    fn read(
        &self,
        file: &ObjectFile,
        _: FileSplit,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        let allowance = Allowance::new(TABLE_TEXT_BYTES);
        let reader = ReaderBuilder::new(SchemaRef::clone(&self.schema))
            .with_header(self.dialect.has_header)
            .with_header_validation(self.dialect.has_header)
            .with_delimiter(self.dialect.delimiter)
            .with_batch_size(self.table_rows)
            .build(WithoutMark::new(allowance.guard(decoded(file)?)));
        let mut row = 1 + u64::from(self.dialect.has_header);
        for batch in reader.map_err(failed)? {
            // Where Arrow names no row, it is one of this table.
            let last = row + self.table_rows as u64 - 1;
            let batch = batch
                .map_err(|error| failed(error).at("row", format_args!("one of {row} to {last}")))?;
            row += batch.num_rows() as u64;
            out(Table(batch))?;
            allowance.renew();
        }
        Ok(())
    }
}

pub(crate) fn failed(error: ArrowError) -> Error {
    // Arrow counts records where it says lines: from one while it cuts them, the header among
    // them, and from nought while it reads their values.
    let (why, first) = match error {
        ArrowError::CsvError(why) => (why, 0),
        ArrowError::ParseError(why)
        | ArrowError::SchemaError(why)
        | ArrowError::InvalidArgumentError(why) => (why, 1),
        error => return arrow_failed("cannot read rows", error),
    };
    let (why, row) = without_line(&why);
    let error = corrupt(format!("a row does not fit: {why}"))
        .mend("correct the row, or the schema: a column may be declared as text");
    match row {
        Some(row) => error.at("row", row + first),
        None => error,
    }
}

/// What Arrow says, without the line that it names and the row that it quotes whole, and that
/// line: its text is the only place where it stands.
fn without_line(text: &str) -> (String, Option<u64>) {
    let text = text.split(". Row data:").next().unwrap_or(text);
    for word in [" at line ", " for line "] {
        let Some((before, after)) = text.split_once(word) else { continue };
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        if let Ok(line) = after[..end].parse() {
            return (format!("{before}{}", &after[end..]), Some(line));
        }
    }
    (text.to_owned(), None)
}

/// Leaves out a byte order mark, which Arrow would take for a part of the first name.
pub(crate) struct WithoutMark<R> {
    stream: R,
    head: Vec<u8>,
    is_begun: bool,
    mark_bytes: u64,
}

impl<R> WithoutMark<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, head: Vec::new(), is_begun: false, mark_bytes: 0 }
    }

    /// Bytes that were left out, as far as was read.
    pub(crate) fn mark_bytes(&self) -> u64 {
        self.mark_bytes
    }
}

impl<R: Read> Read for WithoutMark<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if !self.is_begun {
            self.is_begun = true;
            self.stream.by_ref().take(3).read_to_end(&mut self.head)?;
            if self.head == b"\xef\xbb\xbf" {
                self.mark_bytes = self.head.len() as u64;
                self.head.clear();
            }
        }
        if self.head.is_empty() {
            return self.stream.read(out);
        }
        let count = self.head.len().min(out.len());
        out[..count].copy_from_slice(&self.head[..count]);
        self.head.drain(..count);
        Ok(count)
    }
}

/// Writes [`Table`]s as rows of CSV, each shard with a header.
///
/// Tables have the declared schema; a column that CSV cannot hold, as one of lists, is refused. A
/// null is an empty field, and so is an empty text. See [`WriteFiles`] for shards, order and
/// manifest; a table is one element of theirs.
pub type WriteCsvTables = WriteFiles<CsvTableSink>;

impl WriteCsvTables {
    /// Writes tables of this schema to shards whose names begin so.
    pub fn to(prefix: impl Into<String>, schema: SchemaRef) -> Self {
        let (dialect, compression) = (CsvDialect::default(), Compression::default());
        Self::of(CsvTableSink { schema, dialect, compression }, prefix)
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

/// The format of [`WriteCsvTables`].
#[derive(Debug, Clone)]
pub struct CsvTableSink {
    schema: SchemaRef,
    dialect: CsvDialect,
    compression: Compression,
}

impl FileSink for CsvTableSink {
    type In = Table;

    fn name(&self) -> &'static str {
        "WriteCsvTables"
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

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<Table>>> {
        let out = Encoder::new(self.compression, file).map_err(write_failed)?;
        let mut writer = WriterBuilder::new()
            .with_delimiter(self.dialect.delimiter)
            .with_header(self.dialect.has_header)
            .build(out);
        // The header comes with the first batch, also of no rows.
        let none = arrow::array::RecordBatch::new_empty(SchemaRef::clone(&self.schema));
        writer.write(&none).map_err(arrow_unwritten)?;
        Ok(Box::new(TableRows { writer, schema: SchemaRef::clone(&self.schema) }))
    }
}

struct TableRows {
    writer: arrow::csv::Writer<Encoder<ShardFile>>,
    schema: SchemaRef,
}

impl RecordWriter<Table> for TableRows {
    fn write(&mut self, table: &Table) -> Result<()> {
        check_schema(table, &self.schema)?;
        self.writer.write(table).map_err(arrow_unwritten)
    }

    fn finish(self: Box<Self>) -> Result<ShardFile> {
        self.writer.into_inner().finish().map_err(write_failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str, line: Option<u64>) {
        assert_eq!(without_line(text), (want.to_owned(), line));
    }

    #[test]
    fn the_line_is_found_in_what_arrow_says() {
        let count = "incorrect number of fields";
        check(
            &format!("{count} for line 12, expected 2"),
            &format!("{count}, expected 2"),
            Some(12),
        );
        check("bad 'x' for column 1 at line 3. Row data: 'x'", "bad 'x' for column 1", Some(3));
        check("no outline here, nor at line end", "no outline here, nor at line end", None);
    }
}
