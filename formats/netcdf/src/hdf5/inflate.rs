//! Deflate, into buffers that are used again.

use array::error::Result;
use flate2::{Decompress, FlushDecompress, Status};

use crate::fault::corrupt;

/// Deflate expands by no more than this.
pub(super) const MOST_EXPANSION: usize = 1032;
/// What a stream of almost no bytes may decode to besides.
const LEAST_BYTES: usize = 64;

/// Decodes `encoded` into the beginning of `out`, which is made to hold `most_bytes`.
///
/// Returns the number of bytes decoded. Memory: `most_bytes`, unless no stream of this length
/// can be that long; a damaged length allocates nothing.
///
/// # Errors
/// A stream that is damaged, ends early, fails its checksum, or decodes to more.
pub(super) fn inflate(
    state: &mut Decompress,
    encoded: &[u8],
    out: &mut Vec<u8>,
    most_bytes: usize,
) -> Result<usize> {
    let possible = encoded.len().saturating_mul(MOST_EXPANSION).saturating_add(LEAST_BYTES);
    let room = most_bytes.min(possible);
    if out.len() < room {
        out.resize(room, 0);
    }
    state.reset(true);
    let status = state
        .decompress(encoded, &mut out[..room], FlushDecompress::Finish)
        .map_err(|error| corrupt(format!("deflate: {error}")))?;
    match status {
        Status::StreamEnd => Ok(state.total_out() as usize),
        _ if state.total_out() as usize == room => {
            Err(corrupt(format!("deflate: the stream decodes to more than {room} bytes")))
        }
        _ => Err(corrupt("deflate: the stream is cut short")),
    }
}
