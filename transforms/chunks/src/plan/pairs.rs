//! Which map groups and reduce groups go together: those that share few cells.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use array::Axis;

use super::axis::cell_count;
use super::cost::{CostModel, Costs};
use super::direct::{axis_reads, reads_along};
use super::extents::{Combinations, source_extents, target_extents};
use super::middle::middle_grid;
use super::packed::{costs, peak_bytes};
use super::problem::{Grids, count};

/// Groups that are worth a look fill at least this part of the memory, or of the array.
const LEAST_PART: f64 = 0.45;
/// Reduce groups that are looked at: those that meet fewest source chunks.
const REDUCE_GROUPS: usize = 400;
/// Map groups that are looked at for each: those with fewest cells.
const MAP_GROUPS: usize = 60;
/// The same where there is a grid between both.
const MAP_GROUPS_OF_TWO_STAGES: usize = 12;
/// Map groups that are looked at in all: those that meet fewest target units.
const ALL_MAP_GROUPS: usize = 2000;
/// Map groups and reduce groups that fit by themselves.
pub(super) struct Pairs<'a> {
    grids: &'a Grids<'a>,
    map: Combinations,
    reduce: Combinations,
}

/// Extents of map groups and of reduce groups, by dimension.
#[derive(Debug)]
pub(super) struct GroupExtents {
    map: Vec<Vec<u64>>,
    reduce: Vec<Vec<u64>>,
}

impl GroupExtents {
    /// Those that are worth a look.
    pub(super) fn new(grids: &Grids<'_>) -> Self {
        let axes = || grids.source.iter().zip(&grids.target);
        Self {
            map: axes().map(|(from, to)| source_extents(from, to)).collect(),
            reduce: axes().map(|(from, to)| target_extents(to, from)).collect(),
        }
    }
}

impl<'a> Pairs<'a> {
    /// Groups of these extents that take at most a part of what they may take.
    pub(super) fn new(grids: &'a Grids<'a>, extents: &GroupExtents, part: f64) -> Self {
        let (memory, item) = (grids.memory(), grids.problem.item_bytes.max(1));
        let room = |bytes: u64| (bytes as f64 * part) as u64 / item;
        let (map, reduce) = (extents.map.clone(), extents.reduce.clone());
        let map_bytes = memory.budget_bytes.saturating_sub(grids.source_overhead(1));
        let share = (memory.budget_bytes as f64 * memory.reduce_share) as u64;
        let reduce_bytes = memory.budget_bytes.saturating_sub(grids.target_overhead(1));
        Self {
            grids,
            map: Combinations::new(map, room(map_bytes), LEAST_PART),
            reduce: Combinations::new(reduce, room(reduce_bytes.min(share)), LEAST_PART),
        }
    }

    /// The least groups of both kinds.
    pub(super) fn smallest(&self) -> Vec<Vec<u64>> {
        let least = |it: &Combinations| {
            it.extents.iter().filter_map(|extents| extents.first().copied()).collect()
        };
        vec![least(&self.map), least(&self.reduce)]
    }

    /// The cheapest groups that fit together.
    pub(super) fn best(&self, model: &CostModel) -> Best {
        let mut best = Cheapest { grids: self.grids, model, found: [None, None] };
        if self.map.len() > 0 && self.reduce.len() > 0 {
            self.search(&mut best);
        }
        let [one, two] = best.found.map(|found| found.map(|(_, groups)| groups));
        Best { one, two }
    }

    fn search(&self, best: &mut Cheapest<'_>) {
        let grids = self.grids;
        let maps = Maps::new(grids, &self.map);
        let tables = self.cell_tables();
        for reduce in fewest_cells(&self.reduce, &grids.shape, &grids.source, REDUCE_GROUPS) {
            let places = self.reduce.places(reduce);
            let rows = tables.iter().zip(places).map(|(table, &it)| table[it as usize].as_slice());
            let rows: Vec<&[u64]> = rows.collect();
            let reduce = self.reduce.get(reduce);
            let fewest = maps.fewest_cells(&self.map, &rows, MAP_GROUPS);
            for (place, (cells, map)) in fewest.into_iter().enumerate() {
                let map = &maps.all[map];
                best.offer(0, &maps.costs(map, cells, &reduce), || {
                    vec![map.group.clone(), reduce.clone()]
                });
                if place >= MAP_GROUPS_OF_TWO_STAGES {
                    continue;
                }
                if let Some(middle) = middle_grid(grids, &map.group, &reduce) {
                    let costs = costs(grids, &[&map.group, &middle, &reduce]);
                    best.offer(1, &costs, || vec![map.group.clone(), middle, reduce.clone()]);
                }
            }
        }
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

/// The groups of every stage, for one stage of segments and for two.
pub(super) struct Best {
    pub(super) one: Option<Vec<Vec<u64>>>,
    pub(super) two: Option<Vec<Vec<u64>>>,
}

/// The first of the cheapest, for one stage of segments and for two.
struct Cheapest<'a> {
    grids: &'a Grids<'a>,
    model: &'a CostModel,
    found: [Option<(f64, Vec<Vec<u64>>)>; 2],
}

impl Cheapest<'_> {
    fn offer(&mut self, place: usize, costs: &Costs, groups: impl FnOnce() -> Vec<Vec<u64>>) {
        if costs.peak_bytes > self.grids.memory().budget_bytes {
            return;
        }
        let usd = self.model.booked_usd(costs, self.grids.problem);
        let found = &mut self.found[place];
        if found.as_ref().is_none_or(|(least, _)| usd < *least) {
            *found = Some((usd, groups()));
        }
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
        // Few extents make many groups: what each reads along its dimension is counted once.
        let mut known: Vec<BTreeMap<u64, (u64, u128)>> = vec![BTreeMap::new(); grids.rank()];
        let all = all.into_iter().map(|index| {
            let group = map.get(index);
            let along = group.iter().zip(&mut known).enumerate();
            let along = along.map(|(dimension, (&extent, known))| {
                let (length, source) = (grids.shape[dimension], &grids.source[dimension]);
                let count = || axis_reads(&Axis::regular(length, extent), source);
                *known.entry(extent).or_insert_with(count)
            });
            let (source_gets, source_bytes) = reads_along(grids, along);
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
            thread_count: grids.thread_count,
            busy_threads: grids
                .busy_threads(map.source_gets, map.segment_count)
                .min(grids.busy_threads(cells, tasks)),
            task_count: map.segment_count.saturating_add(tasks),
            stages: 2,
            min_cell_bytes: grids.array_bytes() / cells.max(1),
            is_recoded: true,
        }
    }
}
