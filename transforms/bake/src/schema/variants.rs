//! The first value that files have, and the first other one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use array::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::schema::FilePlace;

/// What files say of one thing that should agree.
///
/// Kept are the two different values that come first, each with its first file, and in how many
/// files there was a value at all. Merging is associative and commutative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Variants<T> {
    /// By first file; never empty.
    values: Vec<(FilePlace, T)>,
    count: u32,
}

/// The value of an attribute, and its place among the attributes of its file, which need not agree.
pub(crate) type Attribute = Variants<(u32, AttributeValue)>;

/// Values that may be the same thing.
pub(crate) trait Same {
    /// Whether both say the same.
    fn is_same(&self, other: &Self) -> bool;
}

impl<T: Same> Variants<T> {
    /// What one file says.
    pub(crate) fn of(value: T, file: FilePlace) -> Self {
        Self { values: vec![(file, value)], count: 1 }
    }

    /// Adds what other files say.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (file, value) in other.values {
            match self.values.iter_mut().find(|(_, known)| known.is_same(&value)) {
                Some(known) if known.0 <= file => {}
                Some(known) => *known = (file, value),
                None => self.values.push((file, value)),
            }
        }
        self.values.sort_by_key(|(file, _)| *file);
        self.values.truncate(2);
    }

    /// Makes this what all files say that say anything.
    pub(crate) fn settle(&mut self, value: T) {
        self.values = vec![(self.first_file(), value)];
    }

    /// The value of the first file that has one.
    pub(crate) fn first(&self) -> &T {
        &self.values[0].1
    }

    /// The first file that has a value.
    pub(crate) fn first_file(&self) -> FilePlace {
        self.values[0].0
    }

    /// Two files that say different things, and what they say.
    pub(crate) fn conflict(&self) -> Option<[(FilePlace, &T); 2]> {
        match self.values.as_slice() {
            [(a, first), (b, other), ..] => Some([(*a, first), (*b, other)]),
            _ => None,
        }
    }

    /// In how many files there is a value.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

/// Merges the values of equal keys, keeps the others.
pub(crate) fn merge_maps<K: Ord, V>(
    into: &mut BTreeMap<K, V>,
    other: BTreeMap<K, V>,
    mut merge: impl FnMut(&mut V, V),
) {
    for (key, value) in other {
        match into.entry(key) {
            Entry::Occupied(mut known) => merge(known.get_mut(), value),
            Entry::Vacant(place) => drop(place.insert(value)),
        }
    }
}

macro_rules! same_if_equal {
    ($($type:ty),+) => {$(
        impl Same for $type {
            fn is_same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )+};
}

same_if_equal!(
    u128,
    u64,
    Vec<String>,
    array::DType,
    Option<array::Scalar>,
    Option<String>,
    Option<(String, String)>,
    cf::Packing
);

impl Same for (u32, AttributeValue) {
    fn is_same(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

/// Places of files, as ranges: one for thousands of files that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileSet(Vec<(FilePlace, FilePlace)>);

impl FileSet {
    /// One file.
    pub(crate) fn of(file: FilePlace) -> Self {
        Self(vec![(file, file)])
    }

    /// Adds other files. Cost: O(ranges), and O(1) where all others come later.
    pub(crate) fn merge(&mut self, other: Self) {
        let ends_before =
            |last: &(FilePlace, FilePlace)| other.0.first().is_some_and(|first| last.1 < first.0);
        if !self.0.last().is_none_or(ends_before) {
            self.0.extend(other.0);
            self.0.sort_unstable();
            let all = std::mem::take(&mut self.0);
            all.into_iter().for_each(|range| self.push(range));
            return;
        }
        other.0.into_iter().for_each(|range| self.push(range));
    }

    /// Adds files of which none comes before the first of the last range.
    fn push(&mut self, (start, end): (FilePlace, FilePlace)) {
        match self.0.last_mut() {
            Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
            _ => self.0.push((start, end)),
        }
    }

    /// Whether it holds this file. Cost: O(log ranges).
    pub(crate) fn contains(&self, file: FilePlace) -> bool {
        let after = self.0.partition_point(|&(start, _)| start <= file);
        after > 0 && file <= self.0[after - 1].1
    }
}
