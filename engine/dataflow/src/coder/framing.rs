//! Where a value ends within bytes, and what is said of bytes that are no value.

use std::fmt;

use super::{Coder, Context, decode_varint, encode_varint};
use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// Decodes `input` in the outer context and refuses bytes that are left over.
///
/// # Errors
/// Bytes that are no encoding of `T`, or more than one.
#[inline]
pub fn decode_all<T, C: Coder<T>>(coder: &C, mut input: &[u8]) -> Result<T> {
    let value = coder.decode(Context::Outer, &mut input)?;
    match input.len() {
        0 => Ok(value),
        left => Err(malformed(coder.kind(), &format!("{left} bytes follow the value"))),
    }
}

/// An error for bytes that are no encoding of `kind`.
pub fn malformed(kind: impl fmt::Display, why: &str) -> Error {
    Error::new(ErrorCode::CODER, ErrorKind::Corrupt, format!("cannot decode {kind}: {why}"))
}

/// An error for a value of `kind` that has no encoding.
pub fn unencodable(kind: impl fmt::Display, why: &str) -> Error {
    Error::new(ErrorCode::CODER, ErrorKind::InvalidInput, format!("cannot encode {kind}: {why}"))
}

/// Takes `length` bytes off the front of `input`.
///
/// # Errors
/// Too few bytes.
#[inline]
pub fn take<'a>(input: &mut &'a [u8], length: usize, what: &str) -> Result<&'a [u8]> {
    match input.split_at_checked(length) {
        Some((head, tail)) => {
            *input = tail;
            Ok(head)
        }
        None => Err(malformed(what, &format!("{length} bytes are needed, {} left", input.len()))),
    }
}

/// Takes the bytes of one value: all of them, or as many as the length before them says.
///
/// # Errors
/// Too few bytes.
#[inline]
pub fn take_prefixed<'a>(context: Context, input: &mut &'a [u8], what: &str) -> Result<&'a [u8]> {
    match context {
        Context::Outer => Ok(std::mem::take(input)),
        Context::Nested => {
            let length = decode_varint(input)?;
            let length = usize::try_from(length)
                .map_err(|_| malformed(what, &format!("length {length} is too large")))?;
            take(input, length, what)
        }
    }
}

/// Appends what `write` appends, preceded by its length in the nested context.
///
/// # Errors
/// Those of `write`.
#[inline]
pub fn put_prefixed(
    context: Context,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    write(out)?;
    if context == Context::Nested {
        let length = out.len() - start;
        encode_varint(length as u64, out);
        let prefix_length = out.len() - start - length;
        out[start..].rotate_right(prefix_length);
    }
    Ok(())
}
