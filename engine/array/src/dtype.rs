//! What one element of an array is.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use half::f16;
use serde::{Deserialize, Serialize};

/// The type of the elements of an array, by Zarr's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, one byte.
    Int8,
    /// Signed, two bytes.
    Int16,
    /// Signed, four bytes.
    Int32,
    /// Signed, eight bytes.
    Int64,
    /// Unsigned, one byte.
    UInt8,
    /// Unsigned, two bytes.
    UInt16,
    /// Unsigned, four bytes.
    UInt32,
    /// Unsigned, eight bytes.
    UInt64,
    /// IEEE 754, two bytes.
    Float16,
    /// IEEE 754, four bytes.
    Float32,
    /// IEEE 754, eight bytes.
    Float64,
    /// Two `Float32`: real, imaginary.
    Complex64,
    /// Two `Float64`: real, imaginary.
    Complex128,
    /// So many bytes, padded with zero bytes: character arrays.
    Bytes(u32),
    /// UTF-8 of any length.
    Text,
}

impl DType {
    const PLAIN: [(Self, &'static str, usize); 14] = [
        (Self::Bool, "bool", 1),
        (Self::Int8, "int8", 1),
        (Self::Int16, "int16", 2),
        (Self::Int32, "int32", 4),
        (Self::Int64, "int64", 8),
        (Self::UInt8, "uint8", 1),
        (Self::UInt16, "uint16", 2),
        (Self::UInt32, "uint32", 4),
        (Self::UInt64, "uint64", 8),
        (Self::Float16, "float16", 2),
        (Self::Float32, "float32", 4),
        (Self::Float64, "float64", 8),
        (Self::Complex64, "complex64", 8),
        (Self::Complex128, "complex128", 16),
    ];

    /// Bytes of one element; `None` where elements differ in length.
    pub fn item_bytes(self) -> Option<usize> {
        match self {
            Self::Bytes(length) => Some(length as usize),
            Self::Text => None,
            plain => Self::PLAIN.iter().find(|(dtype, ..)| *dtype == plain).map(|found| found.2),
        }
    }

    /// Bytes of one element for estimates: texts count as 32.
    pub fn estimated_bytes(self) -> u64 {
        self.item_bytes().map_or(32, |bytes| bytes as u64)
    }

    /// Bytes of the unit whose byte order matters: 4 for `Complex64`, 1 for bytes and texts.
    pub fn swap_bytes(self) -> usize {
        match self {
            Self::Bytes(_) | Self::Text => 1,
            Self::Complex64 => 4,
            Self::Complex128 => 8,
            plain => plain.item_bytes().unwrap_or(1),
        }
    }

    /// Whether this is `Float16`, `Float32` or `Float64`.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }

    /// Whether this is a signed or an unsigned integer.
    pub fn is_integer(self) -> bool {
        self.is_unsigned() || matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// Whether this is an unsigned integer.
    pub fn is_unsigned(self) -> bool {
        matches!(self, Self::UInt8 | Self::UInt16 | Self::UInt32 | Self::UInt64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(length) => write!(f, "bytes{length}"),
            Self::Text => f.write_str("string"),
            plain => {
                let found = Self::PLAIN.iter().find(|(dtype, ..)| dtype == plain);
                f.write_str(found.expect("the table holds every plain type").1)
            }
        }
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let plain = Self::PLAIN.iter().find(|(_, known, _)| *known == name);
        let bytes = || name.strip_prefix("bytes")?.parse().ok().map(Self::Bytes);
        match plain {
            Some((dtype, ..)) => Ok(*dtype),
            None if name == "string" => Ok(Self::Text),
            None => bytes().ok_or_else(|| {
                let message = format!("no data type is called `{name}`");
                Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
            }),
        }
    }
}

impl From<DType> for String {
    fn from(dtype: DType) -> Self {
        dtype.to_string()
    }
}

impl TryFrom<String> for DType {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

/// A Rust number that is the element of a [`DType`].
pub trait Native: Copy + Send + Sync + 'static {
    /// The type of an array of these.
    const DTYPE: DType;

    /// Reads one element from exactly its bytes, little endian.
    fn from_le_slice(bytes: &[u8]) -> Self;

    /// Appends the bytes of this element, little endian.
    fn push_le(self, out: &mut Vec<u8>);
}

macro_rules! natives {
    ($($type:ty => $dtype:ident;)+) => {$(
        impl Native for $type {
            const DTYPE: DType = DType::$dtype;

            fn from_le_slice(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("the caller gives one element"))
            }

            fn push_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )+};
}

natives! {
    i8 => Int8;
    i16 => Int16;
    i32 => Int32;
    i64 => Int64;
    u8 => UInt8;
    u16 => UInt16;
    u32 => UInt32;
    u64 => UInt64;
    f16 => Float16;
    f32 => Float32;
    f64 => Float64;
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn names_come_back() {
        for dtype in [DType::Bool, DType::Complex128, DType::Bytes(80), DType::Text] {
            assert_eq!(dtype.to_string().parse::<DType>().expect("a known name"), dtype);
        }
        assert!("float33".parse::<DType>().is_err());
    }
}
