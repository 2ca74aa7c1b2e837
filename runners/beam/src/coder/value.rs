//! Any value of a standard coder.

use dataflow::coder::{
    Context, decode_varint, encode_varint, malformed, put_prefixed, take, take_prefixed,
};
use dataflow::error::Result;

use super::WireCoder;
use super::convert::END_IN_STATE;
use super::header::{Pane, take_array};

/// A value of a [`WireCoder`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Of `bytes`, and of a coder that only others know.
    Bytes(Vec<u8>),
    /// Of `string_utf8`.
    Utf8(String),
    /// Of `bool`.
    Bool(bool),
    /// Of `varint`.
    VarInt(i64),
    /// Of `double`.
    Double(f64),
    /// Of `kv`.
    Kv(Box<Self>, Box<Self>),
    /// Of both kinds of iterables.
    Iterable(Vec<Self>),
    /// Of `nullable`.
    Nullable(Option<Box<Self>>),
    /// Of `global_window`.
    GlobalWindow,
    /// Of `interval_window`, in milliseconds.
    IntervalWindow {
        /// The first point after it.
        end: i64,
        /// How long it lasts.
        span: u64,
    },
    /// Of `custom_window`.
    CustomWindow {
        /// The last point in it.
        max: i64,
        /// The window.
        window: Box<Self>,
    },
    /// Of `windowed_value` and `param_windowed_value`.
    Windowed {
        /// The time, in milliseconds.
        timestamp: i64,
        /// The windows.
        windows: Vec<Self>,
        /// The pane.
        pane: Pane,
        /// The value.
        value: Box<Self>,
    },
    /// Of `timer`.
    Timer {
        /// The key.
        key: Box<Self>,
        /// Tells timers of a family apart.
        tag: String,
        /// The windows.
        windows: Vec<Self>,
        /// When it comes; `None` clears it.
        firing: Option<Firing>,
    },
    /// Of `sharded_key`.
    ShardedKey {
        /// The shard.
        shard: Vec<u8>,
        /// The key.
        key: Box<Self>,
    },
}

/// When a timer comes, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// When it fires.
    pub fire: i64,
    /// The time of what it puts out.
    pub hold: i64,
    /// The pane.
    pub pane: Pane,
}

/// Takes what stands before a windowed value: its timestamp, its windows, its pane.
fn decode_stamp(
    window: &WireCoder,
    input: &mut &[u8],
    fetch: Fetch<'_>,
) -> Result<(i64, Vec<Value>, Pane)> {
    let timestamp = decode_time(input)?;
    let windows = decode_items(window, false, input, fetch)?;
    Ok((timestamp, windows, Pane::decode(input)?))
}

/// Gives the rest of an iterable, of which the runner has sent a token.
pub type Fetch<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Vec<u8>>;

impl Value {
    /// Takes a value off the front of `input`; all of it in the outer context.
    ///
    /// # Errors
    /// Bytes that are no value of the coder, or a rest that cannot be fetched.
    pub fn decode(
        coder: &WireCoder,
        context: Context,
        input: &mut &[u8],
        fetch: Fetch<'_>,
    ) -> Result<Self> {
        let nested = Context::Nested;
        Ok(match coder {
            WireCoder::Bytes => Self::Bytes(take_prefixed(context, input, "bytes")?.to_vec()),
            WireCoder::Opaque(urn) if context == Context::Outer => {
                Self::Bytes(take_prefixed(context, input, urn)?.to_vec())
            }
            WireCoder::Opaque(urn) => return Err(malformed(urn, "where it ends is not known")),
            WireCoder::Utf8 => {
                let bytes = take_prefixed(context, input, "string_utf8")?.to_vec();
                let text = String::from_utf8(bytes);
                Self::Utf8(text.map_err(|why| malformed("string_utf8", &why.to_string()))?)
            }
            WireCoder::Bool => Self::Bool(decode_bool(coder, input)?),
            WireCoder::VarInt => Self::VarInt(decode_varint(input)? as i64),
            WireCoder::Double => Self::Double(f64::from_be_bytes(take_array(input, "double")?)),
            WireCoder::Kv(key, value) => {
                let key = Self::decode(key, nested, input, fetch)?;
                Self::Kv(Box::new(key), Box::new(Self::decode(value, context, input, fetch)?))
            }
            WireCoder::Iterable(item, may_end_in_state) => {
                Self::Iterable(decode_items(item, *may_end_in_state, input, fetch)?)
            }
            WireCoder::Nullable(item) => Self::Nullable(match decode_bool(coder, input)? {
                true => Some(Box::new(Self::decode(item, context, input, fetch)?)),
                false => None,
            }),
            WireCoder::LengthPrefix(inner) => {
                let mut bytes = take_prefixed(nested, input, "length_prefix")?;
                Self::decode(inner, Context::Outer, &mut bytes, fetch)?
            }
            WireCoder::GlobalWindow => Self::GlobalWindow,
            WireCoder::IntervalWindow => {
                Self::IntervalWindow { end: decode_time(input)?, span: decode_varint(input)? }
            }
            WireCoder::CustomWindow(inner) => {
                let max = decode_time(input)?;
                let window = Box::new(Self::decode(inner, context, input, fetch)?);
                Self::CustomWindow { max, window }
            }
            WireCoder::WindowedValue(value, window) => {
                let (timestamp, windows, pane) = decode_stamp(window, input, fetch)?;
                let value = Box::new(Self::decode(value, context, input, fetch)?);
                Self::Windowed { timestamp, windows, pane, value }
            }
            WireCoder::ParamWindowedValue(value, window, stamp) => {
                let (timestamp, windows, pane) = decode_stamp(window, &mut &stamp[..], fetch)?;
                let value = Box::new(Self::decode(value, context, input, fetch)?);
                Self::Windowed { timestamp, windows, pane, value }
            }
            WireCoder::Timer(key, window) => Self::decode_timer(key, window, input, fetch)?,
            WireCoder::ShardedKey(key) => {
                let shard = take_prefixed(nested, input, "shard")?.to_vec();
                let key = Box::new(Self::decode(key, nested, input, fetch)?);
                Self::ShardedKey { shard, key }
            }
        })
    }

    fn decode_timer(
        key: &WireCoder,
        window: &WireCoder,
        input: &mut &[u8],
        fetch: Fetch<'_>,
    ) -> Result<Self> {
        let key = Box::new(Self::decode(key, Context::Nested, input, fetch)?);
        let tag = take_prefixed(Context::Nested, input, "tag")?.to_vec();
        let tag = String::from_utf8(tag).map_err(|why| malformed("tag", &why.to_string()))?;
        let windows = decode_items(window, false, input, fetch)?;
        let firing = if decode_bool(&WireCoder::Bool, input)? {
            None
        } else {
            let (fire, hold) = (decode_time(input)?, decode_time(input)?);
            Some(Firing { fire, hold, pane: Pane::decode(input)? })
        };
        Ok(Self::Timer { key, tag, windows, firing })
    }

    /// Appends the encoding; iterables with their number.
    ///
    /// # Errors
    /// A value that is not of the coder.
    pub fn encode(&self, coder: &WireCoder, context: Context, out: &mut Vec<u8>) -> Result<()> {
        let nested = Context::Nested;
        match (coder, self) {
            (WireCoder::LengthPrefix(inner), value) => {
                put_prefixed(nested, out, |out| value.encode(inner, Context::Outer, out))
            }
            (WireCoder::Bytes | WireCoder::Opaque(_), Self::Bytes(bytes)) => {
                put_bytes(context, bytes, out)
            }
            (WireCoder::Utf8, Self::Utf8(text)) => put_bytes(context, text.as_bytes(), out),
            (WireCoder::Bool, Self::Bool(value)) => put(&[u8::from(*value)], out),
            (WireCoder::VarInt, Self::VarInt(value)) => {
                encode_varint(*value as u64, out);
                Ok(())
            }
            (WireCoder::Double, Self::Double(value)) => put(&value.to_be_bytes(), out),
            (WireCoder::Kv(key_coder, value_coder), Self::Kv(key, value)) => {
                key.encode(key_coder, nested, out)?;
                value.encode(value_coder, context, out)
            }
            (WireCoder::Iterable(item, _), Self::Iterable(items)) => encode_items(item, items, out),
            (WireCoder::Nullable(item), Self::Nullable(value)) => {
                out.push(u8::from(value.is_some()));
                value.as_ref().map_or(Ok(()), |value| value.encode(item, context, out))
            }
            (WireCoder::GlobalWindow, Self::GlobalWindow) => Ok(()),
            (WireCoder::IntervalWindow, Self::IntervalWindow { end, span }) => {
                put(&encoded_time(*end), out)?;
                encode_varint(*span, out);
                Ok(())
            }
            (WireCoder::CustomWindow(inner), Self::CustomWindow { max, window }) => {
                put(&encoded_time(*max), out)?;
                window.encode(inner, context, out)
            }
            (
                WireCoder::WindowedValue(value_coder, window),
                Self::Windowed { timestamp, windows, pane, value },
            ) => {
                put(&encoded_time(*timestamp), out)?;
                encode_items(window, windows, out)?;
                pane.encode(out);
                value.encode(value_coder, context, out)
            }
            (WireCoder::ParamWindowedValue(inner, ..), Self::Windowed { value, .. }) => {
                value.encode(inner, context, out)
            }
            (WireCoder::Timer(key_coder, window), Self::Timer { key, tag, windows, firing }) => {
                key.encode(key_coder, nested, out)?;
                put_bytes(nested, tag.as_bytes(), out)?;
                encode_items(window, windows, out)?;
                out.push(u8::from(firing.is_none()));
                let Some(Firing { fire, hold, pane }) = firing else { return Ok(()) };
                put(&encoded_time(*fire), out)?;
                put(&encoded_time(*hold), out)?;
                pane.encode(out);
                Ok(())
            }
            (WireCoder::ShardedKey(key_coder), Self::ShardedKey { shard, key }) => {
                put_bytes(nested, shard, out)?;
                key.encode(key_coder, nested, out)
            }
            (coder, value) => Err(malformed(coder, &format!("{value:?} is no value of it"))),
        }
    }
}

fn decode_items(
    item: &WireCoder,
    may_end_in_state: bool,
    input: &mut &[u8],
    fetch: Fetch<'_>,
) -> Result<Vec<Value>> {
    let count = i32::from_be_bytes(take_array(input, "iterable")?);
    let mut items = Vec::new();
    if count >= 0 {
        for _ in 0..count {
            items.push(Value::decode(item, Context::Nested, input, fetch)?);
        }
        return Ok(items);
    }
    loop {
        match decode_varint(input)? as i64 {
            0 => return Ok(items),
            END_IN_STATE if may_end_in_state => {
                let token = take_prefixed(Context::Nested, input, "token")?;
                let rest = fetch(token)?;
                let mut rest = &rest[..];
                while !rest.is_empty() {
                    items.push(Value::decode(item, Context::Nested, &mut rest, fetch)?);
                }
                return Ok(items);
            }
            block => {
                for _ in 0..block {
                    items.push(Value::decode(item, Context::Nested, input, fetch)?);
                }
            }
        }
    }
}

fn encode_items(coder: &WireCoder, items: &[Value], out: &mut Vec<u8>) -> Result<()> {
    let count = i32::try_from(items.len())
        .map_err(|_| malformed("iterable", &format!("{} items are too many", items.len())))?;
    put(&count.to_be_bytes(), out)?;
    items.iter().try_for_each(|item| item.encode(coder, Context::Nested, out))
}

fn decode_bool(coder: &WireCoder, input: &mut &[u8]) -> Result<bool> {
    match take(input, 1, "bool")? {
        [0] => Ok(false),
        [1] => Ok(true),
        other => Err(malformed(coder, &format!("byte {other:?} is neither 0 nor 1"))),
    }
}

/// The sign bit is flipped, so that earlier times have lesser bytes.
fn encoded_time(millis: i64) -> [u8; 8] {
    (millis ^ i64::MIN).to_be_bytes()
}

fn decode_time(input: &mut &[u8]) -> Result<i64> {
    Ok(i64::from_be_bytes(take_array(input, "timestamp")?) ^ i64::MIN)
}

fn put(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_bytes(context: Context, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    put_prefixed(context, out, |out| put(bytes, out))
}
