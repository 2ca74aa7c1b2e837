//! What the code that `#[derive(Element)]` writes calls; not for use by hand.

use std::marker::PhantomData;

pub use serde::Serialize;
pub use serde::de::DeserializeOwned;

use crate::coder::Coder;
use crate::element::Element;

/// A field of type `T`, of which the derived code asks what is known.
///
/// Method resolution prefers the inherent methods, which exist for elements only, to those of
/// [`OtherField`], which exist for every type.
#[derive(Debug)]
pub struct Field<T>(PhantomData<T>);

impl<T> Field<T> {
    /// The question about `T`.
    #[expect(clippy::new_without_default, reason = "only derived code makes it")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Element> Field<T> {
    /// Whether the field's own coder is deterministic.
    pub fn is_deterministic(&self) -> bool {
        T::coder().is_deterministic()
    }

    /// Bytes that the field owns outside of itself.
    pub fn heap_bytes(&self, value: &T) -> usize {
        value.heap_bytes()
    }
}

/// The answers for a field whose type is no element.
pub trait OtherField<T> {
    /// Nothing is known of it, so nothing is promised.
    fn is_deterministic(&self) -> bool {
        false
    }

    /// Nothing is known of it.
    fn heap_bytes(&self, _: &T) -> usize {
        0
    }
}

impl<T> OtherField<T> for Field<T> {}
