//! What attributes say of the extent of a dataset: the least of all starts, the greatest of all ends.

use std::cmp::Ordering;

use array::AttributeValue;
use cf::Calendar;
use serde::{Deserialize, Serialize};

use crate::schema::FilePlace;

/// The least or the greatest value of an attribute such as `time_coverage_start` or
/// `geospatial_lat_max`.
///
/// Merging is associative and commutative: of equal values, that of the first file is kept.
///
/// Source: Attribute Convention for Data Discovery 1.3, "Recommended".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extreme {
    file: FilePlace,
    value: AttributeValue,
    /// Values of several kinds, which cannot be compared.
    is_torn: bool,
}

/// What values are compared by.
#[derive(Debug, Clone, Copy)]
enum Rank {
    Number(f64),
    Instant(i128),
}

impl Rank {
    /// The order of two values of one kind.
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(&b),
            (Self::Instant(a), Self::Instant(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }
}

/// Whether the greatest value of an attribute spans all files, and not the least; `None` of an
/// attribute that says nothing of the extent.
pub(crate) fn is_end(name: &str) -> Option<bool> {
    if !(name.starts_with("time_coverage_") || name.starts_with("geospatial_")) {
        return None;
    }
    let ends = |words: [&str; 2]| words.iter().any(|word| name.ends_with(word));
    match (ends(["_start", "_min"]), ends(["_end", "_max"])) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    }
}

impl Extreme {
    /// What one file says.
    pub(crate) fn of(value: AttributeValue, file: FilePlace) -> Self {
        match rank(&value) {
            Some(_) => Self { file, value, is_torn: false },
            None => Self::torn(),
        }
    }

    fn torn() -> Self {
        Self { file: 0, value: AttributeValue::Json(String::new()), is_torn: true }
    }

    /// Adds what other files say.
    pub(crate) fn merge(&mut self, other: Self, is_end: bool) {
        let ranks = rank(&self.value).zip(rank(&other.value));
        let is_better = match ranks.and_then(|(own, theirs)| own.order(theirs)) {
            None => return *self = Self::torn(),
            Some(Ordering::Less) => is_end,
            Some(Ordering::Greater) => !is_end,
            Some(Ordering::Equal) => other.file < self.file,
        };
        if is_better {
            *self = other;
        }
    }

    /// The extreme, if all values can be compared.
    pub(crate) fn value(&self) -> Option<&AttributeValue> {
        (!self.is_torn).then_some(&self.value)
    }
}

/// A number, a text that is one, or a date.
fn rank(value: &AttributeValue) -> Option<Rank> {
    let number = match value.as_text() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => value.as_number()?.as_float(),
    };
    if let Some(number) = number.filter(|it| !it.is_nan()) {
        return Some(Rank::Number(number));
    }
    let text = value.as_text()?.trim();
    Calendar::Standard.parse_instant(text.trim_end_matches('Z')).ok().map(Rank::Instant)
}
