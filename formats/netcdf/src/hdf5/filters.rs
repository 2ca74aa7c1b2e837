//! The filters of HDF5 by number: their names, and those that `hdf5-reader` does not bring along.

use std::io::Read;

use array::NamedCodec;
use hdf5_reader::FilterRegistry;
use hdf5_reader::error::Error as LibraryError;
use hdf5_reader::messages::filter_pipeline::FilterDescription;

pub(super) const DEFLATE: u16 = 1;
pub(super) const SHUFFLE: u16 = 2;
pub(super) const FLETCHER32: u16 = 3;
const LZF: u16 = 32_000;
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
    (307, "bzip2", false),
    (LZF, "lzf", true),
    (32_001, "blosc", false),
    (32_004, "lz4", true),
    (32_008, "bitshuffle", false),
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

/// The codec of numcodecs that undoes a filter, if there is one: LZ4 and LZF have frames of their
/// own here.
pub(super) fn codec(filter: &FilterDescription, unit_bytes: usize) -> Option<NamedCodec> {
    let first = filter.client_data.first().copied().map(i64::from);
    match filter.id {
        DEFLATE => Some(NamedCodec::new("zlib").with("level", first.unwrap_or(1).clamp(0, 9))),
        SHUFFLE => {
            let bytes = shuffled_bytes(filter, unit_bytes);
            Some(NamedCodec::new("shuffle").with("elementsize", bytes as i64))
        }
        FLETCHER32 => Some(NamedCodec::new("fletcher32")),
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
    let mut registry = FilterRegistry::new();
    registry.register(ZSTD, Box::new(move |_, encoded, _| unzstd(encoded, most_bytes)));
    registry.register(LZF, Box::new(move |filter, encoded, _| unlzf(filter, encoded, most_bytes)));
    registry
}

fn unzstd(encoded: &[u8], most_bytes: usize) -> Result<Vec<u8>, LibraryError> {
    // As a stream: the length that its header states is not to be believed before it is there.
    let mut out = Vec::new();
    zstd::Decoder::with_buffer(encoded)
        .and_then(|decoder| decoder.take(most_bytes as u64 + 1).read_to_end(&mut out))
        .map_err(|error| LibraryError::DecompressionError(format!("zstd: {error}")))?;
    Ok(out)
}

/// LZF: runs of literals, and copies of what was decoded before.
///
/// A control byte below 32 announces that many literals and one more. Any other holds the length
/// of a copy in its upper three bits (7 means that a byte of length follows) and the upper bits of
/// its distance in the lower five.
///
/// Source: liblzf, <http://oldhome.schmorp.de/marc/liblzf.html>.
fn unlzf(
    filter: &FilterDescription,
    encoded: &[u8],
    most_bytes: usize,
) -> Result<Vec<u8>, LibraryError> {
    let damaged = || LibraryError::DecompressionError("lzf: the stream is damaged".to_owned());
    let stated = filter.client_data.get(2).map_or(most_bytes, |&bytes| bytes as usize);
    let most_bytes = most_bytes.min(stated.max(1));
    let mut out: Vec<u8> = Vec::new();
    let mut rest = encoded;
    while let Some((&control, after)) = rest.split_first() {
        if control < 32 {
            let (literals, after) =
                after.split_at_checked(usize::from(control) + 1).ok_or_else(damaged)?;
            out.extend_from_slice(literals);
            rest = after;
        } else {
            let is_long = control >> 5 == 7;
            let (tail, after) =
                after.split_at_checked(1 + usize::from(is_long)).ok_or_else(damaged)?;
            let (low, long) = (tail[tail.len() - 1], if is_long { tail[0] } else { 0 });
            let length = usize::from(control >> 5) + usize::from(long) + 2;
            let distance = (usize::from(control & 0x1F) << 8 | usize::from(low)) + 1;
            let from = out.len().checked_sub(distance).ok_or_else(damaged)?;
            // The copy may reach into what it writes.
            (from..from + length).for_each(|at| out.push(out[at]));
            rest = after;
        }
        if out.len() > most_bytes {
            return Err(damaged());
        }
    }
    Ok(out)
}
