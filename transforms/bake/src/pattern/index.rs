//! Where a file stands in a pattern, and where its elements stand once lengths are known.

use std::fmt;
use std::sync::Arc;

use dataflow::error::Result;
use serde::{Deserialize, Serialize};

use crate::pattern::dim::CombineOp;
use crate::pattern::keys::invalid;

/// Where a file stands: one position for each dimension of its pattern, in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub(super) Vec<Position>);

/// Where a file stands along one dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The dimension.
    pub dim: Arc<str>,
    /// How files are combined along it.
    pub op: CombineOp,
    /// The place itself.
    pub place: Place,
}

/// A place along a dimension, in files or in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The number of the file, from 0: what is known before any is opened.
    File(u64),
    /// The first element of the file.
    Elements(IndexedPosition),
}

/// Where the elements of a file begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IndexedPosition {
    /// The number of the first element, from 0.
    pub start: u64,
    /// Elements of the whole dimension.
    pub dimsize: u64,
}

/// Where each file of a dimension begins, from the lengths of all.
///
/// Memory: 8 bytes for each file. A lookup is O(1), where adding lengths up for each file would be
/// quadratic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStarts(Vec<u64>);

impl Index {
    /// The positions, in the order of the dimensions of the pattern.
    pub fn positions(&self) -> &[Position] {
        &self.0
    }

    /// The position along this dimension.
    pub fn get(&self, dim: &str) -> Option<&Position> {
        self.0.iter().find(|position| *position.dim == *dim)
    }

    /// This index with the elements of a dimension in place of its file.
    ///
    /// # Errors
    /// A dimension that it does not have, and what [`FileStarts::locate`] refuses.
    pub fn located(&self, dim: &str, starts: &FileStarts) -> Result<Self> {
        let mut located = self.clone();
        let Some(position) = located.0.iter_mut().find(|position| *position.dim == *dim) else {
            let known = self.0.iter().map(|position| &*position.dim);
            return Err(super::checks::unknown_dim(dim, known));
        };
        position.place = Place::Elements(
            starts.locate(position.place).map_err(|error| error.at("dimension", dim))?,
        );
        Ok(located)
    }
}

impl FileStarts {
    /// Adds up the lengths of all files, in elements, after `append_offset` that are there already.
    ///
    /// # Errors
    /// More than 2^64 elements.
    pub fn new(lengths: impl IntoIterator<Item = u64>, append_offset: u64) -> Result<Self> {
        let mut starts = vec![append_offset];
        let mut end = append_offset;
        for length in lengths {
            end = end
                .checked_add(length)
                .ok_or_else(|| invalid("the files have more than 2^64 elements together"))?;
            starts.push(end);
        }
        Ok(Self(starts))
    }

    /// Where the elements of a file begin; O(1).
    ///
    /// # Errors
    /// A place that is in elements already, or a file whose length is not among those given.
    pub fn locate(&self, place: Place) -> Result<IndexedPosition> {
        let dimsize = self.0.last().copied().unwrap_or_default();
        let number = match place {
            Place::File(number) => number,
            Place::Elements(IndexedPosition { start, .. }) => {
                let message =
                    format!("this position is already indexed: it starts at element {start}");
                return Err(invalid(message).mend("locate every index once"));
            }
        };
        let file_count = self.0.len() as u64 - 1;
        if number >= file_count {
            let message =
                format!("the length of file {number} is not known: there are {file_count}");
            return Err(invalid(message).mend("give the lengths of all files of the dimension"));
        }
        Ok(IndexedPosition { start: self.0[number as usize], dimsize })
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, position) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            match position.place {
                Place::File(file) => write!(f, "{comma}{} file {file}", position.dim)?,
                Place::Elements(it) => write!(f, "{comma}{} from {}", position.dim, it.start)?,
            }
        }
        Ok(())
    }
}
