//! Packed: groups of source chunks are read once and cut into cells, one segment of cells a group;
//! groups of target units read their cells. A segment is one object, however many cells it has.
//!
//! With a grid between the two, cells are larger and elements are stored twice.

use array::Axis;

use super::axis::cell_count;
use super::cost::{CostModel, Costs};
use super::direct::source_reads;
use super::method::Method;
use super::pairs::{GroupExtents, Pairs};
use super::problem::{Grids, count, most_meeting};

/// How often groups are halved until cells fit beside them.
const HALVINGS: u32 = 8;

/// What is exact of going through these groups: the first read the source, the last write the target.
pub(super) fn costs(grids: &Grids<'_>, groups: &[&[u64]]) -> Costs {
    let (Some(map_group), Some(reduce_group)) = (groups.first(), groups.last()) else {
        return Costs::default();
    };
    let (source_gets, source_bytes) = source_reads(grids, map_group);
    let axes: Vec<Vec<Axis>> = groups.iter().map(|extents| grids.groups(extents)).collect();
    let cells = axes.windows(2).map(|pair| cells(&pair[0], &pair[1]));
    let cells: Vec<u64> = cells.collect();
    let stored = cells.iter().fold(0u64, |all, _| all.saturating_add(grids.array_bytes()));
    let segments = axes[..axes.len() - 1].iter().map(|axes| count(axes));
    let segment_puts = segments.fold(0, u64::saturating_add);
    let most_cells = cells.iter().copied().max().unwrap_or(0);
    let map_threads = grids.busy_threads(source_gets, count(&axes[0]));
    let tasks = axes[1..].iter().map(|axes| count(axes));
    let reading = cells.iter().zip(tasks).map(|(&cells, tasks)| grids.busy_threads(cells, tasks));
    Costs {
        source_gets,
        source_bytes,
        segment_puts,
        segment_gets: cells.iter().copied().fold(0, u64::saturating_add),
        segment_bytes_written: stored,
        segment_bytes_read: stored,
        target_puts: grids.target_unit_count(),
        target_bytes: grids.array_bytes(),
        peak_bytes: peak_bytes(grids, groups),
        thread_count: grids.thread_count,
        busy_threads: reading.fold(map_threads, u64::min),
        task_count: segment_puts.saturating_add(count(&grids.groups(reduce_group))),
        stages: groups.len() as u64,
        min_cell_bytes: grids.array_bytes() / most_cells.max(1),
        is_recoded: true,
    }
}

/// Cells between two stages: pairs of groups that meet.
fn cells(from: &[Axis], to: &[Axis]) -> u64 {
    from.iter().zip(to).map(|(a, b)| cell_count(a, b)).fold(1, u64::saturating_mul)
}

/// What the task of any stage holds at the most.
pub(super) fn peak_bytes(grids: &Grids<'_>, groups: &[&[u64]]) -> u64 {
    let memory = grids.memory();
    let last = groups.len().saturating_sub(1);
    let stages = groups.iter().enumerate().map(|(stage, group)| {
        // A task reads all before it writes any.
        let read = match stage {
            0 => grids.source_overhead(most_meeting(&grids.source, group)),
            _ => cell_overhead(grids, group, groups[stage - 1], memory.cells_read_at_once),
        };
        let written = if stage == last {
            grids.target_overhead(most_meeting(&grids.target, group))
        } else {
            cell_overhead(grids, group, groups[stage + 1], memory.cells_written_at_once)
        };
        grids.bytes(group).saturating_add(read.max(written))
    });
    stages.max().unwrap_or(0)
}

/// Bytes of the cells that threads hold beside a group, each so many of those shared with `other`.
fn cell_overhead(grids: &Grids<'_>, group: &[u64], other: &[u64], each: u64) -> u64 {
    if each == 0 {
        return 0;
    }
    let cell = group.iter().zip(other).map(|(&a, &b)| a.min(b)).fold(1, u64::saturating_mul);
    let meeting = group.iter().zip(other).zip(&grids.shape).map(|((&group, &other), &length)| {
        super::axis::most_meeting(&Axis::regular(length, other), group)
    });
    let threads = grids.thread_count.min(meeting.fold(1, u64::saturating_mul).max(1));
    grids.bytes_of(cell).saturating_mul(each.saturating_mul(threads))
}

/// The cheapest groups for one stage of segments, and for two; the smallest groups where none fit.
pub(super) fn best(grids: &Grids<'_>, model: &CostModel) -> Vec<(Method, Costs)> {
    let (mut one, mut two, mut smallest) = (None, None, None);
    let extents = GroupExtents::new(grids);
    for halvings in 0..=HALVINGS {
        let pairs = Pairs::new(grids, &extents, 1.0 / f64::from(1 << halvings));
        smallest.get_or_insert_with(|| pairs.smallest());
        let best = pairs.best(model);
        one = best.one;
        two = two.or(best.two);
        if one.is_some() {
            break;
        }
    }
    // Two stages are a way to larger cells, not to less memory.
    let two = two.filter(|_| one.is_some());
    let found = [one.or(smallest), two];
    found.into_iter().flatten().filter_map(|groups| method(grids, groups)).collect()
}

fn method(grids: &Grids<'_>, groups: Vec<Vec<u64>>) -> Option<(Method, Costs)> {
    let costs = costs(grids, &groups.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut groups = groups.into_iter();
    let map_group = groups.next()?;
    let reduce_group = groups.next_back()?;
    Some((Method::Packed { map_group, middle: groups.collect(), reduce_group }, costs))
}
