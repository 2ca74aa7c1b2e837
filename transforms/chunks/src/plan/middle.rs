//! The grid between map groups and reduce groups, where one stage of segments has too small cells.

use super::problem::{Grids, product};

/// Groups half way between both in every dimension, on a logarithmic scale: cells towards both are then
/// equally large. Nothing if they do not fit.
///
/// Extents are multiples of the smaller of both. They shrink, the relatively longest first, until a
/// group takes no more than a reduce group may.
pub(super) fn middle_grid(grids: &Grids<'_>, map: &[u64], reduce: &[u64]) -> Option<Vec<u64>> {
    let memory = grids.memory();
    let units: Vec<u64> = map.iter().zip(reduce).map(|(&a, &b)| a.min(b)).collect();
    let half_way = |(&a, &b): (&u64, &u64)| (a as f64).powf(0.5) * (b as f64).powf(0.5);
    let wanted = map.iter().zip(reduce).map(half_way);
    let rounded = wanted.zip(&units).zip(&grids.shape).map(|((wanted, &unit), &length)| {
        let times = (wanted / unit as f64).round_ties_even().max(1.0) as u64;
        times.saturating_mul(unit).min(length)
    });
    let mut extents: Vec<u64> = rounded.collect();
    let share = memory.budget_bytes as f64 * memory.reduce_share;
    while grids.bytes(&extents) as f64 > share {
        let room = share as u64 / grids.problem.item_bytes.max(1);
        if !shrink(&mut extents, &units, room) {
            break;
        }
    }
    (grids.bytes(&extents) <= memory.budget_bytes).then_some(extents)
}

/// Makes the extent that is most units long shorter, until all fit or another is as long; whether there
/// was something to make shorter.
fn shrink(extents: &mut [u64], units: &[u64], room: u64) -> bool {
    let length = |place: usize| extents[place] as f64 / units[place] as f64;
    let mut longest: Option<usize> = None;
    for place in 0..extents.len() {
        if longest.is_none_or(|longest| length(place) > length(longest)) {
            longest = Some(place);
        }
    }
    let Some(longest) = longest else { return false };
    let others = (0..extents.len()).filter(|&place| place != longest);
    let second = others.clone().map(length).fold(0.0, f64::max);
    let other_elements = product(&others.map(|place| extents[place]).collect::<Vec<_>>());
    let (extent, unit) = (extents[longest], units[longest].max(1));
    let until_fits = extent.saturating_sub(room / other_elements.max(1)).div_ceil(unit);
    let until_second = (length(longest) - second) as u64;
    let steps = until_fits.min(until_second).max(1);
    let shorter = extent.saturating_sub(steps.saturating_mul(unit)).max(unit);
    extents[longest] = shorter.min(extent);
    shorter < extent
}

#[cfg(test)]
mod tests {
    use array::ChunkGrid;

    use super::*;
    use crate::plan::problem::{Problem, TaskMemory};

    #[track_caller]
    fn check(map: [u64; 2], reduce: [u64; 2], elements: u64, want: Option<[u64; 2]>) {
        let shape = [10_000, 10_000];
        let problem = Problem {
            item_bytes: 4,
            source: ChunkGrid::regular(&shape, &map),
            target: ChunkGrid::regular(&shape, &reduce),
            can_pass_through: false,
            memory: TaskMemory { reduce_share: 1.0, ..TaskMemory::prototype(elements * 4, 0) },
            thread_count: 1,
            worker_count: 1,
            streaming: None,
        };
        let grids = Grids::new(&problem).expect("one shape");
        let got = middle_grid(&grids, &map, &reduce);
        assert_eq!(got.as_deref(), want.as_ref().map(<[u64; 2]>::as_slice));
    }

    #[test]
    fn the_middle_is_half_way_and_fits() {
        check([1, 10_000], [10_000, 1], u64::MAX / 4, Some([100, 100]));
        check([1, 10_000], [10_000, 1], 9_000, Some([94, 95]));
        check([10, 1000], [1000, 20], 1 << 20, Some([100, 140]));
        check([10, 1000], [1000, 20], 1_000, Some([20, 40]));
        check([100, 100], [100, 100], 9_999, None);
    }
}
