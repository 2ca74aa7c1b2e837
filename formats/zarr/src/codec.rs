//! Codecs by the names that users write, with their parameters.
//!
//! `quantize:3+shuffle+zlib:5` is a chain: filters first, then what makes bytes of bytes, in the
//! order of encoding. How a chain stands in metadata is in `codec/documents.rs`.

mod blosc;
mod chain;
mod documents;
mod parse;

use std::fmt;

use array::DType;

pub use blosc::{BloscCname, BloscShuffle};
pub use chain::CodecChain;
pub(crate) use documents::V2Codecs;

/// One codec of a chunk, with its parameters.
///
/// ```
/// use zarr::Codec;
/// let codec: Codec = "zstd:3".parse()?;
/// assert_eq!(codec, Codec::Zstd { level: 3, has_checksum: false });
/// assert_eq!(Codec::default().to_string(), "blosc-zstd:1");
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// Elements in another order of dimensions.
    Transpose {
        /// The dimension that is stored at each place; `None` for the reverse order, which is the
        /// only one that version 2 has.
        order: Option<Vec<usize>>,
    },
    /// The first element of a chunk, then the difference of each integer to the one before.
    Delta {
        /// The type of the differences; that of the elements if not given.
        astype: Option<DType>,
    },
    /// `(x - offset) * scale`, rounded to a whole number.
    FixedScaleOffset {
        /// What floats are multiplied with.
        scale: f64,
        /// What is subtracted before.
        offset: f64,
        /// The type that is stored; that of the elements if not given.
        astype: Option<DType>,
    },
    /// Floats, rounded to a power of two that is finer than so many decimal digits.
    Quantize {
        /// Digits behind the point; negative ones before it.
        digits: i32,
    },
    /// Floats, rounded to so many bits of the mantissa.
    BitRound {
        /// From 0 to 10, 23 or 52, by the type.
        keep_bits: u32,
    },
    /// First bytes of all elements, then second bytes...
    Shuffle {
        /// Bytes of an element; those of the type if not given.
        item_bytes: Option<u8>,
    },
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
        /// Whether every frame has a checksum.
        has_checksum: bool,
    },
    /// Gzip.
    Gzip {
        /// From 0 to 9.
        level: u8,
    },
    /// Zlib: the same without the head of a file.
    Zlib {
        /// From 0 to 9.
        level: u8,
    },
    /// Bzip2.
    Bz2 {
        /// From 1 to 9.
        level: u8,
    },
    /// LZ4, a block after its length.
    Lz4,
    /// CRC-32C behind the bytes.
    Crc32c,
    /// Fletcher's checksum behind the bytes, as HDF5 has it.
    Fletcher32,
    /// CRC-32 before the bytes.
    Crc32,
    /// Adler's checksum before the bytes.
    Adler32,
    /// Nothing.
    None,
}

impl Default for Codec {
    /// Blosc with Zstandard at level 1 and shuffled bytes: small and fast for numbers.
    fn default() -> Self {
        Self::Blosc { cname: BloscCname::Zstd, level: 1, shuffle: BloscShuffle::Bytes }
    }
}

impl Codec {
    /// Whether it works on elements, by their type or rank, and not on bytes.
    pub fn is_filter(&self) -> bool {
        matches!(
            self,
            Self::Transpose { .. }
                | Self::Delta { .. }
                | Self::FixedScaleOffset { .. }
                | Self::Quantize { .. }
                | Self::BitRound { .. }
        )
    }

    /// Whether it is a compressor, which version 2 has a place of its own for.
    fn is_compressor(&self) -> bool {
        matches!(
            self,
            Self::Blosc { .. }
                | Self::Zstd { .. }
                | Self::Gzip { .. }
                | Self::Zlib { .. }
                | Self::Bz2 { .. }
                | Self::Lz4
        )
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let astype = |astype: &Option<DType>| {
            astype.map_or(String::new(), |dtype| format!(":astype={dtype}"))
        };
        match self {
            Self::Transpose { order: None } => f.write_str("transpose"),
            Self::Transpose { order: Some(order) } => {
                let order: Vec<String> = order.iter().map(usize::to_string).collect();
                write!(f, "transpose:{}", order.join(","))
            }
            Self::Delta { astype: stored } => write!(f, "delta{}", astype(stored)),
            Self::FixedScaleOffset { scale, offset, astype: stored } => {
                let stored = astype(stored);
                write!(f, "fixedscaleoffset:scale={scale}:offset={offset}{stored}")
            }
            Self::Quantize { digits } => write!(f, "quantize:{digits}"),
            Self::BitRound { keep_bits } => write!(f, "bitround:{keep_bits}"),
            Self::Shuffle { item_bytes: None } => f.write_str("shuffle"),
            Self::Shuffle { item_bytes: Some(bytes) } => write!(f, "shuffle:{bytes}"),
            Self::Blosc { cname, level, shuffle } => {
                write!(f, "blosc-{}:{level}", cname.name())?;
                match shuffle {
                    BloscShuffle::Bytes => Ok(()),
                    other => write!(f, ":shuffle={}", other.name()),
                }
            }
            Self::Zstd { level, has_checksum } => {
                write!(f, "zstd:{level}")?;
                f.write_str(if *has_checksum { ":checksum=true" } else { "" })
            }
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Zlib { level } => write!(f, "zlib:{level}"),
            Self::Bz2 { level } => write!(f, "bz2:{level}"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Crc32c => f.write_str("crc32c"),
            Self::Fletcher32 => f.write_str("fletcher32"),
            Self::Crc32 => f.write_str("crc32"),
            Self::Adler32 => f.write_str("adler32"),
            Self::None => f.write_str("none"),
        }
    }
}
