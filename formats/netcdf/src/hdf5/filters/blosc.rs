//! Blosc: a chunk is one frame of Blosc 1, which says itself how it was made.
//!
//! Source: <https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst>.

use array::NamedCodec;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};

const HEADER_BYTES: usize = 16;
/// Compressors by the number that the filter gives them.
const COMPRESSORS: [&str; 6] = ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"];

/// The codec of numcodecs that decodes the same frames.
///
/// Of the filter's numbers, the first four are versions and sizes; then come level, shuffle and compressor,
/// as far as its writer has set them.
pub(super) fn codec(filter: &FilterDescription) -> Option<NamedCodec> {
    let stated =
        |place: usize, otherwise| filter.client_data.get(place).copied().unwrap_or(otherwise);
    let cname = COMPRESSORS.get(stated(6, 0) as usize)?;
    Some(
        NamedCodec::new("blosc")
            .with("cname", *cname)
            .with("clevel", i64::from(stated(4, 5).min(9)))
            .with("shuffle", i64::from(stated(5, 1).min(2)))
            .with("blocksize", 0),
    )
}

/// Undoes the filter, for what decodes to at most so many bytes.
///
/// # Errors
/// A frame that is damaged, or that holds more.
pub(super) fn decode(encoded: &[u8], most_bytes: usize) -> Result<Vec<u8>, String> {
    let damaged = || "the frame is damaged".to_owned();
    let header = encoded.first_chunk::<HEADER_BYTES>().ok_or_else(damaged)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte])) as usize;
    let (plain_bytes, frame_bytes) = (word(4), word(12));
    if frame_bytes != encoded.len() || plain_bytes > most_bytes {
        return Err(damaged());
    }
    if plain_bytes == 0 {
        return Ok(Vec::new());
    }
    let length = blosc_validate(encoded).ok_or_else(damaged)?;
    blosc_decompress_bytes(encoded, length, 1).map_err(|_| damaged())
}
