//! The bytes of an element, by which it is hashed, and told from others that rank the same.

use std::panic::resume_unwind;

use dataflow::coder::{Coder, Context, Preview};
use dataflow::prelude::{Element, Error};

/// The outer encoding of an element.
///
/// One that cannot be encoded ends the bundle: it could not have crossed a shuffle either.
pub(crate) fn encoding_of<T: Element>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    match T::coder().encode(value, Context::Outer, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => end_bundle(error),
    }
}

/// Ends the bundle with this error, where a signature has no room for it.
///
/// The edge of the bundle returns the error, as it does for one of `Iterable::iter`.
pub(crate) fn end_bundle(error: Error) -> ! {
    resume_unwind(Box::new(error))
}

/// What a user recognises an element by.
pub(crate) fn preview_of<T: Element>(value: &T) -> String {
    let mut preview = Preview::default();
    T::coder().preview(value, &mut preview);
    preview.finish()
}
