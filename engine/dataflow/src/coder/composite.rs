//! Coders of values that are made of others.

use bytes::Bytes;

use super::{
    Coder, CoderKind, Context, Preview, decode_varint, malformed, put_prefixed, take,
    take_prefixed, unencodable,
};
use crate::error::Result;

/// `beam:coder:kv:v1`: the key nested, then the value in the context of the pair.
#[derive(Debug, Clone)]
pub struct KvCoder<K, V>(pub K, pub V);

impl<K, V, KeyCoder: Coder<K>, ValueCoder: Coder<V>> Coder<(K, V)>
    for KvCoder<KeyCoder, ValueCoder>
{
    fn kind(&self) -> CoderKind {
        CoderKind::Kv(Box::new(self.0.kind()), Box::new(self.1.kind()))
    }

    fn is_deterministic(&self) -> bool {
        self.0.is_deterministic() && self.1.is_deterministic()
    }

    fn encode(&self, value: &(K, V), context: Context, out: &mut Vec<u8>) -> Result<()> {
        self.0.encode(&value.0, Context::Nested, out)?;
        self.1.encode(&value.1, context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<(K, V)> {
        Ok((self.0.decode(Context::Nested, input)?, self.1.decode(context, input)?))
    }

    fn preview(&self, value: &(K, V), out: &mut Preview) {
        out.push_str("(");
        out.push_key(|out| self.0.preview(&value.0, out));
        out.push_str(", ");
        self.1.preview(&value.1, out);
        out.push_str(")");
    }

    fn encode_shared(&self, value: &(K, V), out: &mut Vec<u8>) -> Result<Bytes> {
        self.0.encode(&value.0, Context::Nested, out)?;
        self.1.encode_shared(&value.1, out)
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<(K, V)> {
        let mut head = head;
        let key = self.0.decode(Context::Nested, &mut head)?;
        Ok((key, self.1.decode_shared(head, tail)?))
    }
}

/// `beam:coder:nullable:v1`: a byte that says whether there is a value, then the value.
#[derive(Debug, Clone)]
pub struct NullableCoder<C>(pub C);

impl<T, C: Coder<T>> Coder<Option<T>> for NullableCoder<C> {
    fn kind(&self) -> CoderKind {
        CoderKind::Nullable(Box::new(self.0.kind()))
    }

    fn is_deterministic(&self) -> bool {
        self.0.is_deterministic()
    }

    fn encode(&self, value: &Option<T>, context: Context, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(value.is_some()));
        value.as_ref().map_or(Ok(()), |value| self.0.encode(value, context, out))
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Option<T>> {
        match take(input, 1, "nullable")? {
            [0] => Ok(None),
            [1] => self.0.decode(context, input).map(Some),
            other => Err(malformed("nullable", &format!("byte {other:?} is neither 0 nor 1"))),
        }
    }

    fn preview(&self, value: &Option<T>, out: &mut Preview) {
        match value {
            None => out.push_str("null"),
            Some(value) => self.0.preview(value, out),
        }
    }
}

/// `beam:coder:iterable:v1`: a count of four bytes, big endian, then each item nested.
///
/// Blocks of unknown number, which foreign runners send for large groups, are read too.
#[derive(Debug, Clone)]
pub struct IterableCoder<C>(pub C);

const COUNT_UNKNOWN: i32 = -1;
const COUNT_LIMIT: usize = i32::MAX as usize;

impl<C> IterableCoder<C> {
    fn decode_items<T>(&self, count: u64, input: &mut &[u8], items: &mut Vec<T>) -> Result<()>
    where
        C: Coder<T>,
    {
        // A damaged count must not reserve more than the input can hold.
        let likely = usize::try_from(count).unwrap_or(usize::MAX);
        items.reserve(likely.min(input.len() / size_of::<T>().max(1) + 1));
        for _ in 0..count {
            items.push(self.0.decode(Context::Nested, input)?);
        }
        Ok(())
    }
}

impl<T, C: Coder<T>> Coder<Vec<T>> for IterableCoder<C> {
    fn kind(&self) -> CoderKind {
        CoderKind::Iterable(Box::new(self.0.kind()))
    }

    fn is_deterministic(&self) -> bool {
        self.0.is_deterministic()
    }

    fn encode(&self, value: &Vec<T>, _: Context, out: &mut Vec<u8>) -> Result<()> {
        if value.len() > COUNT_LIMIT {
            return Err(unencodable("iterable", &format!("{} items are too many", value.len())));
        }
        out.extend_from_slice(&(value.len() as i32).to_be_bytes());
        value.iter().try_for_each(|item| self.0.encode(item, Context::Nested, out))
    }

    fn decode(&self, _: Context, input: &mut &[u8]) -> Result<Vec<T>> {
        let count = take(input, 4, "iterable")?.try_into().expect("four bytes were taken");
        let count = i32::from_be_bytes(count);
        let mut items = Vec::new();
        if count == COUNT_UNKNOWN {
            loop {
                match decode_varint(input)? {
                    0 => return Ok(items),
                    block => self.decode_items(block, input, &mut items)?,
                }
            }
        }
        let count = u64::try_from(count)
            .map_err(|_| malformed("iterable", &format!("count {count} is negative")))?;
        self.decode_items(count, input, &mut items)?;
        Ok(items)
    }

    fn preview(&self, value: &Vec<T>, out: &mut Preview) {
        out.push_str("[");
        for (index, item) in value.iter().enumerate() {
            if out.is_full() {
                break;
            }
            out.push_str(if index == 0 { "" } else { ", " });
            self.0.preview(item, out);
        }
        out.push_str("]");
    }
}

/// Tuples of three and more, which Beam does not have: the parts nested, one after the other.
#[derive(Debug, Clone)]
pub struct TupleCoder<C>(pub C);

macro_rules! tuples {
    ($(($($type:ident $coder:ident $index:tt),+);)+) => {$(
        impl<$($type, $coder: Coder<$type>),+> Coder<($($type),+)> for TupleCoder<($($coder),+)> {
            fn kind(&self) -> CoderKind {
                let parts = [$(self.0.$index.kind().to_string()),+];
                CoderKind::Opaque(format!("tuple<{}>", parts.join(",")))
            }

            fn is_deterministic(&self) -> bool {
                $(self.0.$index.is_deterministic())&&+
            }

            fn encode(
                &self,
                value: &($($type),+),
                context: Context,
                out: &mut Vec<u8>,
            ) -> Result<()> {
                put_prefixed(context, out, |out| {
                    $(self.0.$index.encode(&value.$index, Context::Nested, out)?;)+
                    Ok(())
                })
            }

            fn decode(&self, context: Context, input: &mut &[u8]) -> Result<($($type),+)> {
                let mut inner = take_prefixed(context, input, "tuple")?;
                let value = ($(self.0.$index.decode(Context::Nested, &mut inner)?),+);
                if inner.is_empty() {
                    Ok(value)
                } else {
                    Err(malformed("tuple", &format!("{} bytes follow the value", inner.len())))
                }
            }

            fn preview(&self, value: &($($type),+), out: &mut Preview) {
                $(
                    out.push_str(if $index == 0 { "(" } else { ", " });
                    self.0.$index.preview(&value.$index, out);
                )+
                out.push_str(")");
            }
        }
    )+};
}

tuples! {
    (A CoderA 0, B CoderB 1, C CoderC 2);
    (A CoderA 0, B CoderB 1, C CoderC 2, D CoderD 3);
}
