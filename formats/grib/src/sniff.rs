//! Tells GRIB by the first bytes of a file, never by its name.

/// What every message begins with.
pub(crate) const SIGNATURE: [u8; 4] = *b"GRIB";
/// What every message ends with.
pub(crate) const END: [u8; 4] = *b"7777";
/// Bytes before the first message that are passed over: headings of bulletins, padding.
pub(crate) const MOST_PADDING_BYTES: u64 = 8 << 10;

/// Whether a file that begins with these bytes holds GRIB messages.
///
/// `head` is as much of the beginning as is at hand. A message may follow a heading of up to 8 KiB
/// if an edition that there is stands at its eighth byte.
///
/// ```
/// assert!(grib::is_grib(b"GRIB\0\0\x64\x01"));
/// assert!(!grib::is_grib(b"CDF\x01"));
/// ```
pub fn is_grib(head: &[u8]) -> bool {
    head.starts_with(&SIGNATURE) || first_message(head).is_some()
}

/// Where the first message begins, if one does within the padding.
pub(crate) fn first_message(head: &[u8]) -> Option<usize> {
    let head = &head[..head.len().min(MOST_PADDING_BYTES as usize)];
    let mut starts = head.windows(SIGNATURE.len() + 4).enumerate();
    starts.find(|(_, bytes)| is_start(bytes)).map(|(start, _)| start)
}

/// Whether a message may begin with these eight bytes: the editions there are end them.
pub(crate) fn is_start(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE) && matches!(bytes.get(7), Some(1 | 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &[u8], want: bool) {
        assert_eq!(is_grib(&[prefix, b"GRIB\0\0\x64\x02".as_slice()].concat()), want);
    }

    #[test]
    fn a_heading_may_come_first() {
        check(b"", true);
        check(b"\x01\r\r\n001\r\r\nHTXA50 KWBC 180000\r\r\n", true);
        check(&[0; 8000], true);
        check(&[0; 8192], false);
    }

    #[test]
    fn other_texts_are_not_messages() {
        assert!(!is_grib(b"about GRIB files"));
        assert!(!is_grib(b"GRI"));
        assert!(!is_grib(b""));
        // An edition that nobody knows is still told, so that opening says which it is.
        assert!(is_grib(b"GRIB\0\0\0\x03"));
    }
}
