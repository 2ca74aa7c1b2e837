//! Memory and time as settings write them: with their units, so that nobody has to guess.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Memory of a worker, in MiB, as AWS Batch counts it: `"8 GiB"`, `"8GB"`, `"512MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mebibytes(pub u64);

/// A time to wait, in seconds: `"90s"`, `"15m"`, `"6h"`, `"1d"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u64);

/// Units of memory, in bytes. `GB` is a thousand million, as disks are sold.
const MEMORY_UNITS: [(&str, u64); 8] = [
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

const TIME_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

impl FromStr for Mebibytes {
    type Err = Error;

    /// Reads a number with a unit; what is no whole MiB is rounded up.
    ///
    /// # Errors
    /// A number without a unit: `8` may be meant in GiB, and would be MiB on the wire.
    fn from_str(text: &str) -> Result<Self> {
        let bytes = with_unit(text, &MEMORY_UNITS).map(|bytes| (bytes / f64::from(1 << 20)).ceil());
        match bytes {
            Some(mebibytes) if mebibytes >= 1.0 => Ok(Self(mebibytes as u64)),
            _ => Err(invalid(format!("`{text}` is no memory with its unit"))
                .mend("write for example 8GiB, 8GB or 8192MiB")),
        }
    }
}

impl FromStr for Seconds {
    type Err = Error;

    /// Reads a whole number with a unit.
    ///
    /// # Errors
    /// A number without a unit.
    fn from_str(text: &str) -> Result<Self> {
        match with_unit(text, &TIME_UNITS) {
            Some(seconds) if seconds >= 0.0 => Ok(Self(seconds as u64)),
            _ => Err(invalid(format!("`{text}` is no time with its unit"))
                .mend("write for example 90s, 15m or 6h")),
        }
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    Some(number.parse::<f64>().ok()? * *scale as f64).filter(|value| *value < 1e18)
}

pub(super) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
}

impl fmt::Display for Mebibytes {
    /// In MiB, as it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = TIME_UNITS.iter().rev();
        let mut whole = units.filter(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale));
        match whole.next() {
            Some((name, scale)) => write!(f, "{}{name}", self.0 / scale),
            None => write!(f, "{}s", self.0),
        }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|error: Error| {
                    let mend = error.advice().unwrap_or_default();
                    serde::de::Error::custom(format!("{}; {mend}", error.message()))
                })
            }
        }
    };
}

as_text!(Mebibytes);
as_text!(Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    /// D23.
    #[test]
    fn memory_has_a_unit_and_is_shown_in_mebibytes() {
        let check = |text: &str, want: Option<&str>| {
            let got = text.parse::<Mebibytes>().ok().map(|it| it.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        };
        check("8 GiB", Some("8192 MiB"));
        check("8GiB", Some("8192 MiB"));
        check("8gb", Some("7630 MiB"));
        check("0.5 GiB", Some("512 MiB"));
        check("512MiB", Some("512 MiB"));
        for ambiguous in ["8", "8192", "8 g", "GiB", "", "-1 GiB", "0 GiB", "8 KiB B", "1e9 GiB"] {
            check(ambiguous, None);
        }
        let error = "8".parse::<Mebibytes>().expect_err("no unit").to_string();
        assert!(error.contains("`8` is no memory") && error.contains("8GiB"), "{error}");
    }

    #[test]
    fn times_have_a_unit() {
        let check = |text: &str, want: Option<(u64, &str)>| {
            let got = text.parse::<Seconds>().ok();
            assert_eq!(got.map(|it| (it.0, it.to_string())), want.map(|w| (w.0, w.1.to_owned())));
        };
        check("90s", Some((90, "90s")));
        check("120 s", Some((120, "2m")));
        check("6h", Some((21_600, "6h")));
        check("2d", Some((172_800, "2d")));
        check("0s", Some((0, "0s")));
        for wrong in ["90", "s", "1w", ""] {
            check(wrong, None);
        }
    }
}
