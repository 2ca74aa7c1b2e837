//! Joins many small ranges of one object into few requests. Pure; knows no store.

use std::ops::Range;

use bytes::Bytes;

/// No request is made longer than this by joining; a longer range stays whole.
const REQUEST_BYTES: u64 = 16 << 20;

/// The requests that cover `ranges`, ascending: neighbours at most `gap` bytes apart are joined.
///
/// Empty ranges are left out. Cost: O(n log n).
pub(crate) fn join_ranges(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.iter().filter(|r| !r.is_empty()).cloned().collect();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.end <= last.end => {}
            Some(last)
                if range.start <= last.end.saturating_add(gap)
                    && range.end - last.start <= REQUEST_BYTES.max(last.end - last.start) =>
            {
                last.end = range.end;
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Cuts what was asked for out of what was fetched; `None` if a request brought too little.
pub(crate) fn cut_ranges(
    ranges: &[Range<u64>],
    requests: &[Range<u64>],
    bodies: &[Bytes],
) -> Option<Vec<Bytes>> {
    let cut = |range: &Range<u64>| {
        if range.is_empty() {
            return Some(Bytes::new());
        }
        // Requests never hold each other, so the last one that begins before a range covers it
        // unless the range was split off from an overlapping, full one: then the one before does.
        let after = requests.partition_point(|request| request.start <= range.start);
        let place = (0..after).rev().find(|&place| requests[place].end >= range.end)?;
        let start = usize::try_from(range.start - requests[place].start).ok()?;
        let length = usize::try_from(range.end - range.start).ok()?;
        let body = &bodies[place];
        (start.checked_add(length)? <= body.len()).then(|| body.slice(start..start + length))
    };
    ranges.iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ranges: &[(u64, u64)], gap: u64, want: &[(u64, u64)]) {
        let ranges: Vec<_> = ranges.iter().map(|&(a, b)| a..b).collect();
        let requests = join_ranges(&ranges, gap);
        assert_eq!(requests.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>(), want);
        let body = |r: &Range<u64>| (r.start..r.end).map(|byte| byte as u8).collect::<Bytes>();
        let bodies: Vec<Bytes> = requests.iter().map(body).collect();
        let cut = cut_ranges(&ranges, &requests, &bodies).expect("all was fetched");
        assert_eq!(cut, ranges.iter().map(body).collect::<Vec<_>>());
    }

    #[test]
    fn neighbours_are_joined() {
        check(&[(0, 4), (6, 8)], 2, &[(0, 8)]);
        check(&[(0, 4), (6, 8)], 1, &[(0, 4), (6, 8)]);
    }

    #[test]
    fn order_overlap_and_emptiness_do_not_matter() {
        check(&[(9, 12), (0, 3), (2, 5), (7, 7), (1, 2)], 0, &[(0, 5), (9, 12)]);
    }

    #[test]
    fn requests_stay_short() {
        let (a, b) = (REQUEST_BYTES - 10, REQUEST_BYTES + 10);
        check(&[(a - 5, a), (a, a + 5)], 0, &[(a - 5, a + 5)]);
        check(&[(0, a), (a, b)], 0, &[(0, a), (a, b)]);
        check(&[(0, a), (5, b), (6, a)], 0, &[(0, a), (5, b)]);
    }

    #[test]
    fn a_short_body_is_noticed() {
        let cut = cut_ranges(&[0..4, 4..4], &[0..4, 6..8], &[Bytes::from_static(b"abc")]);
        assert_eq!(cut, None);
    }
}
