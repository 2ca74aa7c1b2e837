//! What all files say, reduced: associative, commutative, and no larger than it must be.
//!
//! A [`Schema`] holds for everything that should agree the value of the first file, and the first
//! other value with the file that has it. So any number of files can be reduced in any order, and
//! whatever contradicts can be named with two files.

mod axis;
mod variable;
mod variants;

use std::collections::{BTreeMap, BTreeSet};

use array::{AttributeValue, Dataset, Variable};
use dataflow::Element;
use serde::{Deserialize, Serialize};

pub(crate) use axis::{AxisPoint, AxisSummary};
pub(crate) use variable::VariableSchema;
pub(crate) use variants::{Attribute, FileSet, Variants};

/// The place of a file in the list of sources.
pub(crate) type FilePlace = u32;

/// What is kept of each file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileSummary {
    /// Where it lies.
    pub(crate) location: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// Elements along the concat dimension.
    pub(crate) concat_length: u64,
    /// The concat coordinate, if the file has one.
    pub(crate) axis: Option<AxisSummary>,
}

/// What all files say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct Schema {
    pub(crate) files: BTreeMap<FilePlace, FileSummary>,
    /// Dimensions but the concat dimension: lengths, and whether they are unlimited.
    pub(crate) dimensions: BTreeMap<String, Variants<(u64, bool)>>,
    pub(crate) variables: BTreeMap<String, VariableSchema>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) groups: BTreeSet<String>,
    /// What could not be read in some file: the sentence, and the first file.
    pub(crate) warnings: BTreeMap<String, FilePlace>,
}

/// What one file adds about a variable beyond its header.
#[derive(Debug, Clone, Default)]
pub(crate) struct VariableFindings {
    /// The digest of all elements, for variables without the concat dimension.
    pub(crate) digest: Option<u128>,
    /// The extent of the times in it, if it counts time and was read.
    pub(crate) span: Option<cf::TimeSpan>,
    /// Stored bytes by decoded bytes.
    pub(crate) encoded_ratio: f64,
}

impl Schema {
    /// What one file says.
    pub(crate) fn of_file(
        place: FilePlace,
        summary: FileSummary,
        dataset: &Dataset,
        concat: Option<&str>,
        findings: &BTreeMap<String, VariableFindings>,
    ) -> Self {
        let dimensions = dataset.dimensions.iter().filter(|it| Some(it.name.as_str()) != concat);
        let lengths = dimensions
            .map(|it| (it.name.clone(), Variants::of((it.length, it.is_unlimited), place)));
        let variables = dataset.variables.iter().enumerate().map(|(order, variable)| {
            let found = findings.get(&variable.name).cloned().unwrap_or_default();
            let schema = VariableSchema::of(place, order as u32, dataset, variable, found);
            (variable.name.clone(), schema)
        });
        let warnings = dataset.warnings.iter().map(|text| (text.clone(), place));
        Self {
            files: [(place, summary)].into(),
            dimensions: lengths.collect(),
            variables: variables.collect(),
            attributes: attributes_of(dataset.attributes.iter(), place),
            groups: dataset.groups.iter().cloned().collect(),
            warnings: warnings.collect(),
        }
    }

    /// Adds what other files say.
    pub(crate) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        merge_maps(&mut self.dimensions, other.dimensions, Variants::merge);
        merge_maps(&mut self.variables, other.variables, VariableSchema::merge);
        merge_maps(&mut self.attributes, other.attributes, Variants::merge);
        self.groups.extend(other.groups);
        merge_maps(&mut self.warnings, other.warnings, |first, other| *first = other.min(*first));
    }

    /// The place of a file, as the user wrote it.
    pub(crate) fn location(&self, place: FilePlace) -> &str {
        self.files.get(&place).map_or("?", |file| file.location.as_str())
    }
}

/// Attributes as variants; of one file, each has one.
pub(crate) fn attributes_of<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>,
    place: FilePlace,
) -> BTreeMap<String, Attribute> {
    attributes
        .enumerate()
        .map(|(order, (name, value))| {
            (name.to_owned(), Variants::of((order as u32, value.clone()), place))
        })
        .collect()
}

pub(crate) fn merge_maps<K: Ord, V>(
    into: &mut BTreeMap<K, V>,
    other: BTreeMap<K, V>,
    mut merge: impl FnMut(&mut V, V),
) {
    for (key, value) in other {
        match into.entry(key) {
            std::collections::btree_map::Entry::Occupied(mut known) => {
                merge(known.get_mut(), value)
            }
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(value);
            }
        }
    }
}

/// Whether a variable reaches along a dimension.
pub(crate) fn has_dimension(variable: &Variable, dimension: Option<&str>) -> bool {
    dimension.is_some_and(|name| variable.axis_of(name).is_some())
}

#[cfg(test)]
mod tests;
