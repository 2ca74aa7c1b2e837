//! The lengths of named dimensions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;

/// Elements along each dimension, in an order that is kept.
///
/// ```
/// use array::Sizes;
/// let sizes = Sizes::of([("time", 365), ("lat", 180)]);
/// assert_eq!((sizes.get("lat"), sizes.get("lon")), (Some(180), None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sizes(Vec<(String, u64)>);

impl Sizes {
    /// These lengths; of a dimension that is named twice, the last.
    pub fn of<S: Into<String>>(lengths: impl IntoIterator<Item = (S, u64)>) -> Self {
        let mut sizes = Self::default();
        lengths.into_iter().for_each(|(name, length)| sizes.set(name, length));
        sizes
    }

    /// Sets the length of a dimension; a new one comes last.
    pub fn set(&mut self, dimension: impl Into<String>, length: u64) {
        let dimension = dimension.into();
        match self.0.iter_mut().find(|(name, _)| *name == dimension) {
            Some(known) => known.1 = length,
            None => self.0.push((dimension, length)),
        }
    }

    /// The length of a dimension, if it is there.
    pub fn get(&self, dimension: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == dimension).map(|(_, length)| *length)
    }

    /// Dimensions and lengths, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, length)| (name.as_str(), *length))
    }

    /// The dimensions, in their order.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl From<&Dataset> for Sizes {
    fn from(dataset: &Dataset) -> Self {
        Self::of(dataset.dimensions.iter().map(|it| (it.name.clone(), it.length)))
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<String> =
            self.iter().map(|(name, length)| format!("{name}={length}")).collect();
        f.write_str(&lengths.join(","))
    }
}
