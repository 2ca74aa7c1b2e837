//! From instants to the numbers of a file, as integers where they are whole, as xarray chooses them.

use array::Chunk;
use array::error::Result;

use super::{MISSING_TIME, TimeEncoding, inexpressible};
use crate::instants::Instants;
use crate::span::TimeSpan;
use crate::unit::TimeUnit;

/// Which numbers may count time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeNumbers {
    /// `int64` if the wanted unit gives whole numbers, else `float64`; xarray without a `dtype`.
    Either,
    /// `int64`, in a finer unit if the wanted one does not give whole numbers.
    Integers,
    /// `float64`, in the wanted unit.
    Floats,
}

/// Times as a file has them.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedTimes {
    /// One dimension of `int64` or `float64`; missing are [`MISSING_TIME`] and NaN.
    pub numbers: Chunk,
    /// What the numbers count: the wanted encoding, or one of a finer unit.
    pub encoding: TimeEncoding,
}

/// The numbers that mean these instants in the `wanted` encoding, or in that which
/// [`TimeEncoding::infer`] finds.
///
/// As xarray's `encode_cf_datetime`, but that integers which do not fit are refused. Integers are
/// exact; floats are the nearest, or next to it for distances of more than 53 bits. Dates of another calendar are taken as [`Instants::in_calendar`] takes them.
/// Cost: O(instants).
///
/// # Errors
/// Those of [`Instants::in_calendar`]; with integers, instants that no `i64` counts in any unit from the origin.
///
/// Source: CF conventions, section 4.4.
pub fn encode_times(
    instants: &Instants,
    wanted: Option<&TimeEncoding>,
    numbers: TimeNumbers,
) -> Result<EncodedTimes> {
    let Some(wanted) = wanted else {
        return encode_times(instants, Some(&TimeEncoding::infer(instants)), numbers);
    };
    let instants = instants.clone().in_calendar(wanted.calendar())?;
    let span = TimeSpan::of(&instants);
    let is_whole = || span.refine(wanted).is_ok_and(|refined| refined == *wanted);
    let encoding = match numbers {
        TimeNumbers::Integers => span.refine(wanted)?,
        TimeNumbers::Either | TimeNumbers::Floats => wanted.clone(),
    };
    if numbers == TimeNumbers::Floats || numbers == TimeNumbers::Either && !is_whole() {
        let distances = instants.nanoseconds().iter().map(|it| it.map(|it| it - wanted.origin()));
        let numbers = nearest_numbers(distances, wanted.unit())?;
        return Ok(EncodedTimes { numbers, encoding });
    }
    let integers = encoding.encode(&instants)?;
    let numbers = Chunk::of([integers.len() as u64], &integers)?;
    Ok(EncodedTimes { numbers, encoding })
}

/// Distances of nanoseconds as numbers of a unit, NaN for what is missing.
pub(crate) fn nearest_numbers(
    distances: impl Iterator<Item = Option<i128>>,
    unit: TimeUnit,
) -> Result<Chunk> {
    let numbers: Vec<f64> = distances
        .map(|distance| distance.map_or(f64::NAN, |distance| quotient(distance, unit)))
        .collect();
    Chunk::of([numbers.len() as u64], &numbers)
}

/// `distance` nanoseconds in a unit: the nearest number, as far as the distance has at most 53 bits
/// when the factors of ten that it shares with the unit are gone.
fn quotient(mut distance: i128, unit: TimeUnit) -> f64 {
    let mut length = unit.nanoseconds();
    while distance % 10 == 0 && length % 10 == 0 {
        (distance, length) = (distance / 10, length / 10);
    }
    distance as f64 / length as f64
}

/// The integers of a unit, [`MISSING_TIME`] for what is missing.
pub(crate) fn whole_numbers(distances: &[Option<i128>], unit: TimeUnit) -> Result<Chunk> {
    let number = |distance: &Option<i128>| match distance {
        None => Ok(MISSING_TIME),
        Some(distance) => whole_number(*distance, unit).ok_or_else(|| {
            let message = format!("{distance} nanoseconds are no whole number of {}", unit.name());
            inexpressible(message)
        }),
    };
    let numbers: Vec<i64> = distances.iter().map(number).collect::<Result<_>>()?;
    Chunk::of([numbers.len() as u64], &numbers)
}

/// The number of units that is `distance` nanoseconds, if there is one.
pub(crate) fn whole_number(distance: i128, unit: TimeUnit) -> Option<i64> {
    let number = i64::try_from(distance / unit.nanoseconds()).ok()?;
    (distance % unit.nanoseconds() == 0 && number != MISSING_TIME).then_some(number)
}

impl TimeEncoding {
    /// The encoding that xarray infers: the coarsest unit from days to nanoseconds of which all
    /// steps are multiples, from the first instant on.
    ///
    /// Without instants it is days since 1970-01-01. Cost: O(instants).
    pub fn infer(instants: &Instants) -> Self {
        let mut present = instants.nanoseconds().iter().flatten();
        let first = present.next().copied().unwrap_or(0);
        let steps = present.scan(first, |before, &instant| {
            let step = instant - *before;
            *before = instant;
            Some(step)
        });
        let mut unit = TimeUnit::Days;
        for step in steps {
            unit = unit.max(TimeUnit::coarsest_of(step));
        }
        Self::new(unit, first, instants.calendar())
    }
}
