//! Wishes for all dimensions as lengths: numbers, whole dimensions, sizes in bytes.
//!
//! Source: xarray-beam, `normalize_chunks`, <https://xarray-beam.readthedocs.io>.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use super::auto_lengths::auto_chunk_lengths;

/// What is asked along one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkWish {
    /// So many elements.
    Elements(u64),
    /// All of them.
    Whole,
    /// As many as a chunk of so many bytes has room for.
    Bytes(u64),
    /// As before, or all of them.
    Kept,
}

/// What size a chunk of several arrays has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesPer {
    /// That of one chunk of the array with the largest elements: arrays are apart.
    Array,
    /// That of all arrays together.
    AllArrays,
}

/// An array as far as sizes of its chunks go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArraySize {
    /// Places of its dimensions.
    pub dimensions: Vec<usize>,
    /// Bytes of an element.
    pub item_bytes: u64,
}

/// The length of a chunk along every dimension of `shape`.
///
/// `previous` are chunks that are there, of which those by size become multiples where that comes
/// near.
///
/// # Errors
/// Sizes in bytes that differ, or chunks of no elements.
pub fn normalize_chunks(
    wishes: &[ChunkWish],
    shape: &[u64],
    arrays: &[ArraySize],
    per: BytesPer,
    previous: Option<&[u64]>,
) -> Result<Vec<u64>> {
    let mut limit = None;
    let mut lengths = Vec::with_capacity(shape.len());
    for (place, (wish, &length)) in wishes.iter().zip(shape).enumerate() {
        lengths.push(match *wish {
            ChunkWish::Elements(0) => return Err(invalid("a chunk has no elements".to_owned())),
            ChunkWish::Elements(elements) => Some(elements.min(length)),
            ChunkWish::Whole => Some(length),
            ChunkWish::Kept => Some(previous.map_or(length, |it| it[place].min(length))),
            ChunkWish::Bytes(bytes) => {
                if let Some(other) = limit.replace(bytes).filter(|other| *other != bytes) {
                    let message = format!("chunks of {other} and of {bytes} bytes");
                    return Err(invalid(message).mend("a chunk has one size; give one"));
                }
                None
            }
        });
    }
    let items = arrays.iter().map(|array| array.item_bytes);
    let item_bytes = match per {
        BytesPer::Array => items.max(),
        BytesPer::AllArrays => Some(items.sum()),
    };
    let item_bytes = item_bytes.filter(|bytes| *bytes > 0).unwrap_or(1);
    Ok(auto_chunk_lengths(&lengths, shape, limit.unwrap_or(1), item_bytes, previous))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::byte_size::parse_bytes;
    use crate::golden::cases;

    /// The variables of a case, with their dimensions by place.
    pub(crate) fn arrays_of(input: &Value) -> Vec<ArraySize> {
        let sizes = input["dim_sizes"].as_object().expect("dimensions");
        let place = |name: &Value| sizes.keys().position(|it| Some(it.as_str()) == name.as_str());
        let array = |variable: &Value| ArraySize {
            dimensions: variable["dims"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(place)
                .collect(),
            item_bytes: variable["itemsize"].as_u64().expect("a size"),
        };
        input["variables"].as_object().expect("variables").values().map(array).collect()
    }

    fn wish(value: &Value) -> Option<ChunkWish> {
        match value {
            Value::String(text) if text == "auto" => None,
            Value::String(text) => Some(ChunkWish::Bytes(parse_bytes(text).ok()?.try_into().ok()?)),
            number => match number.as_i64()? {
                -1 => Some(ChunkWish::Whole),
                elements => Some(ChunkWish::Elements(elements.try_into().ok()?)),
            },
        }
    }

    fn answer(input: &Value) -> Option<Value> {
        let sizes = input["dim_sizes"].as_object()?;
        let shape: Vec<u64> = sizes.values().filter_map(Value::as_u64).collect();
        let chunks = &input["chunks"];
        if chunks
            .as_object()
            .is_some_and(|it| it.keys().any(|n| n != "..." && !sizes.contains_key(n)))
        {
            return None;
        }
        let wishes = sizes.keys().map(|name| match chunks {
            Value::Object(chunks) => match chunks.get(name).or(chunks.get("...")) {
                Some(value) => wish(value),
                None => Some(ChunkWish::Kept),
            },
            all => wish(all),
        });
        let wishes: Vec<ChunkWish> = wishes.collect::<Option<_>>()?;
        let previous = input["previous_chunks"].as_object();
        let previous: Option<Vec<u64>> =
            previous.map(|it| sizes.keys().filter_map(|name| it[name].as_u64()).collect());
        let per = match input["split_vars"].as_bool()? {
            true => BytesPer::Array,
            false => BytesPer::AllArrays,
        };
        let got = normalize_chunks(&wishes, &shape, &arrays_of(input), per, previous.as_deref());
        let lengths = got.ok()?.into_iter().map(|it| json!(it));
        Some(Value::Object(sizes.keys().cloned().zip(lengths).collect::<Map<_, _>>()))
    }

    #[test]
    fn golden_xbeam_normalize_chunks_bytes() {
        let (mut passed, mut failed) = (0, Vec::new());
        for case in cases("xbeam_normalize_chunks_bytes.json") {
            match answer(&case["input"]).as_ref() == case.get("expected") {
                true => passed += 1,
                false => failed.push(format!("{case} {:?}", answer(&case["input"]))),
            }
        }
        assert!(failed.is_empty(), "{passed} passed, not {}", failed.join("\n"));
        assert!(passed == 0 || passed == 150, "{passed} of 150 passed");
    }
}
