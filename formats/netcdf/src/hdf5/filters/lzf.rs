//! LZF: runs of literals, and copies of what was decoded before.
//!
//! A control byte below 32 announces that many literals and one more. Any other holds the length
//! of a copy in its upper three bits (7 means that a byte of length follows) and the upper bits of
//! its distance in the lower five.
//!
//! Source: liblzf, <http://oldhome.schmorp.de/marc/liblzf.html>.

use hdf5_reader::messages::filter_pipeline::FilterDescription;

/// Undoes the filter, for what decodes to at most so many bytes.
///
/// # Errors
/// A stream that is damaged, or that holds more.
pub(super) fn decode(
    filter: &FilterDescription,
    encoded: &[u8],
    most_bytes: usize,
) -> Result<Vec<u8>, String> {
    let damaged = || "the stream is damaged".to_owned();
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
