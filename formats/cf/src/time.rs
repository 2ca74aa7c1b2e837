//! How a variable counts time: "hours since 2000-01-01" in a calendar, as one group.
//!
//! Read [`crate::instants`] next.

mod decode;
mod encode;

pub use encode::{EncodedTimes, TimeNumbers, encode_times};
pub(crate) use encode::{nearest_numbers, whole_numbers};

use array::error::{Error, ErrorCode, ErrorKind, Result};
use array::{AttributeValue, Attributes};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::instants::Instants;
use crate::reference;
use crate::unit::TimeUnit;

/// What [`TimeEncoding::encode`] gives for a missing instant.
///
/// xarray writes it so and reads it as "not a time", with or without a `_FillValue` that says so,
/// in the two Gregorian calendars; in others it reads no missing integer at all.
pub const MISSING_TIME: i64 = i64::MIN;

/// Whether a variable with these attributes says that it counts time since a date.
///
/// As xarray decides it: `units` is a text with "since" in it, readable or not.
pub fn declares_time(attributes: &Attributes) -> bool {
    attributes.text("units").is_some_and(|units| units.contains("since"))
}

/// A unit, an origin and a calendar: what the numbers of a time variable mean.
///
/// Two encodings are equal if the same number means the same instant in both. Serialised as the
/// two attributes `units` and `calendar`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct TimeEncoding {
    unit: TimeUnit,
    /// Nanoseconds since 1970-01-01T00:00 of the calendar.
    origin: i128,
    calendar: Calendar,
}

impl TimeEncoding {
    /// The encoding that the attributes `units` and `calendar` of a variable declare.
    ///
    /// # Errors
    /// No `units`, or anything that [`TimeEncoding::of_units`] and [`Calendar`] do not read.
    pub fn parse(attributes: &Attributes) -> Result<Self> {
        let units = attributes.text("units").ok_or_else(|| {
            inexpressible("a variable without `units` does not say what time it counts")
        })?;
        let calendar = match attributes.get("calendar").map(AttributeValue::as_text) {
            None => Calendar::Standard,
            Some(Some(name)) => name.parse()?,
            Some(None) => return Err(inexpressible("the attribute `calendar` is not a text")),
        };
        Self::of_units(units, calendar)
    }

    /// The encoding that a text of the form `<unit> since <reference date>` declares.
    ///
    /// Units are those of cftime and UDUNITS from days to nanoseconds in any case, `months` in the
    /// calendar `360_day` and `common_years` in `noleap`; the reference date is UTC unless it
    /// names a time zone.
    ///
    /// # Errors
    /// Another form, `years`, `months` elsewhere, a leap second, a date that the calendar does not
    /// have: year 0 of the standard calendar, 29 February of `noleap`.
    pub fn of_units(units: &str, calendar: Calendar) -> Result<Self> {
        Self::read(units, calendar).map_err(|error| error.context(format!("units `{units}`")))
    }

    fn read(units: &str, calendar: Calendar) -> Result<Self> {
        let (unit, rest) = first_word(units);
        let (since, date) = first_word(rest);
        if date.is_empty() || !since.eq_ignore_ascii_case("since") {
            return Err(inexpressible("there is no `<unit> since <date>`")
                .mend("write them as `seconds since 2000-01-31 18:30:00`"));
        }
        let unit = TimeUnit::parse(unit, calendar)?;
        let origin = reference::parse(date, calendar)?;
        Ok(Self { unit, origin, calendar })
    }

    pub(crate) fn new(unit: TimeUnit, origin: i128, calendar: Calendar) -> Self {
        Self { unit, origin, calendar }
    }

    /// What the numbers count.
    pub fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// The calendar in which days are counted.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// Where the numbers count from: nanoseconds since 1970-01-01T00:00 of the calendar.
    pub fn origin(&self) -> i128 {
        self.origin
    }

    /// The text for the attribute `units`: `seconds since 2019-01-01 00:00:00`, in UTC.
    ///
    /// [`TimeEncoding::of_units`] reads it back as the same encoding.
    pub fn units(&self) -> String {
        let origin = self.calendar.date_and_time(self.origin, ' ');
        format!("{} since {origin}", self.unit.name())
    }

    /// The integers that mean these instants, [`MISSING_TIME`] for missing ones.
    ///
    /// # Errors
    /// Instants of another calendar; the first instant that is not a whole number of units away
    /// from the origin, or too far away for an `i64`.
    pub fn encode(&self, instants: &Instants) -> Result<Vec<i64>> {
        if instants.calendar() != self.calendar {
            let (theirs, ours) = (instants.calendar(), self.calendar);
            let message = format!("instants of the {theirs} calendar cannot be counted in {ours}");
            return Err(Error::new(ErrorCode::TIMES_DIFFER, ErrorKind::Conflict, message));
        }
        let encoded = instants.nanoseconds().iter().enumerate().map(|(place, instant)| {
            let Some(instant) = instant else { return Ok(MISSING_TIME) };
            self.number(*instant).ok_or_else(|| {
                let text = self.calendar.instant_text(*instant);
                let message = format!("{text} cannot be written exactly as `{}`", self.units());
                inexpressible(message).at("element", place)
            })
        });
        encoded.collect()
    }

    /// The number that means `instant`, if there is one.
    pub(crate) fn number(&self, instant: i128) -> Option<i64> {
        encode::whole_number(instant.checked_sub(self.origin)?, self.unit)
    }
}

fn inexpressible(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
}

/// The first word and what follows it, without spaces around them.
fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// An encoding as the attributes have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    units: String,
    calendar: Calendar,
}

impl From<TimeEncoding> for Written {
    fn from(encoding: TimeEncoding) -> Self {
        Self { units: encoding.units(), calendar: encoding.calendar }
    }
}

impl TryFrom<Written> for TimeEncoding {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Self::of_units(&written.units, written.calendar)
    }
}

#[cfg(test)]
mod tests;
