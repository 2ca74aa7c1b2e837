//! Exact counts along one dimension that is cut in two ways.
//!
//! Dimensions are independent: what a whole grid costs is the product of what its axes cost. Regular
//! axes are counted in closed form, however many chunks they have; rectilinear ones by their bounds.

use array::Axis;

use super::residue::first_index_within;

/// An axis that says that it is regular if it is: all chunks of one length but a shorter last one.
pub(super) fn simplified(axis: &Axis) -> Axis {
    let Axis::Rectilinear { bounds } = axis else { return axis.clone() };
    let first = bounds.get(1).copied().unwrap_or(0);
    let is_regular = bounds.windows(2).enumerate().all(|(index, pair)| {
        let length = pair[1] - pair[0];
        length == first || (length < first && index + 2 == bounds.len())
    });
    if is_regular { Axis::regular(axis.length(), first) } else { axis.clone() }
}

/// The least common multiple; beyond 64 bits the greatest number, which no dimension reaches.
pub(super) fn common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a.checked_div(divisor).map_or(0, |rest| rest.saturating_mul(b))
}

/// Whether a chunk of the axis begins at this element; the end of the axis counts too.
pub(super) fn is_cut(axis: &Axis, element: u64) -> bool {
    match axis {
        Axis::Regular { length, chunk_length } => {
            element == *length || element.is_multiple_of(*chunk_length)
        }
        Axis::Rectilinear { bounds } => bounds.binary_search(&element).is_ok(),
    }
}

/// The cuts of a rectilinear axis, to be asked for often.
struct Cuts<'a> {
    bounds: &'a [u64],
    /// A bit for each element, where chunks are so short that this takes no more than the bounds.
    bits: Vec<u64>,
}

impl<'a> Cuts<'a> {
    fn new(bounds: &'a [u64]) -> Self {
        let length = bounds.last().copied().unwrap_or(0);
        let words = usize::try_from(length / 64 + 1).ok().filter(|words| *words <= bounds.len());
        let mut bits = vec![0; words.unwrap_or(0)];
        if !bits.is_empty() {
            bounds.iter().for_each(|bound| bits[(bound / 64) as usize] |= 1 << (bound % 64));
        }
        Self { bounds, bits }
    }

    fn contains(&self, element: u64) -> bool {
        match self.bits.get((element / 64) as usize) {
            Some(word) => word >> (element % 64) & 1 == 1,
            None => self.bounds.binary_search(&element).is_ok(),
        }
    }
}

/// The cuts between chunks, without both ends; for a rectilinear axis.
fn inner_bounds(bounds: &[u64]) -> &[u64] {
    bounds.get(1..bounds.len().saturating_sub(1)).unwrap_or(&[])
}

/// Cuts between chunks that both axes have.
pub(super) fn common_cut_count(a: &Axis, b: &Axis) -> u64 {
    match (a, b) {
        (
            Axis::Regular { length, chunk_length: one },
            Axis::Regular { chunk_length: other, .. },
        ) => length.div_ceil(common_multiple(*one, *other)).saturating_sub(1),
        (Axis::Rectilinear { bounds }, Axis::Regular { length, chunk_length })
        | (Axis::Regular { length, chunk_length }, Axis::Rectilinear { bounds })
            if is_sparse(*length, *chunk_length, bounds) =>
        {
            let mut rest = inner_bounds(bounds);
            let common = cuts(*length, *chunk_length).filter(|cut| advance(&mut rest, *cut));
            common.count() as u64
        }
        (Axis::Rectilinear { bounds }, other) | (other, Axis::Rectilinear { bounds }) => {
            inner_bounds(bounds).iter().filter(|&&bound| is_cut(other, bound)).count() as u64
        }
    }
}

/// The cuts of a regular axis, without both ends.
fn cuts(length: u64, chunk_length: u64) -> impl Iterator<Item = u64> {
    (1..length.div_ceil(chunk_length.max(1))).map(move |index| index * chunk_length)
}

/// Whether a regular axis has so much fewer cuts than a rectilinear one that it takes less to look
/// each of them up than to divide each bound.
fn is_sparse(length: u64, chunk_length: u64, bounds: &[u64]) -> bool {
    length.div_ceil(chunk_length.max(1)) < bounds.len() as u64 / 16
}

/// Leaves out the bounds before an element; whether it is one of them.
fn advance(rest: &mut &[u64], element: u64) -> bool {
    let before = rest.partition_point(|&bound| bound < element);
    *rest = &rest[before..];
    rest.first() == Some(&element)
}

/// Pairs of a chunk of one axis and a chunk of the other that meet: the cells of a dimension that is
/// cut in both ways.
pub(super) fn cell_count(a: &Axis, b: &Axis) -> u64 {
    if a.length() == 0 {
        return 0;
    }
    let cuts = (a.chunk_count() - 1).saturating_add(b.chunk_count() - 1);
    (cuts - common_cut_count(a, b)).saturating_add(1)
}

/// Chunks that one of the groups of `extent` elements, which tile the axis, meets at the most; where
/// it takes long to say which, a bound that is not less.
pub(super) fn most_meeting(axis: &Axis, extent: u64) -> u64 {
    let count = axis.chunk_count();
    match axis {
        Axis::Regular { chunk_length, .. } if extent.is_multiple_of(*chunk_length) => {
            (extent / chunk_length).min(count)
        }
        Axis::Regular { chunk_length, .. } => {
            (extent.saturating_sub(1) / chunk_length).saturating_add(2).min(count)
        }
        Axis::Rectilinear { bounds } => {
            let groups = axis.length().div_ceil(extent.max(1));
            if groups > bounds.len() as u64 {
                return extent.min(count);
            }
            let ends = (0..groups).map(|group| group * extent..(group + 1).saturating_mul(extent));
            let meeting = ends.map(|group| axis.chunks_meeting(&group));
            meeting.map(|range| range.end - range.start).max().unwrap_or(0)
        }
    }
}

/// Elements that are read if every task reads whole each chunk that it meets.
///
/// A chunk is read once, and once more for every cut between tasks that lies inside of it.
pub(super) fn covered_elements(tasks: &Axis, chunks: &Axis) -> u128 {
    let length = u128::from(chunks.length());
    match (tasks, chunks) {
        (Axis::Regular { chunk_length: task, .. }, Axis::Regular { chunk_length: chunk, .. }) => {
            length + read_again(chunks.length(), *task, *chunk)
        }
        (Axis::Regular { length: all, chunk_length: task }, Axis::Rectilinear { bounds })
            if is_sparse(*all, *task, bounds) =>
        {
            let again = cuts(*all, *task).map(|cut| {
                let after = bounds.partition_point(|&bound| bound <= cut);
                let chunk = bounds[after - 1]..bounds[after];
                if chunk.start == cut { 0 } else { u128::from(chunk.end - chunk.start) }
            });
            length + again.sum::<u128>()
        }
        (Axis::Regular { chunk_length: task, .. }, Axis::Rectilinear { bounds }) => {
            let again = bounds.windows(2).map(|pair| {
                let cuts_inside = (pair[1] - 1) / task - pair[0] / task;
                u128::from(pair[1] - pair[0]) * u128::from(cuts_inside)
            });
            length + again.sum::<u128>()
        }
        (Axis::Rectilinear { bounds }, _) => {
            let again = inner_bounds(bounds).iter().map(|&bound| {
                let meeting = chunks.chunks_meeting(&(bound..bound + 1));
                let chunk = chunks.chunk(meeting.start);
                if chunk.start == bound { 0 } else { u128::from(chunk.end - chunk.start) }
            });
            length + again.sum::<u128>()
        }
    }
}

/// Elements of chunks that cuts between tasks make be read once more.
fn read_again(length: u64, task: u64, chunk: u64) -> u128 {
    if length == 0 {
        return 0;
    }
    let cuts = length.div_ceil(task) - 1;
    let common = length.div_ceil(common_multiple(task, chunk)) - 1;
    let last_start = (length.div_ceil(chunk) - 1) * chunk;
    let in_last = cuts - last_start / task;
    let in_others = cuts - common - in_last;
    u128::from(in_others) * u128::from(chunk)
        + u128::from(in_last) * u128::from(length - last_start)
}

/// Elements of the target chunks that are open at once, at the most, while `window` source chunks
/// after the other are taken together.
pub(super) fn widest_open(source: &Axis, window: u64, target: &Axis) -> u64 {
    let window = window.max(1);
    match (source, target) {
        (Axis::Regular { length, chunk_length }, Axis::Regular { chunk_length: target, .. }) => {
            let step = chunk_length.saturating_mul(window).min(*length);
            widest_open_regular(*length, step, (*target).min(*length))
        }
        (Axis::Regular { length, chunk_length }, Axis::Rectilinear { bounds }) => {
            let step = chunk_length.saturating_mul(window).min(*length).max(1);
            // Of all windows that begin in one target chunk the last reaches furthest.
            let open = bounds.windows(2).filter_map(|pair| {
                let start = (pair[1] - 1) / step * step;
                let end = start.saturating_add(step).min(*length);
                (start >= pair[0]).then(|| open_extent(target, start, end))
            });
            open.max().unwrap_or(0)
        }
        (Axis::Rectilinear { bounds }, _) => {
            let count = bounds.len().saturating_sub(1);
            let window = usize::try_from(window).unwrap_or(usize::MAX).min(count).max(1);
            let open = (0..count).step_by(window).map(|first| {
                let end = first.saturating_add(window).min(count);
                open_extent(target, bounds[first], bounds[end])
            });
            open.max().unwrap_or(0)
        }
    }
}

/// Elements of the chunks that hold some of these elements.
fn open_extent(target: &Axis, start: u64, end: u64) -> u64 {
    let meeting = target.chunks_meeting(&(start..end));
    if meeting.is_empty() {
        return 0;
    }
    target.chunk(meeting.end - 1).end - target.chunk(meeting.start).start
}

/// The same where windows are `step` elements long and target chunks `target`.
///
/// A window that begins `r` elements into a target chunk has `⌈(r + step) / target⌉` of them open, so
/// that all depends on whether some `r` is large enough for one more: a question on residues.
fn widest_open_regular(length: u64, step: u64, target: u64) -> u64 {
    if length == 0 {
        return 0;
    }
    let last_start = (length.div_ceil(target) - 1) * target;
    // Windows that end before the last target chunk, which may be shorter, begins.
    let before_last = last_start / step;
    let (whole, rest) = (step / target, step % target);
    let needs = |more: u64| match (more, rest) {
        (2, 0) => None,
        (2, rest) => Some(target - rest + 1),
        (_, 0) => Some(1),
        _ => Some(0),
    };
    let occurs = |least: u64| {
        least < target
            && first_index_within(step % target, target, least, target - 1)
                .is_some_and(|index| index < before_last)
    };
    let more = [2, 1].into_iter().find(|&more| needs(more).is_some_and(occurs));
    let inner = if before_last == 0 { 0 } else { (whole + more.unwrap_or(0)) * target };
    // The first window that reaches the last chunk begins furthest from the end.
    let start = before_last * step;
    let outer = if start < length { length - start / target * target } else { 0 };
    inner.max(outer)
}

/// The least extent of which every multiple is a cut of both axes: the blocks of a dimension that
/// share no chunk, of the source or the target, with another.
pub(super) fn common_period(a: &Axis, b: &Axis) -> u64 {
    let length = a.length();
    match (a, b) {
        (Axis::Regular { chunk_length: one, .. }, Axis::Regular { chunk_length: other, .. }) => {
            common_multiple(*one, *other).min(length)
        }
        (Axis::Rectilinear { bounds }, other) | (other, Axis::Rectilinear { bounds }) => {
            let own = Cuts::new(bounds);
            let both = |element: u64| own.contains(element) && is_cut(other, element);
            let candidates = with_second_cut(bounds).filter(|&bound| is_cut(other, bound));
            periods_among(candidates, length, both).next().unwrap_or(length)
        }
    }
}

/// Extents, ascending and without the whole, of which every multiple is a cut of a rectilinear axis.
pub(super) fn periods(axis: &Axis) -> Vec<u64> {
    let Axis::Rectilinear { bounds } = axis else { return Vec::new() };
    let cuts = Cuts::new(bounds);
    periods_among(with_second_cut(bounds), axis.length(), |it| cuts.contains(it)).collect()
}

/// The cuts of a rectilinear axis of which twice the element is a cut too, or lies beyond the axis:
/// others are no periods. Cost: one look at each bound.
fn with_second_cut(bounds: &[u64]) -> impl Iterator<Item = u64> + '_ {
    let length = bounds.last().copied().unwrap_or(0);
    let mut rest = bounds.iter().peekable();
    inner_bounds(bounds).iter().copied().filter(move |&bound| {
        let second = bound.saturating_mul(2);
        while rest.next_if(|&&it| it < second).is_some() {}
        second >= length || rest.peek() == Some(&&second)
    })
}

/// Multiples that are looked at for the periods of an axis, at the most: a bound on time for axes
/// that are almost regular. The whole dimension is a period in any case.
const LOOKS: u64 = 1 << 20;

fn periods_among(
    candidates: impl Iterator<Item = u64>,
    length: u64,
    is_cut: impl Fn(u64) -> bool,
) -> impl Iterator<Item = u64> {
    let mut looks = 0;
    candidates.filter(move |&extent| {
        let multiples = (1..length.div_ceil(extent)).map(|times| times * extent);
        multiples.into_iter().all(|element| {
            looks += 1;
            looks <= LOOKS && is_cut(element)
        })
    })
}

#[cfg(test)]
mod tests {
    use array::Axis;
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_assume, proptest};

    use super::*;

    /// What the functions above mean, by looking at every chunk.
    struct Listed<'a>(&'a Axis, &'a Axis);

    impl Listed<'_> {
        fn chunks(axis: &Axis) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
            (0..axis.chunk_count()).map(|index| axis.chunk(index))
        }

        fn cells(&self) -> u64 {
            let meeting = Self::chunks(self.0).map(|chunk| self.1.chunks_meeting(&chunk));
            meeting.map(|range| range.end - range.start).sum()
        }

        fn covered(&self) -> u128 {
            let extents = Self::chunks(self.0).map(|it| open_extent(self.1, it.start, it.end));
            extents.map(u128::from).sum()
        }

        fn widest_open(&self, window: u64) -> u64 {
            let chunks: Vec<_> = Self::chunks(self.0).collect();
            let windows = chunks.chunks(window as usize);
            let open = windows.map(|all| {
                let (first, last) = (all.first().expect("one"), all.last().expect("one"));
                open_extent(self.1, first.start, last.end)
            });
            open.max().unwrap_or(0)
        }

        fn period(&self) -> u64 {
            let length = self.0.length();
            let is_common = |element: u64| is_cut(self.0, element) && is_cut(self.1, element);
            let is_period = |extent: u64| (extent..length).step_by(extent as usize).all(is_common);
            (1..length).find(|&extent| is_period(extent)).unwrap_or(length)
        }
    }

    #[track_caller]
    fn check(a: &Axis, b: &Axis, window: u64) {
        let listed = Listed(a, b);
        assert_eq!(cell_count(a, b), listed.cells(), "{a:?} {b:?}");
        assert_eq!(covered_elements(a, b), listed.covered(), "{a:?} {b:?}");
        assert_eq!(widest_open(a, window, b), listed.widest_open(window), "{a:?} {window} {b:?}");
        assert_eq!(common_period(a, b), listed.period(), "{a:?} {b:?}");
        let groups = Axis::regular(a.length(), window);
        let meeting = Listed::chunks(&groups).map(|group| a.chunks_meeting(&group));
        let most = meeting.map(|range| range.end - range.start).max().unwrap_or(0);
        assert!(most <= most_meeting(a, window), "{a:?} in groups of {window}");
    }

    /// An axis of `length` elements: regular, or cut at random.
    fn axis(length: u64) -> impl Strategy<Value = Axis> {
        let bounds = proptest::collection::btree_set(1..length.max(2), 0..9);
        (any::<bool>(), 1..length.max(1) + 3, bounds).prop_map(move |(regular, chunk, bounds)| {
            if regular {
                return Axis::regular(length, chunk);
            }
            let inner = bounds.into_iter().filter(|&bound| bound < length);
            let bounds: Vec<u64> = std::iter::once(0).chain(inner).chain([length]).collect();
            Axis::Rectilinear { bounds: bounds.into() }
        })
    }

    proptest! {
        #[test]
        fn counts_are_those_of_listed_chunks(
            (a, b) in (1u64..150).prop_flat_map(|length| (axis(length), axis(length))),
            window in 1u64..9,
        ) {
            check(&a, &b, window);
        }

        #[test]
        fn an_axis_of_equal_lengths_is_regular(length in 1u64..99, chunk in 1u64..99) {
            let regular = Axis::regular(length, chunk.min(length));
            let lengths = Listed::chunks(&regular).map(|chunk| chunk.end - chunk.start);
            prop_assert_eq!(simplified(&Axis::of_lengths(lengths)), regular);
        }

        #[test]
        fn an_axis_that_is_not_regular_stays(a in axis(60)) {
            let simple = simplified(&a);
            prop_assume!(matches!(simple, Axis::Rectilinear { .. }));
            prop_assert_eq!(simple, a);
        }
    }

    #[test]
    fn all_short_regular_axes_are_counted_right() {
        for length in 1..20 {
            for (a, b) in (1..=length).flat_map(|a| (1..=length).map(move |b| (a, b))) {
                let axes = (Axis::regular(length, a), Axis::regular(length, b));
                (1..4).for_each(|window| check(&axes.0, &axes.1, window));
            }
        }
    }

    #[test]
    fn many_uneven_chunks_are_counted_as_they_are_listed() {
        // Chunks of a short period, and chunks of none.
        let periodic = Axis::of_lengths((0..400u64).map(|it| 1 + it * it % 7));
        let irregular = Axis::of_lengths((0..400u64).map(|it| 1 + it * it * 31 % 101 % 13));
        for uneven in [periodic, irregular] {
            for extent in (1..90).chain([100, 240, 700, uneven.length() - 1, uneven.length()]) {
                let regular = Axis::regular(uneven.length(), extent);
                check(&uneven, &regular, extent);
                check(&regular, &uneven, extent);
            }
        }
    }

    #[test]
    fn an_empty_dimension_has_nothing_to_count() {
        let (a, b) = (Axis::regular(0, 3), Axis::of_lengths([]));
        for (a, b) in [(&a, &b), (&b, &a), (&a, &a)] {
            assert_eq!((cell_count(a, b), covered_elements(a, b)), (0, 0));
            assert_eq!((widest_open(a, 1, b), common_period(a, b)), (0, 0));
        }
    }

    #[test]
    fn the_longest_dimensions_do_not_overflow() {
        let (a, b) = (Axis::regular(u64::MAX, 1), Axis::regular(u64::MAX, u64::MAX - 1));
        assert_eq!(cell_count(&a, &b), u64::MAX);
        assert_eq!(common_period(&a, &b), u64::MAX - 1);
        assert_eq!(widest_open(&a, 1, &b), u64::MAX - 1);
        assert_eq!(covered_elements(&a, &a), u128::from(u64::MAX));
        assert!(covered_elements(&a, &b) > u128::from(u64::MAX));
    }
}
