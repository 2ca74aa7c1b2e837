//! Passthrough: encoded chunks are copied as they are.

use super::axis::common_cut_count;
use super::cost::Costs;
use super::method::Method;
use super::problem::{Grids, count};

/// The way and its costs, where encoded source chunks are chunks of the target, and every target unit
/// is made of whole ones.
pub(super) fn best(grids: &Grids<'_>) -> Option<(Method, Costs)> {
    let axes = grids.source.iter().zip(&grids.target);
    let mut nests = axes.map(|(source, target)| {
        common_cut_count(source, target) == target.chunk_count().saturating_sub(1)
    });
    if !grids.problem.can_pass_through || !nests.all(|it| it) {
        return None;
    }
    let costs = Costs {
        source_gets: grids.source_chunk_count(),
        source_bytes: grids.array_bytes(),
        target_puts: grids.target_unit_count(),
        target_bytes: grids.array_bytes(),
        // A unit, of which the chunks are parts, and chunks on their way: nothing is decoded, but all
        // may be as large as if it were.
        peak_bytes: grids
            .bytes(&grids.target_unit())
            .saturating_add(grids.source_overhead(grids.source_chunk_count())),
        thread_count: grids.thread_count,
        busy_threads: grids.busy_threads(grids.source_chunk_count(), count(&grids.target)),
        task_count: count(&grids.target),
        stages: 1,
        is_recoded: false,
        ..Costs::default()
    };
    Some((Method::Passthrough, costs))
}
