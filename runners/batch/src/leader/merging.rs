//! The second level of a wide shuffle: where many tasks have left something for many partitions, their
//! objects are merged into few before they are read, because requests are what a shuffle costs.
//!
//! `M` objects that `R` partitions are read from take `M * R` requests; merged into `G = √M` objects, they
//! take `M + G * R`, and every byte is moved twice. The merge of a stage is a stage of its own number,
//! whose tasks are ranges of tasks.
//!
//! Source: the multi-level exchange of I. Müller et al., "Lambada", <https://arxiv.org/abs/1912.00937>.

use dataflow::error::Result;
use dataflow::plan::StageId;

use super::stage::OpenStage;
use crate::store::{Bundle, RunStore, StagePlan, StageTask};

/// What is added to the number of a stage to get that of its merge: no pipeline has so many stages.
const MERGES: u32 = 100_000;

/// The stage that merges what another one has left.
pub(crate) fn merge_of(stage: StageId) -> StageId {
    StageId(stage.0 + MERGES)
}

/// The stage whose records a merge merges, if this is one.
pub(crate) fn merged_by(stage: StageId) -> Option<StageId> {
    stage.0.checked_sub(MERGES).map(StageId)
}

/// The merge of a stage whose records would take more than `limit` requests to read.
///
/// # Errors
/// A store that fails.
pub(crate) fn plan_merge(
    stage: &OpenStage,
    store: &RunStore,
    limit: u64,
) -> Result<Option<StagePlan>> {
    let (mut pieces, mut object_count) = (0u64, 0u64);
    for commit in stage.winners().values() {
        pieces += commit.segments(store)?.len() as u64;
        object_count += u64::from(commit.key.is_some());
    }
    if pieces <= limit || object_count < 2 {
        return Ok(None);
    }
    let task_count = stage.plan.tasks.len() as u32;
    let each = task_count.div_ceil((object_count as f64).sqrt().ceil() as u32);
    let ranges = (0..task_count).step_by(each as usize);
    let task = |from: u32| {
        let to = task_count.min(from + each);
        StageTask { bundles: vec![Bundle::Merge(from, to)] }
    };
    let (name, is_local) = (merge_of(stage.id).to_string(), stage.plan.is_local);
    Ok(Some(StagePlan { v: 1, stage: name, is_local, tasks: ranges.map(task).collect() }))
}
