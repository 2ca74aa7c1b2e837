//! Beam's variable-length integers: seven bits a byte, least significant first.

use super::malformed;
use crate::error::Result;

/// Appends `value` in one to ten bytes.
#[inline]
pub fn encode_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes an integer off the front of `input`.
///
/// # Errors
/// An input that ends within the integer, or an integer of more than 64 bits.
#[inline]
pub fn decode_varint(input: &mut &[u8]) -> Result<u64> {
    match input.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *input = rest;
            Ok(u64::from(byte))
        }
        _ => decode_long_varint(input),
    }
}

fn decode_long_varint(input: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for (index, byte) in input.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 || index > 9 {
            return Err(malformed("varint", "more than 64 bits"));
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            *input = &input[index + 1..];
            return Ok(value);
        }
    }
    Err(malformed("varint", "the input ends within it"))
}
