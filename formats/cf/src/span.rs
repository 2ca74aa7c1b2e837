//! What many files' times have in common: enough to choose one encoding for all of them.
//!
//! Read [`crate::packing`] next.

use array::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::instants::{Instants, NANOSECONDS_PER_DAY};
use crate::time::TimeEncoding;
use crate::unit::TimeUnit;

/// The extent and the step of a set of instants, without the instants.
///
/// Merging is associative and commutative, and spans of equal sets are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSpan {
    calendar: Calendar,
    extent: Option<Extent>,
    has_missing: bool,
}

/// All instants are a multiple of `step` nanoseconds after `earliest`; 0 for a single instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    earliest: i128,
    latest: i128,
    step: u128,
}

impl TimeSpan {
    /// The span of some instants. Cost: O(instants).
    pub fn of(instants: &Instants) -> Self {
        let present = instants.nanoseconds().iter().flatten();
        let extent = present
            .map(|&instant| Extent { earliest: instant, latest: instant, step: 0 })
            .reduce(Extent::merge);
        let has_missing = instants.nanoseconds().contains(&None);
        Self { calendar: instants.calendar(), extent, has_missing }
    }

    /// The span of both sets of instants.
    ///
    /// # Errors
    /// Two calendars; the error names both.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        check_calendars(self.calendar, other.calendar)?;
        let extent = match (self.extent, other.extent) {
            (Some(ours), Some(theirs)) => Some(ours.merge(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        let has_missing = self.has_missing || other.has_missing;
        Ok(Self { calendar: self.calendar, extent, has_missing })
    }

    /// The calendar of all instants.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// The first and the last instant, in nanoseconds since 1970-01-01T00:00; `None` if all are
    /// missing.
    pub fn range(&self) -> Option<(i128, i128)> {
        self.extent.map(|extent| (extent.earliest, extent.latest))
    }

    /// Whether some instant is missing.
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// `wanted` if it holds every instant exactly in `i64`, else the coarsest unit that does, from
    /// the same origin; as xarray refines units. [`TimeSpan::choose`] rather moves the origin.
    ///
    /// # Errors
    /// Another calendar than that of `wanted`; no such unit.
    pub fn refine(&self, wanted: &TimeEncoding) -> Result<TimeEncoding> {
        check_calendars(wanted.calendar(), self.calendar)?;
        let Some(extent) = self.extent else { return Ok(wanted.clone()) };
        let from_there = |unit| TimeEncoding::new(unit, wanted.origin(), self.calendar);
        let finer = TimeUnit::REGULAR.into_iter().filter(|unit| *unit > wanted.unit());
        let mut candidates = std::iter::once(wanted.clone()).chain(finer.map(from_there));
        candidates.find(|candidate| extent.is_counted_by(candidate, i64::MAX)).ok_or_else(|| {
            let [first, last] =
                [extent.earliest, extent.latest].map(|instant| self.calendar.instant_text(instant));
            let units = wanted.units();
            let message = format!(
                "no unit as fine as that of `{units}` counts all times from {first} to {last} there"
            );
            Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Conflict, message)
                .mend("count from a date that is nearer, or in floats")
        })
    }

    /// An encoding that holds every instant exactly in `i64`: `preferred` if it does, else that of
    /// the coarsest unit from days to nanoseconds.
    ///
    /// Origins are whole seconds, since readers differ in how they read fractions: that of
    /// `preferred`, the midnight before the first instant, that instant, the midnight before the
    /// middle, or 1970-01-01. Among them, numbers within 2^53 are preferred: xarray reads others
    /// as `f64` where it needs cftime.
    ///
    /// # Errors
    /// Another calendar than that of `preferred`; instants so fine and so far apart that no unit
    /// holds all of them.
    pub fn choose(&self, preferred: &TimeEncoding) -> Result<TimeEncoding> {
        check_calendars(preferred.calendar(), self.calendar)?;
        let Some(extent) = self.extent else { return Ok(preferred.clone()) };
        let greatest =
            if preferred.unit() == TimeUnit::Nanoseconds { i64::MAX } else { EXACT_IN_F64 };
        if extent.fits(preferred, greatest) {
            return Ok(preferred.clone());
        }
        let midnight = |it: i128| it.saturating_sub(it.rem_euclid(NANOSECONDS_PER_DAY));
        let first = extent.earliest;
        let middle = midnight(first.midpoint(extent.latest));
        let origins = [preferred.origin(), midnight(first), first, middle, 0];
        let mut candidates = Vec::new();
        for unit in TimeUnit::REGULAR {
            let encodings = origins.map(|origin| TimeEncoding::new(unit, origin, self.calendar));
            candidates.extend(encodings);
        }
        let is_careful = |encoding: &&TimeEncoding| {
            encoding.unit() != TimeUnit::Nanoseconds && extent.fits(encoding, EXACT_IN_F64)
        };
        let careful = candidates.iter().find(is_careful);
        let chosen = careful.or_else(|| candidates.iter().find(|it| extent.fits(it, i64::MAX)));
        chosen.cloned().ok_or_else(|| {
            let [first, last] =
                [extent.earliest, extent.latest].map(|instant| self.calendar.instant_text(instant));
            let message = format!("no unit holds all times from {first} to {last} exactly");
            Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Conflict, message)
                .mend("the times have fractions of microseconds; bake fewer years into one store")
        })
    }
}

/// The greatest number up to which `f64` holds every integer.
const EXACT_IN_F64: i64 = 1 << 53;

fn check_calendars(ours: Calendar, theirs: Calendar) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    let message = format!("times of the {ours} and of the {theirs} calendar cannot be joined");
    Err(Error::new(ErrorCode::TIMES_DIFFER, ErrorKind::Conflict, message))
}

impl Extent {
    fn merge(self, other: Self) -> Self {
        let apart = self.earliest.abs_diff(other.earliest);
        Self {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.max(other.latest),
            step: greatest_divisor(greatest_divisor(self.step, other.step), apart),
        }
    }

    /// Whether `encoding` has an integer within `greatest` for every instant, and an origin of
    /// whole seconds.
    fn fits(&self, encoding: &TimeEncoding, greatest: i64) -> bool {
        encoding.origin() % TimeUnit::Seconds.nanoseconds() == 0
            && self.is_counted_by(encoding, greatest)
    }

    /// Whether `encoding` has an integer within `greatest` for every instant.
    fn is_counted_by(&self, encoding: &TimeEncoding, greatest: i64) -> bool {
        let is_near = |instant| {
            let number = encoding.number(instant);
            number.is_some_and(|number| (-greatest..=greatest).contains(&number))
        };
        self.step.is_multiple_of(encoding.unit().nanoseconds().unsigned_abs())
            && is_near(self.earliest)
            && is_near(self.latest)
    }
}

fn greatest_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
