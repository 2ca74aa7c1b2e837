//! How single variables are encoded, where they are not encoded as all others are.

use std::collections::BTreeMap;

use array::Dataset;
use chunks::ChunkSpec;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use zarr::CodecChain;

use super::BakeOptions;

/// What is asked for one variable; the rest is as for all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct VariableEncoding {
    /// Its codecs, in the order of encoding: `bitround:10+shuffle+zlib:5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codecs: Option<String>,
    /// Lengths of its chunks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<ChunkSpec>,
    /// Lengths of its shards; none if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<ChunkSpec>,
}

/// Encodings by the name of the variable.
pub type VariableEncodings = BTreeMap<String, VariableEncoding>;

impl BakeOptions {
    /// The codecs of a variable: its own, or those of all.
    ///
    /// # Errors
    /// Codecs that are not known.
    pub(crate) fn codecs_of(&self, variable: &str) -> Result<CodecChain> {
        let own = self.encodings.get(variable).and_then(|it| it.codecs.as_ref());
        own.unwrap_or(&self.codec).parse().map_err(|error: Error| match own {
            Some(_) => error.at("variable", variable),
            None => error,
        })
    }

    /// The lengths of chunks and shards that were asked for a variable.
    pub(crate) fn lengths_of(&self, variable: &str) -> (&ChunkSpec, &ChunkSpec) {
        let own = self.encodings.get(variable);
        (
            own.and_then(|it| it.chunks.as_ref()).unwrap_or(&self.chunks),
            own.and_then(|it| it.shards.as_ref()).unwrap_or(&self.shards),
        )
    }

    /// Refuses names that nothing has, and codecs for all variables that not all can have.
    ///
    /// # Errors
    /// The name with those that there are, or the codec.
    pub(crate) fn check_encodings(&self, template: &Dataset) -> Result<()> {
        let all: CodecChain = self.codec.parse()?;
        if let Some(filter) = all.filter() {
            let message =
                format!("`{filter}` works on elements, by their type, and is asked for all");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend(
                "name the variable: --encoding VAR=CODECS, or `codecs` in a table [encoding.VAR]",
            ));
        }
        for (name, own) in &self.encodings {
            template.expect_variable(name)?;
            let named = [&own.chunks, &own.shards].into_iter().flatten();
            for dimension in named.flat_map(ChunkSpec::dimensions) {
                template.expect_dimension(dimension).map_err(|error| error.at("variable", name))?;
            }
        }
        Ok(())
    }
}
