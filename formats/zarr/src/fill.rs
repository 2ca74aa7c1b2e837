//! Fill values: in the metadata of both formats, and as the attribute `_FillValue`.
//!
//! In version 2 they are one thing, and xarray masks it. In version 3 they are two: the fill value
//! is what a missing chunk holds, and only the attribute masks; there it is written so that every
//! float survives JSON.

use array::{AttributeValue, Attributes, DType, Scalar};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use half::f16;
use serde_json::Value;

use crate::attributes::{json_of_scalar, parts_of};
use crate::json;
use crate::layout::ZarrFormat;

/// The name of the attribute that masks.
pub(crate) const FILL_ATTRIBUTE: &str = "_FillValue";

/// The fill value in the metadata of an array; `None` where it is `null`.
///
/// # Errors
/// A value that the type does not have.
pub(crate) fn fill_of_json(value: &Value, dtype: DType) -> Result<Option<Scalar>> {
    if value.is_null() {
        return Ok(None);
    }
    let found = match dtype {
        DType::Text => text_of(value).map(Scalar::text),
        DType::Bytes(length) => {
            bytes_of(value, length as usize).and_then(|bytes| Scalar::new(dtype, bytes).ok())
        }
        DType::Complex64 => pair_of(value, &|part| float_of(part, DType::Float32), dtype),
        DType::Complex128 => pair_of(value, &|part| float_of(part, DType::Float64), dtype),
        DType::Float16 | DType::Float32 | DType::Float64 => float_of(value, dtype),
        _ => int_of(value, dtype),
    };
    found.map(Some).ok_or_else(|| {
        let message = format!("{value} is no fill value of {dtype}");
        Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
    })
}

/// The fill value as the metadata of an array have it.
pub(crate) fn json_of_fill(fill: &Scalar) -> Value {
    let word = |value: Value| match value {
        Value::String(text) => Value::from(text.trim_start_matches('\0')),
        other => other,
    };
    match fill.dtype() {
        DType::Bytes(_) => Value::from(STANDARD.encode(trimmed(fill.bytes()))),
        _ => match json_of_scalar(fill) {
            Value::Array(parts) => parts.into_iter().map(word).collect(),
            value => word(value),
        },
    }
}

/// The attribute `_FillValue` of an array that was read, as one element of its type.
///
/// `fill` is that of the metadata. An attribute that the type does not have stays as it is.
pub(crate) fn decode_fill_attribute(
    attributes: &mut Attributes,
    raw: Option<&Value>,
    fill: Option<&Scalar>,
    dtype: DType,
    format: ZarrFormat,
) {
    match (format, fill, raw) {
        (ZarrFormat::V2, Some(fill), _) => attributes.set(FILL_ATTRIBUTE, attribute_of(fill)),
        (_, _, Some(raw)) => {
            let decoded = base64_of(raw, dtype).or_else(|| fill_of_json(raw, dtype).ok().flatten());
            if let Some(fill) = decoded {
                attributes.set(FILL_ATTRIBUTE, attribute_of(&fill));
            }
        }
        _ => {}
    }
}

/// The attribute `_FillValue` as version 3 has it.
pub(crate) fn encode_fill_attribute(fill: &Scalar) -> Value {
    let float = |float: f64| Value::from(STANDARD.encode(float.to_le_bytes()));
    match fill.dtype() {
        DType::Float16 | DType::Float32 | DType::Float64 => {
            float(fill.as_float().unwrap_or(f64::NAN))
        }
        DType::Complex64 => parts_of::<f32>(fill).into_iter().map(f64::from).map(float).collect(),
        DType::Complex128 => parts_of::<f64>(fill).into_iter().map(float).collect(),
        _ => json_of_fill(fill),
    }
}

/// The attribute `_FillValue` of a template as one element; `None` if there is none.
///
/// # Errors
/// A value that the type does not hold exactly.
pub(crate) fn masked_of(attributes: &Attributes, dtype: DType) -> Result<Option<Scalar>> {
    let Some(value) = attributes.get(FILL_ATTRIBUTE) else { return Ok(None) };
    let found = match (dtype, value) {
        (DType::Text, AttributeValue::Text(text)) => Some(Scalar::text(text)),
        (DType::Bytes(length), AttributeValue::Text(text)) => {
            padded(text.as_bytes().to_vec(), length as usize)
                .and_then(|bytes| Scalar::new(dtype, bytes).ok())
        }
        (DType::Complex64 | DType::Complex128, AttributeValue::Numbers(parts))
            if parts.len() == 2 =>
        {
            let half = if dtype == DType::Complex64 { DType::Float32 } else { DType::Float64 };
            let parts: Option<Vec<Scalar>> = parts.iter().map(|part| part.cast(half)).collect();
            parts.and_then(|parts| Scalar::new(dtype, joined(&parts)).ok())
        }
        _ => value.as_number().and_then(|number| number.cast(dtype)),
    };
    found.map(Some).ok_or_else(|| {
        let message = format!("the attribute _FillValue is no element of {dtype}");
        Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
            .mend("give it the type of the variable, or remove it")
    })
}

fn attribute_of(fill: &Scalar) -> AttributeValue {
    match fill.dtype() {
        DType::Text => AttributeValue::Text(fill.as_text().unwrap_or_default().to_owned()),
        DType::Bytes(_) => {
            AttributeValue::Text(String::from_utf8_lossy(trimmed(fill.bytes())).into_owned())
        }
        DType::Complex64 => {
            AttributeValue::Numbers(parts_of::<f32>(fill).into_iter().map(Scalar::of).collect())
        }
        DType::Complex128 => {
            AttributeValue::Numbers(parts_of::<f64>(fill).into_iter().map(Scalar::of).collect())
        }
        _ => AttributeValue::from(fill.clone()),
    }
}

/// Base64 of eight bytes is a float, whatever its width in the array.
fn base64_of(raw: &Value, dtype: DType) -> Option<Scalar> {
    let float = |raw: &Value, dtype: DType| {
        let bytes: [u8; 8] = STANDARD.decode(raw.as_str()?).ok()?.try_into().ok()?;
        Scalar::from_float(dtype, f64::from_le_bytes(bytes))
    };
    match dtype {
        DType::Float16 | DType::Float32 | DType::Float64 => float(raw, dtype),
        DType::Complex64 => pair_of(raw, &|part| float(part, DType::Float32), dtype),
        DType::Complex128 => pair_of(raw, &|part| float(part, DType::Float64), dtype),
        _ => None,
    }
}

fn pair_of(value: &Value, part: &dyn Fn(&Value) -> Option<Scalar>, dtype: DType) -> Option<Scalar> {
    let parts = match value.as_array().map(Vec::as_slice) {
        Some([real, imaginary]) => vec![part(real)?, part(imaginary)?],
        Some(_) => return None,
        None => vec![part(value)?, part(&Value::from(0.0))?],
    };
    Scalar::new(dtype, joined(&parts)).ok()
}

fn joined(parts: &[Scalar]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes().to_vec()).collect()
}

fn float_of(value: &Value, dtype: DType) -> Option<Scalar> {
    let Some(word) = value.as_str().filter(|word| !word.starts_with('\0')) else {
        return Scalar::from_float(dtype, json::as_float(value)?);
    };
    let Some(digits) = word.strip_prefix("0x") else {
        return Scalar::from_float(dtype, json::float_of_word(word)?);
    };
    let bits = u64::from_str_radix(digits, 16).ok()?;
    Some(match dtype {
        DType::Float16 => Scalar::of(f16::from_bits(u16::try_from(bits).ok()?)),
        DType::Float32 => Scalar::of(f32::from_bits(u32::try_from(bits).ok()?)),
        _ => Scalar::of(f64::from_bits(bits)),
    })
}

fn int_of(value: &Value, dtype: DType) -> Option<Scalar> {
    let int = match value {
        Value::Bool(value) => i128::from(*value),
        // Not a time, of the date types of numpy.
        Value::String(word) if word == "NaT" => i128::from(i64::MIN),
        number => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => int.into(),
            (None, Some(int)) => int.into(),
            (None, None) => {
                return Scalar::of(number.as_f64()?).cast(dtype);
            }
        },
    };
    Scalar::from_int(dtype, int)
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        // As older writers have it.
        Value::Number(zero) if zero.as_i64() == Some(0) => Some(""),
        _ => None,
    }
}

fn bytes_of(value: &Value, length: usize) -> Option<Vec<u8>> {
    let bytes = match value {
        Value::String(text) => STANDARD.decode(text).ok()?,
        Value::Array(bytes) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            bytes.iter().map(byte).collect::<Option<_>>()?
        }
        Value::Number(zero) if zero.as_i64() == Some(0) => Vec::new(),
        _ => return None,
    };
    padded(bytes, length)
}

fn padded(mut bytes: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    (bytes.len() <= length).then(|| {
        bytes.resize(length, 0);
        bytes
    })
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, dtype: DType, want: impl Into<Option<Scalar>>) {
        let value = json::parse(text.as_bytes()).expect("JSON");
        assert_eq!(fill_of_json(&value, dtype).ok().flatten(), want.into(), "{text}");
    }

    /// What is written is the text, and is read as the element.
    #[track_caller]
    fn check_both(text: &str, fill: &Scalar) {
        check(text, fill.dtype(), fill.clone());
        assert_eq!(json::print(&json_of_fill(fill)).replace([' ', '\n'], ""), text);
    }

    fn complex(real: f32, imaginary: f32) -> Scalar {
        let parts = [Scalar::of(real), Scalar::of(imaginary)];
        Scalar::new(DType::Complex64, joined(&parts)).expect("eight bytes")
    }

    #[test]
    fn fill_values_of_every_type() {
        check_both("\"NaN\"", &Scalar::of(f32::NAN));
        check_both("\"-Infinity\"", &Scalar::of(f64::NEG_INFINITY));
        check_both("-999.0", &Scalar::of(-999.0f32));
        check_both("18446744073709551615", &Scalar::of(u64::MAX));
        check_both("false", &Scalar::zero(DType::Bool));
        check_both("[\"NaN\",1.5]", &complex(f32::NAN, 1.5));
        check_both("\"YWI=\"", &Scalar::new(DType::Bytes(4), *b"ab\0\0").expect("four bytes"));
        check_both("\"\"", &Scalar::text(""));
    }

    #[test]
    fn other_ways_to_write_them() {
        check("NaN", DType::Float64, Scalar::of(f64::NAN));
        check("\"0x3fc00000\"", DType::Float32, Scalar::of(1.5f32));
        check("-9.0", DType::Int16, Scalar::of(-9i16));
        check("0", DType::Text, Scalar::text(""));
        check("1", DType::Bool, Scalar::from_int(DType::Bool, 1));
        check("[1, 2]", DType::Bytes(2), Scalar::new(DType::Bytes(2), [1, 2]).ok());
        check("null", DType::Int8, None);
    }

    #[test]
    fn what_the_type_does_not_have_is_refused() {
        for (text, dtype) in [
            ("300", DType::Int8),
            ("0.5", DType::Int8),
            ("\"x\"", DType::Float32),
            ("[1]", DType::Complex64),
            ("\"YWJj\"", DType::Bytes(2)),
        ] {
            let value = json::parse(text.as_bytes()).expect("JSON");
            assert!(fill_of_json(&value, dtype).is_err(), "{text}");
        }
    }

    #[test]
    fn the_attribute_is_written_as_xarray_does() {
        assert_eq!(encode_fill_attribute(&Scalar::of(f32::NAN)), "AAAAAAAA+H8=");
        assert_eq!(encode_fill_attribute(&Scalar::of(-999.0f32)), "AAAAAAA4j8A=");
        assert_eq!(encode_fill_attribute(&Scalar::of(-9i16)), -9);
    }

    #[test]
    fn the_attribute_comes_back_in_the_type_of_the_array() {
        for fill in [Scalar::of(-999.0f32), Scalar::of(-9i16), complex(1.0, 2.0), Scalar::text("-")]
        {
            let raw = encode_fill_attribute(&fill);
            let mut attributes = Attributes::default();
            let dtype = fill.dtype();
            decode_fill_attribute(&mut attributes, Some(&raw), None, dtype, ZarrFormat::V3);
            assert_eq!(masked_of(&attributes, dtype).expect("fits"), Some(fill));
        }
    }

    #[test]
    fn version_2_masks_its_fill_value() {
        let mut attributes = Attributes::default();
        let fill = Scalar::of(-9i16);
        decode_fill_attribute(&mut attributes, None, Some(&fill), DType::Int16, ZarrFormat::V2);
        assert_eq!(attributes.number(FILL_ATTRIBUTE), Some(&fill));
    }
}
