//! A table as a dataset, and its columns as arrays.

use std::fmt;
use std::sync::Arc;

use array::{
    ArraySource, Axis, ChunkGrid, Dataset, DatasetSource, Dimension, Fetched, Placement, Region,
    Scalar, SourceFacts, Storage, Variable,
};
use arrow::datatypes::FieldRef;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::Location;
use tabular::{CsvDialect, TableFile};

use crate::table::column::Column;
use crate::table::convert::chunk_of;

/// The dimension of rows that no column names.
const INDEX: &str = "index";
/// The column in which pandas keeps an index of one level that has no name.
const UNNAMED_INDEX: &str = "__index_level_0__";
/// Bytes of an element besides itself while Arrow holds it: as it is read, and as it is cast.
const RECODE_BYTES: u64 = 16;

/// The dialect of a file of this name, if that is the name of a CSV file and this may be its head.
///
/// A name is asked, because almost any text can be read as CSV; suffixes of compression do not
/// count.
pub(crate) fn csv_dialect(location: &Location, head: &[u8]) -> Option<CsvDialect> {
    let name = location.file_name().to_ascii_lowercase();
    let compressions = [".gz", ".zst", ".bz2"];
    let plain = compressions.iter().find_map(|suffix| name.strip_suffix(suffix));
    let is_compressed = plain.is_some();
    let delimiter = match plain.unwrap_or(&name).rsplit_once('.') {
        Some((_, "csv")) => b',',
        Some((_, "tsv")) => b'\t',
        _ => return None,
    };
    // An error page is no table, nor is anything that is no text.
    let is_text = !head.is_empty() && !head.contains(&0) && !head.starts_with(b"<");
    (is_compressed || is_text).then_some(CsvDialect { delimiter, has_header: true })
}

/// A table, open as a dataset.
pub(crate) struct TableDataset {
    file: TableFile,
    location: Location,
    dataset: Dataset,
    /// Of each variable, by its name.
    columns: Vec<(String, FieldRef, Column)>,
    grid: ChunkGrid,
}

impl TableDataset {
    /// The table as a dataset whose rows are labelled by this column, or by nothing.
    ///
    /// The index of pandas that has no name (`__index_level_0__`) labels them where no other column
    /// is asked to, as `index`, which is what `DataFrame.to_xarray` calls it; of several levels each
    /// is a variable, `level_0` and so on, as `DataFrame.reset_index` calls them.
    ///
    /// # Errors
    /// No such column, or one of a type that labels nothing.
    pub(crate) fn new(
        file: TableFile,
        location: &Location,
        row_column: Option<&str>,
    ) -> Result<Self> {
        let names = Names::of(&file, row_column);
        let rows = names.rows.as_str();
        let grid = ChunkGrid::new([Axis::of_lengths(file.group_rows().iter().copied())]);
        let shape = grid.shape();
        let mut dataset = Dataset {
            dimensions: vec![Dimension {
                name: rows.to_owned(),
                length: shape[0],
                is_unlimited: true,
            }],
            ..Dataset::default()
        };
        let mut columns = Vec::new();
        for field in file.schema().fields() {
            let (name, data_type) = (names.of_column(field.name()), field.data_type());
            let Some(column) = Column::of(field, name == rows) else {
                let why = format!("column `{name}` is left out: arrays hold no {data_type}");
                dataset.warnings.push(why);
                continue;
            };
            let fill = column.null.clone().unwrap_or_else(|| Scalar::zero(column.dtype));
            let storage = Storage {
                chunk_shape: Some(grid.largest_chunk()),
                shard_shape: None,
                codecs: vec![file.format_name().to_ascii_lowercase()],
            };
            dataset.variables.push(Variable {
                name: name.clone(),
                dimensions: vec![rows.to_owned()],
                shape: shape.clone(),
                dtype: column.dtype,
                fill: Some(fill),
                attributes: column.attributes.clone(),
                storage,
            });
            columns.push((name, Arc::clone(field), column));
        }
        if let Some(name) = row_column {
            check_column(name, &names.rows, &file, &dataset)?;
        }
        Ok(Self { file, location: location.clone(), dataset, columns, grid })
    }
}

/// What columns are called as variables.
struct Names {
    /// The dimension of rows, and the variable that labels them.
    rows: String,
    /// Whether the one level of an index without a name labels the rows.
    has_index: bool,
}

impl Names {
    fn of(file: &TableFile, row_column: Option<&str>) -> Self {
        let fields = file.schema().fields();
        let has = |name: &str| fields.iter().any(|field| field.name() == name);
        let is_free =
            !has(INDEX) && fields.iter().filter(|it| level_of(it.name()).is_some()).count() == 1;
        let has_index =
            row_column.is_none_or(|name| name == UNNAMED_INDEX) && has(UNNAMED_INDEX) && is_free;
        let rows = match row_column {
            Some(name) if !has_index => level_of(name).unwrap_or_else(|| name.to_owned()),
            _ => INDEX.to_owned(),
        };
        Self { rows, has_index }
    }

    fn of_column(&self, name: &str) -> String {
        match level_of(name) {
            Some(_) if self.has_index => INDEX.to_owned(),
            Some(level) => level,
            None => name.to_owned(),
        }
    }
}

/// What a level of an index without a name is called once it is a column.
fn level_of(name: &str) -> Option<String> {
    let level = name.strip_prefix("__index_level_")?.strip_suffix("__")?;
    level.parse::<u32>().ok().map(|level| format!("level_{level}"))
}

/// Refuses a column for rows that is not there, or that is left out.
fn check_column(name: &str, rows: &str, file: &TableFile, dataset: &Dataset) -> Result<()> {
    if dataset.variable(rows).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = dataset.variables.iter().map(|it| it.name.as_str()).collect();
    let message = match file.schema().field_with_name(name) {
        Ok(field) => format!("column `{name}` cannot label rows: it holds {}", field.data_type()),
        Err(_) => format!("there is no column `{name}`"),
    };
    let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
    Err(error.mend(format!("the columns are: {}", known.join(", "))))
}

impl fmt::Debug for TableDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableDataset({:?})", self.file)
    }
}

impl DatasetSource for TableDataset {
    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        let known = self.columns.iter().find(|(name, ..)| name == variable);
        let Some((_, field, column)) = known else {
            let unknown = self.dataset.expect_variable(variable).err();
            let unknown = unknown.unwrap_or_else(|| Error::internal("a variable without a column"));
            return Err(unknown.at("file", &self.location));
        };
        let facts = SourceFacts {
            dtype: column.dtype,
            grid: self.grid.clone(),
            is_random_access: false,
            codecs: vec![self.file.format_name().to_ascii_lowercase()],
            encoded_ratio: 1.0,
            recode_bytes: RECODE_BYTES,
            fill: column.null.clone().unwrap_or_else(|| Scalar::zero(column.dtype)),
        };
        let (file, field, column) = (self.file.clone(), Arc::clone(field), column.clone());
        Ok(Arc::new(ColumnArray { parts: Arc::new(Parts { file, field, column }), facts }))
    }
}

/// A column, ready to be read.
struct ColumnArray {
    parts: Arc<Parts>,
    facts: SourceFacts,
}

struct Parts {
    file: TableFile,
    field: FieldRef,
    column: Column,
}

impl fmt::Debug for ColumnArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnArray({} of {:?})", self.parts.field.name(), self.parts.file)
    }
}

impl ArraySource for ColumnArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        let length = self.facts.grid.shape()[0];
        let is_within = |it: &Region| it.rank() == 1 && it.range(0).end <= length;
        if !regions.iter().all(is_within) {
            return Err(Error::internal(format!("rows outside of a table of {length}")));
        }
        Ok(Box::new(Rows {
            parts: Arc::clone(&self.parts),
            grid: self.facts.grid.clone(),
            regions: regions.to_vec(),
        }))
    }
}

/// Rows that are wanted. They are read when they are decoded: the reader of tables does both in one.
struct Rows {
    parts: Arc<Parts>,
    grid: ChunkGrid,
    regions: Vec<Region>,
}

impl Fetched for Rows {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        if places.len() != self.regions.len() {
            return Err(Error::internal("as many places as regions are needed"));
        }
        let axis = &self.grid.axes()[0];
        for group in 0..axis.chunk_count() {
            let rows = axis.chunk(group);
            let meets = |region: &Region| {
                let wanted = region.range(0);
                wanted.start.max(rows.start) < wanted.end.min(rows.end)
            };
            if self.regions.iter().any(meets) {
                self.group(group, rows.start..rows.end, places)?;
            }
        }
        Ok(())
    }
}

impl Rows {
    /// Reads one group, and puts its rows where they are wanted.
    fn group(
        &self,
        group: u64,
        rows: std::ops::Range<u64>,
        places: &mut [Placement<'_>],
    ) -> Result<()> {
        let Parts { file, field, column } = &*self.parts;
        let mut at = rows.start;
        file.read_column(group, field, &mut |batch| {
            let chunk = chunk_of(&batch, column)?;
            let end = at + chunk.element_count();
            for (place, region) in places.iter_mut().zip(&self.regions) {
                let wanted = region.range(0);
                let (from, to) = (wanted.start.max(at), wanted.end.min(end));
                if from < to {
                    let origin = [place.at[0] + from - wanted.start];
                    place.into.write(&origin, &chunk, &Region::at(&[from - at], &[to - from]))?;
                }
            }
            at = end;
            Ok(())
        })?;
        if at == rows.end {
            return Ok(());
        }
        let message = format!("a group of {} rows has {}", rows.end - rows.start, at - rows.start);
        Err(Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
            .at("column", field.name())
            .mend("the file is damaged, or is being written; copy it again"))
    }
}
