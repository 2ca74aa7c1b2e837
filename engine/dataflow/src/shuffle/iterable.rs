//! The values of one key, or of a side input, as user code sees them.
//!
//! Values are decoded when they are iterated, each time anew.

use std::fmt;
use std::panic::resume_unwind;

use bytes::Bytes;

use super::values::ValueCursor;
use super::{RawValues, RawValuesBuilder, Scratch};
use crate::coder::{Coder, CoderKind, Context, Preview, unencodable};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::memory::MemoryBudget;

/// Values that may be more than memory holds.
///
/// They are in no order, and each iteration decodes them anew. Clones share the bytes.
pub struct Iterable<V: Element> {
    raw: RawValues,
    coder: V::Coder,
    at_fault: AtFault,
}

/// What an iterator does that cannot go on. It has no way to return an error, and ending early
/// would pass a part of the values for all of them.
#[derive(Debug, Clone, Copy)]
enum AtFault {
    /// Unwinds with the [`Error`], which the edge of the bundle returns.
    FailBundle,
    /// Panics with the text of the error: there is no bundle.
    Panic,
}

impl<V: Element> Iterable<V> {
    /// Values for code that runs in a bundle.
    pub(crate) fn in_bundle(raw: RawValues) -> Self {
        Self { raw, coder: V::coder(), at_fault: AtFault::FailBundle }
    }

    /// Values for code that runs outside of any bundle.
    pub(crate) fn outside(raw: RawValues) -> Self {
        Self { raw, coder: V::coder(), at_fault: AtFault::Panic }
    }

    /// An iterable of these values, all in memory.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn of(values: &[V]) -> Result<Self> {
        let coder = V::coder();
        let mut builder = RawValuesBuilder::new(&MemoryBudget::unlimited(), &Scratch::default());
        let mut head = Vec::new();
        for value in values {
            head.clear();
            let tail = coder.encode_shared(value, &mut head)?;
            builder.push(&head, &tail)?;
        }
        Ok(Self::outside(builder.finish()?))
    }

    /// The number of values.
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The values, one after the other.
    ///
    /// An iteration in a DoFn that cannot read spilled data makes the bundle fail.
    ///
    /// # Panics
    /// When the results of a finished run cannot be read back; [`Iterable::try_iter`] says why.
    pub fn iter(&self) -> Values<V> {
        Values { values: self.try_iter(), at_fault: self.at_fault }
    }

    /// The values, one after the other, or the error that ends them.
    pub fn try_iter(&self) -> TryValues<V> {
        TryValues { cursor: self.raw.cursor(), coder: self.coder.clone(), is_over: false }
    }
}

impl<V: Element> IntoIterator for &Iterable<V> {
    type Item = V;
    type IntoIter = Values<V>;

    fn into_iter(self) -> Values<V> {
        self.iter()
    }
}

/// Iterates over an [`Iterable`], with errors.
pub struct TryValues<V: Element> {
    cursor: ValueCursor,
    coder: V::Coder,
    is_over: bool,
}

impl<V: Element> TryValues<V> {
    #[inline]
    fn decode_next(&mut self) -> Result<Option<V>> {
        match self.cursor.next_value()? {
            // A clone is shared even where it is empty.
            Some((head, tail)) if tail.is_empty() => {
                self.coder.decode_shared(head, Bytes::new()).map(Some)
            }
            Some((head, tail)) => self.coder.decode_shared(head, tail.clone()).map(Some),
            None => Ok(None),
        }
    }
}

impl<V: Element> Iterator for TryValues<V> {
    type Item = Result<V>;

    #[inline]
    fn next(&mut self) -> Option<Result<V>> {
        if self.is_over {
            return None;
        }
        let next = self.decode_next();
        self.is_over = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// Iterates over an [`Iterable`].
pub struct Values<V: Element> {
    values: TryValues<V>,
    at_fault: AtFault,
}

impl<V: Element> Iterator for Values<V> {
    type Item = V;

    #[inline]
    fn next(&mut self) -> Option<V> {
        match self.values.next()? {
            Ok(value) => Some(value),
            Err(error) => stop(error, self.at_fault),
        }
    }
}

#[expect(clippy::panic, reason = "an iterator cannot return what is wrong, and must not hide it")]
fn stop(error: Error, at_fault: AtFault) -> ! {
    match at_fault {
        AtFault::FailBundle => resume_unwind(Box::new(error)),
        AtFault::Panic => panic!("{error}"),
    }
}

impl<V: Element> Clone for Iterable<V> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), coder: self.coder.clone(), at_fault: self.at_fault }
    }
}

impl<V: Element> fmt::Debug for Iterable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iterable({} values)", self.len())
    }
}

impl<V: Element> fmt::Debug for TryValues<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryValues").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl<V: Element> fmt::Debug for Values<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("values", &self.values).finish_non_exhaustive()
    }
}

impl<V: Element> Element for Iterable<V> {
    type Coder = IterableCoder<V>;

    fn coder() -> Self::Coder {
        IterableCoder(V::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.raw.heap_bytes()
    }
}

/// Encodes an [`Iterable`] as Beam's standard iterable.
pub struct IterableCoder<V: Element>(V::Coder);

impl<V: Element> Clone for IterableCoder<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Element> fmt::Debug for IterableCoder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IterableCoder").field(&self.0).finish()
    }
}

impl<V: Element> Coder<Iterable<V>> for IterableCoder<V> {
    fn kind(&self) -> CoderKind {
        CoderKind::Iterable(Box::new(self.0.kind()))
    }

    /// The values are in no order, so equal iterables may differ in bytes.
    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &Iterable<V>, _: Context, out: &mut Vec<u8>) -> Result<()> {
        let count = i32::try_from(value.len())
            .map_err(|_| unencodable("iterable", &format!("{} items are too many", value.len())))?;
        out.extend_from_slice(&count.to_be_bytes());
        value.try_iter().try_for_each(|item| self.0.encode(&item?, Context::Nested, out))
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Iterable<V>> {
        let items = crate::coder::IterableCoder(self.0.clone()).decode(context, input)?;
        Iterable::of(&items)
    }

    fn preview(&self, value: &Iterable<V>, out: &mut Preview) {
        out.push_display(&format_args!("{} values", value.len()));
    }
}
