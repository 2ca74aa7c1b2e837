//! Values of several types in one group, and the view of one of these types.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use dataflow::coder::{
    Coder, CoderKind, Context, IterableCoder, Preview, malformed, put_prefixed, take_prefixed,
    unencodable,
};
use dataflow::prelude::{DoFn, Element, Iterable, ProcessContext, Result};

use crate::encoding::end_bundle;

/// A value of one of several types: a tag that says which, and the outer encoding of the value.
///
/// It stays encoded until it is asked for under its tag, so that reading the values of one type
/// decodes those alone. Its tail is shared, as that of the value is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TaggedValue {
    tag: u8,
    head: Vec<u8>,
    tail: Bytes,
}

impl TaggedValue {
    fn of<V: Element>(tag: u8, value: &V) -> Result<Self> {
        let mut head = Vec::new();
        let tail = V::coder().encode_shared(value, &mut head)?;
        Ok(Self { tag, head, tail })
    }
}

impl Element for TaggedValue {
    type Coder = TaggedValueCoder;

    fn coder() -> TaggedValueCoder {
        TaggedValueCoder
    }

    fn heap_bytes(&self) -> usize {
        self.head.capacity() + self.tail.len()
    }
}

/// Encodes a [`TaggedValue`]: the tag in one byte, then the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaggedValueCoder;

impl Coder<TaggedValue> for TaggedValueCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("tagged".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &TaggedValue, context: Context, out: &mut Vec<u8>) -> Result<()> {
        put_prefixed(context, out, |out| {
            let tail = self.encode_shared(value, out)?;
            out.extend_from_slice(&tail);
            Ok(())
        })
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<TaggedValue> {
        self.decode_shared(take_prefixed(context, input, "tagged")?, Bytes::new())
    }

    fn preview(&self, value: &TaggedValue, out: &mut Preview) {
        out.push_display(&format_args!("input {}: ", value.tag));
        out.push_bytes(&value.head);
    }

    fn encode_shared(&self, value: &TaggedValue, out: &mut Vec<u8>) -> Result<Bytes> {
        out.push(value.tag);
        out.extend_from_slice(&value.head);
        Ok(value.tail.clone())
    }

    fn decode_shared(&self, head: &[u8], tail: Bytes) -> Result<TaggedValue> {
        match head.split_first() {
            Some((&tag, head)) => Ok(TaggedValue { tag, head: head.to_vec(), tail }),
            None => Err(malformed("tagged", "there is no tag")),
        }
    }
}

/// Puts a tag on the value of every pair.
pub(crate) struct PutTag<K, V> {
    tag: u8,
    of: PhantomData<fn(K, V)>,
}

impl<K, V> PutTag<K, V> {
    pub(crate) const fn of(tag: u8) -> Self {
        Self { tag, of: PhantomData }
    }
}

impl<K, V> Clone for PutTag<K, V> {
    fn clone(&self) -> Self {
        Self::of(self.tag)
    }
}

impl<K: Element, V: Element> DoFn for PutTag<K, V> {
    type In = (K, V);
    type Out = (K, TaggedValue);

    fn process(&mut self, pair: (K, V), ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let value = TaggedValue::of(self.tag, &pair.1)?;
        ctx.output((pair.0, value))
    }
}

/// The values that one input of a [`CoGroupByKey`](crate::CoGroupByKey) has for a key.
///
/// They may be more than memory holds, are in no order, and can be read any number of times. Clones
/// share them. Cost: each iteration passes over the values of all inputs for that key, and decodes
/// its own.
pub struct TaggedIterable<V> {
    all: Iterable<TaggedValue>,
    tag: u8,
    of: PhantomData<fn() -> V>,
}

impl<V: Element> TaggedIterable<V> {
    /// Those of `all` that have this tag.
    pub(crate) fn of(all: &Iterable<TaggedValue>, tag: u8) -> Self {
        Self { all: all.clone(), tag, of: PhantomData }
    }

    /// The values, one after the other.
    ///
    /// An iteration in a DoFn that cannot read spilled data makes the bundle fail.
    pub fn iter(&self) -> TaggedValues<V> {
        let (values, tag, coder) = (self.all.iter(), self.tag, V::coder());
        TaggedValues { values, tag, coder }
    }

    /// Whether this input has no value for the key. Cost: looks until it finds one.
    pub fn is_empty(&self) -> bool {
        self.all.iter().all(|value| value.tag != self.tag)
    }
}

impl<V: Element> IntoIterator for &TaggedIterable<V> {
    type Item = V;
    type IntoIter = TaggedValues<V>;

    fn into_iter(self) -> TaggedValues<V> {
        self.iter()
    }
}

impl<V> Clone for TaggedIterable<V> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), tag: self.tag, of: PhantomData }
    }
}

impl<V> fmt::Debug for TaggedIterable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaggedIterable({} of {:?})", self.tag, self.all)
    }
}

/// Iterates over a [`TaggedIterable`].
pub struct TaggedValues<V: Element> {
    values: <&'static Iterable<TaggedValue> as IntoIterator>::IntoIter,
    tag: u8,
    coder: V::Coder,
}

impl<V: Element> Iterator for TaggedValues<V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        let tag = self.tag;
        let value = self.values.find(|value| value.tag == tag)?;
        match self.coder.decode_shared(&value.head, value.tail) {
            Ok(value) => Some(value),
            Err(error) => end_bundle(error),
        }
    }
}

impl<V: Element> fmt::Debug for TaggedValues<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaggedValues").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl<V: Element> Element for TaggedIterable<V> {
    type Coder = TaggedIterableCoder<V::Coder>;

    fn coder() -> Self::Coder {
        TaggedIterableCoder(V::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.all.heap_bytes()
    }
}

/// Encodes a [`TaggedIterable`] as Beam's standard iterable of its own values.
#[derive(Debug, Clone)]
pub struct TaggedIterableCoder<C>(C);

impl<V: Element<Coder = C>, C: Coder<V>> Coder<TaggedIterable<V>> for TaggedIterableCoder<C> {
    fn kind(&self) -> CoderKind {
        CoderKind::Iterable(Box::new(self.0.kind()))
    }

    /// The values are in no order, so equal iterables may differ in bytes.
    fn is_deterministic(&self) -> bool {
        false
    }

    fn encode(&self, value: &TaggedIterable<V>, _: Context, out: &mut Vec<u8>) -> Result<()> {
        let (start, mut count) = (out.len(), 0i32);
        out.extend_from_slice(&count.to_be_bytes());
        for item in value {
            count =
                count.checked_add(1).ok_or_else(|| unencodable("iterable", "too many items"))?;
            self.0.encode(&item, Context::Nested, out)?;
        }
        out[start..start + 4].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<TaggedIterable<V>> {
        let items: Vec<V> = IterableCoder(self.0.clone()).decode(context, input)?;
        let items: Result<Vec<_>> = items.iter().map(|item| TaggedValue::of(0, item)).collect();
        Ok(TaggedIterable { all: Iterable::of(&items?)?, tag: 0, of: PhantomData })
    }

    fn preview(&self, value: &TaggedIterable<V>, out: &mut Preview) {
        out.push_display(&format_args!("values of input {}", value.tag));
    }
}
