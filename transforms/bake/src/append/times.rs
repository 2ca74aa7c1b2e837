//! Times in the encoding that a store has, exactly or not at all.

use array::{Attributes, Chunk, DType, Scalar, Variable};
use cf::{Instants, MISSING_TIME, Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// How a store counts the times of a variable: unit, origin, calendar, and type of the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredTimes {
    encoding: TimeEncoding,
    dtype: DType,
    missing: Option<Scalar>,
}

impl StoredTimes {
    /// The encoding of a variable of a store; `None` if its numbers are packed besides.
    pub(crate) fn of(encoding: TimeEncoding, variable: &Variable) -> Option<Self> {
        let packings = ["scale_factor", "add_offset", "_Unsigned"];
        let is_packed = packings.iter().any(|name| variable.attributes.get(name).is_some());
        let dtype = variable.dtype;
        if is_packed || !(dtype.is_integer() || dtype.is_float()) {
            return None;
        }
        let named = ["_FillValue", "missing_value"];
        let named = named.iter().find_map(|name| variable.attributes.number(name)?.cast(dtype));
        let missing = named.or_else(|| match dtype {
            DType::Int64 => Some(Scalar::of(MISSING_TIME)),
            _ => Scalar::from_float(dtype, f64::NAN),
        });
        Some(Self { encoding, dtype, missing })
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// What is written where there is no time; `None` if the numbers cannot say it.
    pub(crate) fn missing(&self) -> Option<&Scalar> {
        self.missing.as_ref()
    }

    /// The numbers of these instants.
    ///
    /// # Errors
    /// An instant that no number of the type is, exactly; a missing one that cannot be said;
    /// another calendar.
    pub(crate) fn encode(&self, instants: &Instants, shape: &[u64]) -> Result<Chunk> {
        if instants.calendar() != self.encoding.calendar() {
            let (theirs, ours) = (instants.calendar(), self.encoding.calendar());
            let message = format!("times of the {theirs} calendar cannot be counted in {ours}");
            return Err(Error::new(ErrorCode::TIMES_DIFFER, ErrorKind::Conflict, message));
        }
        let plain = Packing::parse(&Attributes::default(), self.dtype)?;
        let mut payload = Vec::new();
        for (place, instant) in instants.nanoseconds().iter().enumerate() {
            let number = match instant {
                Some(instant) => self.number(*instant, &plain)?,
                None => self.missing.clone(),
            };
            let number = number.ok_or_else(|| {
                let text = instant.map(|it| self.encoding.calendar().instant_text(it));
                let text = text.unwrap_or_else(|| "a missing time".to_owned());
                let (units, dtype) = (self.encoding.units(), self.dtype);
                let message = format!("{text} cannot be written exactly as {dtype} in `{units}`");
                Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::Conflict, message)
                    .at("element", place)
                    .mend("an append keeps the units of the store; bake the store anew")
            })?;
            payload.extend_from_slice(number.bytes());
        }
        Chunk::new(self.dtype, shape, payload.into())
    }

    /// The number that decodes to this very instant.
    fn number(&self, instant: i128, plain: &Packing) -> Result<Option<Scalar>> {
        let Some(distance) = instant.checked_sub(self.encoding.origin()) else { return Ok(None) };
        let unit = self.encoding.unit().nanoseconds();
        let (whole, rest) = (distance / unit, distance % unit);
        if self.dtype.is_integer() {
            let number = Scalar::from_int(self.dtype, whole).filter(|_| rest == 0);
            // A time that is equal to what says that there is none would be read as missing.
            return Ok(number.filter(|number| Some(number) != self.missing.as_ref()));
        }
        let nearest = if rest == 0 { whole as f64 } else { distance as f64 / unit as f64 };
        for candidate in [nearest, nearest.next_up(), nearest.next_down()] {
            let Some(number) = Scalar::from_float(self.dtype, candidate) else { return Ok(None) };
            let chunk = Chunk::new(self.dtype, [1], number.bytes().to_vec().into())?;
            let decoded = self.encoding.decode(&chunk, plain).map(|it| it.nanoseconds()[0]);
            if decoded == Ok(Some(instant)) && Some(&number) != self.missing.as_ref() {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use array::Storage;
    use cf::Calendar;

    use super::*;

    fn stored(units: &str, dtype: DType) -> StoredTimes {
        let encoding = TimeEncoding::of_units(units, Calendar::Standard).expect("units");
        let variable = Variable {
            name: "time".to_owned(),
            dimensions: vec!["time".to_owned()],
            shape: vec![0],
            dtype,
            fill: None,
            attributes: Attributes::default(),
            storage: Storage::default(),
        };
        StoredTimes::of(encoding, &variable).expect("not packed")
    }

    fn instants(hours: &[Option<i128>]) -> Instants {
        let nanoseconds = hours.iter().map(|it| it.map(|it| it * 3_600_000_000_000)).collect();
        Instants::new(Calendar::Standard, nanoseconds).expect("near")
    }

    #[track_caller]
    fn check(units: &str, dtype: DType, hours: &[Option<i128>], want: Option<&[f64]>) {
        let encoded = stored(units, dtype).encode(&instants(hours), &[hours.len() as u64]);
        let numbers = encoded.ok().map(|chunk| {
            let number = |place| chunk.scalar(place).expect("an element").as_float();
            (0..chunk.element_count()).map(|it| number(it).expect("a number")).collect::<Vec<_>>()
        });
        assert_eq!(numbers.as_deref(), want);
    }

    #[test]
    fn times_are_counted_as_the_store_does_or_refused() {
        let days = "days since 1970-01-01";
        check(days, DType::Int32, &[Some(48), Some(-24)], Some(&[2.0, -1.0]));
        check(days, DType::Int32, &[Some(6)], None);
        check(days, DType::Float64, &[Some(6), Some(30)], Some(&[0.25, 1.25]));
        check(days, DType::Int16, &[Some(24 << 15)], None);
        check("hours since 1970-01-01 01:00", DType::Int64, &[Some(3)], Some(&[2.0]));
        check(days, DType::Float32, &[Some(24 * 16_777_217)], None);
    }

    #[test]
    fn an_hour_of_a_day_is_a_float_that_decodes_to_it() {
        for hour in 0..240 {
            let chunk = stored("days since 1970-01-01", DType::Float64)
                .encode(&instants(&[Some(hour)]), &[1])
                .expect("some float is that hour");
            let plain = Packing::parse(&Attributes::default(), DType::Float64).expect("plain");
            let encoding =
                TimeEncoding::of_units("days since 1970-01-01", Calendar::Standard).expect("units");
            assert_eq!(encoding.decode(&chunk, &plain).expect("times"), instants(&[Some(hour)]));
        }
    }

    #[test]
    fn a_missing_time_is_what_the_store_has_for_it() {
        check("days since 1970-01-01", DType::Int16, &[None], None);
        let encoded =
            stored("days since 1970-01-01", DType::Float64).encode(&instants(&[None]), &[1]);
        assert!(encoded.expect("NaN").values::<f64>().expect("floats")[0].is_nan());
        let encoded =
            stored("days since 1970-01-01", DType::Int64).encode(&instants(&[None]), &[1]);
        assert_eq!(encoded.expect("NaT").values::<i64>().expect("ints"), [MISSING_TIME]);
    }
}
