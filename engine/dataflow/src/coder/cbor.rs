//! CBOR for any serde type: the coder behind `#[derive(Element)]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Coder, CoderKind, Context, Preview, malformed, put_prefixed, take_prefixed, unencodable,
};
use crate::element::Element;
use crate::error::Result;

/// Makes an element of a serde type that belongs to another crate.
///
/// Not deterministic, because nothing is known of its fields: it cannot be a grouping key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cbor<T>(pub T);

impl<T> Element for Cbor<T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Coder = CborCoder<Self>;

    fn coder() -> Self::Coder {
        CborCoder::new(short_type_name::<T>(), false)
    }
}

/// Encodes `T` as one CBOR item, preceded by its length when nested.
///
/// Source: RFC 8949; written and read by ciborium.
pub struct CborCoder<T> {
    name: String,
    is_deterministic: bool,
    of: PhantomData<fn() -> T>,
}

impl<T> CborCoder<T> {
    /// A coder under the name that plans and fingerprints show.
    ///
    /// The caller promises that `is_deterministic` holds: no field of the type is a hash map, a
    /// float, or another value whose equal forms have different bytes.
    pub fn new(name: impl Into<String>, is_deterministic: bool) -> Self {
        Self { name: name.into(), is_deterministic, of: PhantomData }
    }
}

impl<T> Clone for CborCoder<T> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone(), self.is_deterministic)
    }
}

impl<T> fmt::Debug for CborCoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CborCoder").field(&self.name).finish()
    }
}

impl<T> Coder<T> for CborCoder<T>
where
    T: Element<Coder = Self> + Serialize + DeserializeOwned,
{
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque(format!("cbor<{}>", self.name))
    }

    fn is_deterministic(&self) -> bool {
        self.is_deterministic
    }

    fn encode(&self, value: &T, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            ciborium::into_writer(value, out)
                .map_err(|why| unencodable(&self.name, &why.to_string()))
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<T> {
        let mut bytes = take_prefixed(context, input, &self.name)?;
        let value = ciborium::from_reader(&mut bytes)
            .map_err(|why| malformed(&self.name, &why.to_string()))?;
        match bytes.len() {
            0 => Ok(value),
            left => Err(malformed(&self.name, &format!("{left} bytes follow the value"))),
        }
    }

    fn preview(&self, value: &T, out: &mut Preview) {
        out.push_str(&self.name);
        match ciborium::Value::serialized(value) {
            Ok(value) => push_value(&value, out),
            Err(_) => out.push_str(" (no CBOR)"),
        }
    }
}

/// The name of `T` without the path of its module.
fn short_type_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let mut short = String::with_capacity(full.len());
    for part in full.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

fn push_value(value: &ciborium::Value, out: &mut Preview) {
    use ciborium::Value;
    match value {
        _ if out.is_full() => {}
        Value::Integer(number) => out.push_display(&i128::from(*number)),
        Value::Float(number) => out.push_display(number),
        Value::Bool(claim) => out.push_display(claim),
        Value::Null => out.push_str("null"),
        Value::Text(text) => out.push_quoted(text),
        Value::Bytes(bytes) => out.push_bytes(bytes),
        Value::Tag(_, inner) => push_value(inner, out),
        Value::Array(items) => push_list("[", items.iter().map(|item| (None, item)), "]", out),
        Value::Map(pairs) => {
            push_list("{", pairs.iter().map(|(name, item)| (Some(name), item)), "}", out);
        }
        _ => out.push_str("?"),
    }
}

fn push_list<'a>(
    open: &str,
    items: impl Iterator<Item = (Option<&'a ciborium::Value>, &'a ciborium::Value)>,
    close: &str,
    out: &mut Preview,
) {
    out.push_str(open);
    for (index, (name, item)) in items.enumerate() {
        if out.is_full() {
            return;
        }
        out.push_str(if index == 0 { "" } else { ", " });
        match name {
            Some(ciborium::Value::Text(name)) => {
                out.push_str(name);
                out.push_str("=");
            }
            Some(name) => {
                push_value(name, out);
                out.push_str("=");
            }
            None => {}
        }
        push_value(item, out);
    }
    out.push_str(close);
}
