//! `.zarray` and `.zattrs`.

use array::DType;
use dataflow::error::Result;
use serde_json::{Map, Value};

use super::{
    DIMENSIONS_ATTRIBUTE, Header, KeyEncoding, array_attributes, broken, dimension_names_of,
    lengths_of, unsupported,
};
use crate::chain::Chain;
use crate::element::Element;
use crate::fill::fill_of_json;
use crate::layout::ZarrFormat;
use crate::step::Step;

/// Understands an array of version 2.
///
/// # Errors
/// Metadata that are broken, or that ask for what cannot be read.
pub(crate) fn header_of_v2(array: &Value, attributes: &Map<String, Value>) -> Result<Header> {
    let filters = array.get("filters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let compressor = array.get("compressor").filter(|compressor| !compressor.is_null());
    let ids: Vec<&str> = filters.iter().chain(compressor).map(id_of).collect::<Result<_>>()?;
    let dtype = array.get("dtype").ok_or_else(|| broken("there is no `dtype`"))?;
    let element = Element::of_v2(dtype, ids.contains(&"vlen-utf8"))?;
    let mut lane = element.lane();
    let shape = lengths_of(array.get("shape"), "shape")?;
    let mut steps = Vec::new();
    for (codec, id) in filters.iter().chain(compressor).zip(&ids) {
        match *id {
            "vlen-utf8" => {}
            id => {
                let (step, stored) = Step::of_lane(id, codec, lane)?;
                steps.push(step);
                lane = stored;
            }
        }
    }
    let order = match array.get("order").and_then(Value::as_str) {
        Some("F") if shape.len() > 1 => Some((0..shape.len()).rev().collect()),
        Some("C" | "F") | None => None,
        Some(other) => return Err(unsupported(format!("the order `{other}` is not known"))),
    };
    let raw_fill = array.get("fill_value").unwrap_or(&Value::Null);
    let fill = fill_of_json(raw_fill, element.dtype)?;
    // Older writers give texts the fill value 0, which no text equals and which masks none.
    let masked = fill.as_ref().filter(|_| element.dtype != DType::Text || raw_fill.is_string());
    let separator = array.get("dimension_separator").and_then(Value::as_str).unwrap_or(".");
    Header {
        dimension_names: dimension_names_of(attributes.get(DIMENSIONS_ATTRIBUTE)),
        attributes: array_attributes(attributes, masked, &element, ZarrFormat::V2),
        chain: Chain { element, shape: lengths_of(array.get("chunks"), "chunks")?, order, steps },
        shape,
        sharding: None,
        keys: KeyEncoding { has_prefix: false, separator: separator_of(separator)? },
        fill,
        codec_names: ids.into_iter().map(str::to_owned).collect(),
    }
    .checked()
}

pub(super) fn separator_of(text: &str) -> Result<char> {
    match text {
        "/" => Ok('/'),
        "." => Ok('.'),
        other => Err(broken(format!("`{other}` separates no dimensions"))),
    }
}

fn id_of(codec: &Value) -> Result<&str> {
    codec
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| broken(format!("a codec {codec} without id")))
}
