//! Pairs: their keys, their values, turned round, and made.

use std::fmt;
use std::marker::PhantomData;

use dataflow::prelude::{Element, PCollection, PTransform};

use crate::map::Map;

/// The key of every pair.
///
/// ```
/// # use dataflow::prelude::{Create, PCollection, Pipeline};
/// # use basic::Keys;
/// let pairs = Pipeline::new().apply(Create::of([("a".to_owned(), 1i64)]));
/// let keys: PCollection<String> = pairs.apply(Keys);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys;

impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for Keys {
    type Output = PCollection<K>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        input.apply(Map::of(|(key, _): (K, V)| key))
    }
}

/// The value of every pair.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values;

impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for Values {
    type Output = PCollection<V>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        input.apply(Map::of(|(_, value): (K, V)| value))
    }
}

/// Every pair with key and value changed over.
#[derive(Debug, Clone, Copy, Default)]
pub struct KvSwap;

impl<K: Element, V: Element> PTransform<PCollection<(K, V)>> for KvSwap {
    type Output = PCollection<(V, K)>;

    fn expand(self, input: PCollection<(K, V)>) -> Self::Output {
        input.apply(Map::of(|(key, value): (K, V)| (value, key)))
    }
}

/// Puts a key before every element.
///
/// ```
/// # use dataflow::prelude::{Create, PCollection, Pipeline};
/// # use basic::WithKeys;
/// let words = Pipeline::new().apply(Create::of(["a".to_owned(), "bcd".to_owned()]));
/// let by_length: PCollection<(u64, String)> =
///     words.apply(WithKeys::of(|word: &String| word.len() as u64));
/// ```
pub struct WithKeys<T, F>(F, PhantomData<fn(T)>);

impl<T, F> WithKeys<T, F> {
    /// The key that this function makes of the element.
    pub fn of<K>(key: F) -> Self
    where
        F: Fn(&T) -> K,
    {
        Self(key, PhantomData)
    }
}

impl<T, K, F> PTransform<PCollection<T>> for WithKeys<T, F>
where
    T: Element,
    K: Element,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    type Output = PCollection<(K, T)>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let key = self.0;
        input.apply(Map::of(move |element: T| (key(&element), element)))
    }
}

impl<T, F> fmt::Debug for WithKeys<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithKeys")
    }
}
