//! How a store is to be written: format, chunks, shards, codecs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

/// The version of the Zarr format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZarrFormat {
    /// Version 2.
    V2,
    /// Version 3.
    V3,
}

/// A compressor inside of Blosc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum BloscCname {
    BloscLz,
    Lz4,
    Lz4hc,
    Snappy,
    Zlib,
    Zstd,
}

impl BloscCname {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::BloscLz, "blosclz"),
        (Self::Lz4, "lz4"),
        (Self::Lz4hc, "lz4hc"),
        (Self::Snappy, "snappy"),
        (Self::Zlib, "zlib"),
        (Self::Zstd, "zstd"),
    ];

    /// The name in metadata.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(cname, _)| *cname == self).map_or("", |found| found.1)
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|found| found.0)
    }
}

/// How Blosc orders bytes before it compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscShuffle {
    /// As they are.
    None,
    /// First bytes of all elements, then second bytes...
    Bytes,
    /// First bits of all elements, then second bits...
    Bits,
}

impl BloscShuffle {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::None, "noshuffle"), (Self::Bytes, "shuffle"), (Self::Bits, "bitshuffle")];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(shuffle, _)| *shuffle == self).map_or("", |found| found.1)
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|found| found.0)
    }
}

/// How chunks are compressed.
///
/// ```
/// use zarr::Codec;
/// let codec: Codec = "zstd:3".parse()?;
/// assert_eq!(codec, Codec::Zstd { level: 3 });
/// assert_eq!(Codec::default().to_string(), "blosc-zstd:1");
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// Blosc, on one thread.
    Blosc {
        /// The compressor inside.
        cname: BloscCname,
        /// From 0 (store) to 9.
        level: u8,
        /// The order of bytes.
        shuffle: BloscShuffle,
    },
    /// Zstandard.
    Zstd {
        /// From -7 to 22.
        level: i32,
    },
    /// Gzip.
    Gzip {
        /// From 0 to 9.
        level: u8,
    },
    /// No compression.
    None,
}

impl Default for Codec {
    /// Blosc with Zstandard at level 1 and shuffled bytes: small and fast for numbers.
    fn default() -> Self {
        Self::Blosc { cname: BloscCname::Zstd, level: 1, shuffle: BloscShuffle::Bytes }
    }
}

impl FromStr for Codec {
    type Err = Error;

    /// Reads `blosc-zstd:1`, `zstd:3`, `gzip:5` or `none`; the level may be left out.
    ///
    /// # Errors
    /// Another name, or a level out of range.
    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = text.split_once(':').map_or((text, None), |(n, l)| (n, Some(l)));
        let level_of = |fallback: i32, allowed: std::ops::RangeInclusive<i32>| {
            let level = level.map_or(Some(fallback), |level| level.parse().ok());
            level.filter(|level| allowed.contains(level))
        };
        let small = |fallback| level_of(fallback, 0..=9).and_then(|level| u8::try_from(level).ok());
        let codec = match name {
            "none" if level.is_none() => Some(Self::None),
            "zstd" => level_of(3, -7..=22).map(|level| Self::Zstd { level }),
            "gzip" => small(5).map(|level| Self::Gzip { level }),
            _ => name.strip_prefix("blosc-").and_then(BloscCname::of_name).and_then(|cname| {
                small(1).map(|level| Self::Blosc { cname, level, shuffle: BloscShuffle::Bytes })
            }),
        };
        codec.ok_or_else(|| {
            let message = format!("there is no codec `{text}`");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message).mend(
                "codecs are blosc-zstd:0..9 (also blosc-lz4, blosc-lz4hc, blosc-zlib, \
                 blosc-blosclz, blosc-snappy), zstd:-7..22, gzip:0..9, none",
            )
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blosc { cname, level, .. } => write!(f, "blosc-{}:{level}", cname.name()),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl Codec {
    /// The codec in the metadata of version 3, for elements of so many bytes; none is none.
    pub(crate) fn v3(self, item_bytes: Option<usize>) -> Option<Value> {
        let (name, configuration) = match self {
            Self::Blosc { cname, level, shuffle } => {
                let (typesize, shuffle) = shuffle_for(item_bytes, shuffle);
                let configuration = json!({
                    "typesize": typesize, "cname": cname.name(), "clevel": level,
                    "shuffle": shuffle.name(), "blocksize": 0
                });
                ("blosc", configuration)
            }
            Self::Zstd { level } => ("zstd", json!({ "level": level, "checksum": false })),
            Self::Gzip { level } => ("gzip", json!({ "level": level })),
            Self::None => return None,
        };
        Some(json!({ "name": name, "configuration": configuration }))
    }

    /// The compressor in the metadata of version 2, for elements of so many bytes.
    pub(crate) fn v2(self, item_bytes: Option<usize>) -> Value {
        match self {
            Self::Blosc { cname, level, shuffle } => {
                let shuffle = match shuffle_for(item_bytes, shuffle).1 {
                    BloscShuffle::None => 0,
                    BloscShuffle::Bytes => 1,
                    BloscShuffle::Bits => 2,
                };
                json!({
                    "id": "blosc", "cname": cname.name(), "clevel": level, "shuffle": shuffle,
                    "blocksize": 0
                })
            }
            Self::Zstd { level } => json!({ "id": "zstd", "level": level, "checksum": false }),
            Self::Gzip { level } => json!({ "id": "gzip", "level": level }),
            Self::None => Value::Null,
        }
    }
}

/// The size of an element and the shuffle that Blosc is told: single bytes and texts have no
/// order that could help, and elements longer than 255 bytes it does not know.
fn shuffle_for(item_bytes: Option<usize>, shuffle: BloscShuffle) -> (usize, BloscShuffle) {
    match item_bytes {
        Some(bytes @ 2..=255) => (bytes, shuffle),
        _ => (1, BloscShuffle::None),
    }
}

/// How one variable is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableLayout {
    /// Elements of a chunk along every dimension.
    pub chunk_shape: Vec<u64>,
    /// Elements of a shard along every dimension: a multiple of the chunk. Version 3 only.
    pub shard_shape: Option<Vec<u64>>,
    /// How chunks are compressed.
    pub codec: Codec,
}

/// How a store is to be written.
///
/// A variable without a layout of its own becomes one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZarrLayout {
    /// The version of the format.
    pub format: ZarrFormat,
    /// The codec of variables without a layout.
    pub codec: Codec,
    /// Layouts by the name of the variable.
    pub variables: BTreeMap<String, VariableLayout>,
}

impl ZarrLayout {
    /// A layout in which every variable is one chunk with the default codec.
    pub fn new(format: ZarrFormat) -> Self {
        Self { format, codec: Codec::default(), variables: BTreeMap::new() }
    }

    /// Sets the layout of one variable.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, layout: VariableLayout) -> Self {
        self.variables.insert(name.into(), layout);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let shown = text.parse::<Codec>().ok().map(|codec| codec.to_string());
        assert_eq!(shown.as_deref(), want, "{text}");
    }

    #[test]
    fn codecs_have_names() {
        for text in ["blosc-zstd:1", "blosc-lz4hc:9", "zstd:-7", "gzip:0", "none"] {
            check(text, Some(text));
        }
        check("zstd", Some("zstd:3"));
        for text in ["", "zst", "gzip:10", "zstd:x", "blosc:1", "none:1", "blosc-zstd:-1"] {
            check(text, None);
        }
    }
}
