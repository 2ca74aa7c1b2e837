//! Units of time: their spellings and their lengths. Read [`crate::reference`] next.

use array::error::{Error, ErrorCode, ErrorKind, Result};

use crate::calendar::Calendar;

/// What a number of a time variable counts; coarsest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeUnit {
    /// 365 days; only in the calendar `noleap`.
    CommonYears,
    /// 30 days; only in the calendar `360_day`.
    Months,
    /// 24 hours.
    Days,
    /// 60 minutes.
    Hours,
    /// 60 seconds.
    Minutes,
    /// Seconds without leap seconds.
    Seconds,
    /// 10^-3 seconds.
    Milliseconds,
    /// 10^-6 seconds.
    Microseconds,
    /// 10^-9 seconds.
    Nanoseconds,
}

const SECOND: i128 = 1_000_000_000;

/// A unit, its length in nanoseconds and its spellings, the one that is written first.
const UNITS: [(TimeUnit, i128, &[&str]); 9] = [
    (TimeUnit::CommonYears, 365 * 86_400 * SECOND, &["common_years", "common_year"]),
    (TimeUnit::Months, 30 * 86_400 * SECOND, &["months", "month"]),
    (TimeUnit::Days, 86_400 * SECOND, &["days", "day", "d"]),
    (TimeUnit::Hours, 3_600 * SECOND, &["hours", "hour", "hrs", "hr", "h"]),
    (TimeUnit::Minutes, 60 * SECOND, &["minutes", "minute", "mins", "min"]),
    (TimeUnit::Seconds, SECOND, &["seconds", "second", "secs", "sec", "s"]),
    (
        TimeUnit::Milliseconds,
        1_000_000,
        &["milliseconds", "millisecond", "millisecs", "millisec", "msecs", "msec", "ms"],
    ),
    (
        TimeUnit::Microseconds,
        1_000,
        &["microseconds", "microsecond", "microsecs", "microsec", "usecs", "usec", "us"],
    ),
    (
        TimeUnit::Nanoseconds,
        1,
        &["nanoseconds", "nanosecond", "nanosecs", "nanosec", "nsecs", "nsec", "ns"],
    ),
];

impl TimeUnit {
    /// The units of one length in every calendar, coarsest first.
    pub(crate) const REGULAR: [Self; 7] = [
        Self::Days,
        Self::Hours,
        Self::Minutes,
        Self::Seconds,
        Self::Milliseconds,
        Self::Microseconds,
        Self::Nanoseconds,
    ];

    /// The plural that is written to attributes.
    pub fn name(self) -> &'static str {
        self.row().2[0]
    }

    /// The length in nanoseconds.
    pub fn nanoseconds(self) -> i128 {
        self.row().1
    }

    /// The coarsest unit from days to nanoseconds of which `length` nanoseconds are a multiple.
    pub(crate) fn coarsest_of(length: i128) -> Self {
        let divides = |unit: &Self| length % unit.nanoseconds() == 0;
        Self::REGULAR.into_iter().find(divides).unwrap_or(Self::Nanoseconds)
    }

    /// Reads a spelling in any case.
    ///
    /// # Errors
    /// A word that names no unit of time, or a unit that has no one length in the calendar.
    pub(crate) fn parse(word: &str, calendar: Calendar) -> Result<Self> {
        let lower = word.to_ascii_lowercase();
        let row = UNITS.iter().find(|(_, _, spellings)| spellings.contains(&lower.as_str()));
        let message = match (row, calendar) {
            (Some((Self::Months, ..)), other) if other != Calendar::Days360 => {
                format!("`{word}` have no one length in the {calendar} calendar")
            }
            (Some((Self::CommonYears, ..)), other) if other != Calendar::NoLeap => {
                format!("`{word}` have no one length in the {calendar} calendar")
            }
            (Some((unit, ..)), _) => return Ok(*unit),
            (None, _) if matches!(lower.as_str(), "year" | "years") => {
                format!("`{word}` have no one length that all readers take them to have")
            }
            (None, _) => format!("`{word}` is no unit in which times are counted"),
        };
        let names = Self::REGULAR.map(Self::name).join(", ");
        Err(Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message).mend(format!(
            "the units are: {names}; months in the 360_day and common_years in the noleap calendar"
        )))
    }

    fn row(self) -> &'static (Self, i128, &'static [&'static str]) {
        let row = UNITS.iter().find(|(unit, ..)| *unit == self);
        row.expect("the table holds every unit")
    }
}
