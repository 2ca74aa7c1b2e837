//! Text out of bytes whose encoding a file does not state, or states wrongly.

/// Bytes as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text.
    pub(crate) value: String,
    /// Whether the bytes are not UTF-8, so that each became the character of its number.
    pub(crate) is_latin1: bool,
}

/// Reads UTF-8, or else ISO 8859-1, which loses no byte.
pub(crate) fn decode(bytes: &[u8]) -> Text {
    match str::from_utf8(bytes) {
        Ok(text) => Text { value: text.to_owned(), is_latin1: false },
        Err(_) => {
            Text { value: bytes.iter().map(|&byte| char::from(byte)).collect(), is_latin1: true }
        }
    }
}

/// The bytes before the first zero byte.
pub(crate) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The bytes without the zero bytes at their end.
pub(crate) fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &str, is_latin1: bool) {
        assert_eq!(decode(bytes), Text { value: want.to_owned(), is_latin1 });
    }

    #[test]
    fn utf8_stays_and_other_bytes_become_latin1() {
        check("Länge".as_bytes(), "Länge", false);
        check(b"L\xe4nge", "L\u{e4}nge", true);
        check(b"", "", false);
    }

    #[test]
    fn padding_goes_and_text_behind_a_zero_byte_too() {
        assert_eq!(until_zero(b"ab\0cd"), b"ab");
        assert_eq!(without_padding(b"a\0b\0\0"), b"a\0b");
        assert_eq!(without_padding(b"\0"), b"");
    }
}
