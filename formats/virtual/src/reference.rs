//! One reference: which bytes of which version of which object.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// An object that is referred to, in the version that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referent {
    /// Where it lies, as readers of references find it.
    pub url: String,
    /// Its tag, where the store gives one.
    pub etag: Option<String>,
    /// When it was written, in milliseconds since 1970, where that is known.
    pub modified_ms: Option<i64>,
}

/// How far the bytes of a reference can be trusted to stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Immutability {
    /// Nothing tells another version from the one that was seen.
    Floating,
    /// A tag or a time tells another version; who reads must ask for it.
    Checked,
}

impl Referent {
    /// How far its bytes can be trusted.
    pub fn immutability(&self) -> Immutability {
        match (&self.etag, self.modified_ms) {
            (None, None) => Immutability::Floating,
            _ => Immutability::Checked,
        }
    }
}

/// A half-open range of the bytes of an object.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object.
    pub object: Arc<Referent>,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, offset, length } = self;
        write!(f, "Reference({}, {length} bytes from {offset})", object.url)
    }
}

/// What stands for one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing: every element is the fill value. The bytes are those of such a chunk, if they are
    /// few, for forms whose readers fail where nothing stands.
    Absent(Option<Bytes>),
    /// Its encoded bytes themselves.
    Inline(Bytes),
    /// Bytes of another object.
    Range(Reference),
}
