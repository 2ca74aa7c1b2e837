//! Lengths of time: numbers of a unit without "since", such as a lead time of `6 hours`.
//!
//! Read [`crate::span`] next.

use array::error::{Error, ErrorCode, ErrorKind, Result};
use array::{Attributes, Chunk};

use crate::instants::is_near;
use crate::numbers::Numbers;
use crate::packing::Packing;
use crate::time::{MISSING_TIME, TimeNumbers, nearest_numbers, whole_numbers};
use crate::unit::TimeUnit;

/// Lengths of time, exact, whatever unit a file counts them in.
///
/// Units are nanoseconds; `None` is missing. None is longer than 292 271 years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timedeltas(Vec<Option<i128>>);

/// The unit in which a variable with these attributes counts lengths of time: one of xarray's
/// `days`, `hours`, `minutes`, `seconds`, `milliseconds`, `microseconds`, `nanoseconds`.
pub fn timedelta_unit(attributes: &Attributes) -> Option<TimeUnit> {
    let units = attributes.text("units")?;
    TimeUnit::REGULAR.into_iter().find(|unit| unit.name() == units)
}

impl Timedeltas {
    /// Lengths by their nanoseconds.
    ///
    /// # Errors
    /// One of more than 292 271 years.
    pub fn new(nanoseconds: Vec<Option<i128>>) -> Result<Self> {
        match nanoseconds.iter().flatten().find(|length| !is_near(**length)) {
            None => Ok(Self(nanoseconds)),
            Some(length) => {
                Err(inexpressible(format!("{length} nanoseconds are more than 292 271 years")))
            }
        }
    }

    /// The lengths that the numbers of a chunk mean.
    ///
    /// `packing` is that of the variable. Missing are NaN, what the packing says is missing, and the
    /// least `int64`. Integers are exact. Floats are what xarray makes of them: multiplied in
    /// `float64` by the seconds of the unit, then by 1000 until all of the chunk are whole or
    /// nanoseconds, whose fraction is dropped. So decode floats of a variable whole.
    ///
    /// # Errors
    /// Elements that are no numbers or not of the packing's type; an infinite one; one of more than
    /// 292 271 years.
    pub fn decode(chunk: &Chunk, packing: &Packing, unit: TimeUnit) -> Result<Self> {
        let nanoseconds = match packing.numbers(chunk)? {
            Numbers::Ints(values) => {
                let present = |value: Option<i128>| value.filter(|it| *it != MISSING_TIME.into());
                let length = |value: i128| value.saturating_mul(unit.nanoseconds());
                values.into_iter().map(|value| present(value).map(length)).collect()
            }
            Numbers::Floats(values) => nanoseconds_of_floats(values, unit),
        };
        Self::new(nanoseconds)
    }

    /// Nanoseconds; `None` where one is missing.
    pub fn nanoseconds(&self) -> &[Option<i128>] {
        &self.0
    }

    /// The coarsest unit from days to nanoseconds of which all lengths are multiples.
    pub fn unit(&self) -> TimeUnit {
        let units = self.0.iter().flatten().map(|length| TimeUnit::coarsest_of(*length));
        units.max().unwrap_or(TimeUnit::Days)
    }

    /// The numbers that mean these lengths in the `wanted` unit, or in [`Timedeltas::unit`], and
    /// the unit that they count.
    ///
    /// As xarray's `encode_cf_timedelta`: of one dimension, `int64` with [`MISSING_TIME`] or
    /// `float64` with NaN; [`TimeNumbers::Integers`] take the finer unit where the wanted one does
    /// not give whole numbers.
    ///
    /// # Errors
    /// An integer that an `i64` does not hold.
    pub fn encode(
        &self,
        wanted: Option<TimeUnit>,
        numbers: TimeNumbers,
    ) -> Result<(Chunk, TimeUnit)> {
        let needed = self.unit();
        let wanted = wanted.unwrap_or(needed);
        let is_whole = wanted >= needed;
        match numbers {
            TimeNumbers::Integers => {
                let unit = wanted.max(needed);
                Ok((whole_numbers(&self.0, unit)?, unit))
            }
            TimeNumbers::Either if is_whole => Ok((whole_numbers(&self.0, wanted)?, wanted)),
            TimeNumbers::Either | TimeNumbers::Floats => {
                Ok((nearest_numbers(self.0.iter().copied(), wanted)?, wanted))
            }
        }
    }
}

fn nanoseconds_of_floats(mut values: Vec<f64>, unit: TimeUnit) -> Vec<Option<i128>> {
    let finest = unit.nanoseconds().min(TimeUnit::Seconds.nanoseconds());
    let seconds = (unit.nanoseconds() / finest) as f64;
    values.iter_mut().for_each(|value| *value *= seconds);
    let mut factor = finest;
    while factor > 1 && values.iter().any(|value| value.is_finite() && value.fract() != 0.0) {
        values.iter_mut().for_each(|value| *value *= 1000.0);
        factor /= 1000;
    }
    // The cast saturates: what is too long stays too long.
    let length = |value: f64| (value as i128).saturating_mul(factor);
    values.into_iter().map(|value| (!value.is_nan()).then(|| length(value))).collect()
}

fn inexpressible(message: String) -> Error {
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use array::DType;
    use serde_json::Value;

    use super::*;
    use crate::golden;

    fn unit(value: &Value) -> TimeUnit {
        let mut attributes = Attributes::default();
        attributes.set("units", golden::text(value));
        timedelta_unit(&attributes).expect("a unit of lengths of time")
    }

    #[track_caller]
    fn check_golden(case: &Value) {
        let (input, expected) = (&case["input"], &case["expected"]);
        let list = |value: &Value| value.as_array().expect("a list").clone();
        if input["op"] == "encode" {
            let raw = list(&input["timedelta_ns"]);
            let nanoseconds = raw.iter().map(|it| it.as_i64().expect("64 bits"));
            let present = nanoseconds.map(|it| (it != MISSING_TIME).then_some(it.into()));
            let lengths = Timedeltas::new(present.collect()).expect("near");
            let wanted = input["units"].as_str().map(|_| unit(&input["units"]));
            let kind = golden::time_numbers(&input["dtype"]);
            let (numbers, found) = lengths.encode(wanted, kind).expect("encodes");
            let dtype: DType = golden::text(&expected["dtype"]).parse().expect("a known type");
            let want = golden::chunk(dtype, &list(&expected["values"]));
            assert_eq!(golden::canonical(&numbers), golden::canonical(&want), "{case}");
            assert_eq!(found, unit(&expected["attrs"]["units"]), "{case}");
            return;
        }
        let dtype: DType = golden::text(&input["dtype"]).parse().expect("a known type");
        let chunk = golden::chunk(dtype, &list(&input["values"]));
        let plain = Packing::parse(&Attributes::default(), dtype).expect("no attributes");
        let found = Timedeltas::decode(&chunk, &plain, unit(&input["units"])).expect("decodes");
        let ticks = i128::from(golden::ticks(golden::text(&expected["unit"])));
        let want = list(&expected["int64"]).into_iter().map(|it| it.as_i64().expect("64 bits"));
        let want = want.map(|it| (it != MISSING_TIME).then_some(i128::from(it) * ticks));
        assert_eq!(found.nanoseconds(), want.collect::<Vec<_>>(), "{case}");
    }

    #[test]
    fn golden_cf_timedelta() {
        golden::cases("cf_timedelta.json").iter().for_each(check_golden);
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        let plain = |dtype| Packing::parse(&Attributes::default(), dtype).expect("no attributes");
        let infinite = Chunk::of([1], &[f64::INFINITY]).expect("one");
        let packing = plain(DType::Float64);
        assert!(Timedeltas::decode(&infinite, &packing, TimeUnit::Nanoseconds).is_err());
        let long = Chunk::of([1], &[i64::MAX]).expect("one");
        assert!(Timedeltas::decode(&long, &plain(DType::Int64), TimeUnit::Days).is_err());
        let lengths = Timedeltas::new(vec![Some(1 << 70)]).expect("37 000 years");
        assert!(lengths.encode(Some(TimeUnit::Nanoseconds), TimeNumbers::Integers).is_err());
        assert!(lengths.encode(None, TimeNumbers::Floats).is_ok());
    }
}
