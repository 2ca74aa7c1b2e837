//! Counting.

use std::marker::PhantomData;

use dataflow::prelude::{CombineFn, CombinePerKey, Element, PCollection, PTransform};

use crate::map::Map;

/// Counts values, whatever they are.
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
