//! Which places of a dimension lie between two values of its coordinate.

use std::ops::Range;

use array::{DatasetSource, Region};
use cf::{Packing, TimeEncoding};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A value of a coordinate, as users write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// A number, of a coordinate that counts no time.
    Number(f64),
    /// A date such as `2000-01-31T12:00`, in the calendar of the coordinate.
    Date(String),
}

/// The places of a dimension whose coordinate lies between the bounds, these included; all of them
/// without bounds.
///
/// # Errors
/// A coordinate that is missing or cannot be read, a bound of another kind, or places that do not
/// follow each other.
pub(super) fn range_of(
    source: &dyn DatasetSource,
    dim: &str,
    min: Option<&Bound>,
    max: Option<&Bound>,
) -> Result<Range<u64>> {
    let length = source.dataset().expect_dimension(dim)?.length;
    if min.is_none() && max.is_none() {
        return Ok(0..length);
    }
    let is_kept = kept_places(source, dim, min, max).map_err(|it| it.at("variable", dim))?;
    let Some(start) = is_kept.iter().position(|&it| it) else { return Ok(0..0) };
    let end = is_kept.iter().rposition(|&it| it).map_or(start, |last| last + 1);
    if is_kept[start..end].iter().all(|&it| it) {
        return Ok(start as u64..end as u64);
    }
    let message = format!("the values of `{dim}` between the bounds do not follow each other");
    let error = Error::new(ErrorCode::NOT_ASCENDING, ErrorKind::InvalidInput, message);
    Err(error.at("variable", dim).mend("choose other bounds, or places by `start` and `stop`"))
}

fn kept_places(
    source: &dyn DatasetSource,
    dim: &str,
    min: Option<&Bound>,
    max: Option<&Bound>,
) -> Result<Vec<bool>> {
    let variable = source.dataset().expect_variable(dim)?;
    let chunk = source.array(dim)?.read(&Region::whole(&variable.shape))?;
    let packing = Packing::parse(&variable.attributes, variable.dtype)?;
    let Some(encoding) = cf::time_encoding(source.dataset(), variable)? else {
        let number = |bound: Option<&Bound>, or: f64| match bound {
            None => Ok(or),
            Some(Bound::Number(number)) => Ok(*number),
            Some(Bound::Date(text)) => Err(other_kind(text, "counts no time")),
        };
        let (min, max) = (number(min, f64::NEG_INFINITY)?, number(max, f64::INFINITY)?);
        let values = packing.decode(&chunk)?.widened(array::DType::Float64)?.values::<f64>()?;
        return Ok(values.into_iter().map(|it| min <= it && it <= max).collect());
    };
    let instant = |bound: Option<&Bound>, or: i128| match bound {
        None => Ok(or),
        Some(Bound::Date(text)) => instant_of(text, &encoding),
        Some(Bound::Number(number)) => Err(other_kind(&number.to_string(), "counts time")),
    };
    let (min, max) = (instant(min, i128::MIN)?, instant(max, i128::MAX)?);
    let instants = encoding.decode(&chunk, &packing)?;
    let is_kept = |it: &Option<i128>| it.is_some_and(|it| min <= it && it <= max);
    Ok(instants.nanoseconds().iter().map(is_kept).collect())
}

/// Nanoseconds since 1970 in the calendar of an encoding.
fn instant_of(text: &str, like: &TimeEncoding) -> Result<i128> {
    let encoding = TimeEncoding::of_units(&format!("seconds since {text}"), like.calendar())?;
    let zero = array::Chunk::of([1], &[0i64])?;
    let plain = Packing::parse(&array::Attributes::default(), zero.dtype())?;
    let instants = encoding.decode(&zero, &plain)?;
    let instant = instants.nanoseconds().first().copied().flatten();
    instant.ok_or_else(|| Error::internal("zero seconds are no time"))
}

fn other_kind(bound: &str, how: &str) -> Error {
    let message = format!("the bound {bound} does not fit a coordinate that {how}");
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    error.mend("write dates for times, and numbers for everything else")
}
