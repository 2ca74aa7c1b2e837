//! Which piece of a dataset a chunk is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dataflow::Element;
use serde::{Deserialize, Serialize};

/// Where a chunk begins on each dimension, and which variables it holds.
///
/// Offsets are elements, not chunk indices; a dimension that is not named is held whole from
/// zero. The order of dimensions never matters.
///
/// Source: xarray-beam, "Core data model", <https://xarray-beam.readthedocs.io/en/latest/data-model.html>.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Element,
)]
#[element(crate = "dataflow")]
pub struct Key {
    offsets: Offsets,
    variables: Option<Names>,
}

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Element,
)]
#[element(crate = "dataflow")]
#[serde(transparent)]
struct Offsets(Vec<(String, u64)>);

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, Element,
)]
#[element(crate = "dataflow")]
#[serde(transparent)]
struct Names(Vec<String>);

impl Key {
    /// The key of the chunk that begins at these offsets and holds all variables.
    pub fn new<S: Into<String>>(offsets: impl IntoIterator<Item = (S, u64)>) -> Self {
        let sorted: BTreeMap<String, u64> =
            offsets.into_iter().map(|(name, offset)| (name.into(), offset)).collect();
        Self { offsets: Offsets(sorted.into_iter().collect()), variables: None }
    }

    /// The same place, for these variables only.
    #[must_use]
    pub fn with_variables<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let sorted: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        self.variables = Some(Names(sorted.into_iter().collect()));
        self
    }

    /// The same variables, with one offset set.
    #[must_use]
    pub fn with_offset(mut self, dimension: &str, offset: u64) -> Self {
        let offsets = &mut self.offsets.0;
        match offsets.binary_search_by(|(name, _)| name.as_str().cmp(dimension)) {
            Ok(place) => offsets[place].1 = offset,
            Err(place) => offsets.insert(place, (dimension.to_owned(), offset)),
        }
        self
    }

    /// The offset on a dimension, if the key names it.
    pub fn offset(&self, dimension: &str) -> Option<u64> {
        self.offsets().find(|(name, _)| *name == dimension).map(|(_, offset)| offset)
    }

    /// Dimensions and offsets, by name.
    pub fn offsets(&self) -> impl Iterator<Item = (&str, u64)> {
        self.offsets.0.iter().map(|(name, offset)| (name.as_str(), *offset))
    }

    /// The variables, by name; `None` means all.
    pub fn variables(&self) -> Option<impl Iterator<Item = &str>> {
        self.variables.as_ref().map(|names| names.0.iter().map(String::as_str))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offsets = self.offsets().map(|(name, offset)| format!("{name}={offset}"));
        let variables = self
            .variables()
            .map(|names| format!("vars={{{}}}", names.collect::<Vec<_>>().join(",")));
        write!(f, "Key{{{}}}", offsets.chain(variables).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimension_order_never_matters() {
        let key = Key::new([("time", 187), ("lat", 0)]).with_variables(["wind"]);
        let same = Key::new([("lat", 0)]).with_offset("time", 187).with_variables(["wind"]);
        assert_eq!(key, same);
        assert_eq!(key.to_string(), "Key{lat=0, time=187, vars={wind}}");
        assert_eq!((key.offset("time"), key.offset("lon")), (Some(187), None));
    }

    #[test]
    fn keys_can_be_grouped_by() {
        use dataflow::coder::Coder;
        assert!(Key::coder().is_deterministic());
    }
}
