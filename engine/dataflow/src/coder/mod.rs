//! How elements become bytes and come back.
//!
//! The encodings of primitives, strings, pairs, options and vectors are Beam's standard ones, byte
//! for byte; every other type is opaque to foreign runners and says its own length. The table of
//! all types stands in `coder/README.md`.
//!
//! Coders know nothing of collections, windows or shuffles.

mod framing;
mod preview;
mod varint;

mod cbor;
mod composite;
pub mod derived;
mod primitive;

use std::fmt;

use bytes::Bytes;

use crate::error::Result;

pub use cbor::{Cbor, CborCoder};
pub use composite::{IterableCoder, KvCoder, NullableCoder, TupleCoder};
pub use framing::{decode_all, malformed, put_prefixed, take, take_prefixed, unencodable};
pub use preview::Preview;
pub use primitive::{
    BoolCoder, BytesCoder, DoubleCoder, OpaqueCoder, SmallIntCoder, UnitCoder, Utf8Coder,
    VarIntCoder,
};
pub use varint::{decode_varint, encode_varint};

/// Whether an encoding must itself say where it ends.
///
/// Source: Beam, "Runner authoring guide", nested and outer contexts of coders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// More bytes may follow: lengths are written.
    Nested,
    /// The encoding is all there is: the end of the input is the end of the value.
    Outer,
}

/// What a coder is, for plans, fingerprints and foreign runners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoderKind {
    /// `beam:coder:bytes:v1`
    Bytes,
    /// `beam:coder:bool:v1`
    Bool,
    /// `beam:coder:varint:v1`
    VarInt,
    /// `beam:coder:double:v1`
    Double,
    /// `beam:coder:string_utf8:v1`
    Utf8,
    /// `beam:coder:kv:v1`
    Kv(Box<Self>, Box<Self>),
    /// `beam:coder:iterable:v1`
    Iterable(Box<Self>),
    /// `beam:coder:nullable:v1`
    Nullable(Box<Self>),
    /// A type that only Levain reads; nested, it is preceded by its length.
    Opaque(String),
}

impl fmt::Display for CoderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Bool => f.write_str("bool"),
            Self::VarInt => f.write_str("varint"),
            Self::Double => f.write_str("double"),
            Self::Utf8 => f.write_str("string_utf8"),
            Self::Kv(key, value) => write!(f, "kv<{key},{value}>"),
            Self::Iterable(item) => write!(f, "iterable<{item}>"),
            Self::Nullable(item) => write!(f, "nullable<{item}>"),
            Self::Opaque(name) => f.write_str(name),
        }
    }
}

/// Encodes and decodes the values of one type.
///
/// What must hold: decoding what was encoded gives an equal value in either context; a coder that
/// calls itself deterministic gives equal bytes for equal values, always and on every machine.
pub trait Coder<T>: Clone + Send + Sync + fmt::Debug + 'static {
    /// What this coder is.
    fn kind(&self) -> CoderKind;

    /// Whether equal values have equal encodings, as the keys of a grouping need.
    fn is_deterministic(&self) -> bool;

    /// Appends the encoding of `value` to `out`.
    ///
    /// # Errors
    /// A value that its own `Serialize` refuses; no coder of ours fails.
    fn encode(&self, value: &T, context: Context, out: &mut Vec<u8>) -> Result<()>;

    /// Takes one value off the front of `input`; all of it in the outer context.
    ///
    /// # Errors
    /// Bytes that are no encoding of `T`.
    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<T>;

    /// Writes what a user recognises the value by.
    fn preview(&self, value: &T, out: &mut Preview);

    /// Appends the head of the outer encoding to `out` and returns its tail without a copy.
    ///
    /// Head and tail together are the outer encoding. Types with a large shared payload
    /// implement this and [`Coder::decode_shared`]; for all others the tail is empty.
    ///
    /// # Errors
    /// As [`Coder::encode`].
    fn encode_shared(&self, value: &T, out: &mut Vec<u8>) -> Result<Bytes> {
        self.encode(value, Context::Outer, out)?;
        Ok(Bytes::new())
    }

    /// Decodes what [`Coder::encode_shared`] gave, keeping the tail where the type can.
    ///
    /// # Errors
    /// As [`Coder::decode`].
    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<T> {
        if tail.is_empty() {
            return decode_all(self, head);
        }
        let whole = [head, &tail[..]].concat();
        decode_all(self, &whole)
    }
}

#[cfg(test)]
mod tests;
