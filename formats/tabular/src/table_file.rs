//! A file of rows that is read column by column: what those need who want arrays of it.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dataflow::error::{Error, Result};
use objects::ObjectFile;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::csv_rows::{Allowance, CsvDialect};
use crate::csv_shape::{CsvGroup, csv_shape};
use crate::csv_tables::{TABLE_TEXT_BYTES, WithoutMark, failed};
use crate::lines::decoded;
use crate::parquet_read::{ParquetTables, metadata_of};
use crate::read::BlockReader;

/// Text of the rows of a CSV file that are read together.
const GROUP_TEXT_BYTES: u64 = 8 << 20;
/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// A Parquet or a CSV file, open for reading single columns.
///
/// Rows lie in groups, which are read by themselves: the row groups of Parquet; of CSV 8 MiB of text,
/// or all rows where it is compressed.
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
    Csv(CsvDialect, Arc<[CsvGroup]>),
}

/// Whether a column may hold nulls, of which it is known whether it does. Floats and texts may in any
/// case: they have a value that says so, and files with and without nulls stay alike.
pub(crate) fn is_nullable(data_type: &DataType, has_nulls: bool) -> bool {
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    has_nulls || is_text || data_type.is_floating()
}

/// The schema, where columns are not nullable that have no null: writers of tables say of nearly every
/// column that it may have some.
fn without_idle_nulls(metadata: &ArrowReaderMetadata) -> SchemaRef {
    let schema = metadata.schema();
    let (groups, leaves) = (metadata.metadata().row_groups(), metadata.parquet_schema());
    let has_none = |place: usize| {
        let mut own =
            (0..leaves.num_columns()).filter(|it| leaves.get_column_root_idx(*it) == place);
        let (Some(leaf), None) = (own.next(), own.next()) else { return false };
        groups.iter().all(|group| {
            let statistics = group.column(leaf).statistics();
            statistics.and_then(|it| it.null_count_opt()) == Some(0)
        })
    };
    let fields = schema.fields().iter().enumerate().map(|(place, field)| {
        let is_flat = !field.data_type().is_nested();
        let is_idle = || is_flat && has_none(place) && !is_nullable(field.data_type(), false);
        match field.is_nullable() && is_idle() {
            true => Arc::new(field.as_ref().clone().with_nullable(false)),
            false => Arc::clone(field),
        }
    });
    let fields: Vec<_> = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

impl TableFile {
    /// Whether a file that begins so is Parquet.
    pub fn is_parquet(head: &[u8]) -> bool {
        head.starts_with(b"PAR1")
    }

    /// Opens a Parquet file; reads its footer alone.
    ///
    /// A column of which the statistics of all row groups say that it has no null is one without, in
    /// [`TableFile::schema`].
    ///
    /// # Errors
    /// A file that is damaged, or a store that fails.
    pub fn open_parquet(file: ObjectFile) -> Result<Self> {
        let metadata = metadata_of(&file).map_err(|error| error.at("file", file.location()))?;
        let groups = metadata.metadata().row_groups().iter();
        // No length of a file is believed to be negative.
        let group_rows = groups.map(|group| group.num_rows().try_into().unwrap_or(0)).collect();
        let schema = without_idle_nulls(&metadata);
        Ok(Self { file, schema, group_rows, kind: Kind::Parquet(metadata) })
    }

    /// Opens a CSV file whose first row names its columns; reads all of it, to know the types.
    ///
    /// An empty field is null; a column without one is not nullable. A column is of booleans (`true`, `false`), integers of 64 bits,
    /// floats of 64 bits, dates (`2000-01-31`) or times (`2000-01-31T12:00:00`, with `Z` or an
    /// offset) if all its fields are that, else of texts. Integers that 64 bits do not hold, or
    /// that begin with zeros, are texts: they may be names.
    ///
    /// # Errors
    /// A file that is no CSV or has no header, or a store that fails.
    pub fn open_csv(file: ObjectFile, dialect: CsvDialect) -> Result<Self> {
        Self::open_csv_in_groups(file, dialect, GROUP_TEXT_BYTES)
    }

    fn open_csv_in_groups(file: ObjectFile, dialect: CsvDialect, group_bytes: u64) -> Result<Self> {
        let shape = csv_shape(&file, dialect, group_bytes);
        let shape = shape.map_err(|error| error.at("file", file.location()))?;
        let group_rows = shape.groups.iter().map(|group| group.row_count).collect();
        let kind = Kind::Csv(dialect, shape.groups.into());
        Ok(Self { file, schema: shape.schema, group_rows, kind })
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
            Kind::Csv(..) => "CSV",
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
            Kind::Csv(dialect, groups) => {
                let group = groups.get(group as usize);
                let group = group.ok_or_else(|| Error::internal("a group of another file"));
                group.and_then(|group| self.read_csv(*dialect, group, field, out))
            }
        };
        read.map_err(|error| error.at("column", field.name()).at("file", self.file.location()))
    }

    fn read_csv(
        &self,
        dialect: CsvDialect,
        group: &CsvGroup,
        field: &Field,
        out: &mut dyn FnMut(ArrayRef) -> Result<()>,
    ) -> Result<()> {
        let place = self.schema.index_of(field.name());
        let place = place.map_err(|_| Error::internal("a column of another file"))?;
        let allowance = Allowance::new(TABLE_TEXT_BYTES);
        let text: Box<dyn Read> = match &group.bytes {
            Some(bytes) => {
                let blocks = BlockReader::new(&self.file, bytes.start, bytes.end);
                Box::new(blocks.take(bytes.end - bytes.start))
            }
            None => Box::new(decoded(&self.file)?),
        };
        let reader = ReaderBuilder::new(SchemaRef::clone(&self.schema))
            .with_header(group.bytes.is_none())
            .with_delimiter(dialect.delimiter)
            .with_batch_size(BATCH_ROWS)
            .with_projection(vec![place])
            .build(WithoutMark::new(allowance.guard(text)));
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

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use bytes::Bytes;
    use objects::{Location, Objects, StoreOptions};

    use super::*;

    /// The rows of a column, group by group, of a file that is cut after every few bytes.
    fn groups_of(name: &str, text: &[u8]) -> Vec<Vec<i64>> {
        let store = StoreOptions::default();
        let folder = Location::parse("memory://table-file").expect("a location");
        let objects = Objects::open(&folder, &store).expect("memory is there");
        objects.put(name, Bytes::copy_from_slice(text)).wait().expect("writes");
        let file = ObjectFile::open(&folder.join(name), &store).expect("just written");
        let table = TableFile::open_csv_in_groups(file, CsvDialect::default(), 12);
        let table = table.expect("a table");
        let field = table.schema().field_with_name("n").expect("a column").clone();
        let group = |place: usize| {
            let mut rows = Vec::new();
            let read = table.read_column(place as u64, &field, &mut |column| {
                rows.extend(column.as_primitive::<Int64Type>().values().iter().copied());
                Ok(())
            });
            read.expect("rows");
            assert_eq!(rows.len() as u64, table.group_rows()[place]);
            rows
        };
        (0..table.group_rows().len()).map(group).collect()
    }

    #[test]
    fn rows_of_text_lie_in_groups_that_are_read_by_themselves() {
        let text = b"\xef\xbb\xbfword,n\r\n\"a\r\nb\",1\r\nc,2\r\n\r\nlonger word,3\r\nd,4\r\ne,5";
        assert_eq!(groups_of("rows.csv", text), [vec![1, 2], vec![3], vec![4, 5]]);
        assert_eq!(groups_of("none.csv", b"word,n\n1,1\n"), [vec![1]]);
    }
}
