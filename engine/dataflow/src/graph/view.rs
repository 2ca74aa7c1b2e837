//! How a collection becomes the value of a side input.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::coder::{Coder, Context, Preview};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::graph::Env;
use crate::graph::env::AnyValue;
use crate::shuffle::{Iterable, Record, Records};
use crate::view::MapView;

/// Reads all records of a collection into what a DoFn sees.
pub trait AnyView: Send + Sync + fmt::Debug {
    /// The name of the shape, for plans and fingerprints.
    fn shape(&self) -> &'static str;

    /// Reads the view.
    ///
    /// # Errors
    /// A collection that does not have the shape, or more than the budget holds.
    fn load(&self, records: &mut dyn Records, env: &Env) -> Result<AnyValue>;
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
    fn shape(&self) -> &'static str {
        if self.default.is_some() { "singleton or default" } else { "singleton" }
    }

    fn load(&self, records: &mut dyn Records, _: &Env) -> Result<AnyValue> {
        let mut value = None;
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            if value.replace(T::coder().decode_shared(head, tail.clone())?).is_some() {
                return Err(mismatch("a singleton view was made of more than one element")
                    .mend("combine the collection into one element first"));
            }
        }
        match value.or_else(|| self.default.clone()) {
            Some(value) => Ok(Arc::new(value)),
            None => Err(mismatch("a singleton view was made of an empty collection")
                .mend("give a default with `as_singleton_view_or`")),
        }
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
    fn shape(&self) -> &'static str {
        "iterable"
    }

    fn load(&self, records: &mut dyn Records, env: &Env) -> Result<AnyValue> {
        let mut values = env.group_builder();
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            values.push(head, tail)?;
        }
        Ok(Arc::new(Iterable::<T>::new(values.finish()?, env.fault.clone())))
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
    fn shape(&self) -> &'static str {
        "map"
    }

    fn load(&self, records: &mut dyn Records, env: &Env) -> Result<AnyValue> {
        let coder = <(K, V)>::coder();
        let mut view = MapView::<K, V>::new();
        let mut held = env.budget.hold();
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            let (key, value) = coder.decode_shared(head, tail.clone())?;
            let mut bytes = Vec::new();
            K::coder().encode(&key, Context::Outer, &mut bytes)?;
            let size = 2 * (size_of::<(Vec<u8>, V)>() + bytes.len()) + value.heap_bytes();
            if !held.try_grow(size as u64) {
                let limit = env.budget.limit_bytes();
                let message = format!("a map view does not fit the memory of {limit} bytes");
                let error =
                    Error::new(ErrorCode::MEMORY_TOO_SMALL, ErrorKind::ResourceExhausted, message);
                return Err(error.mend("allow more memory, or join by key instead"));
            }
            if view.insert(bytes, value).is_some() {
                let mut preview = Preview::default();
                K::coder().preview(&key, &mut preview);
                return Err(mismatch("a map view was made of pairs with a key twice")
                    .at("key", preview.finish())
                    .mend("combine the values of each key first"));
            }
        }
        view.keep(held);
        Ok(Arc::new(view))
    }
}

fn mismatch(message: &str) -> Error {
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
