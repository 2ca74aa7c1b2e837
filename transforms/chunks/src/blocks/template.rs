//! What a collection of chunks is made of: its variables, their sizes, and how it is cut.

use std::collections::BTreeSet;

use array::{ArrayBuffer, Axis, Dataset, DatasetChunk, Key, Sizes, Variable, VariableChunk};
use dataflow::error::Result;

use crate::keyed::Chunks;

/// A dataset without its elements, and the chunks that it is cut into.
///
/// Source: xarray-beam, "Core data model", templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    dataset: Dataset,
    coordinates: BTreeSet<String>,
    chunks: Chunks,
    axes: Vec<(String, Axis)>,
}

impl Template {
    /// The template of a dataset that is cut into these chunks.
    ///
    /// A variable that labels its only dimension is a coordinate, all others are data.
    ///
    /// # Errors
    /// Chunks along a dimension that is not there, explicit lengths that do not add up to it.
    pub fn of(dataset: Dataset, chunks: Chunks) -> Result<Self> {
        let axes = chunks.axes(&Sizes::from(&dataset))?;
        let labels = dataset.variables.iter().filter(|it| it.is_dimension_coordinate());
        let coordinates = labels.map(|it| it.name.clone()).collect();
        Ok(Self { dataset, coordinates, chunks, axes })
    }

    /// Takes these variables for coordinates, too.
    #[must_use]
    pub fn with_coordinates<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.coordinates.extend(names.into_iter().map(Into::into));
        self
    }

    /// Dimensions, variables and attributes.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The lengths of the dimensions.
    pub fn sizes(&self) -> Sizes {
        Sizes::from(&self.dataset)
    }

    /// How it is cut.
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// The cuts of all dimensions, in their order.
    pub fn axes(&self) -> &[(String, Axis)] {
        &self.axes
    }

    /// The cuts of a dimension, if it is there.
    pub fn axis(&self, dimension: &str) -> Option<&Axis> {
        self.axes.iter().find(|(name, _)| name == dimension).map(|(_, axis)| axis)
    }

    /// Whether a variable is a coordinate.
    pub fn is_coordinate(&self, variable: &str) -> bool {
        self.coordinates.contains(variable)
    }

    /// The length of the longest chunk along a dimension of a variable.
    fn longest(&self, dimension: &str, length: u64) -> u64 {
        self.axis(dimension).map_or(length, Axis::longest_chunk)
    }

    /// Bytes of the largest chunk; texts are estimated.
    pub fn chunk_bytes(&self) -> u64 {
        self.bytes_of(|dimension, length| self.longest(dimension, length))
    }

    /// Bytes of a chunk that has these lengths.
    pub(crate) fn bytes_of(&self, length_of: impl Fn(&str, u64) -> u64) -> u64 {
        let bytes = |variable: &Variable| {
            let lengths = variable.dimensions.iter().zip(&variable.shape);
            let lengths = lengths.map(|(name, &length)| length_of(name, length));
            lengths.fold(variable.dtype.estimated_bytes(), u64::saturating_mul)
        };
        self.dataset.variables.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// The key of the first or of the last chunk, and a chunk of zeros and empty texts there.
    pub(crate) fn blank(&self, is_last: bool) -> Result<(Key, DatasetChunk)> {
        let chunk_of = |axis: &Axis| {
            let place = if is_last { axis.chunk_count().saturating_sub(1) } else { 0 };
            if axis.chunk_count() == 0 { 0..0 } else { axis.chunk(place) }
        };
        let ranges = self.axes.iter().map(|(name, axis)| (name.as_str(), chunk_of(axis)));
        let ranges: Vec<_> = ranges.collect();
        let length_of = |dimension: &String, length: u64| {
            let range = ranges.iter().find(|(name, _)| name == dimension);
            range.map_or(length, |(_, range)| range.end - range.start)
        };
        let blank = |variable: &Variable| {
            let lengths = variable.dimensions.iter().zip(&variable.shape);
            let shape: Vec<u64> = lengths.map(|(name, &length)| length_of(name, length)).collect();
            let elements = ArrayBuffer::zeroed(variable.dtype, &shape).freeze()?;
            let blank = VariableChunk::new(&variable.name, &variable.dimensions, elements)?;
            let is_coordinate = self.is_coordinate(&variable.name);
            Ok(if is_coordinate { blank.into_coordinate() } else { blank })
        };
        let variables = self.dataset.variables.iter().map(blank).collect::<Result<_>>()?;
        let key = Key::new(ranges.iter().map(|(name, range)| (*name, range.start)));
        Ok((key, DatasetChunk::new(variables)?))
    }
}
