//! Coordinates that are made from the keys of a pattern.

use array::{Attributes, Scalar};
use cf::TimeUnit;
use dataflow::error::{Error, Result};

use crate::pattern::{CombineDim, Key};

/// A scalar that no file holds.
#[derive(Debug, Clone)]
pub(super) struct NewCoordinate {
    pub(super) value: Scalar,
    pub(super) attributes: Attributes,
}

impl NewCoordinate {
    /// A value that nothing more is said of.
    pub(super) fn of(value: Scalar) -> Self {
        Self { value, attributes: Attributes::default() }
    }

    /// The key of this number: texts and integers as they are, dates as CF writes times, all keys
    /// of a dimension in one unit.
    ///
    /// # Errors
    /// A date that an integer of 64 bits does not hold in that unit.
    pub(super) fn of_key(dim: &CombineDim, number: u64) -> Result<Self> {
        let key = dim.key(number);
        let key = key.ok_or_else(|| Error::internal("a file beyond the keys of its pattern"))?;
        let (instant, calendar) = match key {
            Key::Text(text) => return Ok(Self::of(Scalar::text(text))),
            Key::Integer(integer) => return Ok(Self::of(Scalar::of(integer))),
            Key::Date { instant, calendar } => (instant, calendar),
        };
        let unit = unit_of(dim);
        let ticks = i64::try_from(instant / unit.nanoseconds()).map_err(|_| {
            let message = format!("the date {key} is no count of {} in 64 bits", unit.name());
            crate::pattern::invalid(message).at("dimension", dim.name())
        })?;
        let mut attributes = Attributes::default();
        attributes.set("units", format!("{} since 1970-01-01", unit.name()).as_str());
        attributes.set("calendar", calendar.name());
        Ok(Self { value: Scalar::of(ticks), attributes })
    }
}

/// The largest unit that counts every date of a range.
///
/// Dates are one step apart, or months and at the same time of their day: what holds for the first
/// two holds for all.
fn unit_of(dim: &CombineDim) -> TimeUnit {
    let instant = |number| match dim.keys().get(number) {
        Some(Key::Date { instant, .. }) => Some(instant),
        _ => None,
    };
    let counts = |unit: &TimeUnit| {
        let mut known = (0..2).filter_map(instant);
        known.all(|instant| instant % unit.nanoseconds() == 0)
    };
    let units = [TimeUnit::Days, TimeUnit::Hours, TimeUnit::Minutes, TimeUnit::Seconds];
    units.into_iter().find(counts).unwrap_or(TimeUnit::Nanoseconds)
}
