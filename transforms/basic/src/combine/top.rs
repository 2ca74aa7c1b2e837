//! The greatest and the least few.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, CombinePerKey, Element};

use crate::encoding::encoding_of;

/// The order that [`Top`] goes by.
pub trait Ranking<T>: Clone + Send + Sync + 'static {
    /// How two values rank.
    fn compare(&self, a: &T, b: &T) -> Ordering;
}

/// The order of the values themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Natural;

impl<T: Ord> Ranking<T> for Natural {
    fn compare(&self, a: &T, b: &T) -> Ordering {
        a.cmp(b)
    }
}

/// The order of what a function makes of the values.
#[derive(Clone)]
pub struct ByKey<F>(F);

impl<T, K: Ord, F: Fn(&T) -> K + Clone + Send + Sync + 'static> Ranking<T> for ByKey<F> {
    fn compare(&self, a: &T, b: &T) -> Ordering {
        (self.0)(a).cmp(&(self.0)(b))
    }
}

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByKey")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Largest,
    Smallest,
}

/// At most `limit` values: the largest, greatest first, or the smallest, least first.
///
/// Of values that rank the same, those of the lesser encoding come first and stay, so that the
/// result depends on the values alone. Exact. Cost: one comparison for a value that is out, and
/// moving at most `limit` places for one that is in.
///
/// ```
/// use basic::Top;
/// use dataflow::prelude::CombineFn;
///
/// let longest = Top::largest_by(2, String::len);
/// let mut chosen = longest.create();
/// ["a", "ccc", "bb", "dd"].map(|word| longest.add(&mut chosen, word.to_owned()));
/// assert_eq!(longest.extract(chosen), ["ccc", "bb"]);
/// ```
pub struct Top<T, R = Natural> {
    limit: usize,
    end: End,
    ranking: R,
    of: PhantomData<fn(T)>,
}

impl<T, R> Top<T, R> {
    const fn new(limit: usize, end: End, ranking: R) -> Self {
        Self { limit, end, ranking, of: PhantomData }
    }
}

impl<T: Element + Ord> Top<T> {
    /// The largest values, greatest first.
    pub const fn largest(limit: usize) -> Self {
        Self::new(limit, End::Largest, Natural)
    }

    /// The smallest values, least first.
    pub const fn smallest(limit: usize) -> Self {
        Self::new(limit, End::Smallest, Natural)
    }

    /// For every key the largest of its values, greatest first.
    pub fn largest_per_key(limit: usize) -> CombinePerKey<Self> {
        CombinePerKey::of(Self::largest(limit))
    }

    /// For every key the smallest of its values, least first.
    pub fn smallest_per_key(limit: usize) -> CombinePerKey<Self> {
        CombinePerKey::of(Self::smallest(limit))
    }
}

impl<T, F> Top<T, ByKey<F>> {
    /// The values of which `key` makes the largest.
    pub const fn largest_by<K: Ord>(limit: usize, key: F) -> Self
    where
        F: Fn(&T) -> K,
    {
        Self::new(limit, End::Largest, ByKey(key))
    }

    /// The values of which `key` makes the smallest.
    pub const fn smallest_by<K: Ord>(limit: usize, key: F) -> Self
    where
        F: Fn(&T) -> K,
    {
        Self::new(limit, End::Smallest, ByKey(key))
    }
}

impl<T: Element, R: Ranking<T>> Top<T, R> {
    /// Which of two values comes first in the result.
    fn place(&self, a: &T, b: &T) -> Ordering {
        let ranked = self.ranking.compare(a, b);
        let ranked = if self.end == End::Largest { ranked.reverse() } else { ranked };
        ranked.then_with(|| encoding_of(a).cmp(&encoding_of(b)))
    }
}

impl<T: Element, R: Ranking<T>> CombineFn for Top<T, R>
where
    Vec<T>: Element,
{
    type In = T;
    type Acc = Vec<T>;
    type Out = Vec<T>;

    fn create(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, chosen: &mut Vec<T>, value: T) {
        insert_ranked(chosen, self.limit, value, |a, b| self.place(a, b));
    }

    fn merge(&self, chosen: &mut Vec<T>, other: Vec<T>) {
        for value in other {
            insert_ranked(chosen, self.limit, value, |a, b| self.place(a, b));
        }
    }

    fn extract(&self, chosen: Vec<T>) -> Vec<T> {
        chosen
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(format!("{:?} {}", self.end, self.limit))
    }
}

impl<T, R: Clone> Clone for Top<T, R> {
    fn clone(&self) -> Self {
        Self::new(self.limit, self.end, self.ranking.clone())
    }
}

impl<T, R> fmt::Debug for Top<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Top({:?} {})", self.end, self.limit)
    }
}

/// Puts `value` in its place among the first `limit` values, which are in order.
pub(super) fn insert_ranked<T>(
    chosen: &mut Vec<T>,
    limit: usize,
    value: T,
    compare: impl Fn(&T, &T) -> Ordering,
) {
    let is_full = chosen.len() >= limit;
    if is_full && chosen.last().is_none_or(|last| compare(last, &value).is_le()) {
        return;
    }
    let place = chosen.partition_point(|known| compare(known, &value).is_le());
    if is_full {
        chosen.pop();
    }
    chosen.insert(place, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    #[track_caller]
    fn check(limit: usize, values: &[i64], largest: &[i64], smallest: &[i64]) {
        assert_eq!(combine_all(&Top::largest(limit), values.to_vec()), largest);
        assert_eq!(combine_all(&Top::smallest(limit), values.to_vec()), smallest);
    }

    #[test]
    fn the_ends_come_in_order() {
        check(2, &[3, 1, 4, 1, 5], &[5, 4], &[1, 1]);
        check(9, &[3, 1, 2], &[3, 2, 1], &[1, 2, 3]);
        check(0, &[3], &[], &[]);
        check(2, &[], &[], &[]);
    }

    #[test]
    fn values_of_one_rank_stay_by_their_bytes() {
        let shortest = Top::smallest_by(2, |word: &String| word.len());
        for words in [["b", "c", "a"], ["c", "b", "a"], ["a", "b", "c"]] {
            let chosen = combine_all(&shortest, words.map(str::to_owned).to_vec());
            assert_eq!(chosen, ["a", "b"]);
        }
    }
}
