//! What users say about chunks: `time=100,lat=-1`, `time=auto`, and a size in bytes.

use std::fmt;
use std::str::FromStr;

use array::Variable;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;
use crate::choose::{BestChunk, ChunkSizing};
use crate::ratio_spec::ChunkRatio;

/// The length of a chunk along one dimension, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChunkLength {
    /// So many elements, at least one.
    Elements(u64),
    /// The whole dimension: `-1`.
    Whole,
    /// As many as the chunk size leaves room for: `auto`.
    Auto,
    /// As many as a chunk of so many bytes leaves room for, multiples of the source's chunks if that
    /// comes near: `100MB`.
    Bytes(ByteSize),
    /// So many times the length of the source's chunks: `4x`.
    OfSource(u64),
}

/// The name that stands for all dimensions that are not named.
const OTHERS: &str = "...";

/// Lengths by dimension, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkSpec(Vec<(String, ChunkLength)>);

impl ChunkSpec {
    /// The length that was asked for along a dimension, or along all that are not named.
    pub fn get(&self, dimension: &str) -> Option<ChunkLength> {
        let find = |wanted: &str| self.0.iter().find(|(name, _)| name == wanted);
        find(dimension).or_else(|| find(OTHERS)).map(|(_, length)| *length)
    }

    /// The dimensions that are named.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| *name != OTHERS)
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was asked for all dimensions together, and for those that `has` knows.
    #[must_use]
    pub fn with_only(mut self, has: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(name, _)| name == OTHERS || has(name));
        self
    }

    /// Every dimension whole.
    #[must_use]
    pub fn whole() -> Self {
        Self(vec![(OTHERS.to_owned(), ChunkLength::Whole)])
    }

    /// The chunk shape of a variable: what was asked for, the whole dimension where nothing was.
    ///
    /// Lengths of `auto` are chosen so that a chunk has about `size`, never more if one element of
    /// each such dimension fits; the first of them is cut first. Without any wish at all every
    /// dimension is `auto`.
    pub fn chunk_shape(&self, variable: &Variable, size: ByteSize) -> Vec<u64> {
        self.choose(variable, size, &ChunkRatio::default(), None).shape
    }

    /// The best chunk of a variable, with the size that it has; `source` are the source's chunks.
    ///
    /// As [`ChunkSpec::chunk_shape`]; with a ratio, lengths by size are chosen by
    /// [`ChunkSizing::best`], and a dimension that the ratio does not name is not cut.
    pub fn choose(
        &self,
        variable: &Variable,
        size: ByteSize,
        ratio: &ChunkRatio,
        source: Option<&[u64]>,
    ) -> BestChunk {
        let wish = |name: &String| match self.get(name) {
            _ if self.is_empty() => ChunkLength::Auto,
            Some(length) => length,
            None => ChunkLength::Whole,
        };
        let wishes: Vec<ChunkLength> = variable.dimensions.iter().map(wish).collect();
        let by_bytes = wishes.iter().find_map(|wish| match wish {
            ChunkLength::Bytes(size) => Some(*size),
            _ => None,
        });
        let settled = wishes.iter().zip(&variable.dimensions).zip(&variable.shape).enumerate();
        let settled = settled.map(|(place, ((wish, name), &length))| {
            let whole = length.max(1);
            match wish {
                ChunkLength::Elements(elements) => Some((*elements).min(whole)),
                ChunkLength::Whole => Some(whole),
                ChunkLength::OfSource(count) => {
                    // Where the source lies in one piece, that is its chunk.
                    let chunk = source.map_or(whole, |source| source[place].max(1));
                    Some(chunk.saturating_mul(*count).min(whole))
                }
                ChunkLength::Auto | ChunkLength::Bytes(_) => {
                    (!ratio.is_empty() && ratio.get(name).is_none()).then_some(whole)
                }
            }
        });
        let settled: Vec<Option<u64>> = settled.collect();
        let ratios = variable.dimensions.iter().map(|name| ratio.get(name).unwrap_or(1));
        let sizing = ChunkSizing {
            shape: &variable.shape,
            item_bytes: variable.dtype.estimated_bytes(),
            settled: &settled,
            ratios: &ratios.collect::<Vec<_>>(),
            target_bytes: by_bytes.unwrap_or(size).0,
            source: source.filter(|_| by_bytes.is_some() || !ratio.is_empty()),
        };
        if ratio.is_empty() { sizing.in_order() } else { sizing.best() }
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
                Some(ChunkLength::Bytes(_) | ChunkLength::OfSource(_)) => {
                    let message = format!("a shard along `{name}` is no number of elements");
                    return Err(invalid(message).mend("give a multiple of the chunk, or -1"));
                }
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

impl FromStr for ChunkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut lengths: Vec<(String, ChunkLength)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            // A name may hold an equals sign, a length does not. A size alone is one for all.
            let (name, length) = match part.rsplit_once('=') {
                Some((name, length)) => (name.trim(), length.trim()),
                None if part.parse::<ByteSize>().is_ok() => (OTHERS, part),
                None => {
                    let error = invalid(format!("`{part}` does not say `dimension=length`"));
                    return Err(error.mend("write for example `time=100,lat=-1`, or `100MB`"));
                }
            };
            let length = length_of(name, length)?;
            if lengths.iter().any(|(known, _)| known == name) {
                let message = format!("dimension `{name}` is named twice");
                return Err(invalid(message).mend("give each dimension one length"));
            }
            lengths.push((name.to_owned(), length));
        }
        let sizes = lengths.iter().filter_map(|(_, length)| match length {
            ChunkLength::Bytes(size) => Some(size),
            _ => None,
        });
        let sizes: Vec<&ByteSize> = sizes.collect();
        if let Some(pair) = sizes.windows(2).find(|pair| pair[0] != pair[1]) {
            let message = format!("a chunk has one size, and not {} and {}", pair[0], pair[1]);
            return Err(invalid(message).mend("give the same size to each dimension"));
        }
        Ok(Self(lengths))
    }
}

fn length_of(name: &str, text: &str) -> Result<ChunkLength> {
    let of_source = || text.strip_suffix('x')?.trim().parse().ok().filter(|count| *count > 0);
    match text.parse::<i64>() {
        _ if text == "auto" => Ok(ChunkLength::Auto),
        Ok(-1) => Ok(ChunkLength::Whole),
        Ok(elements) if elements > 0 => Ok(ChunkLength::Elements(elements.cast_unsigned())),
        Err(_) if of_source().is_some() => Ok(ChunkLength::OfSource(of_source().unwrap_or(1))),
        Err(_) if text.parse::<f64>().is_err() && text.parse::<ByteSize>().is_ok() => {
            text.parse().map(ChunkLength::Bytes)
        }
        _ => {
            let message = format!("a chunk length of {name}={text} is not possible");
            Err(invalid(message).mend(
                "a length is a number from 1, -1 for the whole dimension, `auto`, a size such as \
                 100MB, or a multiple of the source's chunks such as 4x",
            ))
        }
    }
}

impl fmt::Display for ChunkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(name, length)| match length {
            ChunkLength::Elements(elements) => format!("{name}={elements}"),
            ChunkLength::Whole => format!("{name}=-1"),
            ChunkLength::Auto => format!("{name}=auto"),
            ChunkLength::Bytes(size) => format!("{name}={}B", size.0),
            ChunkLength::OfSource(count) => format!("{name}={count}x"),
        });
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::INVALID_CHUNKS, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use array::{Attributes, DType, Storage};

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
    fn check_source(spec: &str, ratio: &str, want: [u64; 3]) {
        let spec: ChunkSpec = spec.parse().expect("a spec");
        let ratio: ChunkRatio = ratio.parse().expect("a ratio");
        let source = [24, 45, 90];
        let size = ByteSize(1 << 20);
        let best = spec.choose(&variable([1000, 180, 360]), size, &ratio, Some(&source));
        assert_eq!(best.shape, want);
        assert_eq!(best.bytes, want.iter().product::<u64>() * 4);
    }

    #[test]
    fn sizes_and_ratios_keep_the_chunks_of_the_source_whole() {
        check_source("...=4x", "", [96, 180, 360]);
        check_source("time=2x,...=-1", "", [48, 180, 360]);
        check_source("100MB", "", [384, 180, 360]);
        check_source("lat=-1,lon=-1,time=10MB", "", [48, 180, 360]);
        check_source("20MB", "time=10,lat=1", [96, 180, 360]);
        check_source("", "time=1,lat=1,lon=1", [192, 30, 60]);
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
        refused("time=1MB,lat=2MB", "one size");
        refused("time=0x", "not possible");
        // A number without a unit is one of elements.
        refused("time=7.5", "time=7.5 is not possible");
        refused("time=1e3", "a size such as 100MB");
        refused("7.5", "not possible");
    }
}
