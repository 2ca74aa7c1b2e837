//! Groups of elements along a dimension, by labels: months, hours, seasons.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

/// Says to which group each element along a dimension belongs.
///
/// A group has one label for each new dimension, such as `month` and `hour`; labels count from zero
/// and become offsets of keys. The labels are known beforehand for the whole dimension, as they
/// follow from its coordinate.
///
/// ```
/// use chunks::Groups;
/// let months = Groups::along("time", "month", [0, 0, 1, 1, 1])?;
/// let hours = months.with("hour", [0, 12, 0, 12, 0])?;
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    dimension: String,
    labels: Vec<(String, Arc<[u64]>)>,
}

impl Groups {
    /// Groups the elements along `dimension` by labels, which become the dimension `name`.
    ///
    /// # Errors
    /// A new dimension of the same name.
    pub fn along(
        dimension: impl Into<String>,
        name: impl Into<String>,
        labels: impl IntoIterator<Item = u64>,
    ) -> Result<Self> {
        let none = Self { dimension: dimension.into(), labels: Vec::new() };
        none.with(name, labels)
    }

    /// The same groups, parted further by more labels.
    ///
    /// # Errors
    /// A dimension that is there already, another number of labels.
    pub fn with(
        mut self,
        name: impl Into<String>,
        labels: impl IntoIterator<Item = u64>,
    ) -> Result<Self> {
        let (name, labels): (String, Arc<[u64]>) = (name.into(), labels.into_iter().collect());
        let is_known = name == self.dimension || self.labels.iter().any(|it| it.0 == name);
        if is_known {
            let message = format!("groups along `{}` are to be called `{name}`", self.dimension);
            return Err(invalid(message).mend("give each new dimension a name of its own"));
        }
        if let Some((other, known)) = self.labels.first()
            && known.len() != labels.len()
        {
            let message =
                format!("`{name}` has {} labels, `{other}` has {}", labels.len(), known.len());
            return Err(invalid(message).mend("give each element one label of each kind"));
        }
        self.labels.push((name, labels));
        Ok(self)
    }

    /// The dimension whose elements are grouped.
    pub fn dimension(&self) -> &str {
        &self.dimension
    }

    /// The new dimensions, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(name, _)| name.as_str())
    }

    /// The groups that elements of a range belong to: their labels, and the elements, counted from
    /// the start of the range.
    ///
    /// # Errors
    /// A range beyond the labels.
    pub(crate) fn within(&self, range: Range<u64>) -> Result<BTreeMap<Vec<u64>, Vec<u64>>> {
        let mut groups: BTreeMap<Vec<u64>, Vec<u64>> = BTreeMap::new();
        let count = self.labels.first().map_or(0, |it| it.1.len() as u64);
        if range.end > count {
            let message =
                format!("there are {count} labels along `{}`, not {}", self.dimension, range.end);
            return Err(invalid(message).mend("give each element of the dataset one label"));
        }
        for element in range.clone() {
            let labels = self.labels.iter().map(|(_, labels)| labels[element as usize]);
            groups.entry(labels.collect()).or_default().push(element - range.start);
        }
        Ok(groups)
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}
