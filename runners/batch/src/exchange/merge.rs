//! Brings what some tasks of a stage have left into one shuffle, whole object by whole object.

use std::collections::BTreeMap;
use std::ops::Range;

use dataflow::error::{Error, Result};
use dataflow::plan::{StageGraph, StageId};
use dataflow::shuffle::{EdgeId, Importer, InProcessShuffle, ShuffleStore};

use crate::store::{Commit, RunStore, keys};

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
        let commit: Option<Commit> = store.read(&key)?;
        let commit = commit.ok_or_else(|| Error::internal(format!("the commit {key} is gone")))?;
        let Some(object) = &commit.key else { continue };
        for placed in commit.segments(store)? {
            let importer = importers.get_mut(&placed.edge());
            let importer = importer.ok_or_else(|| Error::internal("a segment of no edge"))?;
            importer.begin(placed.partition(), placed.record_count());
            fetch_into(store, object, placed.range(), importer)?;
        }
    }
    importers.into_values().for_each(Importer::finish);
    Ok(())
}

fn fetch_into(
    store: &RunStore,
    object: &str,
    range: Range<u64>,
    importer: &mut Importer,
) -> Result<()> {
    for start in range.clone().step_by(REQUEST_BYTES as usize) {
        let request = Range { start, end: range.end.min(start + REQUEST_BYTES) };
        for bytes in store.fetch(object, vec![request]).wait()? {
            importer.push(&bytes)?;
        }
    }
    Ok(())
}
