//! From the numbers of a file to instants, as xarray and cftime round them.

use array::Chunk;
use array::error::Result;

use super::{MISSING_TIME, TimeEncoding};
use crate::calendar::Calendar;
use crate::instants::{Instants, is_near, too_far};
use crate::numbers::Numbers;
use crate::packing::Packing;
use crate::unit::TimeUnit;

impl TimeEncoding {
    /// The instants that the numbers of a chunk mean.
    ///
    /// `packing` is that of the variable. Missing are NaN, what the packing says is missing, and
    /// the least `int64`. Integers are exact. Floats are what xarray makes of them: where the
    /// origin and all of the chunk are instants of 64-bit nanoseconds in a Gregorian calendar, the
    /// product with the length of the unit as `f64`, its fraction dropped; else the nearest
    /// microsecond, as in cftime. So decode floats of a variable whole, not piece by piece.
    ///
    /// # Errors
    /// Elements that are no numbers or not of the packing's type, an infinite number, or an
    /// instant more than 292 271 years from 1970.
    pub fn decode(&self, chunk: &Chunk, packing: &Packing) -> Result<Instants> {
        let nanoseconds = match packing.numbers(chunk)? {
            Numbers::Ints(values) => self.instants_of_ints(&values),
            Numbers::Floats(values) => {
                let products = self.product_instants(&values);
                products.unwrap_or_else(|| self.nearest_instants(&values))
            }
        };
        let is_far = |instant: &Option<i128>| instant.is_some_and(|instant| !is_near(instant));
        if let Some(place) = nanoseconds.iter().position(is_far) {
            let text = format!("{} {}", chunk.scalar(place as u64)?, self.units());
            return Err(too_far(&text).at("element", place));
        }
        Instants::new(self.calendar, nanoseconds)
    }

    fn instants_of_ints(&self, values: &[Option<i128>]) -> Vec<Option<i128>> {
        let present = values.iter().map(|value| value.filter(|it| *it != MISSING_TIME.into()));
        present.map(|value| value.map(|it| self.origin + it * self.unit.nanoseconds())).collect()
    }

    fn nearest_instants(&self, values: &[f64]) -> Vec<Option<i128>> {
        let instant = |value| self.origin + nearest(value, self.unit);
        values.iter().map(|&value| (!value.is_nan()).then(|| instant(value))).collect()
    }

    /// Instants by multiplication in `f64`, if all of them and the origin are 64-bit nanoseconds
    /// of a Gregorian calendar. These begin in 1677, after the calendars have become one.
    fn product_instants(&self, values: &[f64]) -> Option<Vec<Option<i128>>> {
        if !matches!(self.calendar, Calendar::Standard | Calendar::ProlepticGregorian) {
            return None;
        }
        let origin = i64::try_from(self.origin).ok()?;
        let unit = self.unit.nanoseconds() as f64;
        let instants = values.iter().map(|value| {
            if value.is_nan() {
                return Some(None);
            }
            // The cast saturates: what is too large is too large for the sum as well.
            let product = (value * unit) as i64;
            let is_small = product != i64::MAX && product != i64::MIN;
            let instant = is_small.then(|| origin.checked_add(product)).flatten()?;
            (instant != i64::MIN).then_some(Some(i128::from(instant)))
        });
        instants.collect()
    }
}

/// `value` units as nanoseconds: the nearest microsecond, ties to even, and the whole second if
/// that is one microsecond away; units below a second are not drawn to seconds, and nanoseconds
/// stay the nearest nanosecond.
///
/// What is too far away stays too far away. Source: `cast_to_int` of cftime, whose product has 64
/// bits of precision where this one is exact.
fn nearest(value: f64, unit: TimeUnit) -> i128 {
    if unit == TimeUnit::Nanoseconds {
        return value.clamp(-1e30, 1e30).round_ties_even() as i128;
    }
    let value = value.clamp(-1e19, 1e19);
    let factor = unit.nanoseconds() / 1_000;
    // A fixed point of 80 places: what a fraction has below can change nothing but a tie.
    let fraction = (value.fract() * 2f64.powi(FIXED_PLACES)) as i128 * factor;
    let floor = value.trunc() as i128 * factor + (fraction >> FIXED_PLACES);
    let rest = fraction & ((1 << FIXED_PLACES) - 1);
    let ceiling = floor + i128::from(rest > 0);
    let half = 1 << (FIXED_PLACES - 1);
    let rounds_up = rest > half || rest == half && floor % 2 != 0;
    let rounded = if rounds_up { ceiling } else { floor };
    let microseconds = match rounded.rem_euclid(1_000_000) {
        1 if unit <= TimeUnit::Seconds => floor,
        999_999 if unit <= TimeUnit::Seconds => ceiling,
        _ => rounded,
    };
    microseconds * 1_000
}

const FIXED_PLACES: i32 = 80;
