//! Attributes, in JSON and as arrays know them.

use array::{AttributeValue, Attributes, DType, Native, Scalar};
use dataflow::error::Result;
use serde_json::{Map, Value};

use crate::json;

/// What CF reads as one number, so that `[0.1]` means 0.1 there.
const ONE_NUMBER: [&str; 6] =
    ["_FillValue", "missing_value", "scale_factor", "add_offset", "valid_min", "valid_max"];

/// The attributes of a JSON object.
///
/// Texts, lists of texts, numbers and lists of numbers of one type become what they are; all else
/// stays JSON.
pub(crate) fn attributes_of(object: &Map<String, Value>) -> Attributes {
    let pairs = object.iter().map(|(name, value)| (name.clone(), attribute_of(name, value)));
    pairs.collect()
}

fn attribute_of(name: &str, value: &Value) -> AttributeValue {
    let known = match value {
        Value::String(text) if !text.starts_with('\0') => Some(AttributeValue::Text(text.clone())),
        Value::Array(list) => list_of(name, list),
        single => number_of(single).map(AttributeValue::from),
    };
    known.unwrap_or_else(|| AttributeValue::Json(json::print(value)))
}

fn list_of(name: &str, list: &[Value]) -> Option<AttributeValue> {
    let texts: Option<Vec<String>> = list
        .iter()
        .map(|value| value.as_str().filter(|text| !text.starts_with('\0')).map(str::to_owned))
        .collect();
    if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
        return Some(AttributeValue::Texts(texts));
    }
    let numbers: Vec<Scalar> = list.iter().map(number_of).collect::<Option<_>>()?;
    let is_one_type = numbers.windows(2).all(|pair| pair[0].dtype() == pair[1].dtype());
    let is_told_from_one = numbers.len() > 1 || ONE_NUMBER.contains(&name);
    (is_one_type && is_told_from_one && !numbers.is_empty())
        .then_some(AttributeValue::Numbers(numbers))
}

fn number_of(value: &Value) -> Option<Scalar> {
    match value {
        Value::Number(number) => Some(match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Scalar::of(int),
            (None, Some(int)) => Scalar::of(int),
            (None, None) => Scalar::of(number.as_f64()?),
        }),
        word => json::as_float(word).map(Scalar::of),
    }
}

/// The JSON of an attribute, as xarray writes it: a single number is a number, not a list.
///
/// # Errors
/// JSON that is none.
pub(crate) fn json_of(value: &AttributeValue) -> Result<Value> {
    Ok(match value {
        AttributeValue::Text(text) => Value::from(text.as_str()),
        AttributeValue::Texts(texts) => Value::from(texts.as_slice()),
        AttributeValue::Numbers(numbers) => match numbers.as_slice() {
            [one] => json_of_scalar(one),
            list => list.iter().map(json_of_scalar).collect(),
        },
        AttributeValue::Json(text) => json::parse(text.as_bytes())?,
    })
}

/// The JSON of one element; floats that JSON does not have are the words that Python writes.
pub(crate) fn json_of_scalar(scalar: &Scalar) -> Value {
    match scalar.dtype() {
        DType::Bool => Value::from(scalar.as_int() != Some(0)),
        DType::UInt64 => scalar.as_int().and_then(|int| u64::try_from(int).ok()).into(),
        dtype if dtype.is_integer() => {
            scalar.as_int().and_then(|int| i64::try_from(int).ok()).into()
        }
        DType::Complex64 => {
            parts_of::<f32>(scalar).into_iter().map(|part| json::of_float(part.into())).collect()
        }
        DType::Complex128 => parts_of::<f64>(scalar).into_iter().map(json::of_float).collect(),
        DType::Text => Value::from(scalar.as_text().unwrap_or_default()),
        DType::Bytes(_) => {
            Value::from(String::from_utf8_lossy(scalar.bytes()).trim_end_matches('\0'))
        }
        _ => json::of_float(scalar.as_float().unwrap_or(f64::NAN)),
    }
}

/// The real and the imaginary part of a complex element.
pub(crate) fn parts_of<T: Native>(complex: &Scalar) -> Vec<T> {
    complex.bytes().chunks_exact(size_of::<T>()).map(T::from_le_slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: impl Into<AttributeValue>) {
        let value = json::parse(text.as_bytes()).expect("JSON");
        let attribute = attribute_of("x", &value);
        assert_eq!(attribute, want.into());
        assert_eq!(json_of(&attribute).expect("JSON"), value);
    }

    fn json_text(text: &str) -> AttributeValue {
        AttributeValue::Json(text.to_owned())
    }

    #[test]
    fn texts_and_numbers_are_what_they_are() {
        check("\"NaN\"", "NaN");
        check("[\"a\", \"b\"]", AttributeValue::Texts(vec!["a".into(), "b".into()]));
        check("-3", Scalar::of(-3i64));
        check("18446744073709551615", Scalar::of(u64::MAX));
        check("2.0", Scalar::of(2.0f64));
        check("[1, 2]", AttributeValue::Numbers(vec![Scalar::of(1i64), Scalar::of(2i64)]));
        check("NaN", Scalar::of(f64::NAN));
        check(
            "[0.5, -Infinity]",
            AttributeValue::Numbers(
                vec![0.5, f64::NEG_INFINITY].into_iter().map(Scalar::of).collect(),
            ),
        );
    }

    #[test]
    fn all_else_stays_json() {
        for text in
            ["null", "true", "[]", "{}", "[\n  1\n]", "[\n  1,\n  2.5\n]", "{\n  \"a\": NaN\n}"]
        {
            check(text, json_text(text));
        }
    }

    #[test]
    fn what_cf_reads_as_one_number_is_one() {
        let value = json::parse(b"[0.1]").expect("JSON");
        assert_eq!(attribute_of("scale_factor", &value), Scalar::of(0.1f64).into());
    }

    #[test]
    fn narrow_floats_are_widened_as_python_does() {
        let value = json_of(&Scalar::of(0.1f32).into()).expect("JSON");
        assert_eq!(value.to_string(), "0.10000000149011612");
    }
}
