//! Direct: each group of whole target units reads every source chunk that it meets, and nothing is
//! stored in between. Chunks that several groups meet are read several times.

use array::Axis;

use super::axis::{cell_count, covered_elements};
use super::cost::{CostModel, Costs, booked_for_each};
use super::extents::{Combinations, looked_up, target_extents};
use super::method::Method;
use super::problem::{Grids, count, most_meeting};

/// Groups that are worth a look fill at least this part of the memory, or of the array.
const LEAST_PART: f64 = 0.2;
/// How often the room for groups is halved until threads fit beside them.
const HALVINGS: u32 = 8;

/// What is exact of reading the source by these groups: how many chunks, and their bytes.
pub(super) fn source_reads(grids: &Grids<'_>, group: &[u64]) -> (u64, u64) {
    let groups = grids.groups(group);
    let axes = groups.iter().zip(&grids.source);
    reads_along(grids, axes.map(|(group, source)| axis_reads(group, source)))
}

/// Chunks and elements that groups read along one dimension.
pub(super) fn axis_reads(groups: &Axis, source: &Axis) -> (u64, u128) {
    (cell_count(groups, source), covered_elements(groups, source))
}

/// What is exact of reading the source where so much is read along each dimension.
pub(super) fn reads_along(
    grids: &Grids<'_>,
    axes: impl Iterator<Item = (u64, u128)>,
) -> (u64, u64) {
    let (gets, covered) = axes.fold((1u64, 1u128), |(gets, covered), (more_gets, more_covered)| {
        (gets.saturating_mul(more_gets), covered.saturating_mul(more_covered))
    });
    let bytes = covered.saturating_mul(u128::from(grids.problem.item_bytes));
    (gets, u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// What is exact of copying by groups of these extents.
pub(super) fn costs(grids: &Grids<'_>, group: &[u64]) -> Costs {
    let (source_gets, source_bytes) = source_reads(grids, group);
    let task_count = count(&grids.groups(group));
    Costs {
        source_gets,
        source_bytes,
        target_puts: grids.target_unit_count(),
        target_bytes: grids.array_bytes(),
        peak_bytes: peak_bytes(grids, group),
        thread_count: grids.thread_count,
        busy_threads: grids.busy_threads(source_gets, task_count),
        task_count,
        stages: 1,
        is_recoded: true,
        ..Costs::default()
    }
}

fn peak_bytes(grids: &Grids<'_>, group: &[u64]) -> u64 {
    let reading = grids.source_overhead(most_meeting(&grids.source, group));
    let writing = grids.target_overhead(most_meeting(&grids.target, group));
    grids.bytes(group).saturating_add(reading).saturating_add(writing)
}

/// The cheapest groups that fit; the smallest groups where none do.
pub(super) fn best(grids: &Grids<'_>, model: &CostModel) -> (Method, Costs) {
    let axes = grids.target.iter().zip(&grids.source);
    let extents: Vec<Vec<u64>> = axes.map(|(to, from)| target_extents(to, from)).collect();
    let overhead = grids.source_overhead(1).saturating_add(grids.target_overhead(1));
    let room = grids.memory().budget_bytes.saturating_sub(overhead);
    let room = room / grids.problem.item_bytes.max(1);
    // Large groups have work for more threads, which need room themselves: then smaller ones fit.
    let mut rooms = (0..=HALVINGS).map(|halvings| room >> halvings);
    let found = rooms.find_map(|room| {
        let groups = Combinations::new(extents.clone(), room, LEAST_PART);
        Some(groups.get(cheapest(grids, model, &groups)?))
    });
    let smallest = || extents.iter().filter_map(|it| it.first().copied()).collect();
    let group = found.unwrap_or_else(smallest);
    let costs = costs(grids, &group);
    (Method::Direct { group }, costs)
}

/// The first of the cheapest that fit.
fn cheapest(grids: &Grids<'_>, model: &CostModel, groups: &Combinations) -> Option<usize> {
    let ranks = Ranks::new(grids, model, groups);
    let mut best: Option<(f64, usize)> = None;
    for index in 0..groups.len() {
        let rank = ranks.of(groups.places(index));
        let is_better = best.is_none_or(|(least, _)| rank < least);
        if is_better && peak_bytes(grids, &groups.get(index)) <= grids.memory().budget_bytes {
            best = Some((rank, index));
        }
    }
    best.map(|(_, index)| index)
}

/// What orders groups, looked up: prices are linear in chunks and in bytes that are read.
struct Ranks {
    gets: Vec<Vec<f64>>,
    covered: Vec<Vec<f64>>,
    tasks: Vec<Vec<f64>>,
    /// Of a chunk, of an element, of all the rest: dollars, and those of cores alone.
    get_usd: [f64; 2],
    element_usd: [f64; 2],
    other_usd: [f64; 2],
    worker_count: u64,
    /// Threads that work if there are chunks for all, and that are paid for.
    thread_counts: [u64; 2],
}

impl Ranks {
    fn new(grids: &Grids<'_>, model: &CostModel, groups: &Combinations) -> Self {
        let axis = |dimension: usize, extent| Axis::regular(grids.shape[dimension], extent);
        let of = |costs: Costs| {
            let price = model.price(&costs);
            [price.usd, price.core_seconds * model.usd_per_core_second]
        };
        let recoded = Costs { is_recoded: true, ..Costs::default() };
        Self {
            gets: groups.table(|dimension, extent| {
                cell_count(&axis(dimension, extent), &grids.source[dimension]) as f64
            }),
            covered: groups.table(|dimension, extent| {
                covered_elements(&axis(dimension, extent), &grids.source[dimension]) as f64
            }),
            tasks: groups.table(|dimension, extent| axis(dimension, extent).chunk_count() as f64),
            get_usd: of(Costs { source_gets: 1, ..recoded }),
            element_usd: of(Costs { source_bytes: grids.problem.item_bytes, ..recoded }),
            other_usd: of(Costs {
                target_puts: grids.target_unit_count(),
                target_bytes: grids.array_bytes(),
                ..recoded
            }),
            worker_count: grids.problem.worker_count,
            thread_counts: [grids.thread_count, grids.problem.thread_count],
        }
    }

    /// What these groups cost.
    fn of(&self, places: &[u32]) -> f64 {
        let gets = looked_up(&self.gets, places);
        let covered = looked_up(&self.covered, places);
        let tasks = looked_up(&self.tasks, places);
        let usd = |kind: usize| {
            self.other_usd[kind] + gets * self.get_usd[kind] + covered * self.element_usd[kind]
        };
        let [most, paid] = self.thread_counts;
        let working = ((gets / tasks.max(1.0)) as u64).clamp(1, most);
        let booked =
            booked_for_each(tasks as u64, self.worker_count) * booked_for_each(working, paid);
        usd(0) + usd(1) * (booked - 1.0)
    }
}
