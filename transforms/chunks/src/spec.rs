//! What users say about chunks: `time=100,lat=-1`, `time=auto`, and a size in bytes.

use std::fmt;
use std::str::FromStr;

use array::{DType, Variable};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;

/// The length of a chunk along one dimension, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChunkLength {
    /// So many elements, at least one.
    Elements(u64),
    /// The whole dimension: `-1`.
    Whole,
    /// As many as the chunk size leaves room for: `auto`.
    Auto,
}

/// Lengths by dimension, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkSpec(Vec<(String, ChunkLength)>);

impl ChunkSpec {
    /// The length that was asked for along a dimension.
    pub fn get(&self, dimension: &str) -> Option<ChunkLength> {
        self.0.iter().find(|(name, _)| name == dimension).map(|(_, length)| *length)
    }

    /// The dimensions that are named.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The chunk shape of a variable: what was asked for, the whole dimension where nothing was.
    ///
    /// Lengths of `auto` are chosen so that a chunk has about `size`, never more if one element of
    /// each such dimension fits; the first of them is cut first. Without any wish at all every
    /// dimension is `auto`.
    pub fn chunk_shape(&self, variable: &Variable, size: ByteSize) -> Vec<u64> {
        let wish = |name: &String| match self.get(name) {
            _ if self.is_empty() => ChunkLength::Auto,
            Some(length) => length,
            None => ChunkLength::Whole,
        };
        let wishes: Vec<ChunkLength> = variable.dimensions.iter().map(wish).collect();
        let mut shape: Vec<u64> = wishes
            .iter()
            .zip(&variable.shape)
            .map(|(wish, &length)| match wish {
                ChunkLength::Elements(elements) => (*elements).min(length.max(1)),
                ChunkLength::Whole | ChunkLength::Auto => length.max(1),
            })
            .collect();
        for dimension in 0..shape.len() {
            if wishes[dimension] == ChunkLength::Auto {
                let others = bytes_of(&shape, variable.dtype) / shape[dimension];
                let fitting = (size.0 / others.max(1)).max(1);
                shape[dimension] = shape[dimension].min(fitting);
            }
        }
        shape
    }

    /// The shard shape of a variable whose chunks are these; `None` if nothing was asked for.
    ///
    /// A dimension that is not named is as long as a chunk, `-1` is the whole dimension rounded up
    /// to chunks.
    ///
    /// # Errors
    /// A shard that is not made of whole chunks.
    pub fn shard_shape(&self, variable: &Variable, chunks: &[u64]) -> Result<Option<Vec<u64>>> {
        if self.is_empty() || variable.dimensions.iter().all(|name| self.get(name).is_none()) {
            return Ok(None);
        }
        let mut shape = Vec::with_capacity(chunks.len());
        for ((name, &length), &chunk) in variable.dimensions.iter().zip(&variable.shape).zip(chunks)
        {
            let whole = length.max(1).next_multiple_of(chunk);
            shape.push(match self.get(name) {
                None => chunk,
                Some(ChunkLength::Whole | ChunkLength::Auto) => whole,
                Some(ChunkLength::Elements(shard)) if shard % chunk == 0 => shard.min(whole),
                // A chunk was cut down to the dimension, and so is its shard.
                Some(ChunkLength::Elements(shard)) if chunk >= length && shard > chunk => whole,
                Some(ChunkLength::Elements(shard)) => {
                    let message =
                        format!("a shard of {name}={shard} is not made of whole chunks of {chunk}");
                    let (below, above) = (shard / chunk * chunk, shard.next_multiple_of(chunk));
                    let near = if below == 0 { above } else { below };
                    return Err(invalid(message)
                        .at("variable", &variable.name)
                        .mend(format!("ask for a multiple of the chunk, such as {name}={near}")));
                }
            });
        }
        Ok(Some(shape))
    }
}

fn bytes_of(shape: &[u64], dtype: DType) -> u64 {
    shape.iter().fold(dtype.estimated_bytes(), |bytes, &length| bytes.saturating_mul(length))
}

impl FromStr for ChunkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lengths: Vec<(String, ChunkLength)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            // A name may hold an equals sign, a length does not.
            let (name, length) = part.rsplit_once('=').ok_or_else(|| {
                invalid(format!("`{part}` does not say `dimension=length`"))
                    .mend("write for example `time=100,lat=-1,lon=-1`")
            })?;
            let (name, length) = (name.trim(), length.trim());
            let length = match length.parse::<i64>() {
                _ if length == "auto" => ChunkLength::Auto,
                Ok(-1) => ChunkLength::Whole,
                Ok(elements) if elements > 0 => ChunkLength::Elements(elements.cast_unsigned()),
                _ => {
                    let message = format!("a chunk length of {name}={length} is not possible");
                    return Err(invalid(message).mend(
                        "a length is a number from 1, -1 for the whole dimension, or `auto`",
                    ));
                }
            };
            if lengths.iter().any(|(known, _)| known == name) {
                let message = format!("dimension `{name}` is named twice");
                return Err(invalid(message).mend("give each dimension one length"));
            }
            lengths.push((name.to_owned(), length));
        }
        Ok(Self(lengths))
    }
}

impl fmt::Display for ChunkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(name, length)| match length {
            ChunkLength::Elements(elements) => format!("{name}={elements}"),
            ChunkLength::Whole => format!("{name}=-1"),
            ChunkLength::Auto => format!("{name}=auto"),
        });
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use array::{Attributes, Storage};

    use super::*;

    fn variable(shape: [u64; 3]) -> Variable {
        Variable {
            name: "t2m".to_owned(),
            dimensions: ["time", "lat", "lon"].map(str::to_owned).to_vec(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            fill: None,
            attributes: Attributes::default(),
            storage: Storage::default(),
        }
    }

    #[track_caller]
    fn check(spec: &str, size: &str, want: [u64; 3]) {
        let spec: ChunkSpec = spec.parse().expect("a spec");
        let size: ByteSize = size.parse().expect("a size");
        assert_eq!(spec.chunk_shape(&variable([1000, 180, 360]), size), want);
    }

    #[test]
    fn what_is_named_is_taken_and_the_rest_is_whole() {
        check("time=100,lat=-1", "1MiB", [100, 180, 360]);
        check("time=5000", "1MiB", [1000, 180, 360]);
    }

    #[test]
    fn auto_fills_the_chunk_size() {
        check("time=auto,lat=-1,lon=-1", "100MB", [385, 180, 360]);
        check("time=auto,lat=auto,lon=-1", "100KB", [1, 69, 360]);
        check("", "64MiB", [258, 180, 360]);
        check("time=auto,lat=-1,lon=-1", "1B", [1, 180, 360]);
    }

    #[track_caller]
    fn check_shards(spec: &str, want: Option<[u64; 3]>) {
        let spec: ChunkSpec = spec.parse().expect("a spec");
        let shape = spec.shard_shape(&variable([1000, 180, 360]), &[24, 46, 90]).ok().flatten();
        assert_eq!(shape, want.map(Vec::from));
    }

    #[test]
    fn shards_are_whole_chunks() {
        check_shards("time=240,lat=-1", Some([240, 184, 90]));
        check_shards("time=250", None);
        check_shards("level=3", None);
    }

    #[test]
    fn a_chunk_that_is_longer_than_its_dimension_makes_no_shard_impossible() {
        let variable = variable([70, 180, 360]);
        let chunks: ChunkSpec = "time=100,lat=-1,lon=-1".parse().expect("a spec");
        let chunks = chunks.chunk_shape(&variable, ByteSize(1));
        let shards = |spec: &str| {
            let spec: ChunkSpec = spec.parse().expect("a spec");
            spec.shard_shape(&variable, &chunks).ok().flatten()
        };
        assert_eq!(shards("time=1000"), Some(vec![70, 180, 360]));
        assert_eq!(shards("time=60"), None);
    }

    #[test]
    fn names_may_hold_an_equals_sign() {
        let spec: ChunkSpec = "a=b=3".parse().expect("a spec");
        assert_eq!(spec.get("a=b"), Some(ChunkLength::Elements(3)));
    }

    #[track_caller]
    fn refused(spec: &str, why: &str) {
        let error = spec.parse::<ChunkSpec>().expect_err("not a spec");
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn impossible_lengths_are_refused() {
        refused("time=0", "time=0 is not possible");
        refused("time=-2", "time=-2 is not possible");
        refused("time", "does not say");
        refused("time=1,time=2", "named twice");
    }
}
