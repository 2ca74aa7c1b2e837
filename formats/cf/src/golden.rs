//! Golden vectors, as test material: what Python's libraries made of the same input.

use array::{AttributeValue, Attributes, Chunk, DType, Scalar};
use dataflow::testing::shared_file;
use serde_json::Value;

use crate::TimeNumbers;

/// The cases of a file, or none where the vectors do not lie beside the project.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let Some(path) = shared_file(&format!("golden/{file}")) else { return Vec::new() };
    let text = std::fs::read_to_string(path).expect("the file is there");
    let mut root: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let cases = root["cases"].take().as_array().expect("vectors have cases").clone();
    assert_eq!(Some(cases.len() as u64), root["n_cases"].as_u64());
    cases
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

pub(crate) fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some(text) => text.parse().expect("NaN or an infinity"),
        None => value.as_f64().expect("a number"),
    }
}

pub(crate) fn scalar(dtype: DType, value: &Value) -> Scalar {
    let int = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from));
    let exact = int.and_then(|int| Scalar::from_int(dtype, int));
    exact.or_else(|| Scalar::from_float(dtype, float(value))).expect("a number of this type")
}

pub(crate) fn chunk(dtype: DType, values: &[Value]) -> Chunk {
    let bytes: Vec<u8> =
        values.iter().flat_map(|value| scalar(dtype, value).bytes().to_vec()).collect();
    Chunk::new(dtype, [values.len() as u64], bytes.into()).expect("one element for each value")
}

/// The elements with all NaNs the same.
pub(crate) fn canonical(chunk: &Chunk) -> Vec<Scalar> {
    let one_nan = |scalar: Scalar| match scalar.as_float() {
        Some(float) if float.is_nan() => Scalar::from_float(scalar.dtype(), f64::NAN),
        _ => Some(scalar),
    };
    let elements = (0..chunk.element_count()).map(|place| chunk.scalar(place).expect("within"));
    elements.map(|scalar| one_nan(scalar).expect("floats have NaN")).collect()
}

/// Which numbers a `dtype` asks for.
pub(crate) fn time_numbers(dtype: &Value) -> TimeNumbers {
    match dtype.as_str().map(|name| name.parse::<DType>().expect("a known type").is_float()) {
        None => TimeNumbers::Either,
        Some(true) => TimeNumbers::Floats,
        Some(false) => TimeNumbers::Integers,
    }
}

/// Nanoseconds of a tick of NumPy.
pub(crate) fn ticks(unit: &str) -> i64 {
    match unit {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        other => panic!("ticks of {other}"),
    }
}

/// Attributes from `{name: {dtype, value}}`.
pub(crate) fn attributes(described: &Value) -> Attributes {
    let entries = described.as_object().expect("attributes have names");
    let read = |(name, entry): (&String, &Value)| {
        let value = match (&entry["value"], text(&entry["dtype"]).parse()) {
            (Value::Array(values), Ok(dtype)) => {
                AttributeValue::Numbers(values.iter().map(|it| scalar(dtype, it)).collect())
            }
            (value, Ok(dtype)) => AttributeValue::Numbers(vec![scalar(dtype, value)]),
            (value, Err(_)) => AttributeValue::Text(text(value).to_owned()),
        };
        (name.clone(), value)
    };
    entries.iter().map(read).collect()
}
