//! Counting.

use std::marker::PhantomData;

use dataflow::prelude::{
    CombineFn, CombineGlobally, CombinePerKey, Element, PCollection, PTransform,
};

use crate::map::Map;

/// Counts values, whatever they are.
///
/// ```
/// use basic::Count;
/// use dataflow::prelude::CombineFn;
///
/// let count = Count::new();
/// let mut counted = count.create();
/// ["a", "b"].map(|word| count.add(&mut counted, word.to_owned()));
/// assert_eq!(count.extract(counted), 2);
/// ```
#[derive(Debug)]
pub struct Count<T>(PhantomData<fn(T)>);

impl<T> Count<T> {
    /// The function that counts.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Count<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Count<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Count<()> {
    /// The transform that counts how often each element occurs.
    pub const fn per_element() -> CountPerElement {
        CountPerElement
    }

    /// The transform that counts all elements of a collection; none are 0.
    pub fn globally<T: Element>() -> CombineGlobally<Count<T>> {
        CombineGlobally::of(Count::new())
    }

    /// The transform that counts the values of every key.
    pub fn per_key<V: Element>() -> CombinePerKey<Count<V>> {
        CombinePerKey::of(Count::new())
    }
}

impl<T: Element> CombineFn for Count<T> {
    type In = T;
    type Acc = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: T) {
        *count += 1;
    }

    fn merge(&self, count: &mut u64, other: u64) {
        *count += other;
    }

    fn extract(&self, count: u64) -> u64 {
        count
    }
}

/// Every distinct element once, with the number of its occurrences.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountPerElement;

impl<T: Element> PTransform<PCollection<T>> for CountPerElement {
    type Output = PCollection<(T, u64)>;

    fn expand(self, input: PCollection<T>) -> Self::Output {
        let keyed = input.apply(Map::of(|element: T| (element, ())));
        keyed.apply(CombinePerKey::of(Count::<()>::new()))
    }
}
