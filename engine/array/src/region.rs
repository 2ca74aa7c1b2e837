//! A box of elements.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The elements from `start` to before `stop`, on every dimension.
///
/// Units are elements. A region without dimensions holds one element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Region {
    ranges: Vec<Range64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Range64 {
    start: u64,
    stop: u64,
}

impl Region {
    /// The region of these ranges.
    pub fn new(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let ranges = ranges
            .into_iter()
            .map(|range| Range64 { start: range.start, stop: range.end.max(range.start) });
        Self { ranges: ranges.collect() }
    }

    /// The region of a whole array.
    pub fn whole(shape: &[u64]) -> Self {
        Self::new(shape.iter().map(|&length| 0..length))
    }

    /// The region that begins at `start` and has this shape.
    pub fn at(start: &[u64], shape: &[u64]) -> Self {
        debug_assert_eq!(start.len(), shape.len(), "one start per dimension");
        Self::new(start.iter().zip(shape).map(|(&start, &length)| start..start + length))
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.ranges.len()
    }

    /// The range on one dimension.
    pub fn range(&self, dimension: usize) -> Range<u64> {
        let range = self.ranges[dimension];
        range.start..range.stop
    }

    /// The ranges of all dimensions.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|range| range.start..range.stop)
    }

    /// The first element of every dimension.
    pub fn start(&self) -> Vec<u64> {
        self.ranges.iter().map(|range| range.start).collect()
    }

    /// The number of elements along every dimension.
    pub fn shape(&self) -> Vec<u64> {
        self.ranges.iter().map(|range| range.stop - range.start).collect()
    }

    /// The number of elements.
    pub fn element_count(&self) -> u64 {
        self.ranges.iter().map(|range| range.stop - range.start).product()
    }

    /// Whether the region holds no element.
    pub fn is_empty(&self) -> bool {
        self.ranges.iter().any(|range| range.stop == range.start)
    }

    /// The elements that both regions hold; `None` if there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        debug_assert_eq!(self.rank(), other.rank(), "regions of one array");
        let pairs = self.ranges.iter().zip(&other.ranges);
        let both = pairs.map(|(a, b)| a.start.max(b.start)..a.stop.min(b.stop));
        let both: Vec<Range<u64>> = both.collect();
        both.iter().all(|range| range.start < range.end).then(|| Self::new(both))
    }

    /// Where this region begins inside of `outer`, on every dimension.
    pub fn offset_in(&self, outer: &Self) -> Vec<u64> {
        self.ranges.iter().zip(&outer.ranges).map(|(own, outer)| own.start - outer.start).collect()
    }

    /// The same box, counted from `origin` instead of from zero.
    #[must_use]
    pub fn relative_to(&self, origin: &[u64]) -> Self {
        Self::new(
            self.ranges().zip(origin).map(|(range, &from)| range.start - from..range.end - from),
        )
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, range) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}..{}", range.start, range.stop)?;
        }
        f.write_str("]")
    }
}
