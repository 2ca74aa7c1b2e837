//! NetCDF files that tests make up, and stores as tests read them back. Knows no command.

use std::path::{Path, PathBuf};

use levain::array::{Attributes, Chunk, Native, Region, Scalar};
use levain::bake::open_dataset;
use levain::cf::{Packing, time_encoding};
use levain::objects::{Location, StoreOptions};
use netcdf_writer::{NcAttrValue, NcFileBuilder, NcWriteFormat, NcWriteOptions};
use tempfile::TempDir;

/// Elements of a variable.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Bytes(Vec<i8>),
    Shorts(Vec<i16>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    /// Characters of equal length; the last dimension is that length.
    Chars(Vec<u8>),
    /// NetCDF-4 only.
    Texts(Vec<String>),
}

macro_rules! values_from {
    ($($type:ty => $variant:ident),+) => {$(
        impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Self {
                Self::$variant(values)
            }
        }
        impl<const N: usize> From<[$type; N]> for Values {
            fn from(values: [$type; N]) -> Self {
                Self::$variant(values.to_vec())
            }
        }
    )+};
}

values_from!(i8 => Bytes, i16 => Shorts, i32 => Ints, f32 => Floats, f64 => Doubles, u8 => Chars, String => Texts);

/// An attribute of a text.
pub(crate) fn text(value: &str) -> NcAttrValue {
    NcAttrValue::Chars(value.to_owned())
}

struct MadeVariable {
    name: String,
    dimensions: Vec<String>,
    values: Values,
    attributes: Vec<(String, NcAttrValue)>,
    chunks: Option<Vec<u64>>,
}

/// A NetCDF file that is being made up.
pub(crate) struct Made {
    dimensions: Vec<(String, Option<u64>)>,
    variables: Vec<MadeVariable>,
    attributes: Vec<(String, NcAttrValue)>,
    format: NcWriteFormat,
}

impl Made {
    /// An empty file.
    pub(crate) fn new() -> Self {
        let (dimensions, variables, attributes) = (Vec::new(), Vec::new(), Vec::new());
        Self { dimensions, variables, attributes, format: NcWriteFormat::Classic }
    }

    pub(crate) fn format(mut self, format: NcWriteFormat) -> Self {
        self.format = format;
        self
    }

    pub(crate) fn dimension(mut self, name: &str, length: u64) -> Self {
        self.dimensions.push((name.to_owned(), Some(length)));
        self
    }

    pub(crate) fn unlimited(mut self, name: &str) -> Self {
        self.dimensions.push((name.to_owned(), None));
        self
    }

    /// Adds a variable; `dimensions` are names with a space between them.
    pub(crate) fn variable(
        mut self,
        name: &str,
        dimensions: &str,
        values: impl Into<Values>,
        attributes: &[(&str, NcAttrValue)],
    ) -> Self {
        let own = |(name, value): &(&str, NcAttrValue)| ((*name).to_owned(), value.clone());
        self.variables.push(MadeVariable {
            name: name.to_owned(),
            dimensions: dimensions.split_whitespace().map(str::to_owned).collect(),
            values: values.into(),
            attributes: attributes.iter().map(own).collect(),
            chunks: None,
        });
        self
    }

    /// Cuts the last variable into chunks and deflates them; NetCDF-4 only.
    pub(crate) fn chunked(mut self, shape: &[u64]) -> Self {
        let last = self.variables.last_mut().expect("a variable is chunked after it is added");
        last.chunks = Some(shape.to_vec());
        self
    }

    /// Adds an attribute of a variable that was added before.
    pub(crate) fn attribute_of(mut self, variable: &str, name: &str, value: NcAttrValue) -> Self {
        let mut variables = self.variables.iter_mut();
        let found = variables.find(|it| it.name == variable).expect("a variable of this name");
        found.attributes.push((name.to_owned(), value));
        self
    }

    /// Gives a variable that was added before other elements.
    pub(crate) fn replaced(mut self, variable: &str, values: impl Into<Values>) -> Self {
        let mut variables = self.variables.iter_mut();
        let found = variables.find(|it| it.name == variable).expect("a variable of this name");
        found.values = values.into();
        self
    }

    /// Adds an attribute of the file.
    pub(crate) fn attribute(mut self, name: &str, value: NcAttrValue) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = NcFileBuilder::new();
        let ids: Vec<_> = self
            .dimensions
            .iter()
            .map(|(name, length)| {
                let id = match length {
                    Some(length) => file.add_dimension(name, *length),
                    None => file.add_unlimited_dimension(name),
                };
                (name, id.expect("a new dimension"))
            })
            .collect();
        for (name, value) in &self.attributes {
            file.add_attribute(name, value.clone()).expect("a new attribute");
        }
        for variable in &self.variables {
            let id_of = |name: &String| ids.iter().find(|(known, _)| *known == name);
            let dimensions: Vec<_> = variable
                .dimensions
                .iter()
                .map(|name| id_of(name).expect("a dimension").1)
                .collect();
            variable.add(&mut file, &dimensions);
        }
        file.to_vec(NcWriteOptions { format: self.format }).expect("a file").1
    }
}

impl MadeVariable {
    fn add(&self, file: &mut NcFileBuilder, dimensions: &[netcdf_writer::DimensionId]) {
        let name = self.name.as_str();
        let id = match &self.values {
            Values::Bytes(_) => file.add_variable::<i8>(name, dimensions),
            Values::Shorts(_) => file.add_variable::<i16>(name, dimensions),
            Values::Ints(_) => file.add_variable::<i32>(name, dimensions),
            Values::Floats(_) => file.add_variable::<f32>(name, dimensions),
            Values::Doubles(_) => file.add_variable::<f64>(name, dimensions),
            Values::Chars(_) => file.add_char_variable(name, dimensions),
            Values::Texts(_) => file.add_string_variable(name, dimensions),
        };
        let id = id.expect("a new variable");
        for (name, value) in &self.attributes {
            file.add_variable_attribute(id, name, value.clone()).expect("a new attribute");
        }
        if let Some(chunks) = &self.chunks {
            file.set_variable_chunking(id, chunks.as_slice()).expect("chunks");
            file.set_variable_deflate(id, Some(1), true).expect("deflate");
        }
        match &self.values {
            Values::Bytes(values) => file.write_variable(id, values),
            Values::Shorts(values) => file.write_variable(id, values),
            Values::Ints(values) => file.write_variable(id, values),
            Values::Floats(values) => file.write_variable(id, values),
            Values::Doubles(values) => file.write_variable(id, values),
            Values::Chars(values) => file.write_char_variable(id, values),
            Values::Texts(values) => file.write_string_variable(id, values),
        }
        .expect("as many values as the dimensions have");
    }
}

/// A day of a made-up field: `time` has these numbers, in these units, and `t2m(time, lat, lon)`
/// counts up from `first`.
pub(crate) fn day(units: &str, times: &[f64], first: f32) -> Made {
    let count = times.len() * 6;
    Made::new()
        .unlimited("time")
        .dimension("lat", 2)
        .dimension("lon", 3)
        .variable("time", "time", times.to_vec(), &[("units", text(units))])
        .variable("lat", "lat", [10.0, 20.0], &[("units", text("degrees_north"))])
        .variable("lon", "lon", [0.0, 1.0, 2.0], &[("units", text("degrees_east"))])
        .variable("t2m", "time lat lon", counted(first, count), &[("units", text("K"))])
}

/// So many numbers, counted up.
pub(crate) fn counted(first: f32, count: usize) -> Vec<f32> {
    (0..count).map(|place| first + place as f32).collect()
}

/// A folder for one test, with the files that it makes and the stores that it bakes.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as users write it.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("temporary folders have UTF-8 names").to_owned()
    }

    /// Writes a file; its path.
    pub(crate) fn put(&self, name: &str, made: &Made) -> String {
        self.put_bytes(name, &made.bytes())
    }

    /// Writes bytes; their path.
    pub(crate) fn put_bytes(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("a new folder");
        std::fs::write(&path, bytes).expect("room for a file");
        self.text(name)
    }

    /// Writes files one after the other; their paths.
    pub(crate) fn put_all(&self, all: &[Made]) -> Vec<String> {
        let named = all.iter().enumerate();
        named.map(|(place, made)| self.put(&format!("{place}.nc"), made)).collect()
    }
}

/// A store that was written, read back with our own reader.
pub(crate) struct Baked(std::sync::Arc<dyn levain::array::DatasetSource>);

impl Baked {
    pub(crate) fn open(path: &str) -> Self {
        let location = Location::parse(path).expect("a location");
        Self(open_dataset(&location, &StoreOptions::default()).expect("a store"))
    }

    pub(crate) fn dataset(&self) -> &levain::array::Dataset {
        self.0.dataset()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.dataset().variables.iter().map(|it| it.name.as_str()).collect()
    }

    pub(crate) fn chunk(&self, name: &str) -> Chunk {
        let array = self.0.array(name).expect("an array");
        let shape = array.facts().grid.shape();
        array.read(&Region::whole(&shape)).expect("every chunk is there")
    }

    /// The stored elements.
    pub(crate) fn values<T: Native>(&self, name: &str) -> Vec<T> {
        self.chunk(name).values().expect("elements of this type")
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<u64> {
        self.chunk(name).shape().to_vec()
    }

    /// The texts of a variable, be they of fixed length or not.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let chunk = self.chunk(name);
        match chunk.texts() {
            Ok(texts) => texts.into_iter().map(str::to_owned).collect(),
            Err(_) => {
                let scalar = |place| chunk.scalar(place).expect("an element");
                let of_bytes = |scalar: Scalar| {
                    String::from_utf8_lossy(scalar.bytes()).trim_end_matches('\0').to_owned()
                };
                (0..chunk.element_count()).map(scalar).map(of_bytes).collect()
            }
        }
    }

    /// The times that the numbers of a variable mean.
    pub(crate) fn times(&self, name: &str) -> Vec<String> {
        let variable = self.dataset().variable(name).expect("a variable");
        let encoding = time_encoding(self.dataset(), variable).expect("units").expect("of time");
        let packing = Packing::parse(&variable.attributes, variable.dtype).expect("a packing");
        let instants = encoding.decode(&self.chunk(name), &packing).expect("times");
        let calendar = instants.calendar();
        let texts = instants.nanoseconds().iter();
        texts.map(|it| it.map_or("none".to_owned(), |it| calendar.instant_text(it))).collect()
    }

    /// The values that the stored elements mean, missing ones as NaN.
    pub(crate) fn decoded(&self, name: &str) -> Vec<f64> {
        let variable = self.dataset().variable(name).expect("a variable");
        let packing = Packing::parse(&variable.attributes, variable.dtype).expect("a packing");
        let chunk = packing.decode(&self.chunk(name)).expect("values");
        let value = |place| chunk.scalar(place).expect("an element").as_float();
        (0..chunk.element_count()).map(|place| value(place).expect("a number")).collect()
    }

    pub(crate) fn attributes(&self, name: &str) -> &Attributes {
        &self.dataset().variable(name).expect("a variable").attributes
    }
}
