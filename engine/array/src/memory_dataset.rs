//! A dataset that is in memory, as a source.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow::error::Result;

use crate::attributes::Attributes;
use crate::chunk::Chunk;
use crate::dataset::{Dataset, Dimension, Storage, Variable};
use crate::dataset_chunk::{DatasetChunk, VariableChunk};
use crate::grid::ChunkGrid;
use crate::region::Region;
use crate::scalar::Scalar;
use crate::seam::{ArraySource, DatasetSource, Fetched, Placement, SourceFacts};

/// A dataset whose elements are in memory: for small data, and for tests.
///
/// What is read is copied. Elements count as random access, uncompressed.
///
/// ```
/// use array::{Chunk, DatasetChunk, DatasetSource, MemoryDataset, VariableChunk};
/// let days = VariableChunk::new("day", ["day"], Chunk::of([3], &[1i32, 2, 3])?)?;
/// let source = MemoryDataset::new(&DatasetChunk::new(vec![days])?);
/// assert_eq!(source.dataset().expect_dimension("day")?.length, 3);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryDataset {
    dataset: Dataset,
    elements: BTreeMap<String, Chunk>,
}

impl MemoryDataset {
    /// A dataset of these variables, without attributes.
    pub fn new(whole: &DatasetChunk) -> Self {
        let dimensions = whole.sizes();
        let dimensions = dimensions.iter().map(|(name, length)| Dimension {
            name: name.to_owned(),
            length,
            is_unlimited: false,
        });
        let variable = |it: &VariableChunk| Variable {
            name: it.name().to_owned(),
            dimensions: it.dimensions().to_vec(),
            shape: it.elements().shape().to_vec(),
            dtype: it.elements().dtype(),
            fill: None,
            attributes: Attributes::default(),
            storage: Storage::default(),
        };
        let dataset = Dataset {
            dimensions: dimensions.collect(),
            variables: whole.variables().iter().map(variable).collect(),
            ..Dataset::default()
        };
        let elements = whole.variables().iter();
        let elements = elements.map(|it| (it.name().to_owned(), it.elements().clone())).collect();
        Self { dataset, elements }
    }

    /// Gives a variable these attributes.
    ///
    /// # Errors
    /// No such variable.
    pub fn with_attributes(mut self, variable: &str, attributes: &Attributes) -> Result<Self> {
        self.dataset.expect_variable(variable)?;
        for known in self.dataset.variables.iter_mut().filter(|it| it.name == variable) {
            known.attributes = attributes.clone();
        }
        Ok(self)
    }
}

impl DatasetSource for MemoryDataset {
    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        let described = self.dataset.expect_variable(variable)?;
        let elements = self.elements.get(variable).cloned();
        let elements = elements.ok_or_else(|| {
            dataflow::error::Error::internal(format!("`{variable}` has no elements"))
        })?;
        let facts = SourceFacts {
            dtype: described.dtype,
            grid: ChunkGrid::regular(&described.shape, &described.shape),
            is_random_access: true,
            codecs: Vec::new(),
            encoded_ratio: 1.0,
            recode_bytes: 0,
            fill: Scalar::zero(described.dtype),
        };
        Ok(Arc::new(MemoryArray { facts, elements }))
    }
}

#[derive(Debug)]
struct MemoryArray {
    facts: SourceFacts,
    elements: Chunk,
}

impl ArraySource for MemoryArray {
    fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    fn fetch(&self, regions: &[Region]) -> Result<Box<dyn Fetched>> {
        Ok(Box::new(Held { elements: self.elements.clone(), regions: regions.to_vec() }))
    }
}

struct Held {
    elements: Chunk,
    regions: Vec<Region>,
}

impl Fetched for Held {
    fn decode(self: Box<Self>, places: &mut [Placement<'_>]) -> Result<()> {
        let pairs = self.regions.iter().zip(places);
        pairs
            .into_iter()
            .try_for_each(|(region, place)| place.into.write(&place.at, &self.elements, region))
    }
}
