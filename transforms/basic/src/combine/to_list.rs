//! All values, as one list.

use std::marker::PhantomData;

use dataflow::prelude::{CombineFn, Element};

use crate::encoding::encoding_of;

/// All values in one list, each as often as it occurs.
///
/// The list is ordered by the encodings of the values, so that it is the same for every way in
/// which a run may be cut. Exact. The list is one element, and so must fit in memory.
///
/// ```
/// use basic::ToList;
/// use dataflow::prelude::CombineFn;
///
/// let list = ToList::new();
/// let mut values = list.create();
/// ["b", "a", "b"].map(|value| list.add(&mut values, value.to_owned()));
/// assert_eq!(list.extract(values), ["a", "b", "b"]);
/// ```
#[derive(Debug)]
pub struct ToList<T>(PhantomData<fn(T)>);

impl<T> ToList<T> {
    /// The function that lists.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for ToList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for ToList<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T: Element> CombineFn for ToList<T>
where
    Vec<T>: Element,
{
    type In = T;
    type Acc = Vec<T>;
    type Out = Vec<T>;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<T>, value: T) {
        values.push(value);
    }

    fn merge(&self, values: &mut Vec<T>, mut other: Vec<T>) {
        values.append(&mut other);
    }

    fn extract(&self, mut values: Vec<T>) -> Vec<T> {
        values.sort_by_cached_key(encoding_of);
        values
    }
}
