//! Points in time, exact, whatever unit a file counts them in. Read [`crate::span`] next.

use array::error::{Error, ErrorCode, ErrorKind, Result};

use crate::calendar::Calendar;

pub(crate) const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;

/// The farthest instant from 1970 on either side: as many microseconds as an `i64` holds.
const LIMIT: i128 = i64::MAX as i128 * 1_000;

/// 1582-10-15 of both Gregorian calendars, in nanoseconds since 1970.
const REFORM: i128 = -141_427 * NANOSECONDS_PER_DAY;

/// Points in time of one calendar, in the order in which a variable has them.
///
/// Units are nanoseconds since 1970-01-01T00:00, counted in the days of that calendar; `None` is
/// missing. Every instant is within 292 271 years of 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instants {
    calendar: Calendar,
    nanoseconds: Vec<Option<i128>>,
}

impl Instants {
    /// Instants by their nanoseconds.
    ///
    /// # Errors
    /// An instant more than 292 271 years from 1970.
    pub fn new(calendar: Calendar, nanoseconds: Vec<Option<i128>>) -> Result<Self> {
        match nanoseconds.iter().flatten().find(|instant| !is_near(**instant)) {
            None => Ok(Self { calendar, nanoseconds }),
            Some(instant) => Err(too_far(&format!("{instant} nanoseconds since 1970"))),
        }
    }

    /// The same dates in another calendar, as xarray takes dates of NumPy, which are
    /// `proleptic_gregorian`, for dates of the calendar that is asked for.
    ///
    /// In `standard` these are the same days from 1582-10-15 on; what is before is refused, there
    /// and back. Dates of other calendars are no dates of a third one.
    ///
    /// # Errors
    /// A date that the calendar does not have, or that is another day there; another calendar than
    /// `proleptic_gregorian` and, for that one, `standard`.
    pub fn in_calendar(mut self, calendar: Calendar) -> Result<Self> {
        use Calendar::{ProlepticGregorian, Standard};
        let conflict = |message| Error::new(ErrorCode::TIMES_DIFFER, ErrorKind::Conflict, message);
        let (theirs, ours) = (self.calendar, calendar);
        match (theirs, ours) {
            _ if theirs == ours => return Ok(self),
            (Standard, ProlepticGregorian) | (ProlepticGregorian, Standard) => {
                if let Some(early) = self.nanoseconds.iter().flatten().find(|it| **it < REFORM) {
                    let early = theirs.instant_text(*early);
                    let message = format!("{early}, before 1582-10-15, is another day in {ours}");
                    return Err(conflict(message));
                }
            }
            (ProlepticGregorian, _) => {
                for instant in self.nanoseconds.iter_mut().flatten() {
                    let date = theirs.date(instant.div_euclid(NANOSECONDS_PER_DAY) as i64);
                    let day = i128::from(ours.day_number(date)?);
                    *instant = day * NANOSECONDS_PER_DAY + instant.rem_euclid(NANOSECONDS_PER_DAY);
                }
            }
            _ => {
                let message =
                    format!("instants of the {theirs} calendar cannot be counted in {ours}");
                return Err(conflict(message));
            }
        }
        self.calendar = calendar;
        Ok(self)
    }

    /// The calendar in which they are counted.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// Nanoseconds since 1970-01-01T00:00 of the calendar; `None` where one is missing.
    pub fn nanoseconds(&self) -> &[Option<i128>] {
        &self.nanoseconds
    }
}

/// Whether an instant is one that is worked with.
pub(crate) fn is_near(instant: i128) -> bool {
    (-LIMIT..=LIMIT).contains(&instant)
}

/// The error for an instant that is not [near](is_near).
pub(crate) fn too_far(instant: &str) -> Error {
    let message = format!("the time {instant} is more than 292 271 years from 1970");
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
}

impl Calendar {
    /// An instant as a date of this calendar: `2019-01-31T06:00:00`, with a fraction of a second
    /// only if there is one.
    ///
    /// `instant` is nanoseconds since 1970-01-01T00:00; beyond 292 271 years it stays a number.
    pub fn instant_text(self, instant: i128) -> String {
        if is_near(instant) {
            self.date_and_time(instant, 'T')
        } else {
            format!("{instant} nanoseconds since 1970")
        }
    }

    /// `instant` is [near](is_near).
    pub(crate) fn date_and_time(self, instant: i128, separator: char) -> String {
        let date = self.date(instant.div_euclid(NANOSECONDS_PER_DAY) as i64);
        let rest = instant.rem_euclid(NANOSECONDS_PER_DAY);
        let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let text = format!("{date}{separator}{hour:02}:{minute:02}:{second:02}");
        match fraction {
            0 => text,
            _ => format!("{text}.{}", format!("{fraction:09}").trim_end_matches('0')),
        }
    }
}
