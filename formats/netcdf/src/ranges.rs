//! Joins many small ranges of a file into few requests.

use std::ops::Range;

/// Bytes between two ranges that cost less to read along than a second request.
const GAP_BYTES: u64 = 16 << 10;
/// Bytes that nobody asked for and that one fetch may hold: a scalar of a file with long records
/// must not pull the whole file into memory.
const SPARE_BYTES: u64 = 32 << 20;

/// Ascending ranges, joined where they touch or nearly do.
#[derive(Debug)]
pub(crate) struct Joined {
    ranges: Vec<Range<u64>>,
    spare_bytes: u64,
}

impl Joined {
    /// No ranges yet.
    pub(crate) fn new() -> Self {
        Self { ranges: Vec::new(), spare_bytes: SPARE_BYTES }
    }

    /// Adds a range that begins at or behind the end of the last one.
    pub(crate) fn push(&mut self, range: Range<u64>) {
        if let Some(last) = self.ranges.last_mut()
            && let Some(gap) = range.start.checked_sub(last.end)
            && gap <= GAP_BYTES.min(self.spare_bytes)
        {
            self.spare_bytes -= gap;
            last.end = range.end;
            return;
        }
        self.ranges.push(range);
    }

    /// The ranges to ask for, ascending.
    pub(crate) fn into_ranges(self) -> Vec<Range<u64>> {
        self.ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pushed: &[(u64, u64)], want: &[(u64, u64)]) {
        let mut joined = Joined::new();
        pushed.iter().for_each(|&(start, end)| joined.push(start..end));
        let got: Vec<(u64, u64)> = joined.into_ranges().iter().map(|r| (r.start, r.end)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn near_ranges_join_and_far_ones_do_not() {
        check(&[(0, 4), (4, 8), (100, 104)], &[(0, 104)]);
        check(&[(0, 4), (20_000, 20_004)], &[(0, 4), (20_000, 20_004)]);
    }

    #[test]
    fn gaps_are_read_only_as_long_as_the_spare_lasts() {
        let records: Vec<(u64, u64)> = (0..10_000).map(|i| (i * 10_000, i * 10_000 + 4)).collect();
        let mut joined = Joined::new();
        records.iter().for_each(|&(start, end)| joined.push(start..end));
        let bytes: u64 = joined.into_ranges().iter().map(|range| range.end - range.start).sum();
        assert!(bytes <= SPARE_BYTES + 40_000, "{bytes}");
    }
}
