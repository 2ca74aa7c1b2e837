//! Collections as side inputs.

use std::fmt;
use std::marker::PhantomData;

use hashbrown::HashMap;

use crate::coder::{Coder, Context};
use crate::element::Element;
use crate::error::Result;
use crate::memory::Reservation;

/// Names a view within a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(pub u32);

/// A collection that DoFns read as a whole: an id with a type, and nothing else.
///
/// `V` is what a DoFn sees: `T` for a singleton, `Iterable<T>`, or [`MapView<K, V>`].
pub struct PCollectionView<V> {
    id: ViewId,
    of: PhantomData<fn() -> V>,
}

impl<V> PCollectionView<V> {
    pub(crate) fn new(id: ViewId) -> Self {
        Self { id, of: PhantomData }
    }

    /// The id.
    pub fn id(&self) -> ViewId {
        self.id
    }
}

impl<V> Clone for PCollectionView<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for PCollectionView<V> {}

impl<V> fmt::Debug for PCollectionView<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCollectionView({})", self.id.0)
    }
}

/// A collection of pairs, to be looked up by key.
pub struct MapView<K, V> {
    values: HashMap<Vec<u8>, V, foldhash::fast::RandomState>,
    _held: Option<Reservation>,
    of: PhantomData<fn(&K)>,
}

impl<K: Element, V: Element> MapView<K, V> {
    pub(crate) fn new() -> Self {
        Self { values: HashMap::default(), _held: None, of: PhantomData }
    }

    pub(crate) fn insert(&mut self, key: Vec<u8>, value: V) -> Option<V> {
        self.values.insert(key, value)
    }

    /// Keeps what the map takes reserved for as long as it lives.
    pub(crate) fn keep(&mut self, held: Reservation) {
        self._held = Some(held);
    }

    /// The value of a key.
    ///
    /// Cost: one encoding and one look-up.
    ///
    /// # Errors
    /// A key that cannot be encoded.
    pub fn get(&self, key: &K) -> Result<Option<&V>> {
        let mut bytes = Vec::new();
        K::coder().encode(key, Context::Outer, &mut bytes)?;
        Ok(self.values.get(&bytes))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<K, V> fmt::Debug for MapView<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapView({} keys)", self.values.len())
    }
}
