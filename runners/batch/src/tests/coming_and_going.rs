//! How many workers there are and how large, and what becomes of those that die, never begin or have no time.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflow::error::ErrorCode;
use dataflow::options::{OnError, RunOptions};
use dataflow::prelude::*;
use dataflow::testing::{each, map};

use super::crew::{Body, Crew, Tally, take, until};
use crate::launch::Cause;

fn options(partitions: usize) -> RunOptions {
    RunOptions::default().with_partition_count(NonZeroUsize::new(partitions).expect("not zero"))
}

/// So many elements, each of which is a task once there are as many partitions.
fn elements(pipeline: &Pipeline, count: i64) -> PCollection<i64> {
    pipeline.apply(Create::of(0..count)).apply(Reshuffle)
}

/// D51, D54, D62: workers are as many as there is work for and never more than they may be, those without
/// work go home, and others come when there is work again.
#[test]
fn workers_come_and_go_with_the_work() {
    let tally = Arc::new(Tally::default());
    let (seen, recipes_tally) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::clone(&tally));
    let noted = Arc::clone(&seen);
    let recipe = move |_: &Body| {
        let (wide, narrow, again) =
            (Arc::clone(&recipes_tally), Arc::clone(&recipes_tally), Arc::clone(&recipes_tally));
        let noted = Arc::clone(&noted);
        let pipeline = Pipeline::new();
        elements(&pipeline, 64)
            .apply(map(move |element: i64| {
                until("all workers", || wide.most() >= 16);
                element
            }))
            .apply(Reshuffle)
            .apply(each(|element: i64, ctx: &mut ProcessContext<'_, i64>| match element {
                0 | 1 => ctx.output(element),
                _ => Ok(()),
            }))
            .apply(Reshuffle)
            .apply(each(move |element: i64, ctx: &mut ProcessContext<'_, i64>| {
                until("the end of the idle", || narrow.live() <= 2);
                (0..32).try_for_each(|one| ctx.output(32 * element + one))
            }))
            .apply(Reshuffle)
            .apply(map(move |element: i64| {
                // A few that are missing are not worth a submission.
                until("workers again", || again.live() >= 12);
                noted.lock().expect("no test fails while it holds this").insert(element);
                element
            }));
        pipeline
    };
    let crew = Arc::new(Crew::new("ramp", &tally, recipe));
    let mut batch = Crew::options(16);
    batch.idle_ms = 50;
    crew.run(batch, &options(64)).expect("it runs");
    assert_eq!(seen.lock().expect("free").len(), 64);
    assert_eq!(tally.most(), 16, "workers at once");
    let submissions = crew.ends().len();
    assert!((3..=8).contains(&submissions), "{submissions} submissions");
    let all_well = crew.ends().concat().iter().all(|end| *end == Cause::Exit(0));
    assert!(all_well, "whoever has nothing to do goes home by itself: {:?}", crew.ends());
}

/// D52: a worker begins nothing that would not end before its place ends it; nothing is done twice.
#[test]
fn workers_retire_before_their_time_is_over() {
    let (tally, began) = (Arc::new(Tally::default()), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&began);
    let recipe = move |_: &Body| {
        let counted = Arc::clone(&counted);
        let pipeline = Pipeline::new();
        elements(&pipeline, 24).apply(map(move |element: i64| {
            counted.fetch_add(1, Ordering::SeqCst);
            take(Duration::from_millis(100));
            element
        }));
        pipeline
    };
    let crew = Crew::new("time", &tally, recipe).with_timeout(Duration::from_millis(1500));
    let crew = Arc::new(crew);
    // A stage has at most as many tasks as there are workers and threads for.
    let mut batch = Crew::options(1);
    batch.tasks_per_thread = NonZeroUsize::new(24).expect("not zero");
    crew.run(batch, &options(24)).expect("it runs");
    assert_eq!(began.load(Ordering::SeqCst), 24, "a task was begun in vain");
    let ends = crew.ends().concat();
    assert!(ends.len() >= 2, "one worker has had time for all: {ends:?}");
    assert!(ends.iter().all(|end| *end == Cause::Exit(0)), "some were ended: {ends:?}");
}

/// D52: after so many tasks a worker goes home, and another one goes on.
#[test]
fn workers_retire_after_their_tasks() {
    let tally = Arc::new(Tally::default());
    let crew = Arc::new(Crew::new("tasks", &tally, |_: &Body| {
        let pipeline = Pipeline::new();
        elements(&pipeline, 8).apply(map(|element: i64| element));
        pipeline
    }));
    let mut batch = Crew::options(1);
    batch.tasks_max = std::num::NonZeroU64::new(3);
    crew.run(batch, &options(8)).expect("it runs");
    let ends = crew.ends().concat();
    assert!(ends.len() >= 3, "nine tasks, three each: {ends:?}");
    assert!(ends.iter().all(|end| *end == Cause::Exit(0)), "{ends:?}");
}

/// A pipeline whose worker dies at one of its elements, as often as it is at it with too little memory.
fn deadly(cause: Cause, needed_mib: u64) -> impl Fn(&Body) -> Pipeline + Send + Sync + 'static {
    move |body: &Body| {
        let body = body.clone();
        let pipeline = Pipeline::new();
        elements(&pipeline, 8).apply(each(
            move |element: i64, ctx: &mut ProcessContext<'_, i64>| {
                // A crash that is not for want of memory happens once.
                let is_crash = cause != Cause::OutOfMemory;
                let dies = if is_crash { body.job == 0 } else { body.memory_mib < needed_mib };
                if element == 7 && dies {
                    return Err(body.die(cause));
                }
                ctx.output(element)
            },
        ));
        pipeline
    }
}

fn ladder() -> crate::BatchOptions {
    let mut batch = Crew::options(1);
    batch.memory_ladder_mib = vec![4096, 8192, 16_384];
    batch
}

/// D57: more memory after an end for want of it, and only then.
#[test]
fn only_want_of_memory_leads_to_more() {
    let tally = Arc::new(Tally::default());
    let hungry = Arc::new(Crew::new("hungry", &tally, deadly(Cause::OutOfMemory, 8192)));
    hungry.run(ladder(), &options(8)).expect("it runs with more");
    assert_eq!(hungry.memories(), [4096, 8192]);
    for cause in [Cause::Exit(101), Cause::Killed, Cause::Reclaimed] {
        let name = format!("crash-{cause:?}").replace(['(', ')'], "-").to_lowercase();
        let crashed = Arc::new(Crew::new(&name, &tally, deadly(cause, 0)));
        crashed.run(ladder(), &options(8)).expect("another attempt does it");
        let memories = crashed.memories();
        assert!(memories.len() > 1 && memories.iter().all(|it| *it == 4096), "{memories:?}");
    }
}

/// D58: the last rung is repeated, attempts are bounded, and the error says what each had and held.
#[test]
fn the_last_rung_is_repeated_and_then_the_run_ends() {
    let tally = Arc::new(Tally::default());
    let crew = Arc::new(Crew::new("starved", &tally, deadly(Cause::OutOfMemory, u64::MAX)));
    let options = options(8).with_on_error(OnError::Continue);
    let error = crew.run(ladder(), &options).expect_err("nothing suffices");
    assert_eq!(error.code(), ErrorCode::WORKER_MEMORY, "{error}");
    let memories = crew.memories();
    assert_eq!(memories[..4], [4096, 8192, 16_384, 16_384], "{memories:?}");
    // All else is done, by workers as small as it needs.
    assert!(memories[4..].iter().all(|it| *it == 4096), "{memories:?}");
    let attempts: Vec<String> =
        error.place("attempts").expect("they are named").split(", ").map(str::to_owned).collect();
    let given = ["4096 MiB (held ", "8192 MiB (held ", "16384 MiB (held ", "16384 MiB (held "];
    assert_eq!(attempts.len(), given.len(), "{error}");
    for (attempt, given) in attempts.iter().zip(given) {
        assert!(attempt.starts_with(given), "{error}");
    }
}

/// D09: where nothing may be asked of the place, the store tells which workers are there.
#[test]
fn without_a_word_of_the_place_the_store_tells_who_has_gone() {
    let tally = Arc::new(Tally::default());
    let recipe = |_: &Body| {
        let pipeline = Pipeline::new();
        elements(&pipeline, 8).apply(map(|element: i64| element));
        pipeline
    };
    let crew = Arc::new(Crew::new("silent", &tally, recipe).silent());
    let mut batch = Crew::options(1);
    batch.tasks_max = std::num::NonZeroU64::new(3);
    crew.run(batch, &options(8)).expect("it runs");
    assert!(crew.ends().len() >= 3, "nine tasks, three each: {:?}", crew.ends());
}
