//! The coordinates that files have along a dimension along which none follows another.

use serde::{Deserialize, Serialize};

use crate::schema::{AxisSummary, FilePlace, FileSet};

/// The different coordinates of a dimension, each with the files that have it.
///
/// Merging is associative and commutative. Memory grows with the coordinates that differ, not with
/// files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct KnownAxes {
    /// By digest.
    axes: Vec<(AxisSummary, FileSet)>,
    file_count: usize,
}

impl KnownAxes {
    /// The coordinate of one file, with its values.
    pub(crate) fn of(axis: AxisSummary, file: FilePlace) -> Self {
        Self { axes: vec![(axis, FileSet::of(file))], file_count: 1 }
    }

    /// Adds those of other files.
    pub(crate) fn merge(&mut self, other: Self) {
        self.file_count += other.file_count;
        for (axis, files) in other.axes {
            match self.axes.binary_search_by_key(&axis.digest, |(known, _)| known.digest) {
                Ok(place) => self.axes[place].1.merge(files),
                Err(place) => self.axes.insert(place, (axis, files)),
            }
        }
    }

    /// The coordinates that differ, and which files have them.
    pub(crate) fn axes(&self) -> &[(AxisSummary, FileSet)] {
        &self.axes
    }

    /// How many files have a coordinate.
    pub(crate) fn file_count(&self) -> usize {
        self.file_count
    }
}
