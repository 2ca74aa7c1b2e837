//! Streamed: target units are written as streams, chunk after chunk, so that a task holds less than
//! one of them.
//!
//! A task is one unit. Its chunks are written in C order: along the first dimension that has more than
//! one chunk, *rows* of chunks are complete one after the other while the unit is crossed in windows of
//! source chunks, as a sweep does. Where a row is too large, the unit is cut into *parts* of one such
//! row, of a row of that, and so on; a source chunk is read again for each part that it meets.

use array::Axis;

use super::axis::{common_multiple, most_meeting};
use super::cost::{CostModel, Costs};
use super::direct::source_reads;
use super::method::Method;
use super::problem::{Grids, Streaming, count};

/// Source bytes of a window, for each thread, beyond which larger windows bring nothing.
const ENOUGH_BYTES: u64 = 16 << 20;
/// Windows that are looked at to say what is open; of more a bound is taken that is not less.
const LOOKS: u64 = 1 << 12;

/// What is exact of writing streams in parts of these extents, for which so many source chunks and
/// bytes are read, crossed along `dimension` in windows.
fn costs(
    grids: &Grids<'_>,
    streaming: &Streaming,
    (source_gets, source_bytes): (u64, u64),
    (part, dimension): (&[u64], usize),
    window: u64,
) -> Costs {
    let slab = chunks_in_window(grids, part, dimension, window);
    let chunk_count = part.iter().zip(&streaming.chunk_shape);
    let chunk_count = chunk_count.map(|(part, chunk)| part.div_ceil((*chunk).max(1)));
    let writers = grids.thread_count.min(chunk_count.fold(1, u64::saturating_mul));
    // As it is cut out, and encoded.
    let writing = grids.bytes(&streaming.chunk_shape).saturating_mul(2).saturating_mul(writers);
    Costs {
        source_gets,
        source_bytes,
        target_puts: grids.target_unit_count(),
        target_bytes: grids.array_bytes(),
        peak_bytes: open_bytes(grids, streaming, part, dimension, window)
            .saturating_add(grids.source_overhead(slab))
            .saturating_add(writing)
            .saturating_add(streaming.stream_bytes),
        thread_count: grids.thread_count,
        busy_threads: slab.clamp(1, grids.thread_count),
        task_count: count(&grids.target),
        stages: 1,
        is_recoded: true,
        ..Costs::default()
    }
}

/// Bytes of the chunks that are open at once, at the most.
pub(super) fn open_bytes(
    grids: &Grids<'_>,
    streaming: &Streaming,
    part: &[u64],
    dimension: usize,
    window: u64,
) -> u64 {
    let mut open = part.to_vec();
    if let Some(open) = open.get_mut(dimension) {
        let chunk = streaming.chunk_shape[dimension].max(1);
        *open = widest_open(&grids.source[dimension], window, chunk, part[dimension]);
    }
    grids.bytes(&open)
}

/// Source chunks that a window of a part meets, at the most.
fn chunks_in_window(grids: &Grids<'_>, part: &[u64], dimension: usize, window: u64) -> u64 {
    let axes = grids.source.iter().zip(part).enumerate();
    let meeting = axes.map(|(place, (axis, &extent))| {
        let all = most_meeting(axis, extent).max(1);
        if place == dimension { all.min(window) } else { all }
    });
    meeting.fold(1, u64::saturating_mul)
}

/// Elements of the chunks, `chunk` long, that are open at once, at the most, while each task of `task`
/// elements is crossed in windows of source chunks; its windows begin with the first that it meets.
fn widest_open(source: &Axis, window: u64, chunk: u64, task: u64) -> u64 {
    let (length, task, window) = (source.length(), task.max(1), window.max(1));
    let task_count = length.div_ceil(task);
    // The tasks after these are as those before, but for the last.
    let period = match source {
        Axis::Regular { chunk_length, .. } => common_multiple(*chunk_length, task) / task,
        Axis::Rectilinear { .. } => task_count,
    };
    let looked_at = task_count.min(period.max(1));
    let windows_each = most_meeting(source, task).div_ceil(window);
    if looked_at.saturating_mul(windows_each) > LOOKS {
        let reach = source.longest_chunk().saturating_mul(window).min(task).min(length);
        let rows = reach.saturating_sub(1) / chunk + 2;
        return rows.saturating_mul(chunk).min(task).min(length);
    }
    let open_in = |index: u64| {
        let elements = index * task..(index + 1).saturating_mul(task).min(length);
        let meeting = source.chunks_meeting(&elements);
        let mut widest = 0;
        let mut first = meeting.start;
        while first < meeting.end {
            let next = first.saturating_add(window).min(meeting.end);
            let start = source.chunk(first).start.max(elements.start) / chunk * chunk;
            let end = source.chunk(next - 1).end.min(elements.end);
            widest = widest.max(end.next_multiple_of(chunk).min(elements.end) - start);
            first = next;
        }
        widest
    };
    let tasks = (0..looked_at).chain(task_count.checked_sub(1));
    tasks.map(open_in).max().unwrap_or(0)
}

/// The best way to write units as streams, where they have several chunks and can be written so; where
/// memory does not suffice for any, the one that needs least.
pub(super) fn best(grids: &Grids<'_>, model: &CostModel) -> Option<(Method, Costs)> {
    let streaming = grids.problem.streaming.as_ref()?;
    let budget = grids.memory().budget_bytes;
    let rank = |(method, costs): &(Method, Costs)| {
        let fits = costs.peak_bytes <= budget;
        let usd = if fits { model.booked_usd(costs, grids.problem) } else { 0.0 };
        let lacking = if fits { lacking_bytes(grids, method) } else { 0 };
        (!fits, usd, lacking, costs.peak_bytes)
    };
    let of = |(part, dimension, windows): (Vec<u64>, usize, Vec<u64>)| {
        let reads = source_reads(grids, &part);
        windows.into_iter().map(move |window| {
            let costs = costs(grids, streaming, reads, (&part, dimension), window);
            (Method::Streamed { part: part.clone(), dimension, window }, costs)
        })
    };
    let ways = ways(grids, streaming).into_iter().flat_map(of);
    ways.reduce(|best, other| if rank(&other) < rank(&best) { other } else { best })
}

/// Source bytes that a window has less than enough to keep all threads busy.
fn lacking_bytes(grids: &Grids<'_>, method: &Method) -> u64 {
    let Method::Streamed { part, dimension, window } = method else { return 0 };
    let mut slab = part.clone();
    if let Some(extent) = slab.get_mut(*dimension) {
        let longest = grids.source[*dimension].longest_chunk();
        *extent = longest.saturating_mul(*window).min(*extent);
    }
    ENOUGH_BYTES.saturating_mul(grids.thread_count).saturating_sub(grids.bytes(&slab))
}

/// Parts, the dimension along which they are crossed, and windows, that are worth a look.
fn ways(grids: &Grids<'_>, streaming: &Streaming) -> Vec<(Vec<u64>, usize, Vec<u64>)> {
    let unit = grids.target_unit();
    let chunk: Vec<u64> =
        unit.iter().zip(&streaming.chunk_shape).map(|(&unit, &chunk)| chunk.min(unit)).collect();
    let mut ways = Vec::new();
    for dimension in (0..unit.len()).filter(|&place| chunk[place] < unit[place]) {
        let part = [&chunk[..dimension], &unit[dimension..]].concat();
        let count = most_meeting(&grids.source[dimension], part[dimension]).max(1);
        let doubled = std::iter::successors(Some(1u64), |window| window.checked_mul(2));
        let windows = doubled.take_while(|&window| window < count).chain([count]);
        ways.push((part, dimension, windows.collect()));
    }
    if !ways.is_empty() {
        let last = unit.len() - 1;
        let window = most_meeting(&grids.source[last], chunk[last]).max(1);
        ways.push((chunk, last, vec![window]));
    }
    ways
}
