//! Files to read, written by another library than the one that reads them.

use std::sync::LazyLock;

use array::error::Result;
use netcdf::NetcdfFile;
use netcdf_writer::{
    DimensionId, NcAttrValue, NcFileBuilder, NcFillValueType, NcWriteFormat, NcWriteOptions,
    VariableId,
};
use tempfile::TempDir;

use super::reading::open;

/// Steps of the unlimited dimension.
pub(crate) const STEPS: usize = 7;
/// Elements of the fixed dimensions.
pub(crate) const ROWS: usize = 5;
/// Elements of the fixed dimensions.
pub(crate) const COLUMNS: usize = 9;
/// Characters of a name.
pub(crate) const NAME_LENGTH: usize = 4;
/// The names; the last one is full.
pub(crate) const NAMES: [&str; ROWS] = ["a", "bb", "", "ccc", "dddd"];

/// All formats.
pub(crate) const FORMATS: [NcWriteFormat; 5] = [
    NcWriteFormat::Classic,
    NcWriteFormat::Offset64,
    NcWriteFormat::Cdf5,
    NcWriteFormat::Nc4,
    NcWriteFormat::Nc4Classic,
];

/// Whether a format has the types that CDF-5 brought.
pub(crate) fn has_wide_types(format: NcWriteFormat) -> bool {
    matches!(format, NcWriteFormat::Cdf5 | NcWriteFormat::Nc4)
}

/// Whether a format is HDF5 underneath.
pub(crate) fn is_hdf5(format: NcWriteFormat) -> bool {
    matches!(format, NcWriteFormat::Nc4 | NcWriteFormat::Nc4Classic)
}

/// The value of an element by its place: never twice the same in a byte, and negative at times.
pub(crate) fn value(place: usize) -> i64 {
    (place as i64 * 37) % 200 - 100
}

/// The same as an unsigned number.
pub(crate) fn natural(place: usize) -> u64 {
    value(place).unsigned_abs()
}

struct Sample {
    builder: NcFileBuilder,
    time: DimensionId,
    row: DimensionId,
    column: DimensionId,
}

/// A file with variables of all types of the format: `fixed_<type>(row, column)`,
/// `record_<type>(time, row)`, and in HDF5 `chunked_<type>(time, row, column)` with all filters and
/// chunks that fit no dimension.
pub(crate) fn sample(format: NcWriteFormat) -> &'static [u8] {
    static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| FORMATS.map(write).to_vec());
    let place = FORMATS.iter().position(|known| *known == format).expect("a known format");
    &SAMPLES[place]
}

fn write(format: NcWriteFormat) -> Vec<u8> {
    let mut builder = NcFileBuilder::new();
    builder.add_attribute("title", NcAttrValue::Chars("Grüße".to_owned())).expect("a title");
    builder.add_attribute("levels", NcAttrValue::Ints(vec![1, -2, 3])).expect("numbers");
    let time = builder.add_unlimited_dimension("time").expect("a dimension");
    let row = builder.add_dimension("row", ROWS as u64).expect("a dimension");
    let column = builder.add_dimension("column", COLUMNS as u64).expect("a dimension");
    let name_length = builder.add_dimension("name_length", NAME_LENGTH as u64).expect("one more");
    let mut sample = Sample { builder, time, row, column };
    let is_hdf5 = is_hdf5(format);
    sample.number("int8", is_hdf5, |place| value(place) as i8);
    sample.number("int16", is_hdf5, |place| value(place) as i16 * 100);
    sample.number("int32", is_hdf5, |place| value(place) as i32 * 1_000_000);
    sample.number("float32", is_hdf5, |place| value(place) as f32 * 0.5);
    sample.number("float64", is_hdf5, |place| value(place) as f64 * 1e-3);
    if has_wide_types(format) {
        sample.number("uint8", is_hdf5, |place| natural(place) as u8);
        sample.number("uint16", is_hdf5, |place| natural(place) as u16 * 300);
        sample.number("uint32", is_hdf5, |place| natural(place) as u32 * 20_000_000);
        sample.number("int64", is_hdf5, |place| value(place) * 10_000_000_000);
        sample.number("uint64", is_hdf5, |place| natural(place) * 90_000_000_000_000_000);
    }
    let Sample { mut builder, row, .. } = sample;
    let names = builder.add_char_variable("names", &[row, name_length]).expect("a variable");
    builder.write_char_variable_strings(names, &NAMES).expect("names that fit");
    let scalar = builder.add_variable::<f64>("scalar", &[]).expect("a variable");
    builder.write_variable(scalar, &[2.5]).expect("one value");
    if format == NcWriteFormat::Nc4 {
        let texts = builder.add_string_variable("texts", &[row]).expect("a variable");
        builder.write_string_variable(texts, &NAMES).expect("texts");
    }
    builder.to_vec(NcWriteOptions { format }).expect("a file").1
}

impl Sample {
    fn number<T: NcFillValueType>(&mut self, name: &str, is_hdf5: bool, of: impl Fn(usize) -> T) {
        let values = |count: usize| (0..count).map(&of).collect::<Vec<T>>();
        let fixed = self.add::<T>(&format!("fixed_{name}"), &[self.row, self.column]);
        self.builder.write_variable(fixed, &values(ROWS * COLUMNS)).expect("values");
        let record = self.add::<T>(&format!("record_{name}"), &[self.time, self.row]);
        self.builder.write_variable(record, &values(STEPS * ROWS)).expect("values");
        if is_hdf5 {
            let dimensions = [self.time, self.row, self.column];
            let chunked = self.add::<T>(&format!("chunked_{name}"), &dimensions);
            self.builder.set_variable_chunking(chunked, [2, 3, 5]).expect("chunks");
            self.builder.set_variable_deflate(chunked, Some(5), true).expect("deflate");
            self.builder.set_variable_fletcher32(chunked, true).expect("fletcher32");
            let values = values(STEPS * ROWS * COLUMNS);
            self.builder.write_variable(chunked, &values).expect("values");
        }
    }

    fn add<T: NcFillValueType>(&mut self, name: &str, dimensions: &[DimensionId]) -> VariableId {
        let variable = self.builder.add_variable::<T>(name, dimensions).expect("a variable");
        let units = NcAttrValue::Chars(format!("units of {name}"));
        self.builder.add_variable_attribute(variable, "units", units).expect("an attribute");
        variable
    }
}

/// Bytes that can be opened as a file, again and again.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new folder.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// Opens bytes as a file.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<NetcdfFile> {
        let path = self.0.path().join("sample.bin");
        std::fs::write(&path, bytes).expect("room for a sample");
        open(&path)
    }
}
