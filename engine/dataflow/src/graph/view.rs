//! How a collection becomes the value of a side input.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::coder::{Coder, Context, Preview};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::LoadedView;
use crate::memory::{MemoryBudget, Reservation};
use crate::shuffle::{Iterable, RawValues, RecordSet};
use crate::view::MapView;

/// Reads all records of a collection into what a DoFn sees.
pub trait AnyView: Send + Sync + fmt::Debug {
    /// The shape of the view and what else decides its value, for fingerprints.
    ///
    /// # Errors
    /// A default that cannot be encoded.
    fn identity(&self) -> Result<String>;

    /// Whether what it makes reads the records again and again, and does not copy them.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Reads the view; what it keeps in memory is reserved.
    ///
    /// # Errors
    /// A collection that does not have the shape, or more than the budget holds.
    fn load(&self, records: Arc<dyn RecordSet>, budget: &MemoryBudget) -> Result<LoadedView>;
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

    fn load(&self, records: Arc<dyn RecordSet>, budget: &MemoryBudget) -> Result<LoadedView> {
        if records.record_count() > 1 {
            let count = records.record_count();
            let message = format!("a singleton view was made of {count} elements");
            return Err(mismatch(message).mend("combine the collection into one element first"));
        }
        let mut held = budget.hold();
        let mut records = records.records();
        let value = if records.advance()? {
            let record = records.record();
            reserve(&mut held, record.head.len() + record.tail.len(), "singleton", budget)?;
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
    fn load(&self, records: Arc<dyn RecordSet>, _: &MemoryBudget) -> Result<LoadedView> {
        let values = Iterable::<T>::in_bundle(RawValues::of_records(records));
        Ok(LoadedView::new(Arc::new(values), None))
    }
}

/// Pairs with unique keys, to be looked up.
pub struct MapLoader<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> MapLoader<K, V> {
    /// The loader of these types.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K, V> Default for MapLoader<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Element, V: Element> AnyView for MapLoader<K, V> {
    fn identity(&self) -> Result<String> {
        Ok("map".to_owned())
    }

    fn load(&self, records: Arc<dyn RecordSet>, budget: &MemoryBudget) -> Result<LoadedView> {
        let (coder, keys) = (<(K, V)>::coder(), K::coder());
        let mut held = budget.hold();
        let count = usize::try_from(records.record_count()).unwrap_or(usize::MAX);
        let table = MapView::<K, V>::table_bytes(count);
        reserve(&mut held, table, "map", budget)?;
        let mut view = MapView::<K, V>::with_capacity(count);
        let mut records = records.records();
        while records.advance()? {
            let record = records.record();
            let (key, value) = coder.decode_shared(record.head, record.tail.clone())?;
            let mut bytes = Vec::new();
            keys.encode(&key, Context::Outer, &mut bytes)?;
            bytes.shrink_to_fit();
            reserve(&mut held, bytes.len() + value.heap_bytes(), "map", budget)?;
            if view.insert(bytes, value).is_some() {
                let mut preview = Preview::default();
                keys.preview(&key, &mut preview);
                return Err(mismatch("a map view was made of pairs with a key twice")
                    .at("key", preview.finish())
                    .mend("combine the values of each key first"));
            }
        }
        Ok(LoadedView::new(Arc::new(view), Some(held)))
    }
}

fn reserve(held: &mut Reservation, more: usize, shape: &str, budget: &MemoryBudget) -> Result<()> {
    if held.try_grow(more as u64) {
        return Ok(());
    }
    let limit = budget.limit_bytes();
    let message = format!("a {shape} view does not fit the memory of {limit} bytes");
    let error = Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
    Err(error.mend("allow more memory, or join by key instead"))
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
    MapLoader<K, V>;
}
