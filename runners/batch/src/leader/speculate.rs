//! Tasks that take much longer than others are given to whoever is idle as well.
//!
//! Source: the rule of Cubed for backup tasks, `spec/batch.md` 3.6: of a stage with enough tasks of which
//! half are done, those that run for three times the median.

use std::collections::BTreeSet;
use std::time::Duration;

use super::stage::OpenStage;

/// A stage with fewer tasks has no median worth the name.
const LEAST_TASKS: usize = 10;
/// Times the median.
const SLOW: u64 = 3;
/// No task is slow that runs for less.
const LEAST_AGE: Duration = Duration::from_secs(30);
/// One task in so many may be begun twice.
const ONE_IN: usize = 10;

/// The tasks of a stage that are to be begun again; `age_ms` is how long ago a task was first begun, by
/// the clock of the store.
pub(crate) fn slow_tasks(stage: &OpenStage, age_ms: impl Fn(u32) -> Option<i64>) -> BTreeSet<u32> {
    let (task_count, mut walls) = (stage.plan.tasks.len(), stage.wall_times_ms());
    if task_count < LEAST_TASKS || walls.len() * 2 < task_count {
        return BTreeSet::new();
    }
    walls.sort_unstable();
    let median = walls[walls.len() / 2];
    let limit_ms = (SLOW * median).max(LEAST_AGE.as_millis() as u64) as i64;
    let known = stage.speculated();
    let room = (task_count / ONE_IN).saturating_sub(known.len());
    let is_slow = |task: &u32| age_ms(*task).is_some_and(|age| age > limit_ms);
    let open = stage.open_tasks().map(|(task, _)| task).filter(|task| !known.contains(task));
    open.filter(is_slow).take(room).collect()
}
