//! What users say about a store that is to be baked.

mod encoding;
mod policy;
mod reading;
mod statics;

use chunks::{ByteSize, ChunkRatio, ChunkSpec};
use serde::{Deserialize, Serialize};

use crate::pattern::FilePattern;
use crate::prepare::Step;

pub use encoding::{VariableEncoding, VariableEncodings};
pub use policy::{
    AttributePolicy, BrokenMessagePolicy, DimOrderPolicy, GapPolicy, JoinPolicy, MissingFilePolicy,
    OverlapPolicy, PackingPolicy, PresencePolicy, WrittenAs,
};
pub use reading::Reading;
pub use statics::StaticPolicy;

/// What is to be baked, and how the store is to lie.
///
/// All of it is part of the plan's identity: other options, other bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BakeOptions {
    /// How files lie, where they are more than a list: the sources are its files, in its order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<FilePattern>,
    /// How files are read that can be read in several ways.
    #[serde(default)]
    pub reading: Reading,
    /// What is changed in every file before anything else.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The dimension along which files follow each other; chosen if not given.
    pub concat: Option<String>,
    /// The variables that are wanted, with what they refer to; all if empty.
    pub variables: Vec<String>,
    /// What becomes of variables that differ but do not have the concat dimension.
    pub statics: StaticPolicy,
    /// What becomes of sources that are not there.
    #[serde(default)]
    pub missing_files: MissingFilePolicy,
    /// What becomes of variables that some files lack.
    #[serde(default)]
    pub presence: PresencePolicy,
    /// What becomes of variables that files pack differently.
    #[serde(default)]
    pub packing: PackingPolicy,
    /// What becomes of attributes that differ between files.
    #[serde(default)]
    pub attributes: AttributePolicy,
    /// What becomes of variables whose dimensions stand in another order.
    #[serde(default)]
    pub dim_order: DimOrderPolicy,
    /// What becomes of files that are out of order or overlap along the concat dimension.
    #[serde(default)]
    pub overlap: OverlapPolicy,
    /// What becomes of steps that are missing along the concat dimension.
    #[serde(default)]
    pub gaps: GapPolicy,
    /// What becomes of files of a merge dimension whose elements along a concat dimension differ.
    #[serde(default)]
    pub join: JoinPolicy,
    /// Lengths of chunks.
    pub chunks: ChunkSpec,
    /// Numbers of chunks along dimensions, where lengths are chosen by size.
    #[serde(default, skip_serializing_if = "ChunkRatio::is_empty")]
    pub chunk_ratio: ChunkRatio,
    /// Lengths of shards; none if empty.
    pub shards: ChunkSpec,
    /// Bytes of a chunk where its length is `auto`.
    pub chunk_size: ByteSize,
    /// The version of the Zarr format.
    pub zarr_format: ZarrVersion,
    /// How chunks of all variables are encoded, by name: codecs from bytes to bytes.
    pub codec: String,
    /// What single variables have instead.
    #[serde(default, skip_serializing_if = "VariableEncodings::is_empty")]
    pub encodings: VariableEncodings,
    /// Whether the files are copied or referred to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub written_as: WrittenAs,
    /// Encoded bytes that references may hold themselves, besides coordinates.
    #[serde(default = "inline_limit", skip_serializing_if = "is_inline_limit")]
    pub inline_limit: ByteSize,
}

/// What readers of references load in a moment, although they hold all of it.
const INLINE_LIMIT: ByteSize = ByteSize(16 << 20);

fn inline_limit() -> ByteSize {
    INLINE_LIMIT
}

fn is_inline_limit(limit: &ByteSize) -> bool {
    *limit == INLINE_LIMIT
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl BakeOptions {
    /// Whether steps that are missing between files are filled.
    pub fn fills_gaps(&self) -> bool {
        self.gaps == GapPolicy::Fill || self.missing_files == MissingFilePolicy::Fill
    }
}

/// A chunk of this size is read in a moment from disk and from a cloud.
const CHUNK_SIZE: ByteSize = ByteSize(32 << 20);

impl Default for BakeOptions {
    fn default() -> Self {
        Self {
            pattern: None,
            reading: Reading::default(),
            steps: Vec::new(),
            concat: None,
            variables: Vec::new(),
            statics: StaticPolicy::default(),
            missing_files: MissingFilePolicy::default(),
            presence: PresencePolicy::default(),
            packing: PackingPolicy::default(),
            attributes: AttributePolicy::default(),
            dim_order: DimOrderPolicy::default(),
            overlap: OverlapPolicy::default(),
            gaps: GapPolicy::default(),
            join: JoinPolicy::default(),
            chunks: ChunkSpec::default(),
            chunk_ratio: ChunkRatio::default(),
            shards: ChunkSpec::default(),
            chunk_size: CHUNK_SIZE,
            zarr_format: ZarrVersion::V3,
            codec: zarr::Codec::default().to_string(),
            encodings: VariableEncodings::new(),
            written_as: WrittenAs::default(),
            inline_limit: INLINE_LIMIT,
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
