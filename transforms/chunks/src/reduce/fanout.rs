//! How many partials are merged at a time, and in how many steps.

use array::{Key, Sizes};
use dataflow::error::Result;

use crate::keyed::Chunks;

/// Seconds that one partial takes, whatever its size.
const SECONDS_PER_CHUNK: f64 = 1.0 / 1500.0;
/// Seconds that one byte of a partial takes.
const SECONDS_PER_BYTE: f64 = 1.0 / 25e6;
/// Seconds that a step takes, whatever it merges.
const SECONDS_PER_STEP: f64 = 0.1;

/// In how many steps chunks are merged along dimensions, and where each stands among them.
///
/// Source: xarray-beam 0.11.5, `combiners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fanout {
    bins: Vec<u64>,
    /// For each dimension that is reduced: its name, the length of a chunk, the number of chunks.
    axes: Vec<(String, array::Axis)>,
}

impl Fanout {
    /// Steps for a dataset of these sizes, cut into these chunks, that is reduced over dimensions.
    ///
    /// `item_bytes` are the bytes of one element of all variables.
    ///
    /// # Errors
    /// Chunks along a dimension that has no size.
    pub fn new<S: AsRef<str>>(
        sizes: &Sizes,
        chunks: &Chunks,
        dimensions: &[S],
        item_bytes: u64,
    ) -> Result<Self> {
        let is_reduced = |name: &str| dimensions.iter().any(|it| it.as_ref() == name);
        let all = chunks.axes(sizes)?;
        let kept = all.iter().filter(|(name, _)| !is_reduced(name));
        let chunk_bytes =
            kept.fold(item_bytes, |bytes, (_, axis)| bytes.saturating_mul(axis.longest_chunk()));
        // In the order in which they are named: that is the order in which chunks are counted.
        let axes = dimensions
            .iter()
            .filter_map(|name| all.iter().find(|(known, _)| known == name.as_ref()).cloned());
        let axes: Vec<(String, array::Axis)> = axes.collect();
        let count = axes.iter().map(|(_, axis)| axis.chunk_count().max(1)).product();
        Ok(Self { bins: fanout_bins(count, chunk_bytes), axes })
    }

    /// How many partials are merged at a time in each step; none if there is one chunk.
    pub fn bins(&self) -> &[u64] {
        &self.bins
    }

    /// The number of chunks that are merged.
    pub fn chunk_count(&self) -> u64 {
        self.axes.iter().map(|(_, axis)| axis.chunk_count().max(1)).product()
    }

    /// The place of a chunk among those that are merged with it.
    pub fn index_of(&self, key: &Key) -> u64 {
        self.axes.iter().fold(0, |index, (name, axis)| {
            let offset = key.offset(name).unwrap_or(0);
            index * axis.chunk_count().max(1) + axis.chunks_meeting(&(offset..offset + 1)).start
        })
    }
}

/// How many partials of so many bytes are merged at a time in each step, to be done the soonest.
///
/// A step takes a tenth of a second, and for each partial that it reads or writes 1/1500 of a second
/// and the time of its bytes at 25 MB a second. The product of all steps is at least `count`.
pub fn fanout_bins(count: u64, chunk_bytes: u64) -> Vec<u64> {
    if count <= 1 {
        return Vec::new();
    }
    let seconds = SECONDS_PER_CHUNK + SECONDS_PER_BYTE * chunk_bytes as f64;
    let cost = |bins: &Vec<u64>| {
        let moved: u64 = bins.iter().map(|bin| bin + 1).sum();
        moved as f64 * seconds + bins.len() as f64 * SECONDS_PER_STEP
    };
    // Each step merges two at the least.
    let most_steps = count.next_power_of_two().trailing_zeros().max(1);
    let splits = (1..=most_steps).map(|steps| even_bins(count, steps));
    splits.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or_default()
}

/// The least bins that differ by one at the most and whose product is at least `count`.
fn even_bins(count: u64, steps: u32) -> Vec<u64> {
    let power = |base: u64, exponent: u32| u128::from(base).saturating_pow(exponent);
    let mut base = (count as f64).powf(1.0 / f64::from(steps)) as u64;
    // The root may be off by its last bits.
    base = base.max(1);
    while power(base, steps) > u128::from(count) {
        base -= 1;
    }
    while power(base + 1, steps) <= u128::from(count) {
        base += 1;
    }
    let product = |larger: u32| power(base + 1, larger).saturating_mul(power(base, steps - larger));
    let larger = (0..=steps).find(|&larger| product(larger) >= u128::from(count));
    let larger = larger.unwrap_or(steps);
    (0..steps).map(|step| if step < larger { base + 1 } else { base }).collect()
}

/// The place of a chunk in each step, the first step first.
pub fn fanout_index(mut index: u64, bins: &[u64]) -> Vec<u64> {
    let digit = |&bin: &u64| {
        let digit = index % bin.max(1);
        index /= bin.max(1);
        digit
    };
    bins.iter().map(digit).collect()
}
