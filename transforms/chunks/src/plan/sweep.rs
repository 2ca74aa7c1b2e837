//! Sweep: every source chunk is read once, target units are open until they are complete, and nothing
//! is stored in between.
//!
//! Along all dimensions but one the array is cut into blocks that share no chunk of either grid: their
//! extents are common multiples of both. Along that one a block is crossed in *windows* of whole source
//! chunks.

use array::Axis;

use super::axis::{common_period, widest_open};
use super::cost::{CostModel, Costs};
use super::method::Method;
use super::problem::{Grids, count, most_meeting};

/// What is exact of sweeping along `dimension` in these blocks and windows.
pub(super) fn costs(grids: &Grids<'_>, dimension: usize, block: &[u64], window: u64) -> Costs {
    let slab = chunks_across(grids, dimension, block).saturating_mul(window);
    let reading = grids.source_overhead(slab);
    let writing = grids.target_overhead(most_meeting(&grids.target, block));
    Costs {
        source_gets: grids.source_chunk_count(),
        source_bytes: grids.array_bytes(),
        target_puts: grids.target_unit_count(),
        target_bytes: grids.array_bytes(),
        peak_bytes: open_bytes(grids, dimension, block, window)
            .saturating_add(reading)
            .saturating_add(writing),
        thread_count: grids.thread_count,
        busy_threads: slab.clamp(1, grids.thread_count),
        task_count: count(&grids.groups(block)),
        stages: 1,
        is_recoded: true,
        ..Costs::default()
    }
}

/// Bytes of the target units that are open at once, at the most.
pub(super) fn open_bytes(grids: &Grids<'_>, dimension: usize, block: &[u64], window: u64) -> u64 {
    let mut open = block.to_vec();
    if let Some(open) = open.get_mut(dimension) {
        *open = widest_open(&grids.source[dimension], window, &grids.target[dimension]);
    }
    grids.bytes(&open)
}

/// Source chunks that a block has across the dimension of the sweep.
fn chunks_across(grids: &Grids<'_>, dimension: usize, block: &[u64]) -> u64 {
    let others = grids.source.iter().zip(block).enumerate();
    let others = others.filter(|(place, _)| *place != dimension);
    let chunks = others.map(|(_, (axis, &extent))| super::axis::most_meeting(axis, extent).max(1));
    chunks.fold(1, u64::saturating_mul)
}

/// The best sweep; where memory does not suffice for any, the one that needs least.
pub(super) fn best(grids: &Grids<'_>, model: &CostModel) -> (Method, Costs) {
    let axes = grids.source.iter().zip(&grids.target);
    let least: Vec<u64> = axes.map(|(from, to)| common_period(from, to).max(1)).collect();
    let along = |dimension: usize| {
        let mut block = least.clone();
        if let Some(extent) = block.get_mut(dimension) {
            *extent = grids.shape[dimension].max(1);
        }
        Along { grids, dimension }.best(block)
    };
    let budget = grids.memory().budget_bytes;
    let rank = |found: &Found| {
        let peak = found.costs.peak_bytes;
        let fits = peak <= budget;
        let usd = if fits { model.booked_usd(&found.costs, grids.problem) } else { 0.0 };
        (!fits, usd, fits && !found.is_busy, peak)
    };
    // An array without dimensions is one block.
    let first = along(0);
    let best = (1..grids.rank())
        .map(along)
        .fold(first, |best, other| if rank(&other) < rank(&best) { other } else { best });
    (best.method, best.costs)
}

/// A sweep, and whether there are chunks for all threads in each of its windows.
struct Found {
    method: Method,
    costs: Costs,
    is_busy: bool,
}

/// The sweeps along one dimension.
struct Along<'a> {
    grids: &'a Grids<'a>,
    dimension: usize,
}

impl Along<'_> {
    /// The window that holds least of those that keep all threads busy; a larger block where even the
    /// largest window does not.
    fn best(&self, mut block: Vec<u64>) -> Found {
        let windows = self.windows();
        loop {
            let (window, costs, is_busy) = self.best_window(&windows, &block);
            let fits = |costs: &Costs| costs.peak_bytes <= self.grids.memory().budget_bytes;
            let is_lacking = fits(&costs) && !is_busy;
            let larger = is_lacking.then(|| self.enlarged(&block)).flatten();
            match larger.filter(|larger| fits(&self.costs(larger, window))) {
                Some(larger) => block = larger,
                None => {
                    let method = Method::Sweep { dimension: self.dimension, block, window };
                    return Found { method, costs, is_busy };
                }
            }
        }
    }

    fn costs(&self, block: &[u64], window: u64) -> Costs {
        costs(self.grids, self.dimension, block, window)
    }

    /// The window, its costs, and whether it keeps all threads busy.
    fn best_window(&self, windows: &[u64], block: &[u64]) -> (u64, Costs, bool) {
        let across = chunks_across(self.grids, self.dimension, block);
        let thread_count = self.grids.thread_count;
        let budget = self.grids.memory().budget_bytes;
        let tried = windows.iter().map(|&window| {
            let is_busy = across.saturating_mul(window) >= thread_count;
            (window, self.costs(block, window), is_busy)
        });
        // Of those that hold the same the largest: threads wait for each other less often.
        let best = tried.min_by_key(|(window, costs, is_busy)| {
            let fits = costs.peak_bytes <= budget;
            let small = if fits && !is_busy { u64::MAX - window } else { 0 };
            (!fits, fits && !is_busy, small, costs.peak_bytes, u64::MAX - window)
        });
        best.unwrap_or_default()
    }

    /// The block, doubled along the last dimension where it is not whole.
    fn enlarged(&self, block: &[u64]) -> Option<Vec<u64>> {
        let mut places = (0..self.grids.rank()).rev().filter(|&place| place != self.dimension);
        let place = places.find(|&place| block[place] < self.grids.shape[place])?;
        let mut larger = block.to_vec();
        larger[place] = larger[place].saturating_mul(2).min(self.grids.shape[place]);
        Some(larger)
    }

    /// Windows that are worth a look: doubled ones, those that end with target units, and all.
    fn windows(&self) -> Vec<u64> {
        let source = self.grids.source.get(self.dimension);
        let Some((source, target)) = source.zip(self.grids.target.get(self.dimension)) else {
            return vec![1];
        };
        let count = source.chunk_count().max(1);
        let doubled = |first: u64| {
            let windows = std::iter::successors(Some(first), |window| window.checked_mul(2));
            windows.take_while(move |&window| window < count)
        };
        let mut windows: Vec<u64> = doubled(1).chain([count]).collect();
        if let (Axis::Regular { chunk_length, .. }, Axis::Regular { .. }) = (source, target) {
            windows.extend(doubled((common_period(source, target) / chunk_length).max(1)));
            windows.push((target.longest_chunk() / chunk_length).clamp(1, count));
        }
        windows.sort_unstable();
        windows.dedup();
        windows
    }
}
