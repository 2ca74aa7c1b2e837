//! The tasks of a stage: its bundles, put together so that a task is worth its start.

use std::collections::BTreeMap;

use dataflow::error::Result;
use dataflow::plan::{Root, Stage};

use crate::exchange::Exchange;
use crate::store::{Bundle, StagePlan, StageTask};

/// Plans a stage whose inputs are complete: at most `task_limit` tasks, about even in bytes.
///
/// # Errors
/// A store that fails.
pub(crate) fn plan_stage(
    stage: &Stage,
    exchange: &Exchange,
    task_limit: usize,
    is_local: bool,
) -> Result<StagePlan> {
    let bundles = match stage.root {
        Root::Impulse(_) => vec![(Bundle::Impulse, 0)],
        Root::Read(_) | Root::Group(_) => {
            let mut bundles = Vec::new();
            for &edge in &stage.inputs {
                let filled = exchange.index(edge)?.partition_bytes(edge);
                let bundle = |(partition, bytes)| (Bundle::Partition(edge.0, partition), bytes);
                bundles.extend(filled.into_iter().map(bundle));
            }
            bundles
        }
    };
    let tasks = put_together(&bundles, task_limit);
    Ok(StagePlan { v: 1, stage: stage.id.to_string(), is_local, tasks })
}

/// Neighbours become one task until there are few enough; their order stays.
fn put_together(bundles: &[(Bundle, u64)], task_limit: usize) -> Vec<StageTask> {
    // Every bundle costs something, however few bytes it has.
    let weights: Vec<u64> = bundles.iter().map(|(_, bytes)| bytes + 1).collect();
    let (total, limit) = (weights.iter().sum::<u64>(), task_limit.max(1));
    let mut tasks: BTreeMap<usize, Vec<Bundle>> = BTreeMap::new();
    let mut before = 0;
    for (&(bundle, _), weight) in bundles.iter().zip(weights) {
        let middle = u128::from(before + weight / 2);
        let place = (middle * limit as u128 / u128::from(total.max(1))) as usize;
        let place = if bundles.len() <= limit { tasks.len() } else { place };
        tasks.entry(place).or_default().push(bundle);
        before += weight;
    }
    tasks.into_values().map(|bundles| StageTask { bundles }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u64], task_limit: usize, want: &[usize]) {
        let bundles: Vec<_> = bytes
            .iter()
            .enumerate()
            .map(|(at, &bytes)| (Bundle::Partition(0, at), bytes))
            .collect();
        let tasks = put_together(&bundles, task_limit);
        let got: Vec<usize> = tasks.iter().map(|task| task.bundles.len()).collect();
        assert_eq!(got, want);
        let flat: Vec<_> = tasks.into_iter().flat_map(|task| task.bundles).collect();
        assert!(flat.iter().eq(bundles.iter().map(|(bundle, _)| bundle)), "order stays");
    }

    #[test]
    fn few_bundles_are_tasks_of_their_own() {
        check(&[5, 0, 900], 3, &[1, 1, 1]);
        check(&[], 3, &[]);
    }

    #[test]
    fn many_bundles_make_tasks_that_are_even_in_bytes() {
        check(&[10, 10, 10, 10, 10, 10], 3, &[2, 2, 2]);
        check(&[100, 1, 1, 1, 1, 100], 2, &[3, 3]);
        check(&[0, 0, 0, 0], 1, &[4]);
    }
}
