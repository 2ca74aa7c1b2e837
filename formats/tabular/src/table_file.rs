//! A file of rows that is read column by column: what those need who want arrays of it.

use std::fmt;

use arrow::array::ArrayRef;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{Field, SchemaRef};
use dataflow::error::{Error, Result};
use objects::ObjectFile;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::csv_rows::{Allowance, CsvDialect};
use crate::csv_shape::csv_shape;
use crate::csv_tables::{TABLE_TEXT_BYTES, WithoutMark, failed};
use crate::lines::decoded;
use crate::parquet_read::{ParquetTables, metadata_of};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// A Parquet or a CSV file, open for reading single columns.
///
/// Rows lie in groups, which are read by themselves: the row groups of Parquet; all rows of CSV,
/// whose text says nowhere where a row begins.
#[derive(Clone)]
pub struct TableFile {
    file: ObjectFile,
    schema: SchemaRef,
    group_rows: Vec<u64>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Parquet(ArrowReaderMetadata),
    Csv(CsvDialect),
}

impl TableFile {
    /// Whether a file that begins so is Parquet.
    pub fn is_parquet(head: &[u8]) -> bool {
        head.starts_with(b"PAR1")
    }

    /// Opens a Parquet file; reads its footer alone.
    ///
    /// # Errors
    /// A file that is damaged, or a store that fails.
    pub fn open_parquet(file: ObjectFile) -> Result<Self> {
        let metadata = metadata_of(&file).map_err(|error| error.at("file", file.location()))?;
        let groups = metadata.metadata().row_groups().iter();
        // No length of a file is believed to be negative.
        let group_rows = groups.map(|group| group.num_rows().try_into().unwrap_or(0)).collect();
        let schema = SchemaRef::clone(metadata.schema());
        Ok(Self { file, schema, group_rows, kind: Kind::Parquet(metadata) })
    }

    /// Opens a CSV file whose first row names its columns; reads all of it, to know the types.
    ///
    /// An empty field is null. A column is of booleans (`true`, `false`), integers of 64 bits,
    /// floats of 64 bits, dates (`2000-01-31`) or times (`2000-01-31T12:00:00`, with `Z` or an
    /// offset) if all its fields are that, else of texts. Integers that 64 bits do not hold, or
    /// that begin with zeros, are texts: they may be names.
    ///
    /// # Errors
    /// A file that is no CSV or has no header, or a store that fails.
    pub fn open_csv(file: ObjectFile, dialect: CsvDialect) -> Result<Self> {
        let shape = csv_shape(&file, dialect).map_err(|error| error.at("file", file.location()))?;
        let group_rows = vec![shape.row_count];
        Ok(Self { file, schema: shape.schema, group_rows, kind: Kind::Csv(dialect) })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows each group has.
    pub fn group_rows(&self) -> &[u64] {
        &self.group_rows
    }

    /// The name of the format.
    pub fn format_name(&self) -> &'static str {
        match self.kind {
            Kind::Parquet(_) => "Parquet",
            Kind::Csv(_) => "CSV",
        }
    }

    /// Gives the rows of a column of one group to `out`, in order, some thousand at a time.
    ///
    /// Memory: a window of 32 MiB of what is encoded, and the rows of one piece.
    ///
    /// # Errors
    /// A file that is damaged, a store that fails, or whatever `out` returns.
    pub fn read_column(
        &self,
        group: u64,
        field: &Field,
        out: &mut dyn FnMut(ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let read = match &self.kind {
            Kind::Parquet(metadata) => {
                let tables = ParquetTables::of_column(field.name(), BATCH_ROWS);
                tables.read_group(&self.file, metadata.clone(), group, &mut |table| {
                    out(ArrayRef::clone(table.column(0)))
                })
            }
            Kind::Csv(dialect) => self.read_csv(*dialect, field, out),
        };
        read.map_err(|error| error.at("column", field.name()).at("file", self.file.location()))
    }

    fn read_csv(
        &self,
        dialect: CsvDialect,
        field: &Field,
        out: &mut dyn FnMut(ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let place = self.schema.index_of(field.name());
        let place = place.map_err(|_| Error::internal("a column of another file"))?;
        let allowance = Allowance::new(TABLE_TEXT_BYTES);
        let reader = ReaderBuilder::new(SchemaRef::clone(&self.schema))
            .with_header(true)
            .with_delimiter(dialect.delimiter)
            .with_batch_size(BATCH_ROWS)
            .with_projection(vec![place])
            .build(WithoutMark::new(allowance.guard(decoded(&self.file)?)));
        for batch in reader.map_err(failed)? {
            let batch = batch.map_err(failed)?;
            allowance.renew();
            out(ArrayRef::clone(batch.column(0)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableFile({}, {} columns)", self.file.location(), self.schema.fields().len())
    }
}
