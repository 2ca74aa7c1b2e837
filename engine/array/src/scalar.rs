//! One element by itself: fill values, missing values, attributes.

use std::fmt;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::dtype::{DType, Native};

/// One element of a [`DType`], bit for bit.
///
/// Two NaNs are equal if their bits are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar {
    dtype: DType,
    bytes: Vec<u8>,
}

impl Scalar {
    /// The element of these bytes, little endian.
    ///
    /// # Errors
    /// Not exactly the bytes of one element, or a text that is not UTF-8.
    pub fn new(dtype: DType, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        let fits = match dtype.item_bytes() {
            Some(length) => length == bytes.len(),
            None => str::from_utf8(&bytes).is_ok(),
        };
        if fits {
            return Ok(Self { dtype, bytes });
        }
        let message = format!("{} bytes are no element of {dtype}", bytes.len());
        Err(Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message))
    }

    /// A number.
    pub fn of<T: Native>(value: T) -> Self {
        let mut bytes = Vec::new();
        value.push_le(&mut bytes);
        Self { dtype: T::DTYPE, bytes }
    }

    /// A text.
    pub fn text(value: impl Into<String>) -> Self {
        Self { dtype: DType::Text, bytes: value.into().into_bytes() }
    }

    /// Zero, false, or the empty text.
    pub fn zero(dtype: DType) -> Self {
        Self { dtype, bytes: vec![0; dtype.item_bytes().unwrap_or(0)] }
    }

    /// The type of this element.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The bytes of this element, little endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text, for `Text`.
    pub fn as_text(&self) -> Option<&str> {
        match self.dtype {
            DType::Text => str::from_utf8(&self.bytes).ok(),
            _ => None,
        }
    }

    /// The value of an integer or bool.
    pub fn as_int(&self) -> Option<i128> {
        Some(match self.dtype {
            DType::Bool | DType::UInt8 => i128::from(u8::from_le_slice(&self.bytes)),
            DType::Int8 => i128::from(i8::from_le_slice(&self.bytes)),
            DType::Int16 => i128::from(i16::from_le_slice(&self.bytes)),
            DType::Int32 => i128::from(i32::from_le_slice(&self.bytes)),
            DType::Int64 => i128::from(i64::from_le_slice(&self.bytes)),
            DType::UInt16 => i128::from(u16::from_le_slice(&self.bytes)),
            DType::UInt32 => i128::from(u32::from_le_slice(&self.bytes)),
            DType::UInt64 => i128::from(u64::from_le_slice(&self.bytes)),
            _ => return None,
        })
    }

    /// The value of a float, widened; of an integer, rounded to the nearest.
    pub fn as_float(&self) -> Option<f64> {
        Some(match self.dtype {
            DType::Float16 => f64::from(f16::from_le_slice(&self.bytes)),
            DType::Float32 => f64::from(f32::from_le_slice(&self.bytes)),
            DType::Float64 => f64::from_le_slice(&self.bytes),
            _ => self.as_int()? as f64,
        })
    }

    /// This number as an element of another type, if that holds it exactly.
    ///
    /// A NaN becomes the NaN of the other float type; a float becomes an integer only if it is one.
    pub fn cast(&self, dtype: DType) -> Option<Self> {
        if dtype == self.dtype {
            return Some(self.clone());
        }
        let cast = match (self.as_int(), dtype.is_integer() || dtype == DType::Bool) {
            (Some(int), true) => Self::from_int(dtype, int)?,
            (None, true) => {
                let float = self.as_float()?;
                let int = float as i128;
                return if int as f64 == float { Self::from_int(dtype, int) } else { None };
            }
            (_, false) => Self::from_float(dtype, self.as_float()?)?,
        };
        let same_float = || {
            let (a, b) = (self.as_float(), cast.as_float());
            a == b || a.is_some_and(f64::is_nan) && b.is_some_and(f64::is_nan)
        };
        let is_exact = match (self.as_int(), cast.as_int()) {
            (Some(a), Some(b)) => a == b,
            (Some(a), None) => cast.as_float().is_some_and(|float| float as i128 == a),
            _ => same_float(),
        };
        is_exact.then_some(cast)
    }

    /// An integer or bool of this value, if it is in range.
    pub fn from_int(dtype: DType, value: i128) -> Option<Self> {
        Some(match dtype {
            DType::Bool if value == 0 || value == 1 => Self { dtype, bytes: vec![value as u8] },
            DType::Int8 => Self::of(i8::try_from(value).ok()?),
            DType::Int16 => Self::of(i16::try_from(value).ok()?),
            DType::Int32 => Self::of(i32::try_from(value).ok()?),
            DType::Int64 => Self::of(i64::try_from(value).ok()?),
            DType::UInt8 => Self::of(u8::try_from(value).ok()?),
            DType::UInt16 => Self::of(u16::try_from(value).ok()?),
            DType::UInt32 => Self::of(u32::try_from(value).ok()?),
            DType::UInt64 => Self::of(u64::try_from(value).ok()?),
            _ => return None,
        })
    }

    /// A float of the nearest value.
    pub fn from_float(dtype: DType, value: f64) -> Option<Self> {
        Some(match dtype {
            DType::Float16 => Self::of(f16::from_f64(value)),
            DType::Float32 => Self::of(value as f32),
            DType::Float64 => Self::of(value),
            _ => return None,
        })
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.dtype, self.as_int()) {
            (DType::Bool, Some(value)) => write!(f, "{}", value != 0),
            (_, Some(value)) => write!(f, "{value}"),
            (DType::Text, None) => f.write_str(self.as_text().unwrap_or_default()),
            (DType::Float32, None) => write!(f, "{:?}", f32::from_le_slice(&self.bytes)),
            (DType::Float16 | DType::Float64, None) => {
                write!(f, "{:?}", self.as_float().unwrap_or(f64::NAN))
            }
            _ => self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// A scalar is written as its type and its bytes in hexadecimal digits, which loses nothing.
impl Serialize for Scalar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (self.dtype, digits).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let (dtype, digits) = <(DType, String)>::deserialize(deserializer)?;
        let pairs = digits.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| {
            let pair = str::from_utf8(pair).map_err(D::Error::custom)?;
            u8::from_str_radix(pair, 16).map_err(D::Error::custom)
        });
        Self::new(dtype, bytes.collect::<Result<Vec<_>, _>>()?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &Scalar, to: DType, want: impl Into<Option<Scalar>>) {
        assert_eq!(from.cast(to), want.into());
    }

    #[test]
    fn casts_are_exact_or_refused() {
        check(&Scalar::of(-9999.0f32), DType::Int16, Some(Scalar::of(-9999i16)));
        check(&Scalar::of(0.5f64), DType::Int16, None);
        check(&Scalar::of(300i32), DType::UInt8, None);
        check(&Scalar::of(i64::MAX), DType::Float64, None);
        check(&Scalar::of(1e20f32), DType::Float64, Some(Scalar::of(f64::from(1e20f32))));
        check(&Scalar::of(0.1f64), DType::Float32, None);
        check(&Scalar::of(f32::NAN), DType::Float64, Some(Scalar::of(f64::NAN)));
        check(&Scalar::of(f64::NAN), DType::Int32, None);
    }

    #[test]
    fn a_wrong_number_of_bytes_is_refused() {
        assert!(Scalar::new(DType::Int32, [0u8; 3]).is_err());
    }
}
