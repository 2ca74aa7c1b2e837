//! Calendars: which days there are, and how many lie between two of them.
//!
//! Days only: clocks, units and the texts of files are other modules' business. Read
//! [`crate::unit`] next.

use std::fmt;
use std::str::FromStr;

use array::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A calendar of the CF conventions; names that mean the same are one value.
///
/// Source: CF conventions, section 4.4.1. There is no year 0 in `standard` and `julian`: year 1
/// follows year -1. The other calendars have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Calendar {
    /// `standard` or `gregorian`: Julian up to 1582-10-04, Gregorian from the next day, 1582-10-15.
    Standard,
    /// `proleptic_gregorian`: the Gregorian rules at all times.
    ProlepticGregorian,
    /// `julian`: every fourth year is a leap year at all times.
    Julian,
    /// `noleap` or `365_day`: no year has a 29 February.
    NoLeap,
    /// `all_leap` or `366_day`: every year has a 29 February.
    AllLeap,
    /// `360_day`: every month has 30 days.
    Days360,
}

impl Calendar {
    const NAMES: [(&'static str, Self); 9] = [
        ("standard", Self::Standard),
        ("gregorian", Self::Standard),
        ("proleptic_gregorian", Self::ProlepticGregorian),
        ("julian", Self::Julian),
        ("noleap", Self::NoLeap),
        ("365_day", Self::NoLeap),
        ("all_leap", Self::AllLeap),
        ("366_day", Self::AllLeap),
        ("360_day", Self::Days360),
    ];

    /// The name that is written to attributes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::ProlepticGregorian => "proleptic_gregorian",
            Self::Julian => "julian",
            Self::NoLeap => "noleap",
            Self::AllLeap => "all_leap",
            Self::Days360 => "360_day",
        }
    }

    /// The number of the day, counted from 1970-01-01 of this calendar.
    ///
    /// # Errors
    /// A day that this calendar does not have, or more than a million years away.
    pub(crate) fn day_number(self, date: Date) -> Result<i64> {
        if !self.has_year_zero() && date.year == 0 {
            let message = format!("there is no year 0 in the {self} calendar (`{date}`)");
            return Err(Error::new(
                ErrorCode::UNSUPPORTED_FEATURE,
                ErrorKind::Unsupported,
                message,
            )
            .mend("the calendars proleptic_gregorian, noleap, all_leap and 360_day have one"));
        }
        let is_in_gap = self == Self::Standard && date > LAST_JULIAN && date < FIRST_GREGORIAN;
        let rule = match self {
            Self::Standard if date < FIRST_GREGORIAN => Rule::Julian,
            other => other.rule(),
        };
        let is_near = date.year.abs() <= 1_000_000;
        let year = if date.year < 0 && !self.has_year_zero() { date.year + 1 } else { date.year };
        let count = (is_near && !is_in_gap).then(|| rule.count(year, date)).flatten();
        let count = count.ok_or_else(|| {
            let message = format!("there is no day {date} in the {self} calendar");
            Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
        })?;
        let is_julian_part = self == Self::Standard && rule == Rule::Julian;
        Ok(count - if is_julian_part { JULIAN_LEAD } else { 0 } - self.epoch())
    }

    /// The day of a number that was counted from 1970-01-01 of this calendar.
    ///
    /// `day` is within a thousand million years.
    pub(crate) fn date(self, day: i64) -> Date {
        let count = day + self.epoch();
        let mut date = self.rule().date(count);
        if self == Self::Standard && date < FIRST_GREGORIAN {
            date = Rule::Julian.date(count + JULIAN_LEAD);
        }
        if date.year <= 0 && !self.has_year_zero() {
            date.year -= 1;
        }
        date
    }

    fn has_year_zero(self) -> bool {
        !matches!(self, Self::Standard | Self::Julian)
    }

    /// The rule of this calendar, of its later part where it has two.
    fn rule(self) -> Rule {
        match self {
            Self::Standard | Self::ProlepticGregorian => Rule::Gregorian,
            Self::Julian => Rule::Julian,
            Self::NoLeap => Rule::NoLeap,
            Self::AllLeap => Rule::AllLeap,
            Self::Days360 => Rule::Days360,
        }
    }

    fn epoch(self) -> i64 {
        self.rule().days_before_year(1970)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Calendar {
    type Err = Error;

    /// Reads a name in any case.
    fn from_str(name: &str) -> Result<Self> {
        let lower = name.trim().to_ascii_lowercase();
        if let Some((_, calendar)) = Self::NAMES.iter().find(|(known, _)| *known == lower) {
            return Ok(*calendar);
        }
        let message = match lower.as_str() {
            "none" => format!("the calendar `{name}` has no dates"),
            "utc" | "tai" => {
                format!("the calendar `{name}` counts leap seconds, which is not read")
            }
            _ => format!("no calendar is called `{name}`"),
        };
        let known: Vec<&str> = Self::NAMES.iter().map(|(known, _)| *known).collect();
        Err(Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
            .mend(format!("the calendars are: {}", known.join(", "))))
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.name().to_owned()
    }
}

impl TryFrom<String> for Calendar {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

/// A day of some calendar, by that calendar's own count of years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{:02}-{:02}", self.year.abs(), self.month, self.day)
    }
}

const LAST_JULIAN: Date = Date { year: 1582, month: 10, day: 4 };
const FIRST_GREGORIAN: Date = Date { year: 1582, month: 10, day: 15 };

/// By how many days the Julian year 0 begins before the Gregorian one.
const JULIAN_LEAD: i64 = 2;

/// How long years and months are. Years are astronomical: there is a year 0 before year 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Gregorian,
    Julian,
    NoLeap,
    AllLeap,
    Days360,
}

impl Rule {
    /// Days from the first day of year 0 to the first day of `year`.
    fn days_before_year(self, year: i64) -> i64 {
        let before = year - 1;
        match self {
            Self::Gregorian => {
                let centuries = before.div_euclid(100) - before.div_euclid(400);
                365 * year + before.div_euclid(4) - centuries + 1
            }
            Self::Julian => 365 * year + before.div_euclid(4) + 1,
            Self::NoLeap => 365 * year,
            Self::AllLeap => 366 * year,
            Self::Days360 => 360 * year,
        }
    }

    fn month_lengths(self, year: i64) -> [u8; 12] {
        match self.days_before_year(year + 1) - self.days_before_year(year) {
            360 => [30; 12],
            365 => [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
            _ => [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31],
        }
    }

    /// Days from the first day of year 0 to a day of the astronomical `year`, if there is that day.
    fn count(self, year: i64, date: Date) -> Option<i64> {
        let lengths = self.month_lengths(year);
        let (before, from) = lengths.split_at_checked(usize::from(date.month).checked_sub(1)?)?;
        let is_day = (1..=*from.first()?).contains(&date.day);
        let in_months: i64 = before.iter().copied().map(i64::from).sum();
        is_day.then(|| self.days_before_year(year) + in_months + i64::from(date.day) - 1)
    }

    /// The day, with its astronomical year, that is `count` days after the first day of year 0.
    fn date(self, count: i64) -> Date {
        // The cycle of 400 years places the day within a year of the right one.
        let mut year = (count * 400).div_euclid(self.days_before_year(400));
        while self.days_before_year(year) > count {
            year -= 1;
        }
        while self.days_before_year(year + 1) <= count {
            year += 1;
        }
        let mut rest = count - self.days_before_year(year);
        let mut month = 1;
        for length in self.month_lengths(year) {
            if rest < i64::from(length) {
                break;
            }
            rest -= i64::from(length);
            month += 1;
        }
        Date { year, month, day: rest as u8 + 1 }
    }
}

#[cfg(test)]
mod tests;
