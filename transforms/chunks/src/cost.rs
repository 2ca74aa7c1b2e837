//! What a copy costs, counted exactly from the grids alone.

use array::{Axis, ChunkGrid};

/// Elements of the source chunks that the units of a target touch, by the largest unit and in all.
///
/// The ratio of `total` to the elements of the array is how often an element is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Coverage {
    /// Elements of all chunks that meet the unit that meets most.
    pub(crate) largest_unit: f64,
    /// The same, summed over all units.
    pub(crate) total: f64,
    /// Chunks that meet a unit, summed over all units.
    pub(crate) chunk_reads: f64,
}

/// Counts what pulling costs: every unit reads whole every chunk that it meets.
///
/// Dimensions are independent, so the counts of a grid are products of those of its axes.
/// Cost: O(units along every axis).
pub(crate) fn coverage(units: &ChunkGrid, chunks: &ChunkGrid) -> Coverage {
    let mut all = Coverage { largest_unit: 1.0, total: 1.0, chunk_reads: 1.0 };
    for (unit_axis, chunk_axis) in units.axes().iter().zip(chunks.axes()) {
        let axis = axis_coverage(unit_axis, chunk_axis);
        all.largest_unit *= axis.largest_unit;
        all.total *= axis.total;
        all.chunk_reads *= axis.chunk_reads;
    }
    all
}

fn axis_coverage(units: &Axis, chunks: &Axis) -> Coverage {
    let mut axis = Coverage { largest_unit: 0.0, total: 0.0, chunk_reads: 0.0 };
    for index in 0..units.chunk_count() {
        let meeting = chunks.chunks_meeting(&units.chunk(index));
        if meeting.is_empty() {
            continue;
        }
        let extent = (chunks.chunk(meeting.end - 1).end - chunks.chunk(meeting.start).start) as f64;
        axis.largest_unit = axis.largest_unit.max(extent);
        axis.total += extent;
        axis.chunk_reads += (meeting.end - meeting.start) as f64;
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: &[u64], units: &[u64], chunks: &[u64], want: (f64, f64, f64)) {
        let units = ChunkGrid::regular(shape, units);
        let got = coverage(&units, &ChunkGrid::regular(shape, chunks));
        assert_eq!((got.largest_unit, got.total, got.chunk_reads), want);
    }

    #[test]
    fn aligned_grids_read_everything_once() {
        check(&[10, 6], &[4, 6], &[2, 3], (24.0, 60.0, 10.0));
    }

    #[test]
    fn slab_to_pencil_reads_everything_for_every_pencil() {
        check(&[8, 6], &[8, 2], &[1, 6], (48.0, 3.0 * 48.0, 24.0));
    }

    #[test]
    fn misaligned_units_share_chunks() {
        check(&[10], &[3], &[4], (8.0, 4.0 + 8.0 + 6.0 + 2.0, 6.0));
    }
}
