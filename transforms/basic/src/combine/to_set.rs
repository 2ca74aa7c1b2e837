//! The distinct values, as one list.

use std::collections::BTreeSet;
use std::collections::btree_set;
use std::marker::PhantomData;

use dataflow::coder::{Coder, CoderKind, Context, IterableCoder, Preview, unencodable};
use dataflow::prelude::{CombineFn, Element, Result};

/// Every distinct value once, ascending.
///
/// Equal are values that `Ord` calls equal. Exact. The list is one element, and so must fit in
/// memory; [`Distinct`](crate::Distinct) has no such limit.
///
/// ```
/// use basic::ToSet;
/// use dataflow::prelude::CombineFn;
///
/// let set = ToSet::new();
/// let mut values = set.create();
/// [13i64, 1, 4, 1].map(|value| set.add(&mut values, value));
/// assert_eq!(set.extract(values), [1, 4, 13]);
/// ```
#[derive(Debug)]
pub struct ToSet<T>(PhantomData<fn(T)>);

impl<T> ToSet<T> {
    /// The function that keeps distinct values.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for ToSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for ToSet<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T: Element + Ord> CombineFn for ToSet<T> {
    type In = T;
    type Acc = ValueSet<T>;
    type Out = Vec<T>;

    fn create(&self) -> ValueSet<T> {
        ValueSet::default()
    }

    fn add(&self, set: &mut ValueSet<T>, value: T) {
        set.insert(value);
    }

    fn merge(&self, set: &mut ValueSet<T>, mut other: ValueSet<T>) {
        if other.values.len() > set.values.len() {
            std::mem::swap(set, &mut other);
        }
        other.values.into_iter().for_each(|value| set.insert(value));
    }

    fn extract(&self, set: ValueSet<T>) -> Vec<T> {
        set.values.into_iter().collect()
    }
}

/// A set of values: what [`ToSet`] accumulates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSet<T> {
    values: BTreeSet<T>,
    /// Bytes that the values take with their places in the tree.
    bytes: usize,
}

/// What a value takes in the tree besides itself: nodes are at least half full.
const PLACE_BYTES: usize = 16;

impl<T> Default for ValueSet<T> {
    fn default() -> Self {
        Self { values: BTreeSet::new(), bytes: 0 }
    }
}

impl<T: Element + Ord> ValueSet<T> {
    fn insert(&mut self, value: T) {
        let bytes = 2 * size_of::<T>() + PLACE_BYTES + value.heap_bytes();
        if self.values.insert(value) {
            self.bytes += bytes;
        }
    }

    /// The values, ascending.
    pub fn iter(&self) -> btree_set::Iter<'_, T> {
        self.values.iter()
    }
}

impl<'a, T: Element + Ord> IntoIterator for &'a ValueSet<T> {
    type Item = &'a T;
    type IntoIter = btree_set::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Element + Ord> Element for ValueSet<T> {
    type Coder = ValueSetCoder<T::Coder>;

    fn coder() -> Self::Coder {
        ValueSetCoder(T::coder())
    }

    fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

/// Encodes a [`ValueSet`] as Beam's standard iterable, ascending.
#[derive(Debug, Clone)]
pub struct ValueSetCoder<C>(C);

impl<T: Element + Ord, C: Coder<T>> Coder<ValueSet<T>> for ValueSetCoder<C> {
    fn kind(&self) -> CoderKind {
        CoderKind::Iterable(Box::new(self.0.kind()))
    }

    fn is_deterministic(&self) -> bool {
        self.0.is_deterministic()
    }

    fn encode(&self, set: &ValueSet<T>, _: Context, out: &mut Vec<u8>) -> Result<()> {
        let count = i32::try_from(set.values.len()).map_err(|_| {
            unencodable("set", &format!("{} values are too many", set.values.len()))
        })?;
        out.extend_from_slice(&count.to_be_bytes());
        set.iter().try_for_each(|value| self.0.encode(value, Context::Nested, out))
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<ValueSet<T>> {
        let values: Vec<T> = IterableCoder(self.0.clone()).decode(context, input)?;
        let mut set = ValueSet::default();
        values.into_iter().for_each(|value| set.insert(value));
        Ok(set)
    }

    fn preview(&self, set: &ValueSet<T>, out: &mut Preview) {
        out.push_display(&format_args!("{} distinct values", set.values.len()));
    }
}
