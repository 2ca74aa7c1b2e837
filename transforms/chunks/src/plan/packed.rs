//! Packed: groups of source chunks are read once and cut into cells, one segment of cells a group;
//! groups of target units read their cells. A segment is one object, however many cells it has.
//!
//! With a grid between the two, cells are larger and elements are stored twice.

use std::cmp::Ordering;

use array::Axis;

use super::axis::cell_count;
use super::cost::{CostModel, Costs};
use super::direct::source_reads;
use super::extents::{Combinations, source_extents, target_extents};
use super::method::Method;
use super::middle::middle_grid;
use super::problem::{Grids, count, most_meeting};

/// Groups that are worth a look fill at least this part of the memory, or of the array.
const LEAST_PART: f64 = 0.45;
/// Reduce groups that are looked at: those that meet fewest source chunks.
const REDUCE_GROUPS: usize = 400;
/// Map groups that are looked at for each: those with fewest cells, for one and for two stages.
const MAP_GROUPS: [usize; 2] = [60, 12];
/// Map groups that are looked at in all: those that meet fewest target units.
const ALL_MAP_GROUPS: usize = 2000;
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
        thread_count: reading.fold(map_threads, u64::min),
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
    for halvings in 0..=HALVINGS {
        let pairs = Pairs::new(grids, 1.0 / f64::from(1 << halvings));
        smallest.get_or_insert_with(|| pairs.smallest());
        one = pairs.best(model, 1);
        two = two.or_else(|| pairs.best(model, 2));
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

/// Map groups and reduce groups that fit by themselves.
struct Pairs<'a> {
    grids: &'a Grids<'a>,
    map: Combinations,
    reduce: Combinations,
}

impl<'a> Pairs<'a> {
    /// Groups that take at most a part of what they may take.
    fn new(grids: &'a Grids<'a>, part: f64) -> Self {
        let (memory, item) = (grids.memory(), grids.problem.item_bytes.max(1));
        let room = |bytes: u64| (bytes as f64 * part) as u64 / item;
        let axes = || grids.source.iter().zip(&grids.target);
        let map = axes().map(|(from, to)| source_extents(from, to)).collect();
        let map_bytes = memory.budget_bytes.saturating_sub(grids.source_overhead(1));
        let reduce = axes().map(|(from, to)| target_extents(to, from)).collect();
        let share = (memory.budget_bytes as f64 * memory.reduce_share) as u64;
        let reduce_bytes = memory.budget_bytes.saturating_sub(grids.target_overhead(1));
        Self {
            grids,
            map: Combinations::new(map, room(map_bytes), LEAST_PART),
            reduce: Combinations::new(reduce, room(reduce_bytes.min(share)), LEAST_PART),
        }
    }

    /// The least groups of both kinds.
    fn smallest(&self) -> Vec<Vec<u64>> {
        let least = |it: &Combinations| {
            it.extents.iter().filter_map(|extents| extents.first().copied()).collect()
        };
        vec![least(&self.map), least(&self.reduce)]
    }

    /// The cheapest groups that fit together, with so many stages of segments.
    fn best(&self, model: &CostModel, stages: usize) -> Option<Vec<Vec<u64>>> {
        let grids = self.grids;
        let maps = Maps::new(grids, &self.map);
        let tables = self.cell_tables();
        let reduce = fewest_cells(&self.reduce, &grids.shape, &grids.source, REDUCE_GROUPS);
        let mut best: Option<(f64, Vec<Vec<u64>>)> = None;
        for reduce in reduce {
            let places = self.reduce.places(reduce);
            let rows: Vec<&[u64]> = tables
                .iter()
                .zip(places)
                .map(|(table, &it)| table[it as usize].as_slice())
                .collect();
            let reduce_group = self.reduce.get(reduce);
            for (cells, map) in maps.fewest_cells(&self.map, &rows, MAP_GROUPS[stages - 1]) {
                let map = &maps.all[map];
                let (groups, costs) = if stages == 1 {
                    (None, maps.costs(map, cells, &reduce_group))
                } else {
                    let Some(middle) = middle_grid(grids, &map.group, &reduce_group) else {
                        continue;
                    };
                    let costs = costs(grids, &[&map.group, &middle, &reduce_group]);
                    (Some(middle), costs)
                };
                if costs.peak_bytes > grids.memory().budget_bytes {
                    continue;
                }
                let usd = model.booked_usd(&costs, grids.problem);
                if best.as_ref().is_none_or(|(least, _)| usd < *least) {
                    let ends = (map.group.clone(), reduce_group.clone());
                    best =
                        Some((usd, [ends.0].into_iter().chain(groups).chain([ends.1]).collect()));
                }
            }
        }
        best.map(|(_, groups)| groups)
    }

    /// Cells along every dimension, by the extent of the reduce group, then of the map group.
    fn cell_tables(&self) -> Vec<Vec<Vec<u64>>> {
        let lists = self.grids.shape.iter().zip(self.reduce.extents.iter().zip(&self.map.extents));
        let table = |(&length, (reduce, map)): (&u64, (&Vec<u64>, &Vec<u64>))| {
            let of = |&reduce: &u64| {
                let reduce = Axis::regular(length, reduce);
                map.iter().map(|&map| cell_count(&Axis::regular(length, map), &reduce)).collect()
            };
            reduce.iter().map(of).collect()
        };
        lists.map(table).collect()
    }
}

/// The combinations that cut these axes into fewest cells, best first.
fn fewest_cells(groups: &Combinations, shape: &[u64], axes: &[Axis], most: usize) -> Vec<usize> {
    let logarithms = groups.table(|dimension, extent| {
        (cell_count(&Axis::regular(shape[dimension], extent), &axes[dimension]) as f64).ln()
    });
    let of = |index: usize| {
        let pairs = logarithms.iter().zip(groups.places(index));
        pairs.fold(0.0, |sum, (values, &place)| sum + values[place as usize])
    };
    let mut ranked: Vec<(f64, usize)> = (0..groups.len()).map(|index| (of(index), index)).collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    keep_least(&mut ranked, most, order);
    ranked.into_iter().map(|(_, index)| index).collect()
}

/// Keeps the `most` least of all, in order.
fn keep_least<T>(all: &mut Vec<T>, most: usize, order: impl Fn(&T, &T) -> Ordering + Copy) {
    if all.len() > most {
        all.select_nth_unstable_by(most, order);
        all.truncate(most);
    }
    all.sort_unstable_by(order);
}

/// The map groups that are looked at.
struct Maps<'a> {
    grids: &'a Grids<'a>,
    all: Vec<MapGroup>,
}

/// A map group, and what it costs by itself.
struct MapGroup {
    group: Vec<u64>,
    /// Its place among the combinations.
    index: usize,
    source_gets: u64,
    source_bytes: u64,
    segment_count: u64,
}

impl<'a> Maps<'a> {
    fn new(grids: &'a Grids<'a>, map: &Combinations) -> Self {
        let all: Vec<usize> = if map.len() > ALL_MAP_GROUPS {
            let mut few = fewest_cells(map, &grids.shape, &grids.target, ALL_MAP_GROUPS);
            few.sort_unstable();
            few
        } else {
            (0..map.len()).collect()
        };
        let all = all.into_iter().map(|index| {
            let group = map.get(index);
            let (source_gets, source_bytes) = source_reads(grids, &group);
            let segment_count = count(&grids.groups(&group));
            MapGroup { group, index, source_gets, source_bytes, segment_count }
        });
        Self { grids, all: all.collect() }
    }

    /// The places of those with fewest cells, best first, and their cells; `rows` are the cells along
    /// every dimension by the extent of the map group.
    fn fewest_cells(&self, map: &Combinations, rows: &[&[u64]], most: usize) -> Vec<(u64, usize)> {
        let cells = |it: &MapGroup| {
            let pairs = rows.iter().zip(map.places(it.index));
            pairs.fold(1u64, |cells, (row, &place)| cells.saturating_mul(row[place as usize]))
        };
        let mut ranked: Vec<(u64, usize)> =
            self.all.iter().enumerate().map(|(place, it)| (cells(it), place)).collect();
        keep_least(&mut ranked, most, Ord::cmp);
        ranked
    }

    /// The costs of one stage of segments between these groups, which make so many cells.
    fn costs(&self, map: &MapGroup, cells: u64, reduce_group: &[u64]) -> Costs {
        let grids = self.grids;
        let tasks = count(&grids.groups(reduce_group));
        Costs {
            source_gets: map.source_gets,
            source_bytes: map.source_bytes,
            segment_puts: map.segment_count,
            segment_gets: cells,
            segment_bytes_written: grids.array_bytes(),
            segment_bytes_read: grids.array_bytes(),
            target_puts: grids.target_unit_count(),
            target_bytes: grids.array_bytes(),
            peak_bytes: peak_bytes(grids, &[&map.group, reduce_group]),
            thread_count: grids
                .busy_threads(map.source_gets, map.segment_count)
                .min(grids.busy_threads(cells, tasks)),
            task_count: map.segment_count.saturating_add(tasks),
            stages: 2,
            min_cell_bytes: grids.array_bytes() / cells.max(1),
            is_recoded: true,
        }
    }
}
