//! Several variables in one box: what flows through a pipeline under a key.

use std::collections::BTreeSet;
use std::ops::Range;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::chunk::Chunk;
use crate::key::Key;
use crate::region::Region;
use crate::sizes::Sizes;

/// A piece of one variable, with its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableChunk {
    name: String,
    dimensions: Vec<String>,
    is_coordinate: bool,
    elements: Chunk,
}

impl VariableChunk {
    /// Elements of a data variable; one name for each of their dimensions, slowest first.
    ///
    /// # Errors
    /// Another number of names than of dimensions, a name that is given twice.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        dimensions: impl IntoIterator<Item = S>,
        elements: Chunk,
    ) -> Result<Self> {
        let name = name.into();
        let dimensions: Vec<String> = dimensions.into_iter().map(Into::into).collect();
        let distinct: BTreeSet<&String> = dimensions.iter().collect();
        if distinct.len() == elements.shape().len() && distinct.len() == dimensions.len() {
            return Ok(Self { name, dimensions, is_coordinate: false, elements });
        }
        let message = format!("elements of shape {:?} are named {dimensions:?}", elements.shape());
        Err(mismatch(message)
            .at("variable", &name)
            .mend("give each dimension of the elements one name, and each another one"))
    }

    /// The same as a coordinate: it labels elements, and is no data itself.
    #[must_use]
    pub fn into_coordinate(mut self) -> Self {
        self.is_coordinate = true;
        self
    }

    /// The name, unique in a chunk.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the dimensions, slowest first.
    pub fn dimensions(&self) -> &[String] {
        &self.dimensions
    }

    /// Whether this labels elements and is no data itself.
    pub fn is_coordinate(&self) -> bool {
        self.is_coordinate
    }

    /// The elements.
    pub fn elements(&self) -> &Chunk {
        &self.elements
    }

    /// The place of a dimension among those of this variable.
    pub fn axis_of(&self, dimension: &str) -> Option<usize> {
        self.dimensions.iter().position(|name| name == dimension)
    }

    /// Other elements under the same names.
    ///
    /// # Errors
    /// Elements of another rank.
    pub fn with_elements(&self, elements: Chunk) -> Result<Self> {
        let Self { name, dimensions, is_coordinate, .. } = self;
        let variable = Self::new(name.clone(), dimensions.clone(), elements)?;
        Ok(if *is_coordinate { variable.into_coordinate() } else { variable })
    }

    fn sizes(&self) -> impl Iterator<Item = (&String, u64)> {
        self.dimensions.iter().zip(self.elements.shape().iter().copied())
    }
}

/// Pieces of several variables that lie in one box of a dataset.
///
/// Variables are in an order that is kept. A dimension has one length in all of them. Attributes
/// do not travel with chunks: they are in the [`Dataset`](crate::Dataset) that is their template.
///
/// Source: xarray-beam, "Core data model", <https://xarray-beam.readthedocs.io/en/latest/data-model.html>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatasetChunk {
    variables: Vec<VariableChunk>,
}

impl DatasetChunk {
    /// A chunk of these variables.
    ///
    /// # Errors
    /// Two variables of one name, a dimension that has two lengths.
    pub fn new(variables: Vec<VariableChunk>) -> Result<Self> {
        let chunk = Self { variables };
        let mut sizes = Sizes::default();
        let mut names = BTreeSet::new();
        for variable in &chunk.variables {
            if !names.insert(variable.name.as_str()) {
                let message = format!("two variables of a chunk are called `{}`", variable.name);
                return Err(mismatch(message).mend("give each variable a name of its own"));
            }
            for (dimension, length) in variable.sizes() {
                let known = sizes.get(dimension).unwrap_or(length);
                if known != length {
                    let message = format!("`{dimension}` has {known} and {length} elements");
                    return Err(mismatch(message)
                        .at("variable", &variable.name)
                        .mend("cut all variables of a chunk at the same places"));
                }
                sizes.set(dimension.clone(), length);
            }
        }
        Ok(chunk)
    }

    /// All variables, in their order.
    pub fn variables(&self) -> &[VariableChunk] {
        &self.variables
    }

    /// All variables, to be made into other ones.
    pub fn into_variables(self) -> Vec<VariableChunk> {
        self.variables
    }

    /// The variables that are data, in their order.
    pub fn data_variables(&self) -> impl Iterator<Item = &VariableChunk> {
        self.variables.iter().filter(|variable| !variable.is_coordinate)
    }

    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&VariableChunk> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// The variable of this name, or an error that lists those there are.
    ///
    /// # Errors
    /// No such variable.
    pub fn expect_variable(&self, name: &str) -> Result<&VariableChunk> {
        self.variable(name).ok_or_else(|| {
            let known: Vec<&str> = self.variables.iter().map(|it| it.name.as_str()).collect();
            let message = format!("a chunk holds no variable `{name}`");
            Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message)
                .mend(format!("the variables are: {}", known.join(", ")))
        })
    }

    /// The lengths of all dimensions, in the order in which variables name them.
    pub fn sizes(&self) -> Sizes {
        let sizes = self.variables.iter().flat_map(VariableChunk::sizes);
        Sizes::of(sizes.map(|(name, length)| (name.clone(), length)))
    }

    /// The length of a dimension; `None` if no variable has it.
    pub fn length(&self, dimension: &str) -> Option<u64> {
        let mut found = self.variables.iter().filter_map(|variable| {
            variable.axis_of(dimension).map(|axis| variable.elements.shape()[axis])
        });
        found.next()
    }

    /// Bytes of all elements.
    pub fn payload_bytes(&self) -> u64 {
        self.variables.iter().map(|variable| variable.elements.payload().len() as u64).sum()
    }

    /// The elements within these ranges, which count from the start of this chunk.
    ///
    /// A dimension without a range is kept whole; a variable of which nothing is cut off shares its
    /// payload, all others are copied.
    ///
    /// # Errors
    /// A range that is not within this chunk.
    pub fn slice(&self, ranges: &[(&str, Range<u64>)]) -> Result<Self> {
        let range_of = |name: &str, length: u64| {
            let named = ranges.iter().find(|(dimension, _)| *dimension == name);
            named.map_or(0..length, |(_, range)| range.clone())
        };
        let cut = |variable: &VariableChunk| {
            let region = Region::new(variable.sizes().map(|(name, length)| range_of(name, length)));
            if region == Region::whole(variable.elements.shape()) {
                return Ok(variable.clone());
            }
            let elements = variable.elements.slice(&region);
            variable.with_elements(elements.map_err(|error| error.at("variable", &variable.name))?)
        };
        let variables: Result<Vec<VariableChunk>> = self.variables.iter().map(cut).collect();
        Ok(Self { variables: variables? })
    }

    /// These data variables, and the coordinates whose dimensions they have.
    ///
    /// # Errors
    /// A data variable that is not there.
    pub fn select(&self, names: &[&str]) -> Result<Self> {
        for name in names {
            self.expect_variable(name)?;
        }
        let is_named = |variable: &VariableChunk| names.contains(&variable.name.as_str());
        let named: BTreeSet<&String> = {
            let chosen = self.variables.iter().filter(|variable| is_named(variable));
            chosen.flat_map(|variable| &variable.dimensions).collect()
        };
        let is_kept = |variable: &&VariableChunk| {
            let labels = variable.is_coordinate
                && variable.dimensions.iter().all(|dimension| named.contains(dimension));
            is_named(variable) || labels
        };
        Ok(Self { variables: self.variables.iter().filter(is_kept).cloned().collect() })
    }
}

/// Refuses a key that does not name what the chunk holds.
///
/// Every dimension of the key must be one of the chunk, every variable of it a data variable.
///
/// # Errors
/// A dimension or a variable that the chunk does not have.
///
/// Source: xarray-beam 0.11.5, `validate_chunk`.
pub fn validate_chunk(key: &Key, chunk: &DatasetChunk) -> Result<()> {
    if let Some((dimension, _)) = key.offsets().find(|(name, _)| chunk.length(name).is_none()) {
        let message = format!("{key} names the dimension `{dimension}`, which its chunk lacks");
        let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message);
        return Err(error.mend(format!("the dimensions of the chunk are: {}", chunk.sizes())));
    }
    let is_data = |name: &str| chunk.data_variables().any(|variable| variable.name == name);
    let Some(name) = key.variables().into_iter().flatten().find(|name| !is_data(name)) else {
        return Ok(());
    };
    let known: Vec<&str> = chunk.data_variables().map(|it| it.name.as_str()).collect();
    let message = format!("{key} names the variable `{name}`, which its chunk lacks");
    let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
    Err(error.mend(format!("the data variables of the chunk are: {}", known.join(", "))))
}

fn mismatch(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::GRIDS_DIFFER, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, dimensions: &[&str], shape: &[u64]) -> VariableChunk {
        let values: Vec<i32> = (0..shape.iter().product::<u64>() as i32).collect();
        let elements = Chunk::of(shape, &values).expect("as many as the shape");
        VariableChunk::new(name, dimensions.iter().copied(), elements).expect("one name each")
    }

    fn weather() -> DatasetChunk {
        let variables = vec![
            variable("t2m", &["time", "lat"], &[2, 3]),
            variable("days", &["time"], &[2]),
            variable("lat", &["lat"], &[3]).into_coordinate(),
        ];
        DatasetChunk::new(variables).expect("lengths agree")
    }

    #[test]
    fn lengths_and_names_must_agree() {
        let two = vec![variable("a", &["x"], &[2]), variable("b", &["x"], &[3])];
        assert!(DatasetChunk::new(two).is_err());
        let twice = vec![variable("a", &["x"], &[2]), variable("a", &["y"], &[3])];
        assert!(DatasetChunk::new(twice).is_err());
        let elements = Chunk::of([2, 2], &[1i8, 2, 3, 4]).expect("four");
        assert!(VariableChunk::new("a", ["x", "x"], elements.clone()).is_err());
        assert!(VariableChunk::new("a", ["x"], elements).is_err());
    }

    #[test]
    fn a_slice_cuts_what_has_the_dimension_and_shares_the_rest() {
        let (whole, cut) = (weather(), weather().slice(&[("lat", 1..3)]).expect("within"));
        assert_eq!(cut.sizes(), Sizes::of([("time", 2), ("lat", 2)]));
        let values = cut.variable("t2m").expect("there").elements().values::<i32>();
        assert_eq!(values.expect("numbers"), [1, 2, 4, 5]);
        let again = whole.slice(&[("lat", 0..2)]).expect("within");
        let days = |chunk: &DatasetChunk| chunk.variables()[1].elements().payload().as_ptr();
        assert_eq!(days(&again), days(&whole));
        assert!(whole.slice(&[("time", 1..3)]).is_err());
    }

    #[test]
    fn coordinates_follow_the_variables_that_they_label() {
        let names = |chunk: DatasetChunk| {
            chunk.variables().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(weather().select(&["t2m"]).expect("there")), ["t2m", "lat"]);
        assert_eq!(names(weather().select(&["days"]).expect("there")), ["days"]);
        assert!(weather().select(&["wind"]).is_err());
    }

    #[test]
    fn keys_name_what_chunks_hold() {
        assert!(
            validate_chunk(&Key::new([("time", 4)]).with_variables(["t2m"]), &weather()).is_ok()
        );
        let error = validate_chunk(&Key::new([("lon", 4)]), &weather()).expect_err("no lon");
        assert_eq!(error.code(), ErrorCode::UNKNOWN_DIMENSION);
        let of_label = Key::new([("lat", 0)]).with_variables(["lat"]);
        let error = validate_chunk(&of_label, &weather()).expect_err("no data");
        assert_eq!(error.code(), ErrorCode::UNKNOWN_VARIABLE);
    }
}
