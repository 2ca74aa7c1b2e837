//! `zarr.json` of an array.

use dataflow::error::Result;
use serde_json::{Map, Value};

use super::v2::separator_of;
use super::{
    DIMENSIONS_ATTRIBUTE, Header, KeyEncoding, array_attributes, broken, dimension_names_of,
    lengths_of, unsupported,
};
use crate::chain::Chain;
use crate::element::{Element, Wire};
use crate::fill::fill_of_json;
use crate::filter::{Filter, Lane};
use crate::layout::ZarrFormat;
use crate::shard::Sharding;
use crate::step::Step;

/// Understands an array of version 3.
///
/// # Errors
/// Metadata that are broken, or that ask for what cannot be read.
pub(crate) fn header_of_v3(array: &Value) -> Result<Header> {
    let shape = lengths_of(array.get("shape"), "shape")?;
    let unit_shape = chunk_grid_of(array)?;
    let transformers = array.get("storage_transformers").and_then(Value::as_array);
    if transformers.is_some_and(|list| !list.is_empty()) {
        return Err(unsupported("storage transformers cannot be read"));
    }
    let data_type = array.get("data_type").ok_or_else(|| broken("there is no `data_type`"))?;
    let codecs = array.get("codecs").and_then(Value::as_array);
    let codecs = Codecs::of(codecs.ok_or_else(|| broken("there are no `codecs`"))?)?;
    let mut codec_names = codecs.names.clone();
    let (sharding, inner) = match codecs.sharding {
        None => (None, codecs),
        Some(configuration) => {
            let is_bare = codecs.rest.is_empty() && codecs.filters.is_empty();
            if codecs.order.is_some() || !is_bare {
                return Err(unsupported("a codec around shards cannot be read"));
            }
            let (sharding, inner) = sharding_of(configuration, &unit_shape)?;
            codec_names.extend(inner.names.iter().cloned());
            (Some(sharding), inner)
        }
    };
    // Filters see elements before a byte order is given to what they make of them.
    let is_big_endian = inner.is_big_endian && inner.filters.is_empty();
    let element = Element::of_v3(data_type, is_big_endian)?;
    if inner.has_vlen_utf8 != (element.wire == Wire::VlenUtf8) {
        return Err(unsupported(format!("the codecs do not fit the data type {data_type}")));
    }
    let chunk_shape = match &sharding {
        Some(sharding) => sharding.shape.iter().zip(&sharding.counts).map(|(n, c)| n / c).collect(),
        None => unit_shape,
    };
    let steps = steps_of(&inner, element.lane())?;
    let order = match inner.order {
        Some(order) => order_of(order, shape.len())?,
        None => None,
    };
    let fill = array.get("fill_value").ok_or_else(|| broken("there is no `fill_value`"))?;
    let fill = fill_of_json(fill, element.dtype)?;
    let no_attributes = Map::new();
    let attributes = array.get("attributes").and_then(Value::as_object).unwrap_or(&no_attributes);
    let names = dimension_names_of(array.get("dimension_names"))
        .or_else(|| dimension_names_of(attributes.get(DIMENSIONS_ATTRIBUTE)));
    Header {
        dimension_names: names,
        attributes: array_attributes(attributes, fill.as_ref(), &element, ZarrFormat::V3),
        chain: Chain { element, shape: chunk_shape, order, steps },
        shape,
        sharding,
        keys: key_encoding_of(array.get("chunk_key_encoding"))?,
        fill,
        codec_names,
    }
    .checked()
}

/// The codecs of a chunk, sorted by what they do.
struct Codecs<'a> {
    names: Vec<String>,
    order: Option<&'a Value>,
    is_big_endian: bool,
    has_vlen_utf8: bool,
    sharding: Option<&'a Value>,
    /// From elements to elements, with their configurations.
    filters: Vec<(&'a str, &'a Value)>,
    /// From bytes to bytes, with their configurations.
    rest: Vec<(&'a str, &'a Value)>,
}

impl<'a> Codecs<'a> {
    fn of(codecs: &'a [Value]) -> Result<Self> {
        let mut sorted = Self {
            names: Vec::new(),
            order: None,
            is_big_endian: false,
            has_vlen_utf8: false,
            sharding: None,
            filters: Vec::new(),
            rest: Vec::new(),
        };
        let mut has_bytes = false;
        for codec in codecs {
            let (name, configuration) = named(codec)?;
            sorted.names.push(name.to_owned());
            match name {
                "transpose"
                    if has_bytes || sorted.order.is_some() || !sorted.filters.is_empty() =>
                {
                    return Err(unsupported("a `transpose` after other codecs cannot be read"));
                }
                "transpose" => sorted.order = configuration.get("order"),
                "bytes" | "endian" => {
                    let endian = configuration.get("endian").and_then(Value::as_str);
                    sorted.is_big_endian = endian == Some("big");
                }
                "vlen-utf8" => sorted.has_vlen_utf8 = true,
                "sharding_indexed" => sorted.sharding = Some(configuration),
                filter if Filter::is_name(filter) && has_bytes => {
                    let message = format!("the filter `{filter}` after bytes cannot be read");
                    return Err(unsupported(message));
                }
                filter if Filter::is_name(filter) => sorted.filters.push((filter, configuration)),
                name => sorted.rest.push((name, configuration)),
            }
            has_bytes |= name != "transpose" && !Filter::is_name(name);
        }
        if has_bytes { Ok(sorted) } else { Err(broken("no codec makes bytes of elements")) }
    }
}

/// Filters, the byte order of what they make, and the codecs from bytes to bytes.
fn steps_of(codecs: &Codecs<'_>, elements: Lane) -> Result<Vec<Step>> {
    let mut lane = elements;
    let mut steps = Vec::new();
    for (name, configuration) in &codecs.filters {
        let is_delta = name.ends_with("delta");
        if is_delta && codecs.order.is_some() {
            // Writers do not agree on the order in which elements are then taken.
            return Err(unsupported(format!(
                "the filter `{name}` after a `transpose` cannot be read"
            )));
        }
        let filter = Filter::of(name, configuration, lane)?;
        lane = filter.stored;
        steps.push(Step::Filter(filter));
    }
    let swap_bytes = lane.dtype.swap_bytes();
    if codecs.is_big_endian && !steps.is_empty() && swap_bytes > 1 {
        let stored = Lane { swap_bytes, ..lane };
        steps.push(Step::Filter(Filter::swap(lane, stored)));
    }
    for (name, configuration) in &codecs.rest {
        steps.push(Step::of(name, configuration, lane.item_bytes())?);
    }
    Ok(steps)
}

/// Name and configuration of an extension point, which may be a name alone.
fn named(value: &Value) -> Result<(&str, &Value)> {
    let name = value.as_str().or_else(|| value.get("name")?.as_str());
    let name = name.ok_or_else(|| broken(format!("{value} has no name")))?;
    Ok((name, value.get("configuration").unwrap_or(&Value::Null)))
}

fn chunk_grid_of(array: &Value) -> Result<Vec<u64>> {
    let grid = array.get("chunk_grid").ok_or_else(|| broken("there is no `chunk_grid`"))?;
    match named(grid)? {
        ("regular", configuration) => lengths_of(configuration.get("chunk_shape"), "chunk_shape"),
        (other, _) => Err(unsupported(format!("the chunk grid `{other}` cannot be read"))),
    }
}

fn sharding_of<'a>(configuration: &'a Value, shape: &[u64]) -> Result<(Sharding, Codecs<'a>)> {
    let chunk_shape = lengths_of(configuration.get("chunk_shape"), "chunk_shape")?;
    let fits = |(shard, chunk): (&u64, &u64)| *chunk > 0 && shard.is_multiple_of(*chunk);
    if chunk_shape.len() != shape.len() || !shape.iter().zip(&chunk_shape).all(fits) {
        return Err(broken(format!("chunks of {chunk_shape:?} do not fill shards of {shape:?}")));
    }
    let list = |key: &str| configuration.get(key).and_then(Value::as_array);
    let inner = list("codecs").ok_or_else(|| broken("shards have no `codecs`"))?;
    let inner = Codecs::of(inner)?;
    if inner.sharding.is_some() {
        return Err(unsupported("shards in shards cannot be read"));
    }
    let index = list("index_codecs").ok_or_else(|| broken("shards have no `index_codecs`"))?;
    let index = Codecs::of(index)?;
    let index_steps: Vec<&str> = index.rest.iter().map(|(name, _)| *name).collect();
    if index.is_big_endian || index.order.is_some() || !matches!(&index_steps[..], [] | ["crc32c"])
    {
        return Err(unsupported("the codecs of the shards' index cannot be read"));
    }
    let location = configuration.get("index_location").and_then(Value::as_str);
    let counts: Vec<u64> = shape.iter().zip(&chunk_shape).map(|(shard, n)| shard / n).collect();
    if super::product(&counts).is_none() {
        return Err(broken(format!("a shard of {shape:?} has too many chunks")));
    }
    let sharding = Sharding {
        shape: shape.to_vec(),
        counts,
        is_index_first: location == Some("start"),
        has_checksum: !index_steps.is_empty(),
    };
    Ok((sharding, inner))
}

fn order_of(order: &Value, rank: usize) -> Result<Option<Vec<usize>>> {
    let order: Vec<usize> = match order.as_str() {
        Some("C") => (0..rank).collect(),
        Some("F") => (0..rank).rev().collect(),
        _ => lengths_of(Some(order), "order")?.into_iter().map(|place| place as usize).collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(broken(format!("{order:?} is no order of {rank} dimensions")));
    }
    Ok((order != sorted).then_some(order))
}

fn key_encoding_of(value: Option<&Value>) -> Result<KeyEncoding> {
    let (name, configuration) =
        named(value.unwrap_or(&Value::Null)).unwrap_or(("default", &Value::Null));
    let (has_prefix, separator) = match name {
        "default" => (true, "/"),
        "v2" => (false, "."),
        other => return Err(unsupported(format!("the chunk keys `{other}` cannot be read"))),
    };
    let separator = configuration.get("separator").and_then(Value::as_str).unwrap_or(separator);
    Ok(KeyEncoding { has_prefix, separator: separator_of(separator)? })
}
