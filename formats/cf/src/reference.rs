//! Reference dates: the text after "since".
//!
//! Read as UDUNITS, xarray and cftime agree to read it. Read [`crate::time`] next.

use array::error::{Error, ErrorCode, ErrorKind, Result};

use crate::calendar::{Calendar, Date};
use crate::instants::{NANOSECONDS_PER_DAY, is_near, too_far};

/// The instant that a reference text names, in nanoseconds since 1970-01-01T00:00 of `calendar`.
///
/// Year first; the rest may be missing: `2000`, `2000-1-1`, `20000101`, `2000-01-01T06:30Z`,
/// `1970-1-1 0:00:00.5 -6:00`, `2019-01-01 00:00:00 0:00`. A time zone is taken off.
///
/// # Errors
/// Anything else, a day that the calendar does not have, a time zone that is not nought and has
/// no sign, more digits than nanoseconds, or a year that is too far away.
pub(crate) fn parse(text: &str, calendar: Calendar) -> Result<i128> {
    let reference = Reference::read(text).map_err(|reason| {
        let message = format!("the reference date `{text}` {reason}");
        Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
            .mend("write it as `2000-01-31 18:30:00` in UTC")
    })?;
    let day = i128::from(calendar.day_number(reference.date)?);
    let time = i128::from(reference.nanosecond_of_day);
    let zone = i128::from(reference.zone_minutes) * 60 * SECOND;
    let instant = day * NANOSECONDS_PER_DAY + time - zone;
    if is_near(instant) { Ok(instant) } else { Err(too_far(text)) }
}

const SECOND: i128 = 1_000_000_000;

#[derive(Debug)]
struct Reference {
    date: Date,
    nanosecond_of_day: u64,
    zone_minutes: i32,
}

const NO_DATE: &str = "is no date";
const NO_TIME: &str = "has no time of day that is one";
const NO_ZONE: &str = "ends with something that is no time zone";

impl Reference {
    fn read(text: &str) -> Result<Self, &'static str> {
        let mut rest = Cursor(text.trim());
        let date = rest.date().ok_or(NO_DATE)?;
        let is_marked = rest.skip(&['T', 't']);
        let has_space = rest.skip_spaces();
        let has_time = is_marked || has_space && rest.0.starts_with(|c: char| c.is_ascii_digit());
        let nanosecond_of_day = if has_time { rest.time()? } else { 0 };
        rest.skip_spaces();
        Ok(Self { date, nanosecond_of_day, zone_minutes: rest.zone()? })
    }
}

/// What is left of a text.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn date(&mut self) -> Option<Date> {
        let is_negative = self.0.starts_with('-');
        let is_signed = self.skip(&['-', '+']);
        let digits = self.digits(8)?;
        if digits.len() == 8 && !is_signed {
            let (year, rest) = digits.split_at(4);
            let (month, day) = rest.split_at(2);
            return Some(Date {
                year: year.parse().ok()?,
                month: month.parse().ok()?,
                day: day.parse().ok()?,
            });
        }
        let year: i64 = digits.parse().ok()?;
        let (mut month, mut day) = (1, 1);
        if self.skip(&['-']) {
            month = self.number()?;
            if self.skip(&['-']) {
                day = self.number()?;
            }
        }
        Some(Date { year: if is_negative { -year } else { year }, month, day })
    }

    /// The nanosecond of the day.
    fn time(&mut self) -> Result<u64, &'static str> {
        let hour = self.number().ok_or(NO_TIME)?;
        let (mut minute, mut second, mut fraction) = (0, 0, 0);
        if self.skip(&[':']) {
            minute = self.number().ok_or(NO_TIME)?;
            if self.skip(&[':']) {
                second = self.number().ok_or(NO_TIME)?;
                if self.skip(&['.']) {
                    fraction = self.fraction()?;
                }
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(NO_TIME);
        }
        let seconds = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
        Ok(seconds * 1_000_000_000 + fraction)
    }

    /// The digits after a decimal point, as nanoseconds.
    fn fraction(&mut self) -> Result<u64, &'static str> {
        let digits = self.digits(usize::MAX).ok_or(NO_TIME)?;
        let (kept, beyond) = digits.split_at(digits.len().min(9));
        if beyond.bytes().any(|digit| digit != b'0') {
            return Err("is finer than nanoseconds");
        }
        format!("{kept:0<9}").parse().map_err(|_| NO_TIME)
    }

    /// All that is left, as minutes to the east.
    fn zone(&mut self) -> Result<i32, &'static str> {
        let word = self.0.to_ascii_lowercase();
        if matches!(word.as_str(), "" | "z" | "utc" | "gmt") {
            return Ok(0);
        }
        let is_west = self.0.starts_with('-');
        let is_signed = self.skip(&['-', '+']);
        let digits = self.digits(4).ok_or(NO_ZONE)?;
        let has_colon = self.skip(&[':']);
        let (hours, minutes) = match digits.len() {
            1 | 2 if has_colon => (digits, self.digits(2).ok_or(NO_ZONE)?),
            1 | 2 => (digits, "0"),
            4 if !has_colon => digits.split_at(2),
            _ => return Err(NO_ZONE),
        };
        let hours: i32 = hours.parse().map_err(|_| NO_ZONE)?;
        let minutes: i32 = minutes.parse().map_err(|_| NO_ZONE)?;
        match hours * 60 + minutes {
            _ if !self.0.is_empty() || hours > 23 || minutes > 59 => Err(NO_ZONE),
            // ARM writes `2006-01-19 05:03:00 0:00` and means 05:03 UTC, as UDUNITS and cftime read
            // it. pandas, and so xarray, takes the `0:00` for the time of day.
            0 => Ok(0),
            // UDUNITS takes `5:00` for five hours to the east; cftime passes over it.
            _ if !is_signed => {
                Err("has a time zone without a sign, which readers read differently")
            }
            east => Ok(if is_west { -east } else { east }),
        }
    }

    /// A number of one or two digits.
    fn number(&mut self) -> Option<u8> {
        self.digits(2)?.parse().ok()
    }

    /// At least one digit, and all that follow; `None` for more than `most`.
    fn digits(&mut self, most: usize) -> Option<&'a str> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        (1..=most).contains(&end).then_some(digits)
    }

    fn skip(&mut self, any: &[char]) -> bool {
        let rest = self.0.strip_prefix(any);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip_spaces(&mut self) -> bool {
        let rest = self.0.trim_start();
        let is_shorter = rest.len() < self.0.len();
        self.0 = rest;
        is_shorter
    }
}
