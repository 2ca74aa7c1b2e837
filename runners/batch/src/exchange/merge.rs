//! Brings what some tasks of a stage have left into one shuffle, whole object by whole object.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use dataflow::error::{Error, Result};
use dataflow::plan::{StageGraph, StageId};
use dataflow::shuffle::{EdgeId, Importer, InProcessShuffle, ShuffleStore};

use crate::store::{Commit, Placed, RunStore, keys};

/// The bytes that one request asks for.
const REQUEST_BYTES: u64 = 4 << 20;

/// Takes in all records that tasks `from..to` of a stage have left.
///
/// Memory: one request; what has come is on disk. Cost: a request for every 4 MiB, and two for the commit
/// of each task.
///
/// # Errors
/// A store that fails.
pub(crate) fn gather(
    store: &RunStore,
    graph: &StageGraph,
    stage: StageId,
    tasks: Range<u32>,
    into: &InProcessShuffle,
    partition_count: usize,
) -> Result<()> {
    let mut importers: BTreeMap<EdgeId, Importer> = BTreeMap::new();
    for &edge in &graph.stage(stage).outputs {
        into.declare(edge, graph.order(edge), partition_count);
        importers.insert(edge, into.importer(edge)?);
    }
    for task in tasks {
        let key = keys::commit(stage, task);
        let commit: Option<Commit> = store.read_named(&key)?;
        let commit = commit.ok_or_else(|| Error::internal(format!("the commit {key} is gone")))?;
        let Some(object) = &commit.key else { continue };
        let mut segments = commit.segments(store)?;
        segments.sort_unstable_by_key(|placed| placed.range().start);
        // Neighbours are fetched together: a request costs as much as its bytes.
        let is_together = |a: &Placed, b: &Placed| a.range().end == b.range().start;
        for run in segments.chunk_by(is_together) {
            fetch_run(store, object, run, &mut importers)?;
        }
    }
    importers.into_values().for_each(Importer::finish);
    Ok(())
}

/// Fetches segments that lie together, piece by piece, and hands each its bytes.
fn fetch_run(
    store: &RunStore,
    object: &str,
    run: &[Placed],
    importers: &mut BTreeMap<EdgeId, Importer>,
) -> Result<()> {
    let end = run.last().map_or(0, |last| last.range().end);
    let (mut piece, mut piece_start) = (Bytes::new(), run.first().map_or(0, |it| it.range().start));
    for placed in run {
        let importer = importers.get_mut(&placed.edge());
        let importer = importer.ok_or_else(|| Error::internal("a segment of no edge"))?;
        importer.begin(placed.partition(), placed.record_count());
        let Range { start: mut at, end: segment_end } = placed.range();
        while at < segment_end {
            if at == piece_start + piece.len() as u64 {
                let request = Range { start: at, end: end.min(at + REQUEST_BYTES) };
                let read = store.fetch(object, vec![request]).wait()?.pop();
                (piece, piece_start) = (read.unwrap_or_default(), at);
                if piece.is_empty() {
                    return Err(Error::internal("a range of an object came without bytes"));
                }
            }
            let from = (at - piece_start) as usize;
            let to = piece.len().min((segment_end - piece_start) as usize);
            importer.push(&piece[from..to])?;
            at = piece_start + to as u64;
        }
    }
    Ok(())
}
