//! What one element is: the names of both formats, and how elements lie in a decoded chunk.

use array::DType;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::filter::Lane;

/// How elements lie in a chunk once compression is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Each in so many bytes; units of `swap_bytes` are big endian, unless that is one.
    Fixed { item_bytes: usize, swap_bytes: usize },
    /// Texts with their lengths, as `vlen-utf8` has them.
    VlenUtf8,
    /// Texts of so many code points of four bytes, padded with zeros.
    Utf32 { char_count: usize, is_big_endian: bool },
}

impl Wire {
    /// Bytes of one element in a decoded chunk; `None` where elements differ in length.
    pub(crate) fn item_bytes(self) -> Option<u64> {
        match self {
            Self::Fixed { item_bytes, .. } => Some(item_bytes as u64),
            Self::Utf32 { char_count, .. } => Some(char_count as u64 * 4),
            Self::VlenUtf8 => None,
        }
    }
}

/// The type of the elements of an array, with what the format says beyond that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) dtype: DType,
    pub(crate) wire: Wire,
    /// Units and calendar, for the date types of numpy, which are read as integers.
    pub(crate) time: Option<Time>,
}

/// A date or duration type of numpy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    unit: &'static str,
    is_date: bool,
}

const TIME_UNITS: [(&str, &str); 7] = [
    ("D", "days"),
    ("h", "hours"),
    ("m", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
];

impl Time {
    fn new(code: &str, is_date: bool) -> Option<Self> {
        let unit = TIME_UNITS.iter().find(|(known, _)| *known == code)?.1;
        Some(Self { unit, is_date })
    }

    /// The attribute `units` that says the same.
    pub(crate) fn units(self) -> String {
        let since = if self.is_date { " since 1970-01-01" } else { "" };
        format!("{}{since}", self.unit)
    }

    /// The attribute `calendar` that says the same.
    pub(crate) fn calendar(self) -> Option<&'static str> {
        self.is_date.then_some("proleptic_gregorian")
    }
}

impl Element {
    /// How elements lie before any filter; bytes where they are no numbers.
    pub(crate) fn lane(&self) -> Lane {
        match self.wire {
            Wire::Fixed { swap_bytes, .. } => Lane { dtype: self.dtype, swap_bytes },
            _ => Lane { dtype: DType::UInt8, swap_bytes: 1 },
        }
    }

    fn plain(dtype: DType, is_big_endian: bool) -> Option<Self> {
        let item_bytes = dtype.item_bytes().filter(|&bytes| bytes > 0)?;
        let swap_bytes = if is_big_endian { dtype.swap_bytes() } else { 1 };
        Some(Self { dtype, wire: Wire::Fixed { item_bytes, swap_bytes }, time: None })
    }

    fn time(code: &str, is_date: bool, is_big_endian: bool) -> Option<Self> {
        let time = Time::new(code, is_date)?;
        Some(Self { time: Some(time), ..Self::plain(DType::Int64, is_big_endian)? })
    }

    fn utf32(char_count: usize, is_big_endian: bool) -> Option<Self> {
        let wire = Wire::Utf32 { char_count, is_big_endian };
        (char_count > 0).then_some(Self { dtype: DType::Text, wire, time: None })
    }

    fn vlen_utf8() -> Self {
        Self { dtype: DType::Text, wire: Wire::VlenUtf8, time: None }
    }

    /// The element of a `dtype` of version 2: `<f4`, `|S8`, `<M8[ns]`...
    ///
    /// `has_vlen_utf8` tells whether the filters say that objects are texts.
    ///
    /// # Errors
    /// A type that arrays do not have.
    pub(crate) fn of_v2(dtype: &Value, has_vlen_utf8: bool) -> Result<Self> {
        let find = |name: &str| {
            let (order, kind) = (name.get(..1)?, name.get(1..)?);
            let is_big_endian = order == ">";
            let length = || kind.get(1..)?.parse::<u32>().ok();
            let unit = || kind.get(3..)?.strip_suffix(']');
            match kind.get(..1)? {
                "O" => has_vlen_utf8.then(Self::vlen_utf8),
                "S" | "V" => Self::plain(DType::Bytes(length()?), false),
                "U" => Self::utf32(length()? as usize, is_big_endian),
                "M" | "m" => Self::time(unit()?, kind.starts_with('M'), is_big_endian),
                "b" if kind == "b1" => Self::plain(DType::Bool, false),
                _ => {
                    let dtype = V2_NUMBERS.iter().find(|(known, _)| *known == kind)?.1;
                    Self::plain(dtype, is_big_endian)
                }
            }
        };
        dtype.as_str().and_then(find).ok_or_else(|| unsupported(dtype))
    }

    /// The element of a `data_type` of version 3, with the byte order of the codec `bytes`.
    ///
    /// # Errors
    /// A type that arrays do not have.
    pub(crate) fn of_v3(data_type: &Value, is_big_endian: bool) -> Result<Self> {
        let name = data_type.as_str().or_else(|| data_type.get("name")?.as_str());
        let configuration = data_type.get("configuration");
        let number = |key: &str| configuration?.get(key)?.as_u64();
        let length = || u32::try_from(number("length_bytes")?).ok();
        let unit =
            || configuration?.get("unit")?.as_str().filter(|_| number("scale_factor") == Some(1));
        let bits = |name: &str| {
            let bits = name.strip_prefix('r')?.parse::<u32>().ok()?;
            bits.is_multiple_of(8).then_some(bits / 8)
        };
        let find = |name: &str| match name {
            "string" => Some(Self::vlen_utf8()),
            "null_terminated_bytes" | "raw_bytes" => Self::plain(DType::Bytes(length()?), false),
            "fixed_length_utf32" => Self::utf32(length()? as usize / 4, is_big_endian),
            "numpy.datetime64" => Self::time(unit()?, true, is_big_endian),
            "numpy.timedelta64" => Self::time(unit()?, false, is_big_endian),
            name => match bits(name) {
                Some(bytes) => Self::plain(DType::Bytes(bytes), false),
                // Only numbers have the same name here and there.
                None => match name.parse().ok()? {
                    DType::Bytes(_) | DType::Text => None,
                    number => Self::plain(number, is_big_endian),
                },
            },
        };
        name.and_then(find).ok_or_else(|| unsupported(data_type))
    }
}

const V2_NUMBERS: [(&str, DType); 13] = [
    ("i1", DType::Int8),
    ("i2", DType::Int16),
    ("i4", DType::Int32),
    ("i8", DType::Int64),
    ("u1", DType::UInt8),
    ("u2", DType::UInt16),
    ("u4", DType::UInt32),
    ("u8", DType::UInt64),
    ("f2", DType::Float16),
    ("f4", DType::Float32),
    ("f8", DType::Float64),
    ("c8", DType::Complex64),
    ("c16", DType::Complex128),
];

/// The `dtype` that is written in version 2.
pub(crate) fn v2_name(dtype: DType) -> String {
    match dtype {
        DType::Bool => "|b1".to_owned(),
        DType::Text => "|O".to_owned(),
        DType::Bytes(length) => format!("|S{length}"),
        number => {
            let order = if number.swap_bytes() == 1 { '|' } else { '<' };
            let found = V2_NUMBERS.iter().find(|(_, known)| *known == number);
            format!("{order}{}", found.expect("the table holds every number").0)
        }
    }
}

/// The `data_type` that is written in version 3.
pub(crate) fn v3_name(dtype: DType) -> Value {
    match dtype {
        DType::Bytes(length) => json!({
            "name": "null_terminated_bytes",
            "configuration": { "length_bytes": length }
        }),
        other => Value::from(other.to_string()),
    }
}

/// The codec that turns elements into bytes in version 3.
pub(crate) fn v3_codec(dtype: DType) -> Value {
    match dtype {
        DType::Text => json!({ "name": "vlen-utf8", "configuration": Map::new() }),
        dtype if dtype.swap_bytes() == 1 => json!({ "name": "bytes" }),
        _ => json!({ "name": "bytes", "configuration": { "endian": "little" } }),
    }
}

fn unsupported(dtype: &Value) -> Error {
    let message = format!("the data type {dtype} cannot be read");
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_v2(name: &str, want: Option<(DType, Wire)>) {
        let got = Element::of_v2(&Value::from(name), true).ok();
        assert_eq!(got.map(|element| (element.dtype, element.wire)), want, "{name}");
    }

    fn fixed(item_bytes: usize, swap_bytes: usize) -> Wire {
        Wire::Fixed { item_bytes, swap_bytes }
    }

    #[test]
    fn names_of_version_2() {
        check_v2("<f4", Some((DType::Float32, fixed(4, 1))));
        check_v2(">c16", Some((DType::Complex128, fixed(16, 8))));
        check_v2("|b1", Some((DType::Bool, fixed(1, 1))));
        check_v2("|S12", Some((DType::Bytes(12), fixed(12, 1))));
        check_v2(">U3", Some((DType::Text, Wire::Utf32 { char_count: 3, is_big_endian: true })));
        check_v2("|O", Some((DType::Text, Wire::VlenUtf8)));
        check_v2(">M8[ms]", Some((DType::Int64, fixed(8, 8))));
        for name in ["", "<", "<f16", "|S0", "|Sx", "<M8", "<M8[25s]", "ü", "<ü4"] {
            check_v2(name, None);
        }
    }

    #[test]
    fn dates_say_their_units() {
        let date = Element::of_v2(&Value::from("<M8[ns]"), false).expect("known").time;
        assert_eq!(date.map(Time::units).as_deref(), Some("nanoseconds since 1970-01-01"));
        let span = Element::of_v2(&Value::from("<m8[D]"), false).expect("known").time;
        assert_eq!(span.map(Time::units).as_deref(), Some("days"));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let numbers = V2_NUMBERS.iter().map(|(_, dtype)| *dtype);
        for dtype in numbers.chain([DType::Bool, DType::Text, DType::Bytes(7)]) {
            let v2 = Element::of_v2(&Value::from(v2_name(dtype)), true).expect("known");
            let v3 = Element::of_v3(&v3_name(dtype), false).expect("known");
            assert_eq!((v2.dtype, &v2), (dtype, &v3));
        }
    }

    #[test]
    fn types_that_arrays_do_not_have_are_refused() {
        for name in
            [json!("bytes4"), json!("int4"), json!({"name": "struct"}), json!(3), json!("r7")]
        {
            assert!(Element::of_v3(&name, false).is_err(), "{name}");
        }
    }
}
