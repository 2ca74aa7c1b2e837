//! Chunks as they lie in a file or a store, not decoded: where each is, its bytes, its codecs.
//!
//! Who copies chunks as they are, or refers to them in place of copying, asks a source for this.

use std::fmt;

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::dtype::DType;
use crate::grid::ChunkGrid;
use crate::scalar::Scalar;

/// How the chunks of an array are encoded; the same for all of them.
///
/// A decoded chunk has `chunk_shape` elements in C order, also at the edge of the array, where
/// what lies outside of it may be anything.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedFacts {
    /// The type of the elements.
    pub dtype: DType,
    /// Whether numbers lie with their greatest byte first once the codecs are undone.
    pub is_big_endian: bool,
    /// Elements of the array along every dimension.
    pub shape: Vec<u64>,
    /// Elements of a chunk along every dimension.
    pub chunk_shape: Vec<u64>,
    /// In the order of encoding. Without any, the bytes of a chunk are those of its elements.
    pub codecs: Vec<NamedCodec>,
    /// What the elements are of a chunk that was never written.
    pub fill: Scalar,
}

impl EncodedFacts {
    /// The chunks of the array.
    pub fn grid(&self) -> ChunkGrid {
        ChunkGrid::regular(&self.shape, &self.chunk_shape)
    }

    /// All but the shape of the array and the fill value, in words: chunks of equal words are, as
    /// they lie there, chunks of each other's arrays.
    pub fn signature(&self) -> String {
        let Self { dtype, is_big_endian, chunk_shape, codecs, .. } = self;
        let order = if *is_big_endian { "big endian" } else { "little endian" };
        let mut words = format!("{dtype} {order} {chunk_shape:?}");
        for codec in codecs {
            let mut codec = codec.clone();
            codec.parameters.sort_by(|a, b| a.0.cmp(&b.0));
            words.push_str(&format!(" {codec}"));
        }
        words
    }

    /// Whether what is encoded one way decodes the other way: all but fill value, shapes and what
    /// only encoders ask for, such as a level.
    pub fn decodes_as(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && self.is_big_endian == other.is_big_endian
            && self.codecs.len() == other.codecs.len()
            && self.codecs.iter().zip(&other.codecs).all(|(own, other)| own.decodes_as(other))
    }
}

/// A codec by the id and the parameters that numcodecs gives it, which are those of Zarr version 2.
///
/// Source: <https://numcodecs.readthedocs.io>.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedCodec {
    /// The id: `zlib`, `shuffle`, `blosc`...
    pub id: String,
    /// Parameters by name, in the order in which they are written.
    pub parameters: Vec<(String, CodecParameter)>,
}

/// One parameter of a codec.
#[derive(Debug, Clone, PartialEq)]
pub enum CodecParameter {
    /// A whole number: a level, a number of bytes.
    Int(i64),
    /// Any number: a scale.
    Float(f64),
    /// A word: a type, a name.
    Text(String),
    /// Yes or no.
    Bool(bool),
}

/// Parameters that change what is written and not how it is read.
const OF_ENCODERS: [&str; 8] =
    ["level", "clevel", "cname", "blocksize", "acceleration", "checksum", "typesize", "preset"];

impl NamedCodec {
    /// A codec without parameters.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), parameters: Vec::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<CodecParameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Whether the other one decodes what this one has encoded.
    pub fn decodes_as(&self, other: &Self) -> bool {
        let is_blosc = self.id == "blosc";
        let decoding = |codec: &Self| -> Vec<(String, CodecParameter)> {
            let mut kept: Vec<_> = codec
                .parameters
                .iter()
                // Every Blosc frame says how it was shuffled.
                .filter(|(name, _)| !OF_ENCODERS.contains(&name.as_str()))
                .filter(|(name, _)| !(is_blosc && name == "shuffle"))
                .cloned()
                .collect();
            kept.sort_by(|a, b| a.0.cmp(&b.0));
            kept
        };
        self.id == other.id && decoding(self) == decoding(other)
    }
}

impl fmt::Display for NamedCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        for (name, value) in &self.parameters {
            match value {
                CodecParameter::Int(value) => write!(f, ":{name}={value}")?,
                CodecParameter::Float(value) => write!(f, ":{name}={value}")?,
                CodecParameter::Text(value) => write!(f, ":{name}={value}")?,
                CodecParameter::Bool(value) => write!(f, ":{name}={value}")?,
            }
        }
        Ok(())
    }
}

impl From<i64> for CodecParameter {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for CodecParameter {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for CodecParameter {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<bool> for CodecParameter {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A half-open range of the bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// The object, as users write it.
    pub url: String,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// Where the bytes of a chunk lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkLocation {
    /// All its bytes, and no others.
    pub range: ByteRange,
    /// One bit for each codec that this one chunk was encoded without, the lowest for the first: 0
    /// for nearly every chunk.
    pub left_out: u32,
}

/// A chunk as it lies in its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// Its bytes.
    pub bytes: Bytes,
    /// As [`ChunkLocation::left_out`].
    pub left_out: u32,
}

/// The chunks of an array, not decoded.
///
/// What must hold: the bytes of a chunk, once its codecs are undone, are its elements; places and
/// bytes do not change as long as the source is open, or asking for them is an error.
pub trait EncodedChunks: fmt::Debug + Send + Sync {
    /// How chunks are encoded.
    fn facts(&self) -> &EncodedFacts;

    /// Where the chunk at `index` lies; `None` for one that was never written.
    ///
    /// Cost: the first call may read an index of chunks, which is kept.
    ///
    /// # Errors
    /// An index outside of the grid, or an index of chunks that cannot be read.
    fn location(&self, index: &[u64]) -> Result<Option<ChunkLocation>>;

    /// Starts to fetch chunks together, in few requests, and does not wait.
    ///
    /// Memory: the bytes of all these chunks.
    ///
    /// # Errors
    /// As [`EncodedChunks::location`].
    fn fetch_encoded(&self, chunks: &[Vec<u64>]) -> Result<Box<dyn FetchedChunks>>;
}

/// Encoded chunks that are on their way.
pub trait FetchedChunks: Send {
    /// Waits for the bytes of all chunks that were asked for, in that order; `None` for one that
    /// was never written.
    ///
    /// # Errors
    /// Bytes that cannot be fetched.
    fn wait(self: Box<Self>) -> Result<Vec<Option<EncodedChunk>>>;
}

/// The error of a source whose chunks cannot be taken as they are, with the reason.
#[cold]
pub fn not_encoded(why: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(own: &NamedCodec, other: &NamedCodec, decodes: bool) {
        assert_eq!(own.decodes_as(other), decodes, "{own} and {other}");
    }

    #[test]
    fn codecs_that_differ_in_what_only_encoders_ask_for_decode_each_other() {
        let zlib = |level: i64| NamedCodec::new("zlib").with("level", level);
        check(&zlib(1), &zlib(9), true);
        check(&zlib(1), &NamedCodec::new("gzip").with("level", 1), false);
        let shuffle = |bytes: i64| NamedCodec::new("shuffle").with("elementsize", bytes);
        check(&shuffle(4), &shuffle(8), false);
        let blosc = |shuffle: i64| NamedCodec::new("blosc").with("shuffle", shuffle);
        check(&blosc(1), &blosc(2), true);
    }
}
