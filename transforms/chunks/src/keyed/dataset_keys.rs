//! The keys of a dataset that is cut into chunks, and their order.

use array::{Axis, Key, Sizes};
use dataflow::error::Result;

use crate::keyed::lengths::{ChunkLengths, Chunks};

/// The keys of all chunks of a dataset, as pure integers: none is kept.
///
/// Without variables split, a key names all dimensions, and the keys come in C order of them. With
/// them split, a key names one variable and its own dimensions; variables come in their order.
///
/// Source: xarray-beam 0.11.5, `DatasetToChunks`.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetKeys {
    axes: Vec<(String, Axis)>,
    /// Name and dimensions of each data variable.
    variables: Vec<(String, Vec<String>)>,
    is_split: bool,
    sharded: Option<String>,
}

/// Some of the keys: those of one variable or of all, within a range of chunks of one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyRange {
    pub(crate) variable: Option<usize>,
    /// The first and the last but one chunk along the dimension that is sharded.
    pub(crate) shard: Option<(u64, u64)>,
}

impl DatasetKeys {
    /// The keys of data variables with these dimensions.
    ///
    /// # Errors
    /// Chunks along a dimension that has no size, explicit lengths that do not add up to it.
    pub fn new(
        sizes: &Sizes,
        chunks: &Chunks,
        variables: impl IntoIterator<Item = (String, Vec<String>)>,
    ) -> Result<Self> {
        let axes = chunks.axes(sizes)?;
        // What is whole on request has the least chunks of all, the longest the least.
        let rank = |(name, axis): &(String, Axis)| match chunks.get(name) {
            Some(ChunkLengths::Whole) => -i128::from(axis.length()),
            _ => i128::from(count_of(axis)),
        };
        let sharded = axes.iter().rev().max_by_key(|named| rank(named));
        let sharded = sharded.map(|(name, _)| name.clone());
        Ok(Self { axes, variables: variables.into_iter().collect(), is_split: false, sharded })
    }

    /// Gives each variable keys of its own.
    #[must_use]
    pub fn with_split_variables(mut self) -> Self {
        self.is_split = true;
        self
    }

    /// The same keys of these data variables.
    pub(crate) fn of_variables(mut self, variables: Vec<(String, Vec<String>)>) -> Self {
        self.variables = variables;
        self
    }

    /// The number of keys.
    pub fn count(&self) -> u64 {
        self.whole_ranges().iter().map(|range| self.count_of(range)).sum()
    }

    /// The dimension with the most chunks, the first of equal ones: along it keys are sharded.
    pub fn sharded_dimension(&self) -> Option<&str> {
        self.sharded.as_deref()
    }

    /// How many shards make about `keys_per_shard` keys each of more than `threshold`; `None` for
    /// fewer.
    pub fn shard_count(&self, threshold: u64, keys_per_shard: u64) -> Option<u64> {
        let count = self.count();
        let variable_count = if self.is_split { self.variables.len() as u64 } else { 1 };
        let keys_per_shard = (variable_count * keys_per_shard).max(1);
        (count > threshold).then(|| count.div_ceil(keys_per_shard))
    }

    /// All keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = Key> {
        self.whole_ranges().into_iter().flat_map(|range| self.keys(range))
    }

    /// One range for each variable if they are split, else one for all.
    fn whole_ranges(&self) -> Vec<KeyRange> {
        if !self.is_split {
            return vec![KeyRange { variable: None, shard: None }];
        }
        let range = |variable| KeyRange { variable: Some(variable), shard: None };
        (0..self.variables.len()).map(range).collect()
    }

    /// The ranges of all shards, in order; a variable without the sharded dimension is one range.
    pub(crate) fn shards(&self, shard_count: Option<u64>) -> Vec<KeyRange> {
        let Some(shard_count) = shard_count.filter(|&count| count > 1) else {
            return self.whole_ranges();
        };
        let sharded = self.sharded_dimension().and_then(|name| self.axis(name));
        let chunk_count = sharded.map_or(1, count_of);
        let step = chunk_count.div_ceil(shard_count).max(1);
        let ranges = self.whole_ranges().into_iter().flat_map(|whole| {
            let is_sharded = self
                .axes_of(&whole)
                .iter()
                .any(|(name, _)| Some(name.as_str()) == self.sharded_dimension());
            let starts = (0..chunk_count).step_by(step as usize);
            let shards: Vec<KeyRange> = if is_sharded {
                let shard = |start: u64| Some((start, (start + step).min(chunk_count)));
                starts.map(|start| KeyRange { shard: shard(start), ..whole }).collect()
            } else {
                vec![whole]
            };
            shards
        });
        ranges.collect()
    }

    /// The keys of a range, in order.
    pub(crate) fn keys(&self, range: KeyRange) -> impl Iterator<Item = Key> + use<'_> {
        let axes = self.axes_of(&range);
        let variable = range.variable.map(|place| self.variables[place].0.as_str());
        let bounds: Vec<(u64, u64)> = axes
            .iter()
            .map(|(name, axis)| match range.shard {
                Some(shard) if Some(name.as_str()) == self.sharded_dimension() => shard,
                _ => (0, count_of(axis)),
            })
            .collect();
        (0..self.count_of(&range)).map(move |mut place| {
            let mut key = Key::default();
            for ((name, axis), (first, end)) in axes.iter().zip(&bounds).rev() {
                let count = end - first;
                key = key.with_offset(name, start_of(axis, first + place % count));
                place /= count;
            }
            match variable {
                Some(variable) => key.with_variables([variable]),
                None => key,
            }
        })
    }

    fn count_of(&self, range: &KeyRange) -> u64 {
        let counts = self.axes_of(range).into_iter().map(|(name, axis)| match range.shard {
            Some((first, end)) if Some(name.as_str()) == self.sharded_dimension() => end - first,
            _ => count_of(axis),
        });
        counts.product()
    }

    fn axes_of(&self, range: &KeyRange) -> Vec<&(String, Axis)> {
        let is_of = |name: &String| {
            range.variable.is_none_or(|place| self.variables[place].1.contains(name))
        };
        self.axes.iter().filter(|(name, _)| is_of(name)).collect()
    }

    pub(crate) fn axis(&self, dimension: &str) -> Option<&Axis> {
        self.axes.iter().find(|(name, _)| name == dimension).map(|(_, axis)| axis)
    }
}

/// The number of chunks: one, which is empty, of an empty dimension.
fn count_of(axis: &Axis) -> u64 {
    axis.chunk_count().max(1)
}

fn start_of(axis: &Axis, chunk: u64) -> u64 {
    if axis.chunk_count() == 0 { 0 } else { axis.chunk(chunk).start }
}
