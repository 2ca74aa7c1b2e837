//! The schema of one file, and of any number of them.

use std::collections::{BTreeMap, BTreeSet};

use array::{AttributeValue, Dataset, Variable};
use dataflow::Element;
use dataflow::error::Error;
use serde::{Deserialize, Serialize};

use crate::open::SourceVersion;
use crate::prepare::Unknown;
use crate::schema::coverage::{self, Extreme};
use crate::schema::{Attribute, AxisSummary, KnownAxes, VariableSchema, Variants, merge_maps};

/// The place of a file in the list of sources.
pub(crate) type FilePlace = u32;

/// What is kept of each file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileSummary {
    /// Where it lies.
    pub(crate) location: String,
    /// Which version of it was scanned.
    pub(crate) version: SourceVersion,
    /// Elements along the concat dimension.
    pub(crate) concat_length: u64,
    /// The concat coordinate, if the file has one.
    pub(crate) axis: Option<AxisSummary>,
    /// The same of further concat dimensions, of files that lie in a grid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) further: Vec<FurtherAxis>,
}

/// What is kept of a file along a concat dimension that is not the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FurtherAxis {
    pub(crate) length: u64,
    pub(crate) axis: Option<AxisSummary>,
}

impl FileSummary {
    /// Elements along the concat dimension of this number, and its coordinate.
    pub(crate) fn along(&self, dim: usize) -> (u64, Option<&AxisSummary>) {
        match dim.checked_sub(1).and_then(|further| self.further.get(further)) {
            Some(further) => (further.length, further.axis.as_ref()),
            None => (self.concat_length, self.axis.as_ref()),
        }
    }
}

/// What all files say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct Schema {
    pub(crate) files: BTreeMap<FilePlace, FileSummary>,
    /// Lengths of the dimensions that some variable has, but concat dimensions.
    pub(crate) dimensions: BTreeMap<String, Variants<u64>>,
    /// The coordinates of these dimensions, where files that differ are to be joined.
    #[serde(default)]
    pub(crate) coordinates: BTreeMap<String, KnownAxes>,
    pub(crate) variables: BTreeMap<String, VariableSchema>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// The extent of all files, as their attributes say it.
    #[serde(default)]
    pub(crate) coverage: BTreeMap<String, Extreme>,
    /// What each file says, where differing attributes are to be listed.
    #[serde(default)]
    pub(crate) listed: BTreeMap<String, BTreeMap<FilePlace, AttributeValue>>,
    /// What steps name and no file has; `None` of no file.
    #[serde(default)]
    pub(crate) unknown: Option<BTreeSet<Unknown>>,
    pub(crate) groups: BTreeSet<String>,
    /// Files of a grid that are not there, but count as files without variables.
    #[serde(default)]
    pub(crate) holes: BTreeSet<FilePlace>,
    /// Files that could not be scanned, where that is allowed, and why.
    #[serde(default)]
    pub(crate) unreadable: BTreeMap<FilePlace, Error>,
    /// What could not be read in some file: the sentence, and the first file.
    pub(crate) warnings: BTreeMap<String, FilePlace>,
}

/// What one file adds about a variable beyond its header.
#[derive(Debug, Clone, Default)]
pub(crate) struct VariableFindings {
    /// The digest of all elements, for variables without a concat dimension.
    pub(crate) digest: Option<u128>,
    /// The digest of what all elements mean, for variables that files of a grid should share: files
    /// of one tile hold the same.
    pub(crate) tile: Option<(u32, u128)>,
    /// The values of it, where it is asked how far these lie apart.
    pub(crate) tile_values: Option<Vec<f64>>,
    /// The digest of each element along the concat dimension, where files may have other elements.
    pub(crate) rows: Option<Vec<u64>>,
    /// The values of it, where it is asked how far these lie apart.
    pub(crate) values: Option<Vec<f64>>,
    /// The extent of the times in it, if it counts time and was read.
    pub(crate) span: Option<cf::TimeSpan>,
    /// Stored bytes by decoded bytes.
    pub(crate) encoded_ratio: f64,
    /// How its chunks are encoded, where they can be taken as they are.
    pub(crate) encoding: Option<String>,
    /// What it is along its dimension, if it is a coordinate by which files may be joined.
    pub(crate) coordinate: Option<AxisSummary>,
}

impl Schema {
    /// What one file says.
    pub(crate) fn of_file(
        place: FilePlace,
        summary: FileSummary,
        dataset: &Dataset,
        concats: &[String],
        findings: &BTreeMap<String, VariableFindings>,
    ) -> Self {
        let is_used =
            |name: &String| dataset.variables.iter().any(|it| it.dimensions.contains(name));
        let dimensions = dataset.dimensions.iter().filter(|it| !concats.contains(&it.name));
        let lengths = dimensions
            .filter(|it| is_used(&it.name))
            .map(|it| (it.name.clone(), Variants::of(it.length, place)));
        let variables = dataset.variables.iter().enumerate().map(|(order, variable)| {
            let found = findings.get(&variable.name).cloned().unwrap_or_default();
            let schema = VariableSchema::of(place, order as u32, dataset, variable, found);
            (variable.name.clone(), schema)
        });
        let warnings = dataset.warnings.iter().map(|text| (text.clone(), place));
        let coordinates = findings.iter().filter_map(|(name, found)| {
            Some((name.clone(), KnownAxes::of(found.coordinate.clone()?, place)))
        });
        Self {
            files: [(place, summary)].into(),
            dimensions: lengths.collect(),
            coordinates: coordinates.collect(),
            variables: variables.collect(),
            attributes: attributes_of(dataset.attributes.iter(), place),
            coverage: coverage_of(dataset, place),
            listed: BTreeMap::new(),
            unknown: Some(BTreeSet::new()),
            groups: dataset.groups.iter().cloned().collect(),
            holes: BTreeSet::new(),
            unreadable: BTreeMap::new(),
            warnings: warnings.collect(),
        }
    }

    /// Keeps what this file says of itself, to be listed.
    pub(crate) fn with_listed(mut self, place: FilePlace) -> Self {
        let said = self.attributes.iter();
        let said = said.map(|(name, it)| (name.clone(), [(place, it.first().1.clone())].into()));
        self.listed = said.collect();
        self
    }

    /// Says what steps name and this file does not have.
    pub(crate) fn with_unknown(mut self, unknown: BTreeSet<Unknown>) -> Self {
        self.unknown = Some(unknown);
        self
    }

    /// Adds what other files say.
    pub(crate) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        merge_maps(&mut self.dimensions, other.dimensions, Variants::merge);
        merge_maps(&mut self.coordinates, other.coordinates, KnownAxes::merge);
        merge_maps(&mut self.variables, other.variables, VariableSchema::merge);
        merge_maps(&mut self.attributes, other.attributes, Variants::merge);
        for (name, extreme) in other.coverage {
            let is_end = coverage::is_end(&name).unwrap_or_default();
            let one = BTreeMap::from([(name, extreme)]);
            merge_maps(&mut self.coverage, one, |known, more| known.merge(more, is_end));
        }
        merge_maps(&mut self.listed, other.listed, |known, more| known.extend(more));
        self.unknown = match (self.unknown.take(), other.unknown) {
            (Some(known), Some(more)) => Some(known.intersection(&more).cloned().collect()),
            (known, more) => known.or(more),
        };
        self.groups.extend(other.groups);
        self.holes.extend(other.holes);
        self.unreadable.extend(other.unreadable);
        merge_maps(&mut self.warnings, other.warnings, |first, other| *first = other.min(*first));
    }

    /// A file that cannot be scanned.
    pub(crate) fn of_unreadable(place: FilePlace, why: Error) -> Self {
        Self { unreadable: [(place, why)].into(), ..Self::default() }
    }

    /// The places of files that could not be scanned, ascending, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (u32, &Error)> {
        self.unreadable.iter().map(|(place, why)| (*place, why))
    }

    /// Whether some variable lies along a dimension.
    pub(crate) fn has_used_dimension(&self, name: &str) -> bool {
        self.dimensions.contains_key(name)
    }

    /// The place of a file, as the user wrote it.
    pub(crate) fn location(&self, place: FilePlace) -> &str {
        self.files.get(&place).map_or("?", |file| file.location.as_str())
    }
}

/// The attributes of a file that say what it spans.
fn coverage_of(dataset: &Dataset, place: FilePlace) -> BTreeMap<String, Extreme> {
    let spans = dataset.attributes.iter().filter(|(name, _)| coverage::is_end(name).is_some());
    spans.map(|(name, value)| (name.to_owned(), Extreme::of(value.clone(), place))).collect()
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

/// Whether a variable reaches along one of these dimensions.
pub(crate) fn has_dimension(variable: &Variable, dimensions: &[String]) -> bool {
    dimensions.iter().any(|name| variable.axis_of(name).is_some())
}
