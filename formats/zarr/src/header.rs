//! What the metadata of one array say, of either format, checked.

mod v2;
mod v3;

use array::{AttributeValue, Attributes, Scalar};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::attributes::attributes_of;
use crate::chain::Chain;
use crate::element::Element;
use crate::fill::{FILL_ATTRIBUTE, decode_fill_attribute};
use crate::layout::ZarrFormat;
use crate::shard::Sharding;

pub(crate) use v2::header_of_v2;
pub(crate) use v3::header_of_v3;

/// The attribute that names dimensions in version 2.
pub(crate) const DIMENSIONS_ATTRIBUTE: &str = "_ARRAY_DIMENSIONS";

/// A chunk of more bytes is refused: no machine holds it, and sums of sizes must not overflow.
const CHUNK_BYTES_MAX: u64 = 1 << 40;
/// A shard of more chunks is refused: its index alone would be a gibibyte.
const SHARD_CHUNKS_MAX: u64 = 1 << 26;

/// The metadata of an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) shape: Vec<u64>,
    /// How a chunk is encoded; in a shard, how a chunk of the shard is.
    pub(crate) chain: Chain,
    pub(crate) sharding: Option<Sharding>,
    pub(crate) keys: KeyEncoding,
    /// What was never written; `None` where version 2 leaves it open.
    pub(crate) fill: Option<Scalar>,
    /// One for each dimension, where there are names.
    pub(crate) dimension_names: Option<Vec<Option<String>>>,
    pub(crate) attributes: Attributes,
    pub(crate) codec_names: Vec<String>,
}

/// How the key of a chunk or shard is made from its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEncoding {
    /// Whether keys begin with `c`.
    pub(crate) has_prefix: bool,
    pub(crate) separator: char,
}

impl KeyEncoding {
    /// The key below that of the array.
    pub(crate) fn key(self, index: &[u64]) -> String {
        let mut parts: Vec<String> = index.iter().map(u64::to_string).collect();
        if self.has_prefix {
            parts.insert(0, "c".to_owned());
        } else if parts.is_empty() {
            parts.push("0".to_owned());
        }
        parts.join(&self.separator.to_string())
    }
}

impl Header {
    /// Shape of the unit that is one object: the shard, or the chunk.
    pub(crate) fn unit_shape(&self) -> &[u64] {
        self.sharding.as_ref().map_or(&self.chain.shape, |sharding| &sharding.shape)
    }

    /// What an element is that was never written: zero where nothing is said.
    pub(crate) fn fill_or_zero(&self) -> Scalar {
        self.fill.clone().unwrap_or_else(|| Scalar::zero(self.chain.element.dtype))
    }

    /// Tells filters that round which values must come back as they were: those that mask.
    fn with_kept_values(mut self) -> Self {
        let masking = [FILL_ATTRIBUTE, "missing_value"].map(|name| self.attributes.get(name));
        let masking = masking.into_iter().flatten().filter_map(|value| match value {
            AttributeValue::Numbers(numbers) => Some(numbers.as_slice()),
            _ => None,
        });
        let dtype = self.chain.element.dtype;
        let masking = masking.flatten().filter_map(|number| number.cast(dtype));
        let kept: Vec<Scalar> = self.fill.iter().cloned().chain(masking).collect();
        self.chain.steps.iter_mut().for_each(|step| step.keep(&kept));
        self
    }

    /// Refuses shapes that contradict each other or that no machine can hold.
    fn checked(self) -> Result<Self> {
        let rank = self.shape.len();
        let estimated_bytes = self.chain.element.dtype.estimated_bytes();
        let item_bytes = self.chain.element.wire.item_bytes().unwrap_or(estimated_bytes);
        let chunk_bytes =
            product(&self.chain.shape).and_then(|count| count.checked_mul(item_bytes));
        let unit_shape = self.unit_shape();
        let shapes = [("a chunk", &self.chain.shape[..]), ("a shard", unit_shape)];
        for (what, shape) in shapes {
            if shape.len() != rank || shape.contains(&0) {
                return Err(broken(format!("{what} of {shape:?} in an array of {:?}", self.shape)));
            }
        }
        if product(&self.shape).is_none() || product(unit_shape).is_none() {
            return Err(broken(format!("an array of {:?} is too large", self.shape)));
        }
        if chunk_bytes.is_none_or(|bytes| bytes > CHUNK_BYTES_MAX) {
            return Err(broken(format!("a chunk of {:?} is too large", self.chain.shape)));
        }
        let too_many = |sharding: &Sharding| sharding.chunk_count() > SHARD_CHUNKS_MAX;
        if self.sharding.as_ref().is_some_and(too_many) {
            return Err(broken(format!("a shard of {unit_shape:?} has too many chunks")));
        }
        if self.dimension_names.as_ref().is_some_and(|names| names.len() != rank) {
            return Err(broken(format!(
                "{:?} do not name {rank} dimensions",
                self.dimension_names
            )));
        }
        Ok(self.with_kept_values())
    }
}

/// The attributes of an array, without those that only say how it is stored.
fn array_attributes(
    object: &Map<String, Value>,
    fill: Option<&Scalar>,
    element: &Element,
    format: ZarrFormat,
) -> Attributes {
    let mut attributes = attributes_of(object);
    attributes.remove(DIMENSIONS_ATTRIBUTE);
    let raw = object.get(FILL_ATTRIBUTE);
    decode_fill_attribute(&mut attributes, raw, fill, element.dtype, format);
    if let Some(time) = element.time {
        attributes.set("units", time.units().as_str());
        if let Some(calendar) = time.calendar() {
            attributes.set("calendar", calendar);
        }
        attributes.set(FILL_ATTRIBUTE, Scalar::of(i64::MIN));
    }
    attributes
}

fn dimension_names_of(value: Option<&Value>) -> Option<Vec<Option<String>>> {
    let names = value?.as_array()?;
    Some(names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
}

fn lengths_of(value: Option<&Value>, what: &str) -> Result<Vec<u64>> {
    let lengths = value.and_then(Value::as_array).map(|lengths| lengths.iter().map(Value::as_u64));
    lengths
        .and_then(Iterator::collect)
        .ok_or_else(|| broken(format!("`{what}` is no list of lengths")))
}

fn product(lengths: &[u64]) -> Option<u64> {
    // A dimension without elements must not hide that the others overflow.
    lengths.iter().try_fold(1u64, |product, &length| product.checked_mul(length.max(1)))
}

fn broken(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
        .mend("the metadata are damaged, or of a kind that Levain does not know")
}

fn unsupported(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests;
