//! Parquet: tables, read by row groups and columns.

use std::ops::Range;

use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::Result;
use objects::ObjectFile;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::column_windows::{self, ColumnWindows};
use crate::fault::{arrow_failed, corrupt, guarded, parquet_failed};
use crate::read::{FileFormat, FileSplit, ReadFiles};
use crate::table::Table;

/// What decoding one table takes, about: pages of all columns, and the table.
const DECODED_BYTES: u64 = 32 << 20;

/// Reads Parquet files as [`Table`]s.
///
/// A split is a row group. Of a file, the footer and the chunks of the columns that are asked for
/// are read, and no more; of a chunk a window of some megabytes at a time. Tables have the types
/// of Arrow that the file names, and at most 8192 rows unless it is said otherwise.
///
/// Source: Apache Parquet format, <https://parquet.apache.org/docs/file-format/>.
///
/// ```no_run
/// use dataflow::prelude::*;
/// use tabular::{ReadParquet, Table};
/// let pipeline = Pipeline::new();
/// let read = ReadParquet::new().with_columns(["time", "t2m"]).from("s3://bucket/era5/*.parquet");
/// let tables: PCollection<Table> = pipeline.apply(read);
/// ```
pub type ReadParquet = ReadFiles<ParquetTables>;

impl ReadParquet {
    /// Reads all columns.
    pub fn new() -> Self {
        Self::of(ParquetTables { columns: None, table_rows: 8192 })
    }

    /// Reads these columns only; they come in the order of the file.
    ///
    /// A column that has columns of its own is read with all of them. A name that a file does not
    /// have is an error.
    #[must_use]
    pub fn with_columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.format.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the most rows of a table, at least one.
    #[must_use]
    pub fn with_table_rows(mut self, rows: usize) -> Self {
        self.format.table_rows = rows.max(1);
        self
    }
}

impl Default for ReadParquet {
    fn default() -> Self {
        Self::new()
    }
}

/// The format of [`ReadParquet`].
#[derive(Debug, Clone)]
pub struct ParquetTables {
    columns: Option<Vec<String>>,
    table_rows: usize,
}

impl FileFormat for ParquetTables {
    type Out = Table;

    fn name(&self) -> &'static str {
        "ReadParquet"
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        column_windows::HELD_BYTES + DECODED_BYTES
    }

    fn split(&self, file: &ObjectFile, _: u64) -> Result<Vec<FileSplit>> {
        let metadata = metadata_of(file)?;
        self.mask(&metadata)?;
        let groups = 0..metadata.metadata().num_row_groups() as u64;
        Ok(groups.map(|group| FileSplit::part(group, group + 1)).collect())
    }

    fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        self.read_group(file, metadata_of(file)?, split.start, out)
    }
}

impl ParquetTables {
    /// Reads one column.
    pub(crate) fn of_column(name: &str, table_rows: usize) -> Self {
        Self { columns: Some(vec![name.to_owned()]), table_rows }
    }

    /// Puts out the tables of a row group of a file whose footer was read.
    pub(crate) fn read_group(
        &self,
        file: &ObjectFile,
        metadata: ArrowReaderMetadata,
        group: u64,
        out: &mut dyn FnMut(Table) -> Result<()>,
    ) -> Result<()> {
        let mask = self.mask(&metadata)?;
        let tables = guarded("cannot read Parquet", || self.open(file, metadata, mask, group));
        let mut tables = tables.map_err(|error| error.at("row group", group))?;
        loop {
            // Only the library is guarded: what `out` does is not its business.
            let next = guarded("cannot read Parquet", || {
                let next = tables.next().transpose();
                next.map_err(|error| arrow_failed("cannot read Parquet", error))
            });
            match next.map_err(|error| error.at("row group", group))? {
                Some(batch) => out(Table(batch))?,
                None => return Ok(()),
            }
        }
    }
}

type Batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader;

impl ParquetTables {
    fn open(
        &self,
        file: &ObjectFile,
        metadata: ArrowReaderMetadata,
        mask: ProjectionMask,
        group: u64,
    ) -> Result<Batches> {
        let group = group as usize;
        let chunks = chunks_of(metadata.metadata().row_group(group), &mask, file.size_bytes())?;
        let windows = ColumnWindows::fetch(file, chunks)?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(windows, metadata)
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(self.table_rows)
            .build()
            .map_err(|error| parquet_failed("cannot read Parquet", error))
    }

    /// Which leaves of the schema are read.
    fn mask(&self, metadata: &ArrowReaderMetadata) -> Result<ProjectionMask> {
        let Some(names) = &self.columns else { return Ok(ProjectionMask::all()) };
        let fields = metadata.schema().fields();
        let place = |name: &String| {
            fields
                .iter()
                .position(|field| field.name() == name)
                .ok_or_else(|| unknown_column(name, fields))
        };
        let places = names.iter().map(place).collect::<Result<Vec<_>>>()?;
        Ok(ProjectionMask::roots(metadata.parquet_schema(), places))
    }
}

/// The error for a column that a file does not have.
pub(crate) fn unknown_column(name: &str, fields: &arrow::datatypes::Fields) -> Error {
    let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let message = format!("there is no column `{name}`");
    Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::NotFound, message)
        .mend(format!("the columns are: {}", known.join(", ")))
}

pub(crate) fn metadata_of(file: &ObjectFile) -> Result<ArrowReaderMetadata> {
    let doing = "cannot read the footer of Parquet";
    guarded(doing, || {
        let footer = ColumnWindows::none(file);
        let loaded = ArrowReaderMetadata::load(&footer, ArrowReaderOptions::new());
        loaded.map_err(|error| parquet_failed(doing, error))
    })
}

/// The bytes of the column chunks that are read; the file must have them.
fn chunks_of(
    group: &RowGroupMetaData,
    mask: &ProjectionMask,
    size_bytes: u64,
) -> Result<Vec<Range<u64>>> {
    let wanted = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
    let chunk = |(leaf, column): (usize, &parquet::file::metadata::ColumnChunkMetaData)| {
        let (start, length) = column.byte_range();
        match start.checked_add(length) {
            Some(end) if end <= size_bytes => Ok(start..end),
            _ => {
                let message = format!("column chunk {leaf} would reach beyond the end of the file");
                Err(corrupt(message).mend("copy the file again: it may be cut short"))
            }
        }
    };
    wanted.map(chunk).collect()
}
