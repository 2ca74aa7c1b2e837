//! Which elements of a store are written anew, and where the files lie among them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::elements::{NewElements, StoreAxis};
use crate::options::{BakeOptions, OverlapPolicy};
use crate::order::{Piece, pieces_of};
use crate::schema::Schema;

/// Elements of a store along one dimension, as users name them.
///
/// ```
/// use bake::StoreRegion;
/// let region: StoreRegion = "time=240:480".parse()?;
/// assert_eq!(region.dimension(), Some("time"));
/// assert_eq!(region.to_string(), "time=240:480");
/// assert!("time=3:1".parse::<StoreRegion>().is_err());
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRegion {
    dimension: Option<String>,
    /// The elements; found by the coordinate if nothing is said.
    range: Option<Range<u64>>,
}

impl StoreRegion {
    /// The elements that have the coordinates of the files, along the dimension along which these
    /// follow each other.
    pub fn auto() -> Self {
        Self { dimension: None, range: None }
    }

    /// These elements along a dimension.
    pub fn of(dimension: impl Into<String>, range: Range<u64>) -> Self {
        Self { dimension: Some(dimension.into()), range: Some(range) }
    }

    /// The dimension, if one is named.
    pub fn dimension(&self) -> Option<&str> {
        self.dimension.as_deref()
    }

    /// The same along this dimension, if none is named.
    #[must_use]
    pub fn along(mut self, dimension: &str) -> Self {
        self.dimension.get_or_insert_with(|| dimension.to_owned());
        self
    }
}

impl FromStr for StoreRegion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::auto());
        }
        let parsed = text.split_once('=').and_then(|(dimension, range)| {
            let dimension = Some(dimension.trim().to_owned()).filter(|it| !it.is_empty());
            if range == "auto" {
                return Some(Self { dimension, range: None });
            }
            let (start, end) = range.split_once(':')?;
            let range = start.trim().parse().ok()?..end.trim().parse().ok()?;
            (range.start < range.end).then_some(Self { dimension, range: Some(range) })
        });
        parsed.filter(|it| it.dimension.is_some()).ok_or_else(|| {
            let message = format!("`{text}` is no region of a store");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            error.mend(
                "write auto, DIM=auto, or DIM=START:END, of elements from START to before END; a \
                 region is whole along all other dimensions",
            )
        })
    }
}

impl fmt::Display for StoreRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.range.as_ref();
        let range = range.map_or("auto".to_owned(), |it| format!("{}:{}", it.start, it.end));
        match &self.dimension {
            Some(dimension) => write!(f, "{dimension}={range}"),
            None => f.write_str(&range),
        }
    }
}

impl StoreAxis {
    /// Finds the elements of the files in the store; the second is the first of these.
    ///
    /// # Errors
    /// Elements that the store does not have, that do not follow each other there, or that are
    /// not those of a region that is named.
    pub(crate) fn locate(
        &self,
        schema: &Schema,
        pieces: &[Piece],
        options: &BakeOptions,
        region: &StoreRegion,
    ) -> Result<(NewElements, u64)> {
        let own = self.summary.as_ref().map_or(&[][..], |own| own.values.as_slice());
        let is_ascending = self.summary.as_ref().and_then(|own| own.is_ascending()).unwrap_or(true);
        let mut located = Vec::new();
        for element in self.elements_of(schema, pieces)? {
            let order = |it: &crate::schema::AxisPoint| {
                let order = it.partial_cmp(&element.point).unwrap_or(std::cmp::Ordering::Equal);
                if is_ascending { order } else { order.reverse() }
            };
            let file = &schema.files[&element.file];
            let Ok(place) = own.binary_search_by(order) else {
                let calendar = file.axis.as_ref().and_then(|axis| axis.calendar);
                let text = element.point.text(calendar);
                let message = format!("`{}` {text} is not in the store", self.dimension);
                return Err(self.refuse(ErrorCode::NOT_ASCENDING, message, file).mend(
                    "a region holds elements that the store has; --append adds those that follow",
                ));
            };
            located.push((place as u64, element));
        }
        // Who lets elements be sorted lets them be sorted as those of the store are.
        if options.overlap != OverlapPolicy::Error {
            located.sort_by_key(|(place, _)| *place);
        }
        for pair in located.windows(2) {
            let [(place, _), (next, element)] = pair else { continue };
            if *next == place + 1 {
                continue;
            }
            let file = &schema.files[&element.file];
            let name = &self.dimension;
            let message = format!(
                "element {next} of `{name}` of the store follows element {place} in the files"
            );
            return Err(self.refuse(ErrorCode::NOT_ASCENDING, message, file).mend(
                "write files whose elements follow each other in the store, one region after the \
                 other; --overlap sort brings files into order",
            ));
        }
        let start = located.first().map_or(0, |(place, _)| *place);
        let found = start..start + located.len() as u64;
        if let Some(range) = region.range.as_ref().filter(|range| **range != found) {
            let name = &self.dimension;
            let message = format!(
                "the files have elements {}:{} of `{name}` of the store, and not {}:{}",
                found.start, found.end, range.start, range.end
            );
            let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::Conflict, message);
            let error = error.at("store", &self.location);
            return Err(error.mend("write other files, or --region auto"));
        }
        let elements: Vec<_> = located.into_iter().map(|(_, element)| element).collect();
        let points = elements.iter().map(|it| it.point).collect();
        let pieces = pieces_of(&elements);
        let new = NewElements { pieces, points, skipped_count: 0, notes: Vec::new() };
        Ok((new, start))
    }
}
