//! A coder as a tree, read from the coders of a message.

use std::collections::BTreeMap;
use std::fmt;

use dataflow::coder::CoderKind;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::proto::pipeline::Coder;

/// No coder is nested deeper: a message that says so is damaged, or runs in a circle.
const DEPTH_LIMIT: usize = 64;

/// One of Beam's standard coders, or one that only others know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WireCoder {
    /// `bytes`
    Bytes,
    /// `string_utf8`
    Utf8,
    /// `bool`
    Bool,
    /// `varint`
    VarInt,
    /// `double`
    Double,
    /// `kv`
    Kv(Box<Self>, Box<Self>),
    /// `iterable`; whether its end may lie in the state of the runner.
    Iterable(Box<Self>, bool),
    /// `nullable`
    Nullable(Box<Self>),
    /// `length_prefix`
    LengthPrefix(Box<Self>),
    /// `global_window`
    GlobalWindow,
    /// `interval_window`
    IntervalWindow,
    /// `custom_window`
    CustomWindow(Box<Self>),
    /// `windowed_value`: of a value and a window.
    WindowedValue(Box<Self>, Box<Self>),
    /// `param_windowed_value`: of a value, with one stamp for all, encoded as a windowed value.
    ParamWindowedValue(Box<Self>, Box<Self>, Vec<u8>),
    /// `timer`: of a key and a window.
    Timer(Box<Self>, Box<Self>),
    /// `sharded_key`
    ShardedKey(Box<Self>),
    /// A coder of this URN that only others know; it is passed on where its length is known.
    Opaque(String),
}

/// The URN of a standard coder.
pub fn coder_urn(name: &str) -> String {
    format!("beam:coder:{name}:v1")
}

impl WireCoder {
    /// The coder of this id among the coders of a message.
    ///
    /// # Errors
    /// An id that is missing, components that are missing or run in a circle.
    pub(crate) fn resolve(coders: &BTreeMap<String, Coder>, id: &str) -> Result<Self> {
        Self::resolve_within(coders, id, 0)
    }

    fn resolve_within(coders: &BTreeMap<String, Coder>, id: &str, depth: usize) -> Result<Self> {
        if depth > DEPTH_LIMIT {
            return Err(bad_coder(id, "it is made of itself, or of too many others"));
        }
        let coder = coders.get(id).ok_or_else(|| bad_coder(id, "the message does not hold it"))?;
        let spec = coder.spec.clone().unwrap_or_default();
        let parts = coder.component_coder_ids.iter();
        let parts = parts.map(|part| Self::resolve_within(coders, part, depth + 1));
        Self::of(&spec.urn, &spec.payload, parts.collect::<Result<_>>()?)
    }

    /// The coder of a URN, its payload and its parts.
    ///
    /// # Errors
    /// Fewer parts than the coder has.
    pub fn of(urn: &str, payload: &[u8], parts: Vec<Self>) -> Result<Self> {
        let name = urn.strip_prefix("beam:coder:").and_then(|rest| rest.strip_suffix(":v1"));
        let Some(name) = name else { return Ok(Self::Opaque(urn.to_owned())) };
        let count = parts.len();
        let mut parts = parts.into_iter().map(Box::new);
        let mut part = || {
            parts.next().ok_or_else(|| bad_coder(urn, &format!("{count} components are too few")))
        };
        Ok(match name {
            "bytes" => Self::Bytes,
            "string_utf8" => Self::Utf8,
            "bool" => Self::Bool,
            "varint" => Self::VarInt,
            "double" => Self::Double,
            "kv" => Self::Kv(part()?, part()?),
            "iterable" => Self::Iterable(part()?, false),
            "state_backed_iterable" => Self::Iterable(part()?, true),
            "nullable" => Self::Nullable(part()?),
            "length_prefix" => Self::LengthPrefix(part()?),
            "global_window" => Self::GlobalWindow,
            "interval_window" => Self::IntervalWindow,
            "custom_window" => Self::CustomWindow(part()?),
            "windowed_value" => Self::WindowedValue(part()?, part()?),
            "param_windowed_value" => Self::ParamWindowedValue(part()?, part()?, payload.to_vec()),
            "timer" => Self::Timer(part()?, part()?),
            "sharded_key" => Self::ShardedKey(part()?),
            _ => Self::Opaque(urn.to_owned()),
        })
    }
}

impl WireCoder {
    /// Whether a value of it may hold an iterable.
    pub(crate) fn holds_iterable(&self) -> bool {
        match self {
            Self::Iterable(..) => true,
            Self::Kv(key, value) => key.holds_iterable() || value.holds_iterable(),
            Self::Nullable(item) | Self::LengthPrefix(item) => item.holds_iterable(),
            _ => false,
        }
    }
}

impl From<&CoderKind> for WireCoder {
    /// What our coders are for others: opaque ones are bytes to them.
    fn from(kind: &CoderKind) -> Self {
        let part = |part: &CoderKind| Box::new(Self::from(part));
        match kind {
            CoderKind::Bytes | CoderKind::Opaque(_) => Self::Bytes,
            CoderKind::Bool => Self::Bool,
            CoderKind::VarInt => Self::VarInt,
            CoderKind::Double => Self::Double,
            CoderKind::Utf8 => Self::Utf8,
            CoderKind::Kv(key, value) => Self::Kv(part(key), part(value)),
            CoderKind::Iterable(item) => Self::Iterable(part(item), false),
            CoderKind::Nullable(item) => Self::Nullable(part(item)),
        }
    }
}

impl fmt::Display for WireCoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Utf8 => f.write_str("string_utf8"),
            Self::Bool => f.write_str("bool"),
            Self::VarInt => f.write_str("varint"),
            Self::Double => f.write_str("double"),
            Self::Kv(key, value) => write!(f, "kv<{key},{value}>"),
            Self::Iterable(item, false) => write!(f, "iterable<{item}>"),
            Self::Iterable(item, true) => write!(f, "state_backed_iterable<{item}>"),
            Self::Nullable(item) => write!(f, "nullable<{item}>"),
            Self::LengthPrefix(item) => write!(f, "length_prefix<{item}>"),
            Self::GlobalWindow => f.write_str("global_window"),
            Self::IntervalWindow => f.write_str("interval_window"),
            Self::CustomWindow(window) => write!(f, "custom_window<{window}>"),
            Self::WindowedValue(value, window) => write!(f, "windowed_value<{value},{window}>"),
            Self::ParamWindowedValue(value, window, _) => {
                write!(f, "param_windowed_value<{value},{window}>")
            }
            Self::Timer(key, window) => write!(f, "timer<{key},{window}>"),
            Self::ShardedKey(key) => write!(f, "sharded_key<{key}>"),
            Self::Opaque(urn) => f.write_str(urn),
        }
    }
}

fn bad_coder(id: &str, why: &str) -> Error {
    let message = format!("the coder `{id}` of the runner is not understood: {why}");
    Error::new(ErrorCode::CODER, ErrorKind::Corrupt, message)
}
