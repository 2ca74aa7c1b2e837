//! One codec from bytes to bytes: compressors and checksums.
//!
//! What comes out is never longer than a bound that the caller knows: a damaged header must not
//! make us allocate what it says. So the libraries are called where they take a bound, and Blosc
//! is asked only after its header was looked at.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use flate2::Compression;
use flate2::read::{GzEncoder, MultiGzDecoder, ZlibDecoder};
use serde_json::Value;
use zarrs::array::codec::{
    BloscCompressionLevel, BloscCompressor, BloscShuffleMode, blosc_compress_bytes,
    blosc_decompress_bytes, blosc_validate,
};

use crate::layout::{BloscCname, BloscShuffle};

/// No text chunk decodes to more than this.
const TEXT_BYTES_MAX: u64 = 1 << 30;
const CHECKSUM_BYTES: usize = 4;
const BLOSC_HEADER_BYTES: usize = 16;

/// A codec from bytes to bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Blosc { cname: BloscCname, level: u8, shuffle: BloscShuffle, type_bytes: usize },
    Zstd { level: i32, has_checksum: bool },
    Gzip { level: u8 },
    Zlib,
    Lz4,
    Crc32c,
    Fletcher32,
    Shuffle { item_bytes: usize },
}

impl Step {
    /// The codec of this name with this configuration, of either format; elements have
    /// `item_bytes`.
    ///
    /// # Errors
    /// A codec that is not known, or a configuration that makes no sense.
    pub(crate) fn of(name: &str, configuration: &Value, item_bytes: usize) -> Result<Self> {
        let int = |key: &str| configuration.get(key).and_then(Value::as_i64);
        let small = |key: &str| int(key).and_then(|value| u8::try_from(value).ok());
        let step = match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "blosc" => Some(Self::blosc(configuration, item_bytes)),
            "zstd" => Some(Self::Zstd {
                level: int("level").and_then(|level| i32::try_from(level).ok()).unwrap_or(3),
                has_checksum: configuration.get("checksum") == Some(&Value::Bool(true)),
            }),
            "gzip" => Some(Self::Gzip { level: small("level").unwrap_or(5).min(9) }),
            "zlib" => Some(Self::Zlib),
            "lz4" => Some(Self::Lz4),
            "crc32c" => Some(Self::Crc32c),
            "fletcher32" => Some(Self::Fletcher32),
            "shuffle" => match usize::from(small("elementsize").unwrap_or(4)) {
                0 => None,
                item_bytes => Some(Self::Shuffle { item_bytes }),
            },
            _ => None,
        };
        step.ok_or_else(|| {
            let message = format!("the codec `{name}` cannot be read");
            Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
        })
    }

    fn blosc(configuration: &Value, item_bytes: usize) -> Self {
        let text = |key: &str| configuration.get(key).and_then(Value::as_str);
        let int = |key: &str| configuration.get(key).and_then(Value::as_u64);
        let shuffle = match (text("shuffle"), int("shuffle")) {
            (Some(name), _) => BloscShuffle::of_name(name),
            (None, Some(1)) => Some(BloscShuffle::Bytes),
            (None, Some(2)) => Some(BloscShuffle::Bits),
            _ => None,
        };
        // What is left out matters to writers only: every Blosc frame says how it was made.
        Self::Blosc {
            cname: text("cname").and_then(BloscCname::of_name).unwrap_or(BloscCname::Lz4),
            level: int("clevel").and_then(|level| u8::try_from(level).ok()).unwrap_or(5).min(9),
            shuffle: shuffle.unwrap_or(BloscShuffle::None),
            type_bytes: int("typesize").map_or(item_bytes, |bytes| bytes as usize),
        }
    }

    /// Undoes the codec; `bound` is the greatest length that can come out, if one is known.
    ///
    /// # Errors
    /// The reason why these bytes are not what the codec wrote.
    pub(crate) fn decode(&self, encoded: &Bytes, bound: Option<usize>) -> Result<Bytes, String> {
        match self {
            Self::Blosc { .. } => decode_blosc(encoded, bound),
            Self::Zstd { .. } => decode_zstd(encoded, bound),
            Self::Gzip { .. } => inflate(MultiGzDecoder::new(&encoded[..]), bound),
            Self::Zlib => inflate(ZlibDecoder::new(&encoded[..]), bound),
            Self::Lz4 => decode_lz4(encoded, bound),
            Self::Crc32c => checked(encoded, crc32c::crc32c),
            Self::Fletcher32 => checked(encoded, fletcher32),
            Self::Shuffle { item_bytes } => unshuffle(encoded, *item_bytes),
        }
    }

    /// Applies the codec. The same bytes give the same bytes.
    ///
    /// # Errors
    /// A codec that is only read, or one that fails.
    pub(crate) fn encode(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let failed = |why: String| {
            Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, why)
                .context("a chunk cannot be compressed")
        };
        match self {
            Self::Blosc { cname, level, shuffle, type_bytes } => {
                let level = BloscCompressionLevel::try_from(*level)
                    .map_err(|level| failed(format!("Blosc has no level {level}")))?;
                let (cname, shuffle) = (blosc_cname(*cname), blosc_shuffle(*shuffle));
                blosc_compress_bytes(plain, level, shuffle, *type_bytes, cname, 0, 1)
                    .map_err(|why| failed(why.to_string()))
            }
            Self::Zstd { level, has_checksum } => zstd::bulk::Compressor::new(*level)
                .and_then(|mut compressor| {
                    compressor.include_checksum(*has_checksum)?;
                    compressor.compress(plain)
                })
                .map_err(|why| failed(why.to_string())),
            Self::Gzip { level } => {
                let mut encoded = Vec::new();
                GzEncoder::new(plain, Compression::new(u32::from(*level)))
                    .read_to_end(&mut encoded)
                    .map_err(|why| failed(why.to_string()))?;
                Ok(encoded)
            }
            _ => Err(Error::internal(format!("{self:?} is only read"))),
        }
    }
}

fn blosc_cname(cname: BloscCname) -> BloscCompressor {
    match cname {
        BloscCname::BloscLz => BloscCompressor::BloscLZ,
        BloscCname::Lz4 => BloscCompressor::LZ4,
        BloscCname::Lz4hc => BloscCompressor::LZ4HC,
        BloscCname::Snappy => BloscCompressor::Snappy,
        BloscCname::Zlib => BloscCompressor::Zlib,
        BloscCname::Zstd => BloscCompressor::Zstd,
    }
}

fn blosc_shuffle(shuffle: BloscShuffle) -> BloscShuffleMode {
    match shuffle {
        BloscShuffle::None => BloscShuffleMode::NoShuffle,
        BloscShuffle::Bytes => BloscShuffleMode::Shuffle,
        BloscShuffle::Bits => BloscShuffleMode::BitShuffle,
    }
}

fn too_long(length: u64) -> String {
    format!("it says that it holds {length} bytes, which are too many")
}

fn decode_blosc(encoded: &[u8], bound: Option<usize>) -> Result<Bytes, String> {
    let cut_short = || format!("{} bytes are no whole Blosc frame", encoded.len());
    let header = encoded.get(..BLOSC_HEADER_BYTES).ok_or_else(cut_short)?;
    let word = |at: usize| {
        u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes of the header"))
    };
    let (plain_bytes, frame_bytes) = (u64::from(word(4)), u64::from(word(12)));
    if frame_bytes != encoded.len() as u64 {
        return Err(cut_short());
    }
    if plain_bytes > bound.map_or(TEXT_BYTES_MAX, |bound| bound as u64) {
        return Err(too_long(plain_bytes));
    }
    if plain_bytes == 0 {
        return Ok(Bytes::new());
    }
    let length = blosc_validate(encoded).ok_or("the Blosc header is damaged")?;
    let plain = blosc_decompress_bytes(encoded, length, 1);
    plain.map(Bytes::from).map_err(|_| "the Blosc frame is damaged".to_owned())
}

fn decode_zstd(encoded: &[u8], bound: Option<usize>) -> Result<Bytes, String> {
    let Some(bound) = bound else {
        let decoder = zstd::stream::read::Decoder::with_buffer(encoded);
        return inflate(decoder.map_err(|why| why.to_string())?, None);
    };
    let mut plain = reserved(bound)?;
    zstd::bulk::Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(encoded, &mut plain))
        .map_err(|why| why.to_string())?;
    Ok(plain.into())
}

/// Room for what comes out; metadata may promise more than there is.
fn reserved(length: usize) -> Result<Vec<u8>, String> {
    let mut room = Vec::new();
    room.try_reserve_exact(length).map_err(|_| format!("there is no memory for {length} bytes"))?;
    Ok(room)
}

fn inflate(decoder: impl Read, bound: Option<usize>) -> Result<Bytes, String> {
    let limit = bound.map_or(TEXT_BYTES_MAX, |bound| bound as u64);
    let mut plain = reserved(bound.unwrap_or(0))?;
    decoder.take(limit.saturating_add(1)).read_to_end(&mut plain).map_err(|why| why.to_string())?;
    if plain.len() as u64 > limit {
        return Err(format!("it holds more than {limit} bytes"));
    }
    Ok(plain.into())
}

fn decode_lz4(encoded: &[u8], bound: Option<usize>) -> Result<Bytes, String> {
    let (length, block) = encoded.split_first_chunk::<4>().ok_or("it has no length")?;
    let length = u32::from_le_bytes(*length);
    if u64::from(length) > bound.map_or(TEXT_BYTES_MAX, |bound| bound as u64) {
        return Err(too_long(u64::from(length)));
    }
    lz4_flex::block::decompress(block, length as usize)
        .map(Bytes::from)
        .map_err(|why| why.to_string())
}

fn checked(encoded: &Bytes, checksum: impl Fn(&[u8]) -> u32) -> Result<Bytes, String> {
    let (plain, stored) = encoded
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| format!("{} bytes hold no checksum", encoded.len()))?;
    if checksum(plain) != u32::from_le_bytes(*stored) {
        return Err("the checksum is wrong".to_owned());
    }
    Ok(encoded.slice(..plain.len()))
}

/// Fletcher's checksum as HDF5 has it: over big-endian words of 16 bits, an odd byte being the
/// high half of a last word.
///
/// Source: HDF5, `H5checksum.c`, <https://github.com/HDFGroup/hdf5/blob/develop/src/H5checksum.c>.
fn fletcher32(data: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut sum1, mut sum2) = (0u32, 0u32);
    // Sums of 360 words do not overflow.
    for block in data.chunks(720) {
        for word in block.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            sum1 += u32::from(u16::from_be_bytes([word[0], low]));
            sum2 += sum1;
        }
        (sum1, sum2) = (fold(sum1), fold(sum2));
    }
    fold(sum2) << 16 | fold(sum1)
}

fn unshuffle(encoded: &[u8], item_bytes: usize) -> Result<Bytes, String> {
    let count = encoded.len() / item_bytes;
    if count * item_bytes != encoded.len() {
        return Err(format!("{} bytes are no elements of {item_bytes}", encoded.len()));
    }
    let mut plain = BytesMut::zeroed(encoded.len());
    for (place, bytes) in encoded.chunks_exact(count.max(1)).enumerate() {
        let targets = plain[place..].iter_mut().step_by(item_bytes);
        targets.zip(bytes).for_each(|(target, byte)| *target = *byte);
    }
    Ok(plain.freeze())
}

#[cfg(test)]
mod tests;
