//! What a run asks of its store: by tasks and stages, not by elements.

use std::num::{NonZeroU32, NonZeroUsize};

use dataflow::options::RunOptions;
use dataflow::prelude::*;
use dataflow::runner::NoObserver;
use dataflow::testing::map;
use objects::{Location, StoreOptions};

use crate::store::{RequestsRecord, keys};
use crate::{BatchOptions, BatchRunner, RunStore};

const STAGES: u64 = 10;
/// Of a task: its claim, its records, its commit, and what was counted after that.
const PUTS_OF_TASK: u64 = 4;
/// Of a stage: its plan and its end.
const PUTS_OF_STAGE: u64 = 2;
/// Of a run: its record and its end, the lease, the probe of the store, submissions, and a few heartbeats.
const PUTS_OF_RUN: u64 = 60;

/// Writes and tasks of ten stages that move so many elements.
fn cost(elements: i64) -> (u64, u64) {
    let pipeline = Pipeline::new();
    let mut moved = pipeline.apply(Create::of(0..elements));
    for stage in 0..STAGES {
        let shuffle = format!("Shuffle{stage}");
        moved = moved
            .apply_named(&shuffle, Reshuffle)
            .apply_named(&format!("Add{stage}"), map(|element: i64| element + 1));
    }
    let root = Location::parse(&format!("memory://requests/{elements}")).expect("a location");
    let mut batch = BatchOptions::nearby();
    batch.max_workers = NonZeroU32::new(2).expect("not zero");
    batch.threads = NonZeroUsize::new(2).expect("not zero");
    // How long a run takes is another question.
    batch.heartbeat_ms = 600_000;
    let runner = BatchRunner::new(&root, &StoreOptions::default(), batch);
    let partitions = NonZeroUsize::new(16).expect("not zero");
    let options = RunOptions::default().with_partition_count(partitions);
    pipeline.run_with(&runner, &options, &NoObserver).expect("it runs");
    let store = RunStore::open(&root, &StoreOptions::default()).expect("a store");
    let record: RequestsRecord = store.read(keys::REQUESTS).expect("read").expect("it was kept");
    let tasks = store.list("c").expect("a list").len() as u64;
    (record.driver.puts + record.workers.puts, tasks)
}

/// A23: shards and commits, whatever flows through them.
#[test]
fn writes_grow_with_tasks_and_not_with_elements() {
    let (few_puts, few_tasks) = cost(1000);
    let (puts, tasks) = cost(100_000);
    assert_eq!(tasks, few_tasks, "a hundred times the elements are as many tasks");
    let most = PUTS_OF_TASK * tasks + PUTS_OF_STAGE * (STAGES + 1) + PUTS_OF_RUN;
    assert!(puts <= most, "{puts} writes of {tasks} tasks, at most {most}");
    assert!(puts.abs_diff(few_puts) <= PUTS_OF_RUN, "{few_puts} and {puts} writes");
}
