//! The filters of HDF5 by number: their names, and those that `hdf5-reader` does not bring along.

mod bitshuffle;
mod blosc;
mod lzf;

use std::io::Read;

use array::NamedCodec;
use bzip2::read::MultiBzDecoder;
use hdf5_reader::FilterRegistry;
use hdf5_reader::error::Error as LibraryError;
use hdf5_reader::messages::filter_pipeline::FilterDescription;

pub(super) const DEFLATE: u16 = 1;
pub(super) const SHUFFLE: u16 = 2;
pub(super) const FLETCHER32: u16 = 3;
const BZIP2: u16 = 307;
const LZF: u16 = 32_000;
const BLOSC: u16 = 32_001;
const BITSHUFFLE: u16 = 32_008;
const ZSTD: u16 = 32_015;

/// Numbers and names, and whether this reader decodes what the filter encodes.
///
/// Source: <https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md>.
const KNOWN: [(u16, &str, bool); 15] = [
    (DEFLATE, "deflate", true),
    (SHUFFLE, "shuffle", true),
    (FLETCHER32, "fletcher32", true),
    (4, "szip", true),
    (5, "nbit", true),
    (6, "scaleoffset", true),
    (BZIP2, "bzip2", true),
    (LZF, "lzf", true),
    (BLOSC, "blosc", true),
    (32_004, "lz4", true),
    (BITSHUFFLE, "bitshuffle", true),
    (32_013, "zfp", false),
    (ZSTD, "zstd", true),
    (32_017, "sz", false),
    (32_026, "blosc2", false),
];

/// The name of a filter; its number if it is not known.
pub(super) fn name(id: u16) -> String {
    let known = KNOWN.iter().find(|(known, ..)| *known == id);
    known.map_or_else(|| id.to_string(), |(_, name, _)| (*name).to_owned())
}

/// Whether what the filter encodes can be decoded.
pub(super) fn is_supported(id: u16) -> bool {
    KNOWN.iter().any(|&(known, _, is_supported)| known == id && is_supported)
}

/// The codec of numcodecs that undoes a filter, if there is one: LZ4, LZF and bitshuffle have frames
/// of their own here.
pub(super) fn codec(filter: &FilterDescription, unit_bytes: usize) -> Option<NamedCodec> {
    let first = filter.client_data.first().copied().map(i64::from);
    match filter.id {
        DEFLATE => Some(NamedCodec::new("zlib").with("level", first.unwrap_or(1).clamp(0, 9))),
        SHUFFLE => {
            let bytes = shuffled_bytes(filter, unit_bytes);
            Some(NamedCodec::new("shuffle").with("elementsize", bytes as i64))
        }
        FLETCHER32 => Some(NamedCodec::new("fletcher32")),
        BZIP2 => Some(NamedCodec::new("bz2").with("level", first.unwrap_or(9).clamp(1, 9))),
        BLOSC => blosc::codec(filter),
        ZSTD => Some(NamedCodec::new("zstd").with("level", first.unwrap_or(3))),
        _ => None,
    }
}

/// Bytes of an element as the filter shuffles them; `unit_bytes` where it does not say.
pub(super) fn shuffled_bytes(filter: &FilterDescription, unit_bytes: usize) -> usize {
    let stated = filter.client_data.first().copied().filter(|&bytes| bytes > 0);
    stated.map_or(unit_bytes.max(1), |bytes| bytes as usize)
}

/// Decoders for all supported filters, for chunks of at most this many bytes.
pub(super) fn registry(most_bytes: usize) -> FilterRegistry {
    type Decode = fn(&FilterDescription, &[u8], usize) -> Result<Vec<u8>, String>;
    let decoders: [(u16, Decode); 5] = [
        (BZIP2, |_, encoded, most| read(MultiBzDecoder::new(encoded), most)),
        (LZF, lzf::decode),
        (BLOSC, |_, encoded, most| blosc::decode(encoded, most)),
        (BITSHUFFLE, bitshuffle::decode),
        (ZSTD, |_, encoded, most| unzstd(encoded, most)),
    ];
    let mut registry = FilterRegistry::new();
    for (id, decode) in decoders {
        let decode = move |filter: &FilterDescription, encoded: &[u8], _: usize| {
            decode(filter, encoded, most_bytes).map_err(|why| {
                LibraryError::DecompressionError(format!("{}: {why}", name(filter.id)))
            })
        };
        registry.register(id, Box::new(decode));
    }
    registry
}

fn unzstd(encoded: &[u8], most_bytes: usize) -> Result<Vec<u8>, String> {
    read(zstd::Decoder::with_buffer(encoded).map_err(|why| why.to_string())?, most_bytes)
}

/// All that a decoder gives. As a stream: a length that a header states is not to be believed before it is
/// there.
fn read(decoder: impl Read, most_bytes: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    decoder.take(most_bytes as u64 + 1).read_to_end(&mut out).map_err(|why| why.to_string())?;
    Ok(out)
}
