//! How a store is to be written: format, chunks, shards, codecs.

use std::collections::BTreeMap;

use crate::codec::CodecChain;

/// The version of the Zarr format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZarrFormat {
    /// Version 2.
    V2,
    /// Version 3.
    V3,
}

/// How one variable is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableLayout {
    /// Elements of a chunk along every dimension.
    pub chunk_shape: Vec<u64>,
    /// Elements of a shard along every dimension: a multiple of the chunk. Version 3 only.
    pub shard_shape: Option<Vec<u64>>,
    /// How chunks are encoded.
    pub codecs: CodecChain,
}

/// How a store is to be written.
///
/// A variable without a layout of its own becomes one chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct ZarrLayout {
    /// The version of the format.
    pub format: ZarrFormat,
    /// The codecs of variables without a layout.
    pub codecs: CodecChain,
    /// Layouts by the name of the variable.
    pub variables: BTreeMap<String, VariableLayout>,
}

impl ZarrLayout {
    /// A layout in which every variable is one chunk with the default codec.
    pub fn new(format: ZarrFormat) -> Self {
        Self { format, codecs: CodecChain::default(), variables: BTreeMap::new() }
    }

    /// Sets the layout of one variable.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, layout: VariableLayout) -> Self {
        self.variables.insert(name.into(), layout);
        self
    }
}
