//! What users say about a store that is to be baked.

use std::fmt;
use std::str::FromStr;

use chunks::{ByteSize, ChunkSpec};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What becomes of a variable without the concat dimension that is not the same in all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StaticPolicy {
    /// It is refused.
    #[default]
    Identical,
    /// The one of the first file is taken.
    First,
    /// It gets the concat dimension, with the value of each file for all its elements.
    Concat,
}

impl FromStr for StaticPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "identical" => Ok(Self::Identical),
            "first" => Ok(Self::First),
            "concat" => Ok(Self::Concat),
            _ => {
                let message = format!("there is no policy `{text}` for static variables");
                let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
                Err(error.mend("the policies are: identical, first, concat"))
            }
        }
    }
}

impl fmt::Display for StaticPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identical => "identical",
            Self::First => "first",
            Self::Concat => "concat",
        })
    }
}

/// What is to be baked, and how the store is to lie.
///
/// All of it is part of the plan's identity: other options, other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakeOptions {
    /// The dimension along which files follow each other; chosen if not given.
    pub concat: Option<String>,
    /// The variables that are wanted, with what they refer to; all if empty.
    pub variables: Vec<String>,
    /// What becomes of variables that differ but do not have the concat dimension.
    pub statics: StaticPolicy,
    /// Lengths of chunks.
    pub chunks: ChunkSpec,
    /// Lengths of shards; none if empty.
    pub shards: ChunkSpec,
    /// Bytes of a chunk where its length is `auto`.
    pub chunk_size: ByteSize,
    /// The version of the Zarr format.
    pub zarr_format: ZarrVersion,
    /// How chunks are compressed, by name.
    pub codec: String,
}

/// A chunk of this size is read in a moment from disk and from a cloud.
const CHUNK_SIZE: ByteSize = ByteSize(32 << 20);

impl Default for BakeOptions {
    fn default() -> Self {
        Self {
            concat: None,
            variables: Vec::new(),
            statics: StaticPolicy::default(),
            chunks: ChunkSpec::default(),
            shards: ChunkSpec::default(),
            chunk_size: CHUNK_SIZE,
            zarr_format: ZarrVersion::V3,
            codec: zarr::Codec::default().to_string(),
        }
    }
}

/// The version of the Zarr format that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZarrVersion {
    /// Version 2.
    #[serde(rename = "2")]
    V2,
    /// Version 3.
    #[serde(rename = "3")]
    V3,
}
