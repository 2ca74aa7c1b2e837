//! Coders of values without components.

use bytes::Bytes;

use super::{
    Coder, CoderKind, Context, Preview, decode_varint, encode_varint, malformed, put_prefixed,
    take, take_prefixed,
};
use crate::error::Result;

/// The unit: no bytes at all, and a length of zero when nested.
#[derive(Debug, Clone, Copy)]
pub struct UnitCoder;

impl Coder<()> for UnitCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("unit".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, (): &(), context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |_| Ok(()))
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<()> {
        match take_prefixed(context, input, "unit")? {
            [] => Ok(()),
            more => Err(malformed("unit", &format!("{} bytes instead of none", more.len()))),
        }
    }

    fn preview(&self, (): &(), out: &mut Preview) {
        out.push_str("()");
    }
}

/// `beam:coder:bool:v1`: one byte, 0 or 1.
#[derive(Debug, Clone, Copy)]
pub struct BoolCoder;

impl Coder<bool> for BoolCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Bool
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &bool, _: Context, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn decode(&self, _: Context, input: &mut &[u8]) -> Result<bool> {
        match take(input, 1, "bool")? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(malformed("bool", &format!("byte {other:?} is neither 0 nor 1"))),
        }
    }

    fn preview(&self, value: &bool, out: &mut Preview) {
        out.push_display(value);
    }
}

/// `beam:coder:varint:v1` for `i64`: the two's complement in seven bits a byte.
#[derive(Debug, Clone, Copy)]
pub struct VarIntCoder;

impl Coder<i64> for VarIntCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::VarInt
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &i64, _: Context, out: &mut Vec<u8>) -> Result<()> {
        encode_varint(value.cast_unsigned(), out);
        Ok(())
    }

    fn decode(&self, _: Context, input: &mut &[u8]) -> Result<i64> {
        Ok(decode_varint(input)?.cast_signed())
    }

    fn preview(&self, value: &i64, out: &mut Preview) {
        out.push_display(value);
    }
}

/// `beam:coder:varint:v1` for the integers that fit an `i64`.
#[derive(Debug, Clone, Copy)]
pub struct SmallIntCoder;

macro_rules! small_ints {
    ($($type:ty),+) => {$(
        impl Coder<$type> for SmallIntCoder {
            fn kind(&self) -> CoderKind {
                CoderKind::VarInt
            }

            fn is_deterministic(&self) -> bool {
                true
            }

            fn encode(&self, value: &$type, context: Context, out: &mut Vec<u8>) -> Result<()> {
                VarIntCoder.encode(&i64::from(*value), context, out)
            }

            fn decode(&self, context: Context, input: &mut &[u8]) -> Result<$type> {
                let value = VarIntCoder.decode(context, input)?;
                <$type>::try_from(value)
                    .map_err(|_| malformed(stringify!($type), &format!("{value} is out of range")))
            }

            fn preview(&self, value: &$type, out: &mut Preview) {
                out.push_display(value);
            }
        }
    )+};
}

small_ints!(i8, i16, i32, u16, u32);

/// Numbers for which Beam has no coder: varints of 64 unsigned bits, floats of four bytes.
#[derive(Debug, Clone, Copy)]
pub struct OpaqueCoder;

impl Coder<u64> for OpaqueCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("u64".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &u64, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            encode_varint(*value, out);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<u64> {
        if context == Context::Outer {
            return decode_varint(input);
        }
        let mut inner = take_prefixed(context, input, "u64")?;
        let value = decode_varint(&mut inner)?;
        if inner.is_empty() { Ok(value) } else { Err(malformed("u64", "bytes follow the value")) }
    }

    fn preview(&self, value: &u64, out: &mut Preview) {
        out.push_display(value);
    }
}

impl Coder<usize> for OpaqueCoder {
    fn kind(&self) -> CoderKind {
        <Self as Coder<u64>>::kind(self)
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &usize, context: Context, out: &mut Vec<u8>) -> Result<()> {
        self.encode(&(*value as u64), context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<usize> {
        let value: u64 = self.decode(context, input)?;
        usize::try_from(value).map_err(|_| malformed("usize", &format!("{value} is too large")))
    }

    fn preview(&self, value: &usize, out: &mut Preview) {
        out.push_display(value);
    }
}

impl Coder<f32> for OpaqueCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("f32".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &f32, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<f32> {
        let bytes = take_prefixed(context, input, "f32")?;
        let bytes = bytes
            .try_into()
            .map_err(|_| malformed("f32", &format!("{} bytes instead of 4", bytes.len())))?;
        Ok(f32::from_be_bytes(bytes))
    }

    fn preview(&self, value: &f32, out: &mut Preview) {
        out.push_display(value);
    }
}

/// `beam:coder:double:v1`: eight bytes, big endian.
///
/// Not deterministic, as in Beam: 0.0 and -0.0 are equal and have different bytes.
#[derive(Debug, Clone, Copy)]
pub struct DoubleCoder;

impl Coder<f64> for DoubleCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Double
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &f64, _: Context, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, _: Context, input: &mut &[u8]) -> Result<f64> {
        let bytes = take(input, 8, "double")?;
        Ok(f64::from_be_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    fn preview(&self, value: &f64, out: &mut Preview) {
        out.push_display(value);
    }
}

/// `beam:coder:string_utf8:v1`.
#[derive(Debug, Clone, Copy)]
pub struct Utf8Coder;

impl Coder<String> for Utf8Coder {
    fn kind(&self) -> CoderKind {
        CoderKind::Utf8
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &String, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_bytes(value.as_bytes(), context, out);
        Ok(())
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<String> {
        let bytes = take_prefixed(context, input, "string_utf8")?;
        let text = str::from_utf8(bytes).map_err(|why| malformed("string_utf8", &why.to_string()));
        text.map(str::to_owned)
    }

    fn preview(&self, value: &String, out: &mut Preview) {
        out.push_quoted(value);
    }
}

/// `beam:coder:bytes:v1`, for `Vec<u8>` and for shared [`Bytes`].
#[derive(Debug, Clone, Copy)]
pub struct BytesCoder;

impl Coder<Vec<u8>> for BytesCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Bytes
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Vec<u8>, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_bytes(value, context, out);
        Ok(())
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Vec<u8>> {
        Ok(take_prefixed(context, input, "bytes")?.to_vec())
    }

    fn preview(&self, value: &Vec<u8>, out: &mut Preview) {
        out.push_bytes(value);
    }
}

impl Coder<Bytes> for BytesCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Bytes
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Bytes, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_bytes(value, context, out);
        Ok(())
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(take_prefixed(context, input, "bytes")?))
    }

    fn preview(&self, value: &Bytes, out: &mut Preview) {
        out.push_bytes(value);
    }

    fn encode_shared(&self, value: &Bytes, _: &mut Vec<u8>) -> Result<Bytes> {
        Ok(value.clone())
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<Bytes> {
        if head.is_empty() { Ok(tail) } else { Ok(Bytes::from([head, &tail[..]].concat())) }
    }
}

fn put_bytes(bytes: &[u8], context: Context, out: &mut Vec<u8>) {
    if context == Context::Nested {
        encode_varint(bytes.len() as u64, out);
    }
    out.extend_from_slice(bytes);
}
