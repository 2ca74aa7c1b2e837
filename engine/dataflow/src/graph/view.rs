//! How a collection becomes the value of a side input.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::coder::{Coder, Context, Preview};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::{LoadedView, key_mistake};
use crate::shuffle::{Iterable, RawValues, RecordSet, Shelf, Table, TableOrder};
use crate::view::{ListView, MapView, MultimapView};

/// Reads all records of a collection into what a DoFn sees.
pub trait AnyView: Send + Sync + fmt::Debug {
    /// The shape of the view and what else decides its value, for fingerprints.
    ///
    /// # Errors
    /// A default that cannot be encoded.
    fn identity(&self) -> Result<String>;

    /// What keeps a view of this shape from being made, whatever the collection holds.
    fn mistake(&self) -> Option<Error> {
        None
    }

    /// Whether what it makes reads the records again and again, and does not copy them.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Reads the view; what it keeps in memory is reserved, what is refused goes to the shelf.
    ///
    /// # Errors
    /// A collection that does not have the shape, or more than the budget holds.
    fn load(&self, records: Arc<dyn RecordSet>, shelf: &mut Shelf) -> Result<LoadedView>;
}

/// A collection of exactly one element, or of none where there is a default.
pub struct SingletonLoader<T> {
    default: Option<T>,
}

impl<T> SingletonLoader<T> {
    /// A loader with what stands for an empty collection, if anything does.
    pub const fn new(default: Option<T>) -> Self {
        Self { default }
    }
}

impl<T: Element> AnyView for SingletonLoader<T> {
    fn identity(&self) -> Result<String> {
        let Some(default) = &self.default else { return Ok("singleton".to_owned()) };
        let mut bytes = Vec::new();
        T::coder().encode(default, Context::Outer, &mut bytes)?;
        Ok(format!("singleton or {:032x}", xxh3_128(&bytes)))
    }

    fn load(&self, records: Arc<dyn RecordSet>, shelf: &mut Shelf) -> Result<LoadedView> {
        if records.record_count() > 1 {
            let count = records.record_count();
            let message = format!("a singleton view was made of {count} elements");
            return Err(mismatch(message).mend("combine the collection into one element first"));
        }
        let mut held = shelf.budget().hold();
        let mut records = records.records();
        let value = if records.advance()? {
            let record = records.record();
            if !held.try_grow((record.head.len() + record.tail.len()) as u64) {
                return Err(too_large("singleton", "its element alone is larger", shelf));
            }
            Some(T::coder().decode_shared(record.head, record.tail.clone())?)
        } else {
            self.default.clone()
        };
        let Some(value) = value else {
            return Err(mismatch("a singleton view was made of an empty collection")
                .mend("give a default with `as_singleton_view_or`"));
        };
        Ok(LoadedView::new(Arc::new(value), Some(held)))
    }
}

/// All elements, in no order.
pub struct IterableLoader<T>(PhantomData<fn() -> T>);

impl<T> IterableLoader<T> {
    /// The loader of this type.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for IterableLoader<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Element> AnyView for IterableLoader<T> {
    fn identity(&self) -> Result<String> {
        Ok("iterable".to_owned())
    }

    fn keeps_records(&self) -> bool {
        true
    }

    /// Nothing is copied: the values stay on their edge, in memory or on disk.
    fn load(&self, records: Arc<dyn RecordSet>, _: &mut Shelf) -> Result<LoadedView> {
        let values = Iterable::<T>::in_bundle(RawValues::of_records(records));
        Ok(LoadedView::new(Arc::new(values), None))
    }
}

/// All elements in a fixed order, to be looked up by place.
pub struct ListLoader<T>(PhantomData<fn() -> T>);

impl<T> Default for ListLoader<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Element> AnyView for ListLoader<T> {
    fn identity(&self) -> Result<String> {
        Ok("list".to_owned())
    }

    fn load(&self, records: Arc<dyn RecordSet>, shelf: &mut Shelf) -> Result<LoadedView> {
        let table = Table::of(records.as_ref(), TableOrder::AsRead, shelf)?;
        let table = table.ok_or_else(|| too_large("list", NOR_INDEX, shelf))?;
        Ok(LoadedView::new(Arc::new(ListView::<T>::new(table)), None))
    }
}

/// Pairs with unique keys, to be looked up.
pub struct MapLoader<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> Default for MapLoader<K, V> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<K: Element, V: Element> AnyView for MapLoader<K, V> {
    fn identity(&self) -> Result<String> {
        Ok("map".to_owned())
    }

    fn mistake(&self) -> Option<Error> {
        key_mistake::<K>("looked up")
    }

    fn load(&self, records: Arc<dyn RecordSet>, shelf: &mut Shelf) -> Result<LoadedView> {
        let table = by_key::<K>(records.as_ref(), "map", shelf)?;
        if let Some(mut key) = table.repeated_key() {
            let keys = K::coder();
            let key = keys.decode(Context::Nested, &mut key)?;
            let mut preview = Preview::default();
            keys.preview(&key, &mut preview);
            return Err(mismatch("a map view was made of pairs with a key twice")
                .at("key", preview.finish())
                .mend("combine the values of each key first, or use `as_multimap_view`"));
        }
        Ok(LoadedView::new(Arc::new(MapView::<K, V>::new(table)), None))
    }
}

/// Pairs whose keys need not be unique, to be looked up.
pub struct MultimapLoader<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> Default for MultimapLoader<K, V> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<K: Element, V: Element> AnyView for MultimapLoader<K, V> {
    fn identity(&self) -> Result<String> {
        Ok("multimap".to_owned())
    }

    fn mistake(&self) -> Option<Error> {
        key_mistake::<K>("looked up")
    }

    fn load(&self, records: Arc<dyn RecordSet>, shelf: &mut Shelf) -> Result<LoadedView> {
        let table = by_key::<K>(records.as_ref(), "multimap", shelf)?;
        Ok(LoadedView::new(Arc::new(MultimapView::<K, V>::new(table)), None))
    }
}

/// A table of encoded pairs, by the keys that they begin with.
fn by_key<K: Element>(records: &dyn RecordSet, shape: &str, shelf: &mut Shelf) -> Result<Table> {
    let coder = K::coder();
    let key_bytes = |head: &[u8]| {
        let mut rest = head;
        coder.decode(Context::Nested, &mut rest)?;
        Ok(head.len() - rest.len())
    };
    let table = Table::of(records, TableOrder::ByKey(&key_bytes), shelf)?;
    table.ok_or_else(|| too_large(shape, NOR_INDEX, shelf))
}

const NOR_INDEX: &str = "not even an index of it on disk";

fn too_large(shape: &str, what: &str, shelf: &Shelf) -> Error {
    let limit = shelf.budget().limit_bytes();
    let message = format!("a {shape} view does not fit the memory of {limit} bytes: {what}");
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
    error.mend("allow more memory, or join by key instead")
}

fn mismatch(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::VIEW_MISMATCH, ErrorKind::InvalidInput, message)
}

macro_rules! debug_by_shape {
    ($($loader:ident<$($type:ident),+>;)+) => {$(
        impl<$($type),+> fmt::Debug for $loader<$($type),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($loader))
            }
        }
    )+};
}

debug_by_shape! {
    SingletonLoader<T>;
    IterableLoader<T>;
    ListLoader<T>;
    MapLoader<K, V>;
    MultimapLoader<K, V>;
}
