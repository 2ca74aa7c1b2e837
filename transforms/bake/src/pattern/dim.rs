//! One dimension of a pattern: its name, its keys, and how files are combined along it.

use std::fmt;
use std::num::NonZeroU64;

use dataflow::error::Result;
use serde::{Deserialize, Serialize};

use crate::pattern::keys::{Key, Keys, invalid};

/// How files are combined along a dimension of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CombineOp {
    /// They have the dimension, and follow each other along it.
    Concat,
    /// They hold different variables; a key names a set of variables.
    Merge,
    /// They do not have the dimension: it is made from the keys, with one element for each.
    Expand,
}

/// A dimension of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CombineDim {
    name: String,
    op: CombineOp,
    keys: Keys,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nitems_per_file: Option<NonZeroU64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    selections: Vec<Selection>,
}

/// Which of the keys of a dimension are kept; their order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// So many from the start.
    First(NonZeroU64),
    /// The first, and every so-manieth after it.
    Every(NonZeroU64),
    /// One of each of `count` parts of equal length, chosen by `seed`: the same for all time.
    Sample {
        /// How many are kept.
        count: NonZeroU64,
        /// What decides which.
        seed: u64,
    },
}

impl CombineDim {
    /// Files that follow each other along a dimension; how long each is need not be known.
    pub fn concat(name: impl Into<String>, keys: Keys) -> Self {
        Self::new(name.into(), CombineOp::Concat, keys, None)
    }

    /// Files with different variables.
    pub fn merge(name: impl Into<String>, keys: Keys) -> Self {
        Self::new(name.into(), CombineOp::Merge, keys, None)
    }

    /// A new dimension with one element for each key.
    pub fn expand(name: impl Into<String>, keys: Keys) -> Self {
        Self::new(name.into(), CombineOp::Expand, keys, Some(NonZeroU64::MIN))
    }

    fn new(name: String, op: CombineOp, keys: Keys, nitems_per_file: Option<NonZeroU64>) -> Self {
        Self { name, op, keys, nitems_per_file, selections: Vec::new() }
    }

    /// Says how many elements each file has along this dimension.
    ///
    /// # Errors
    /// A dimension that is not concatenated.
    pub fn with_nitems_per_file(mut self, nitems: NonZeroU64) -> Result<Self> {
        if self.op == CombineOp::Concat {
            self.nitems_per_file = Some(nitems);
            return Ok(self);
        }
        let message =
            format!("files have no length along the {} dimension `{}`", self.op, self.name);
        Err(invalid(message).mend("leave the number of items out"))
    }

    /// Keeps a part of those keys that are left.
    #[must_use]
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selections.push(selection);
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How files are combined along it.
    pub fn op(&self) -> CombineOp {
        self.op
    }

    /// Elements of each file along it, where that was said.
    pub fn nitems_per_file(&self) -> Option<NonZeroU64> {
        self.nitems_per_file
    }

    /// All its keys, whichever are left.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How many keys are left; at least 1.
    pub fn count(&self) -> u64 {
        self.selections.iter().fold(self.keys.count(), |count, it| it.count_of(count))
    }

    /// The key of this number, from 0, among those that are left; O(1).
    pub fn key(&self, number: u64) -> Option<Key<'_>> {
        let mut counts = vec![self.keys.count()];
        for selection in &self.selections {
            counts.push(selection.count_of(counts[counts.len() - 1]));
        }
        if counts.last().is_none_or(|count| number >= *count) {
            return None;
        }
        let from_last = self.selections.iter().zip(&counts).rev();
        self.keys.get(from_last.fold(number, |number, (it, count)| it.number_of(number, *count)))
    }
}

impl Selection {
    fn count_of(self, count: u64) -> u64 {
        match self {
            Self::First(most) | Self::Sample { count: most, .. } => count.min(most.get()),
            Self::Every(step) => count.div_ceil(step.get()),
        }
    }

    /// The number, among `count`, of what is kept at `number`.
    fn number_of(self, number: u64, count: u64) -> u64 {
        match self {
            Self::First(_) => number,
            Self::Every(step) => number * step.get(),
            Self::Sample { count: parts, seed } => {
                let parts = u128::from(parts.get().min(count));
                let edge = |part: u128| (part * u128::from(count) / parts) as u64;
                let (start, end) = (edge(number.into()), edge(u128::from(number) + 1));
                let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&number.to_le_bytes(), seed);
                start + hash % (end - start)
            }
        }
    }
}

impl fmt::Display for CombineOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Concat => "concat",
            Self::Merge => "merge",
            Self::Expand => "expand",
        })
    }
}
