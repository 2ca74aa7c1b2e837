//! How many values fall into each of some bins.

use std::sync::Arc;

use dataflow::combine::CombineFacts;
use dataflow::prelude::{CombineFn, Element, Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Counts floats in bins between given edges.
///
/// A bin holds what is at least its lower and less than its upper edge; the last one holds its
/// upper edge too. What lies outside and what is NaN is counted apart. Exact.
///
/// ```
/// use basic::Histogram;
/// use dataflow::prelude::CombineFn;
///
/// let histogram = Histogram::with_edges([0.0, 1.0, 10.0])?;
/// let mut counts = histogram.create();
/// [-1.0, 0.0, 1.0, 5.0, 10.0].map(|value| histogram.add(&mut counts, value));
/// let counts = histogram.extract(counts);
/// assert_eq!((counts.bins, counts.below), (vec![1, 3], 1));
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Histogram {
    edges: Arc<[f64]>,
}

/// What a [`Histogram`] has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
pub struct HistogramCounts {
    /// Values in each bin, from the lowest.
    pub bins: Vec<u64>,
    /// Values below the first edge.
    pub below: u64,
    /// Values above the last edge.
    pub above: u64,
    /// Values that are not a number.
    pub nan: u64,
}

impl Histogram {
    /// Bins between these edges.
    ///
    /// # Errors
    /// Fewer than two edges, or edges that are not finite and ascending.
    pub fn with_edges(edges: impl Into<Vec<f64>>) -> Result<Self> {
        let edges: Vec<f64> = edges.into();
        let is_ascending =
            edges.iter().all(|edge| edge.is_finite()) && edges.is_sorted_by(|a, b| a < b);
        if edges.len() < 2 || !is_ascending {
            let message = format!("{edges:?} are no edges of bins");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(
                error.mend("name at least two finite edges, each greater than the one before")
            );
        }
        Ok(Self { edges: edges.into() })
    }

    /// So many bins of one width from `start` to `stop`.
    ///
    /// # Errors
    /// No bin, a range that is empty or not finite, or more bins than there are floats in it.
    pub fn regular(start: f64, stop: f64, bin_count: usize) -> Result<Self> {
        let at = |index: usize| {
            let share = index as f64 / bin_count as f64;
            // The last edge is the one that was asked for, not what rounding makes of it.
            if index == bin_count { stop } else { start + (stop - start) * share }
        };
        Self::with_edges((0..=bin_count).map(at).collect::<Vec<f64>>())
    }

    /// The edges, ascending: one more than there are bins.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    fn bin_of(&self, value: f64) -> Place {
        let above = self.edges.partition_point(|edge| *edge <= value);
        let last = self.edges.len() - 1;
        match above {
            _ if value.is_nan() => Place::Nan,
            0 => Place::Below,
            // The upper edge of the last bin belongs to it.
            _ if above == last + 1 && value > self.edges[last] => Place::Above,
            _ => Place::Bin(above.min(last) as u32 - 1),
        }
    }
}

/// Where a value falls; the order is that of the accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Below,
    Above,
    Nan,
    Bin(u32),
}

impl Place {
    const BIN_ZERO: u32 = 3;

    const fn index(self) -> u32 {
        match self {
            Self::Below => 0,
            Self::Above => 1,
            Self::Nan => 2,
            Self::Bin(bin) => Self::BIN_ZERO + bin,
        }
    }
}

/// Counts by place, ascending; empty places take no memory, so that many keys may have few values.
type Counts = Vec<(u32, u64)>;

fn count_at(counts: &mut Counts, index: u32, more: u64) {
    match counts.binary_search_by_key(&index, |(known, _)| *known) {
        Ok(place) => counts[place].1 += more,
        Err(place) => counts.insert(place, (index, more)),
    }
}

impl CombineFn for Histogram {
    type In = f64;
    type Acc = Counts;
    type Out = HistogramCounts;

    fn create(&self) -> Counts {
        Vec::new()
    }

    fn add(&self, counts: &mut Counts, value: f64) {
        count_at(counts, self.bin_of(value).index(), 1);
    }

    fn merge(&self, counts: &mut Counts, other: Counts) {
        other.into_iter().for_each(|(index, more)| count_at(counts, index, more));
    }

    fn extract(&self, counts: Counts) -> HistogramCounts {
        let bins = vec![0; self.edges.len() - 1];
        let mut out = HistogramCounts { bins, ..HistogramCounts::default() };
        for (index, count) in counts {
            match index.checked_sub(Place::BIN_ZERO) {
                Some(bin) => out.bins[bin as usize] = count,
                None if index == Place::Below.index() => out.below = count,
                None if index == Place::Above.index() => out.above = count,
                None => out.nan = count,
            }
        }
        out
    }

    fn facts(&self) -> CombineFacts {
        CombineFacts::default().with_parameters(format!("{:?}", self.edges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::combine_all;

    #[track_caller]
    fn check(histogram: Result<Histogram>, values: &[f64], bins: &[u64], outside: [u64; 3]) {
        let got = combine_all(&histogram.expect("is valid"), values.to_vec());
        assert_eq!(got.bins, bins);
        assert_eq!([got.below, got.above, got.nan], outside);
    }

    #[test]
    fn values_on_edges_belong_above_but_for_the_last() {
        let values = [-0.1, 0.0, 0.999, 1.0, 2.0, 4.0, 4.1, f64::NAN, f64::NEG_INFINITY];
        check(Histogram::with_edges([0.0, 1.0, 2.0, 4.0]), &values, &[2, 1, 2], [2, 1, 1]);
        check(Histogram::regular(0.0, 4.0, 4), &values, &[2, 1, 1, 1], [2, 1, 1]);
        check(Histogram::regular(0.0, 0.3, 3), &[0.1, 0.3], &[0, 1, 1], [0, 0, 0]);
        check(Histogram::regular(0.0, 1.0, 2), &[], &[0, 0], [0, 0, 0]);
    }

    #[test]
    fn edges_that_do_not_ascend_are_refused() {
        for edges in [&[][..], &[1.0], &[1.0, 1.0], &[2.0, 1.0], &[0.0, f64::NAN]] {
            assert!(Histogram::with_edges(edges).is_err(), "{edges:?}");
        }
        assert!(Histogram::regular(0.0, 1.0, 0).is_err());
        assert!(Histogram::regular(1.0, 1.0, 2).is_err());
    }
}
