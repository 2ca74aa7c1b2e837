//! What a store or a file holds, without its data: the template of an output, the header of an
//! input.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::attributes::Attributes;
use crate::dtype::DType;
use crate::scalar::Scalar;

/// A named axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// The name, unique in a dataset.
    pub name: String,
    /// The number of elements.
    pub length: u64,
    /// Whether the file can grow along it.
    pub is_unlimited: bool,
}

/// How the elements of a variable lie in their file or store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Storage {
    /// Shape of a chunk; `None` where the elements lie in one piece.
    pub chunk_shape: Option<Vec<u64>>,
    /// Shape of a shard, where chunks are kept in shards.
    pub shard_shape: Option<Vec<u64>>,
    /// Codecs and filters, in the order of encoding, by the names of the format.
    pub codecs: Vec<String>,
}

/// One array with its names and attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name, unique in a dataset.
    pub name: String,
    /// The names of the dimensions, slowest first.
    pub dimensions: Vec<String>,
    /// Elements along every dimension.
    pub shape: Vec<u64>,
    /// The type of the elements as they are stored.
    pub dtype: DType,
    /// What an element is that was never written.
    pub fill: Option<Scalar>,
    /// Attributes as they are stored, packing and time units among them.
    pub attributes: Attributes,
    /// How the elements lie.
    pub storage: Storage,
}

impl Variable {
    /// The number of elements.
    pub fn element_count(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Bytes of all elements, decoded; texts are estimated.
    pub fn decoded_bytes(&self) -> u64 {
        self.element_count() * self.dtype.estimated_bytes()
    }

    /// The place of a dimension among those of this variable.
    pub fn axis_of(&self, dimension: &str) -> Option<usize> {
        self.dimensions.iter().position(|name| name == dimension)
    }

    /// Whether this variable labels its only dimension.
    pub fn is_dimension_coordinate(&self) -> bool {
        self.dimensions.len() == 1 && self.dimensions[0] == self.name
    }
}

/// Dimensions, variables and attributes of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dataset {
    /// In the order of the file.
    pub dimensions: Vec<Dimension>,
    /// In the order of the file.
    pub variables: Vec<Variable>,
    /// Attributes of the dataset itself.
    pub attributes: Attributes,
    /// Names of groups below this one, which are not read.
    pub groups: Vec<String>,
    /// What could not be read and was left out, one sentence each.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// The variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// The dimension of this name.
    pub fn dimension(&self, name: &str) -> Option<&Dimension> {
        self.dimensions.iter().find(|dimension| dimension.name == name)
    }

    /// The variable of this name, or an error that lists those there are.
    ///
    /// # Errors
    /// No such variable.
    pub fn expect_variable(&self, name: &str) -> Result<&Variable> {
        self.variable(name).ok_or_else(|| {
            let known = self.variables.iter().map(|variable| variable.name.as_str());
            let message = format!("there is no variable `{name}`");
            Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message)
                .mend(format!("the variables are: {}", listed(known)))
        })
    }

    /// The dimension of this name, or an error that lists those there are.
    ///
    /// # Errors
    /// No such dimension.
    pub fn expect_dimension(&self, name: &str) -> Result<&Dimension> {
        self.dimension(name).ok_or_else(|| {
            let known = self.dimensions.iter().map(|dimension| dimension.name.as_str());
            let message = format!("there is no dimension `{name}`");
            Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, message)
                .mend(format!("the dimensions are: {}", listed(known)))
        })
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
