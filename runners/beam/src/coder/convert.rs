//! From the bytes of one coder to those of another that means the same.

use dataflow::coder::{
    Context, decode_varint, encode_varint, malformed, put_prefixed, take, take_prefixed,
};
use dataflow::error::Result;

use super::WireCoder;
use super::header::take_array;

/// A coder, and the context in which its values stand.
pub type Form<'a> = (&'a WireCoder, Context);

/// Takes a value in one form off the front of `input` and appends it in the other.
///
/// The forms may differ in context, in lengths before parts, and in iterables whose number is known
/// or not; iterables are written with their number. What holds an iterable may be bytes to others.
///
/// # Errors
/// Bytes that are no value of the first coder, or coders that do not mean the same.
pub fn convert(from: Form<'_>, to: Form<'_>, input: &mut &[u8], out: &mut Vec<u8>) -> Result<()> {
    use WireCoder::{
        Bool, Bytes, Double, GlobalWindow, IntervalWindow, Iterable, Kv, LengthPrefix, Nullable,
        Opaque, Utf8, VarInt,
    };
    let ((coder, context), (target, target_context)) = (from, to);
    match (coder, target) {
        (LengthPrefix(inner), _) => {
            let mut bytes = take_prefixed(Context::Nested, input, "length_prefix")?;
            convert((inner, Context::Outer), to, &mut bytes, out)?;
            all_was_read(coder, bytes)
        }
        (_, LengthPrefix(inner)) => put_prefixed(Context::Nested, out, |out| {
            convert(from, (inner, Context::Outer), input, out)
        }),
        (Bytes, value) if value.holds_iterable() => {
            let mut bytes = take_prefixed(context, input, "bytes")?;
            convert((target, Context::Outer), to, &mut bytes, out)?;
            all_was_read(coder, bytes)
        }
        (value, Bytes) if value.holds_iterable() => put_prefixed(target_context, out, |out| {
            convert(from, (coder, Context::Outer), input, out)
        }),
        (Bytes | Utf8, Bytes | Utf8 | Opaque(_)) => {
            copy_framed(context, target_context, input, out)
        }
        (Opaque(_), Bytes | Opaque(_)) if context == Context::Outer => {
            copy_framed(context, target_context, input, out)
        }
        (Bool, Bool) => copy(1, input, out),
        (Double, Double) => copy(8, input, out),
        (VarInt, VarInt) => {
            encode_varint(decode_varint(input)?, out);
            Ok(())
        }
        (GlobalWindow, GlobalWindow) => Ok(()),
        (IntervalWindow, IntervalWindow) => {
            copy(8, input, out)?;
            encode_varint(decode_varint(input)?, out);
            Ok(())
        }
        (Kv(key, value), Kv(target_key, target_value)) => {
            convert((key, Context::Nested), (target_key, Context::Nested), input, out)?;
            convert((value, context), (target_value, target_context), input, out)
        }
        (Nullable(item), Nullable(target_item)) => {
            let flag = take(input, 1, "nullable")?;
            out.extend_from_slice(flag);
            match flag {
                [0] => Ok(()),
                [1] => convert((item, context), (target_item, target_context), input, out),
                other => Err(malformed(coder, &format!("byte {other:?} is neither 0 nor 1"))),
            }
        }
        (Iterable(item, _), Iterable(target_item, _)) => {
            convert_items(item, target_item, input, out)
        }
        (coder, target) => Err(malformed(target, &format!("the runner speaks of {coder}"))),
    }
}

fn all_was_read(coder: &WireCoder, rest: &[u8]) -> Result<()> {
    match rest.len() {
        0 => Ok(()),
        left => Err(malformed(coder, &format!("{left} bytes follow the value"))),
    }
}

/// Iterables have the same form in both contexts: a number and the items, or blocks of items.
fn convert_items(
    item: &WireCoder,
    target: &WireCoder,
    input: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let count = i32::from_be_bytes(take_array(input, "iterable")?);
    let start = out.len();
    out.extend_from_slice(&count.to_be_bytes());
    let items = |count: u64, input: &mut &[u8], out: &mut Vec<u8>| {
        (0..count).try_for_each(|_| {
            convert((item, Context::Nested), (target, Context::Nested), input, out)
        })
    };
    if count >= 0 {
        return items(count.unsigned_abs().into(), input, out);
    }
    let mut total = 0u64;
    loop {
        match decode_varint(input)? {
            0 => break,
            block if block as i64 == END_IN_STATE => {
                return Err(malformed("iterable", "its end lies in the state of the runner"));
            }
            block => {
                items(block, input, out)?;
                total += block;
            }
        }
    }
    let total = i32::try_from(total)
        .map_err(|_| malformed("iterable", &format!("{total} items are too many")))?;
    out[start..start + 4].copy_from_slice(&total.to_be_bytes());
    Ok(())
}

/// Stands for the number of a block where what follows is a token of the runner.
pub(super) const END_IN_STATE: i64 = -1;

fn copy(count: usize, input: &mut &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(take(input, count, "value")?);
    Ok(())
}

fn copy_framed(
    context: Context,
    target_context: Context,
    input: &mut &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let bytes = take_prefixed(context, input, "bytes")?;
    if target_context == Context::Nested {
        encode_varint(bytes.len() as u64, out);
    }
    out.extend_from_slice(bytes);
    Ok(())
}
