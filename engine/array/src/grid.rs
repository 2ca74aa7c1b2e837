//! How an array is cut into chunks.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::region::Region;

/// The cuts of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Axis {
    /// Chunks of one length; the last may be shorter.
    Regular {
        /// Elements of the dimension.
        length: u64,
        /// Elements of a chunk, never zero.
        chunk_length: u64,
    },
    /// Chunks of any lengths: where each begins, and where the last ends.
    Rectilinear {
        /// Ascending, from zero to the length of the dimension.
        bounds: Arc<[u64]>,
    },
}

impl Axis {
    /// Cuts `length` elements into chunks of `chunk_length`, at least one element long.
    pub fn regular(length: u64, chunk_length: u64) -> Self {
        Self::Regular { length, chunk_length: chunk_length.max(1) }
    }

    /// Cuts a dimension into chunks of these lengths; empty chunks are left out.
    pub fn of_lengths(lengths: impl IntoIterator<Item = u64>) -> Self {
        let mut bounds = vec![0u64];
        let mut end = 0;
        for length in lengths.into_iter().filter(|&length| length > 0) {
            end += length;
            bounds.push(end);
        }
        Self::Rectilinear { bounds: bounds.into() }
    }

    /// Elements of the dimension.
    pub fn length(&self) -> u64 {
        match self {
            Self::Regular { length, .. } => *length,
            Self::Rectilinear { bounds } => bounds.last().copied().unwrap_or(0),
        }
    }

    /// The number of chunks.
    pub fn chunk_count(&self) -> u64 {
        match self {
            Self::Regular { length, chunk_length } => length.div_ceil(*chunk_length),
            Self::Rectilinear { bounds } => bounds.len().saturating_sub(1) as u64,
        }
    }

    /// The elements of one chunk.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn chunk(&self, index: u64) -> Range<u64> {
        assert!(index < self.chunk_count(), "chunk {index} of {}", self.chunk_count());
        match self {
            Self::Regular { length, chunk_length } => {
                let start = index * chunk_length;
                start..(start + chunk_length).min(*length)
            }
            Self::Rectilinear { bounds } => bounds[index as usize]..bounds[index as usize + 1],
        }
    }

    /// The chunks that hold at least one of these elements.
    pub fn chunks_meeting(&self, elements: &Range<u64>) -> Range<u64> {
        let end = elements.end.min(self.length());
        if elements.start >= end {
            return 0..0;
        }
        match self {
            Self::Regular { chunk_length, .. } => {
                elements.start / chunk_length..(end - 1) / chunk_length + 1
            }
            Self::Rectilinear { bounds } => {
                let chunk_of =
                    |element| bounds.partition_point(|&bound| bound <= element) as u64 - 1;
                chunk_of(elements.start)..chunk_of(end - 1) + 1
            }
        }
    }

    /// Elements of the longest chunk.
    pub fn longest_chunk(&self) -> u64 {
        match self {
            Self::Regular { length, chunk_length } => *chunk_length.min(length),
            Self::Rectilinear { bounds } => {
                bounds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
            }
        }
    }
}

/// The cuts of all dimensions: a chunk is a box, its index one number per dimension.
///
/// ```
/// use array::{ChunkGrid, Region};
/// let grid = ChunkGrid::regular(&[10, 7], &[4, 5]);
/// assert_eq!(grid.counts(), [3, 2]);
/// assert_eq!(grid.region(&[2, 1]), Region::new([8..10, 5..7]));
/// let meeting: Vec<_> = grid.chunks_meeting(&Region::new([3..5, 0..1])).collect();
/// assert_eq!(meeting, [[0, 0], [1, 0]]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkGrid {
    axes: Vec<Axis>,
}

impl ChunkGrid {
    /// A grid of these axes.
    pub fn new(axes: impl IntoIterator<Item = Axis>) -> Self {
        Self { axes: axes.into_iter().collect() }
    }

    /// A grid of equal chunks over `shape`.
    pub fn regular(shape: &[u64], chunk_shape: &[u64]) -> Self {
        debug_assert_eq!(shape.len(), chunk_shape.len(), "one chunk length per dimension");
        Self::new(shape.iter().zip(chunk_shape).map(|(&n, &chunk)| Axis::regular(n, chunk)))
    }

    /// The axes.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The shape of the array.
    pub fn shape(&self) -> Vec<u64> {
        self.axes.iter().map(Axis::length).collect()
    }

    /// The number of chunks along every dimension.
    pub fn counts(&self) -> Vec<u64> {
        self.axes.iter().map(Axis::chunk_count).collect()
    }

    /// The number of chunks.
    pub fn chunk_count(&self) -> u64 {
        self.axes.iter().map(Axis::chunk_count).product()
    }

    /// The longest chunk along every dimension.
    pub fn largest_chunk(&self) -> Vec<u64> {
        self.axes.iter().map(Axis::longest_chunk).collect()
    }

    /// The elements of one chunk.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn region(&self, index: &[u64]) -> Region {
        Region::new(self.axes.iter().zip(index).map(|(axis, &index)| axis.chunk(index)))
    }

    /// The index of the chunk that is the `linear`-th in C order.
    pub fn index_of(&self, mut linear: u64) -> Vec<u64> {
        let mut index = vec![0; self.axes.len()];
        for (place, axis) in index.iter_mut().zip(&self.axes).rev() {
            let count = axis.chunk_count().max(1);
            *place = linear % count;
            linear /= count;
        }
        index
    }

    /// The place in C order of the chunk at `index`: the inverse of [`ChunkGrid::index_of`].
    pub fn linear_index(&self, index: &[u64]) -> u64 {
        let places = self.axes.iter().zip(index);
        places.fold(0, |linear, (axis, place)| linear * axis.chunk_count() + place)
    }

    /// The indices of the chunks that hold at least one element of `region`, in C order.
    pub fn chunks_meeting(&self, region: &Region) -> impl Iterator<Item = Vec<u64>> + use<> {
        let ranges = self.axes.iter().zip(region.ranges());
        let ranges: Vec<Range<u64>> = ranges.map(|(axis, r)| axis.chunks_meeting(&r)).collect();
        let total: u64 = ranges.iter().map(|range| range.end - range.start).product();
        (0..total).map(move |mut linear| {
            let mut index = vec![0; ranges.len()];
            for (place, range) in index.iter_mut().zip(&ranges).rev() {
                let count = range.end - range.start;
                *place = range.start + linear % count;
                linear /= count;
            }
            index
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &Axis, elements: Range<u64>, want: &[Range<u64>]) {
        let got: Vec<_> = axis.chunks_meeting(&elements).map(|i| axis.chunk(i)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn regular_axis_has_a_short_last_chunk() {
        check(&Axis::regular(10, 4), 7..10, &[4..8, 8..10]);
        check(&Axis::regular(10, 4), 10..12, &[]);
    }

    #[test]
    fn rectilinear_axis_leaves_out_empty_files() {
        let axis = Axis::of_lengths([3, 0, 5]);
        assert_eq!((axis.length(), axis.chunk_count(), axis.longest_chunk()), (8, 2, 5));
        check(&axis, 2..4, &[0..3, 3..8]);
        check(&axis, 3..8, &[std::ops::Range { start: 3, end: 8 }]);
    }

    #[test]
    fn linear_order_is_c_order() {
        let grid = ChunkGrid::regular(&[4, 6], &[2, 2]);
        let all: Vec<_> = (0..grid.chunk_count()).map(|i| grid.index_of(i)).collect();
        assert_eq!(all, grid.chunks_meeting(&Region::whole(&[4, 6])).collect::<Vec<_>>());
        assert!((0..).zip(&all).all(|(linear, index)| grid.linear_index(index) == linear));
    }

    #[test]
    fn an_array_without_dimensions_is_one_chunk() {
        let grid = ChunkGrid::regular(&[], &[]);
        assert_eq!(grid.chunk_count(), 1);
        assert_eq!(grid.region(&[]).element_count(), 1);
        assert_eq!(grid.chunks_meeting(&Region::whole(&[])).count(), 1);
    }

    #[test]
    fn an_empty_dimension_has_no_chunk() {
        let grid = ChunkGrid::regular(&[0, 3], &[4, 3]);
        assert_eq!(grid.chunk_count(), 0);
        assert_eq!(grid.chunks_meeting(&Region::whole(&[0, 3])).count(), 0);
    }
}
