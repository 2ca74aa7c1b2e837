//! Ranges of dates: a start, an end and a step, in any calendar of the CF conventions.

use std::fmt;
use std::str::FromStr;

use cf::Calendar;
use dataflow::error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::pattern::keys::{invalid, nearest};

/// Dates from a start to an end that is included if it is met, one step apart.
///
/// ```
/// use bake::{DateRange, DateStep};
/// let months = DateRange::new("1980-01", "2020-12", "1 month".parse()?, None)?;
/// assert_eq!(months.count(), 492);
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RangeForm", into = "RangeForm")]
pub struct DateRange {
    start: i128,
    step: DateStep,
    calendar: Calendar,
    count: u64,
}

/// How far two dates of a range are apart: an exact time, or whole months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateStep {
    number: u32,
    unit: StepUnit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

const UNITS: [(StepUnit, &str, &str); 7] = [
    (StepUnit::Second, "second", "s"),
    (StepUnit::Minute, "minute", "min"),
    (StepUnit::Hour, "hour", "h"),
    (StepUnit::Day, "day", "d"),
    (StepUnit::Week, "week", "w"),
    (StepUnit::Month, "month", "mon"),
    (StepUnit::Year, "year", "y"),
];

/// A range as it is written down: the last date is one that is met.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RangeForm {
    start: String,
    end: String,
    step: DateStep,
    calendar: Calendar,
}

/// What a step adds.
enum Span {
    Nanoseconds(i128),
    Months(i64),
}

impl DateRange {
    /// The dates from `start` to `end`, which are written as `2000-01-31T12:00` or shorter.
    ///
    /// Parts that are left out are the first: the year `2000` begins with its first day. Without a
    /// calendar it is `standard`.
    ///
    /// # Errors
    /// Texts that are no dates of the calendar, an end before the start, or months counted from a
    /// day that not every month has.
    pub fn new(start: &str, end: &str, step: DateStep, calendar: Option<Calendar>) -> Result<Self> {
        let calendar = calendar.unwrap_or(Calendar::Standard);
        let first = calendar.parse_instant(start).map_err(|error| error.at("start", start))?;
        let last = calendar.parse_instant(end).map_err(|error| error.at("end", end))?;
        if last < first {
            let error = invalid(format!("the end {end} lies before the start {start}"));
            return Err(error.mend("exchange them"));
        }
        let count = match step.span() {
            Span::Nanoseconds(span) => (last - first) / span + 1,
            Span::Months(span) => {
                check_day(calendar, first, last, start)?;
                whole_months(calendar, first, last)? / i128::from(span) + 1
            }
        };
        let count = u64::try_from(count).map_err(|_| {
            invalid(format!("there are more than 2^64 dates from {start} to {end} by {step}"))
        })?;
        Ok(Self { start: first, step, calendar, count })
    }

    /// The calendar that it counts in.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// How many dates there are; at least 1.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The date of this number, from 0, in nanoseconds since 1970 of the calendar; O(1).
    pub fn get(&self, number: u64) -> Option<i128> {
        if number >= self.count {
            return None;
        }
        match self.step.span() {
            Span::Nanoseconds(span) => Some(self.start + i128::from(number) * span),
            Span::Months(span) => {
                let months = i64::try_from(number).ok()?.checked_mul(span)?;
                self.calendar.months_after(self.start, months).ok()
            }
        }
    }
}

/// Refuses to count months from a day that some month does not have.
fn check_day(calendar: Calendar, first: i128, last: i128, text: &str) -> Result<()> {
    let day = calendar.civil(first)?.day;
    // October 1582 lacks ten days of the standard calendar.
    let has_gap = calendar == Calendar::Standard
        && (5..=14).contains(&day)
        && first < calendar.parse_instant("1582-10-15")?
        && last >= calendar.parse_instant("1582-10-04")?;
    let is_in_all = day <= 28 || calendar == Calendar::Days360;
    if is_in_all && !has_gap {
        return Ok(());
    }
    let message = format!("months cannot be counted from {text}: not all have a day {day}");
    Err(invalid(message)
        .mend("start on the first of the month, and let the template write another day"))
}

fn whole_months(calendar: Calendar, first: i128, last: i128) -> Result<i128> {
    let (from, to) = (calendar.civil(first)?, calendar.civil(last)?);
    let years = to.year - from.year;
    // Calendars that go from year -1 to year 1 have a year less between them.
    let has_no_zero = matches!(calendar, Calendar::Standard | Calendar::Julian);
    let years = years - i64::from(has_no_zero && from.year < 0 && to.year > 0);
    let months = i128::from(years) * 12 + i128::from(to.month) - i128::from(from.month);
    let in_month = |it: cf::CivilTime| (it.day, it.hour, it.minute, it.second, it.nanosecond);
    Ok(months - i128::from(in_month(to) < in_month(from)))
}

impl DateStep {
    fn span(self) -> Span {
        let number = i128::from(self.number);
        let seconds = match self.unit {
            StepUnit::Second => 1,
            StepUnit::Minute => 60,
            StepUnit::Hour => 3_600,
            StepUnit::Day => 86_400,
            StepUnit::Week => 604_800,
            StepUnit::Month => return Span::Months(i64::from(self.number)),
            StepUnit::Year => return Span::Months(i64::from(self.number) * 12),
        };
        Span::Nanoseconds(number * seconds * 1_000_000_000)
    }
}

impl FromStr for DateStep {
    type Err = Error;

    /// Reads `1 day`, `6 hours`, `6h`, `month`.
    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, word) = trimmed.split_at(end);
        let word = word.trim();
        let lower = word.to_ascii_lowercase();
        let is_unit = |(_, name, short): &&(StepUnit, &str, &str)| {
            lower.strip_suffix('s').unwrap_or(&lower) == *name || lower == *short
        };
        let Some((unit, ..)) = UNITS.iter().find(is_unit) else {
            let error = invalid(format!("no step of dates is called `{text}`"));
            let names = UNITS.iter().map(|(_, name, _)| *name);
            return Err(error.mend(format!("write `6 hours`; {}", nearest(&lower, names))));
        };
        let number = if number.is_empty() { Ok(1) } else { number.parse::<u32>() };
        match number {
            Ok(number) if number > 0 => Ok(Self { number, unit: *unit }),
            _ => Err(invalid(format!("the step `{text}` leads nowhere"))
                .mend("give a number from 1 to 4294967295")),
        }
    }
}

impl fmt::Display for DateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = UNITS.iter().find(|(unit, ..)| *unit == self.unit).map_or("", |it| it.1);
        write!(f, "{} {name}{}", self.number, if self.number == 1 { "" } else { "s" })
    }
}

impl TryFrom<String> for DateStep {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DateStep> for String {
    fn from(step: DateStep) -> Self {
        step.to_string()
    }
}

impl TryFrom<RangeForm> for DateRange {
    type Error = Error;

    fn try_from(form: RangeForm) -> Result<Self> {
        Self::new(&form.start, &form.end, form.step, Some(form.calendar))
    }
}

impl From<DateRange> for RangeForm {
    fn from(range: DateRange) -> Self {
        let text = |number| {
            let instant = range.get(number).unwrap_or(range.start);
            range.calendar.instant_text(instant)
        };
        let (start, end) = (text(0), text(range.count - 1));
        Self { start, end, step: range.step, calendar: range.calendar }
    }
}
