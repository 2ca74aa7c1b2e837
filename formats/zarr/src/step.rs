//! One codec of the bytes of a chunk: filters, compressors and checksums.
//!
//! What comes out is never longer than a bound that the caller knows: a damaged header must not
//! make us allocate what it says. So the libraries are called where they take a bound, and Blosc
//! is asked only after its header was looked at.

use std::io::Read;

use array::Scalar;
use bytes::{Bytes, BytesMut};
use bzip2::read::{BzEncoder, MultiBzDecoder};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use flate2::Compression;
use flate2::read::{GzEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use lzma_rust2::{LzmaReader, XzReader};
use serde_json::Value;
use zarrs::array::codec::{
    BloscCompressionLevel, BloscCompressor, BloscShuffleMode, blosc_compress_bytes,
    blosc_decompress_bytes, blosc_validate,
};

use crate::codec::{BloscCname, BloscShuffle};
use crate::filter::{Filter, Lane};

/// No text chunk decodes to more than this.
const TEXT_BYTES_MAX: u64 = 1 << 30;
const CHECKSUM_BYTES: usize = 4;
const BLOSC_HEADER_BYTES: usize = 16;

/// The strongest preset has a dictionary of 64 MiB; a header that asks for more than twice that is
/// damaged.
const LZMA_MEMORY_KIB: u32 = 1 << 17;

/// A codec from bytes to bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Filter(Filter),
    Blosc { cname: BloscCname, level: u8, shuffle: BloscShuffle, type_bytes: usize },
    Zstd { level: i32, has_checksum: bool },
    Gzip { level: u8 },
    Zlib { level: u8 },
    Bz2 { level: u8 },
    Lzma { is_alone: bool },
    Lz4,
    Checksum { kind: Checksum, is_first: bool },
    Shuffle { item_bytes: usize },
}

/// A sum of four bytes, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Crc32c,
    Fletcher32,
    Crc32,
    Adler32,
}

impl Checksum {
    fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Crc32c => crc32c::crc32c(bytes),
            Self::Fletcher32 => fletcher32(bytes),
            Self::Crc32 => {
                let mut crc = flate2::Crc::new();
                crc.update(bytes);
                crc.sum()
            }
            Self::Adler32 => adler32(bytes),
        }
    }
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
        let checksum = |kind, is_usually_first| {
            let location = configuration.get("location").and_then(Value::as_str);
            let is_first = location.map_or(is_usually_first, |location| location == "start");
            Some(Self::Checksum { kind, is_first })
        };
        let step = match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "blosc" => Some(Self::blosc(configuration, item_bytes)),
            "zstd" => Some(Self::Zstd {
                level: int("level").and_then(|level| i32::try_from(level).ok()).unwrap_or(3),
                has_checksum: configuration.get("checksum") == Some(&Value::Bool(true)),
            }),
            "gzip" => Some(Self::Gzip { level: small("level").unwrap_or(5).min(9) }),
            "zlib" => Some(Self::Zlib { level: small("level").unwrap_or(1).min(9) }),
            "bz2" => Some(Self::Bz2 { level: small("level").unwrap_or(1).clamp(1, 9) }),
            "lzma" if configuration.get("filters").is_none_or(Value::is_null) => {
                match int("format").unwrap_or(1) {
                    format @ (1 | 2) => Some(Self::Lzma { is_alone: format == 2 }),
                    _ => None,
                }
            }
            "lz4" => Some(Self::Lz4),
            "crc32c" => checksum(Checksum::Crc32c, false),
            "fletcher32" => checksum(Checksum::Fletcher32, false),
            "crc32" => checksum(Checksum::Crc32, true),
            "adler32" => checksum(Checksum::Adler32, true),
            "shuffle" => match usize::from(small("elementsize").unwrap_or(4)) {
                0 => None,
                item_bytes => Some(Self::Shuffle { item_bytes }),
            },
            _ => None,
        };
        step.ok_or_else(|| {
            unsupported(format!("the codec `{name}` with {configuration} cannot be read"))
        })
    }

    /// The filter or codec of version 2 of this name, and how elements lie once it is applied.
    ///
    /// # Errors
    /// As [`Step::of`] and [`Filter::of`].
    pub(crate) fn of_lane(name: &str, configuration: &Value, lane: Lane) -> Result<(Self, Lane)> {
        if Filter::is_name(name) {
            let filter = Filter::of(name, configuration, lane)?;
            let stored = filter.stored;
            return Ok((Self::Filter(filter), stored));
        }
        Ok((Self::of(name, configuration, lane.item_bytes())?, lane))
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
            Self::Zlib { .. } => inflate(ZlibDecoder::new(&encoded[..]), bound),
            Self::Bz2 { .. } => inflate(MultiBzDecoder::new(&encoded[..]), bound),
            Self::Lzma { is_alone: false } => {
                inflate(XzReader::new_mem_limit(&encoded[..], true, LZMA_MEMORY_KIB), bound)
            }
            Self::Lzma { is_alone: true } => {
                let reader = LzmaReader::new_mem_limit(&encoded[..], LZMA_MEMORY_KIB, None);
                inflate(reader.map_err(|why| why.to_string())?, bound)
            }
            Self::Lz4 => decode_lz4(encoded, bound),
            Self::Checksum { kind, is_first } => checked(encoded, *kind, *is_first),
            Self::Filter(filter) => filter.decode(encoded),
            Self::Shuffle { item_bytes } => unshuffle(encoded, *item_bytes),
        }
    }

    /// The greatest length that so many bytes are encoded to.
    pub(crate) fn encoded_bound(&self, plain_bytes: usize) -> usize {
        match self {
            Self::Filter(filter) => filter.stored_bytes(plain_bytes),
            Self::Shuffle { .. } => plain_bytes,
            Self::Checksum { .. } => plain_bytes.saturating_add(CHECKSUM_BYTES),
            // What does not compress gets a little longer.
            _ => plain_bytes.saturating_add(plain_bytes / 8).saturating_add(65536),
        }
    }

    /// Tells a filter which values must come back as they were.
    pub(crate) fn keep(&mut self, values: &[Scalar]) {
        if let Self::Filter(filter) = self {
            filter.kept = values.to_vec();
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
                let level = Compression::new(u32::from(*level));
                deflate(GzEncoder::new(plain, level)).map_err(failed)
            }
            Self::Zlib { level } => {
                let level = Compression::new(u32::from(*level));
                deflate(ZlibEncoder::new(plain, level)).map_err(failed)
            }
            Self::Bz2 { level } => {
                let level = bzip2::Compression::new(u32::from(*level));
                deflate(BzEncoder::new(plain, level)).map_err(failed)
            }
            Self::Lz4 => match u32::try_from(plain.len()) {
                Ok(length) => {
                    let block = lz4_flex::block::compress(plain);
                    Ok([&length.to_le_bytes()[..], &block].concat())
                }
                Err(_) => Err(failed(format!("LZ4 does not take {} bytes", plain.len()))),
            },
            Self::Checksum { kind, is_first } => {
                let sum = kind.of(plain).to_le_bytes();
                Ok(if *is_first { [&sum[..], plain] } else { [plain, &sum[..]] }.concat())
            }
            Self::Shuffle { item_bytes } => shuffle(plain, *item_bytes).map_err(failed),
            Self::Filter(filter) => filter.encode(plain),
            Self::Lzma { .. } => Err(unsupported("the codec `lzma` is only read")),
        }
    }
}

fn unsupported(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}

fn deflate(mut encoder: impl Read) -> Result<Vec<u8>, String> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).map_err(|why| why.to_string())?;
    Ok(encoded)
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
    let plain = lz4_flex::block::decompress(block, length as usize);
    let plain = plain.map_err(|why| why.to_string())?;
    // A block that is cut short between two sequences decodes as far as it goes.
    if plain.len() != length as usize {
        return Err(format!("it holds {} bytes instead of {length}", plain.len()));
    }
    Ok(plain.into())
}

fn checked(encoded: &Bytes, kind: Checksum, is_first: bool) -> Result<Bytes, String> {
    let split = if is_first {
        encoded.split_first_chunk::<CHECKSUM_BYTES>().map(|(sum, plain)| (plain, sum))
    } else {
        encoded.split_last_chunk::<CHECKSUM_BYTES>()
    };
    let none = || format!("{} bytes hold no checksum", encoded.len());
    let (plain, stored) = split.ok_or_else(none)?;
    if kind.of(plain) != u32::from_le_bytes(*stored) {
        return Err("the checksum is wrong".to_owned());
    }
    Ok(encoded.slice_ref(plain))
}

/// Adler's checksum, as zlib has it.
///
/// Source: RFC 1950, section 9, <https://www.rfc-editor.org/rfc/rfc1950>.
fn adler32(data: &[u8]) -> u32 {
    const BASE: u32 = 65521;
    let (mut a, mut b) = (1u32, 0u32);
    // Sums of 5552 bytes do not overflow.
    for block in data.chunks(5552) {
        for &byte in block {
            a += u32::from(byte);
            b += a;
        }
        (a, b) = (a % BASE, b % BASE);
    }
    b << 16 | a
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

fn shuffle(plain: &[u8], item_bytes: usize) -> Result<Vec<u8>, String> {
    if !plain.len().is_multiple_of(item_bytes) {
        return Err(format!("{} bytes are no elements of {item_bytes}", plain.len()));
    }
    let places = (0..item_bytes)
        .flat_map(|place| plain[place.min(plain.len())..].iter().step_by(item_bytes));
    Ok(places.copied().collect())
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
