//! What DoFns see of views that are looked up: by place, or by key.
//!
//! Values are decoded when they are asked for, each time anew, from memory or from a spill file.

use std::fmt;

use crate::coder::{Coder, Context};
use crate::element::Element;
use crate::error::Result;
use crate::shuffle::{Iterable, Table, Values};

/// A collection in a fixed order, to be looked up by place.
///
/// The order means nothing, but it is the same for all elements and bundles of a run.
pub struct ListView<T: Element> {
    table: Table,
    coder: T::Coder,
}

impl<T: Element> ListView<T> {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, coder: T::coder() }
    }

    /// The number of elements.
    pub fn len(&self) -> u64 {
        self.table.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The element at a place, counted from zero.
    ///
    /// Cost: decoding it; where the list is on disk, also finding it in a block, which is read
    /// unless it is one of the last few.
    ///
    /// # Errors
    /// Bytes that do not decode, or a spill file that cannot be read.
    pub fn get(&self, index: u64) -> Result<Option<T>> {
        let decode = |head: &_, tail: &bytes::Bytes| self.coder.decode_shared(head, tail.clone());
        self.table.at(index, |record| decode(record.head, record.tail))
    }

    /// The elements in the order of the list.
    ///
    /// An iteration that cannot read spilled data makes the bundle fail.
    pub fn iter(&self) -> Values<T> {
        self.table.elements().iter()
    }

    /// The elements in the order of the list, as an iterable.
    pub fn elements(&self) -> Iterable<T> {
        self.table.elements()
    }
}

impl<T: Element> IntoIterator for &ListView<T> {
    type Item = T;
    type IntoIter = Values<T>;

    fn into_iter(self) -> Values<T> {
        self.iter()
    }
}

impl<T: Element> fmt::Debug for ListView<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListView({} elements)", self.len())
    }
}

/// Pairs whose keys differ, to be looked up by key.
pub struct MapView<K: Element, V: Element> {
    table: Table,
    keys: K::Coder,
    values: V::Coder,
}

impl<K: Element, V: Element> MapView<K, V> {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, keys: K::coder(), values: V::coder() }
    }

    /// The value of a key.
    ///
    /// Cost: encoding the key, finding it and decoding its value; where the map is on disk, also
    /// reading a block unless it is one of the last few.
    ///
    /// # Errors
    /// A key that cannot be encoded, bytes that do not decode, or a spill file that cannot be read.
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        let key = encoded(&self.keys, key)?;
        let decode = |head: &_, tail: &bytes::Bytes| self.values.decode_shared(head, tail.clone());
        self.table.look_up(&key, |record| decode(record.head, record.tail))
    }

    /// Whether there is a value of a key.
    ///
    /// # Errors
    /// As [`MapView::get`].
    pub fn contains_key(&self, key: &K) -> Result<bool> {
        let key = encoded(&self.keys, key)?;
        Ok(self.table.look_up(&key, |_| Ok(()))?.is_some())
    }

    /// The number of keys.
    pub fn len(&self) -> u64 {
        self.table.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All keys with their values, in the order of their encodings.
    pub fn entries(&self) -> Iterable<(K, V)> {
        self.table.elements()
    }
}

impl<K: Element, V: Element> fmt::Debug for MapView<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapView({} keys)", self.len())
    }
}

/// Pairs, of which any number may have one key, to be looked up by key.
pub struct MultimapView<K: Element, V: Element> {
    table: Table,
    keys: K::Coder,
    of: std::marker::PhantomData<fn() -> V>,
}

impl<K: Element, V: Element> MultimapView<K, V> {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, keys: K::coder(), of: std::marker::PhantomData }
    }

    /// The values of a key, in no order; none if no pair has it.
    ///
    /// Cost: encoding the key and finding it. Where the multimap is on disk, all blocks that hold
    /// the key are read to count its values, and again to iterate.
    ///
    /// # Errors
    /// A key that cannot be encoded, or a spill file that cannot be read.
    pub fn get(&self, key: &K) -> Result<Iterable<V>> {
        self.table.values_of(&encoded(&self.keys, key)?)
    }

    /// Whether any pair has a key.
    ///
    /// # Errors
    /// As [`MultimapView::get`].
    pub fn contains_key(&self, key: &K) -> Result<bool> {
        let key = encoded(&self.keys, key)?;
        Ok(self.table.look_up(&key, |_| Ok(()))?.is_some())
    }

    /// The number of pairs.
    pub fn len(&self) -> u64 {
        self.table.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All pairs, in the order of the encodings of their keys: those of one key come together.
    pub fn entries(&self) -> Iterable<(K, V)> {
        self.table.elements()
    }
}

impl<K: Element, V: Element> fmt::Debug for MultimapView<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultimapView({} pairs)", self.len())
    }
}

/// A key as it stands before its value in the encoding of a pair.
fn encoded<K, C: Coder<K>>(coder: &C, key: &K) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    coder.encode(key, Context::Nested, &mut bytes)?;
    Ok(bytes)
}
