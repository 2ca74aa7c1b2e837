//! Mistakes of a recipe, and plans that cannot run: each is one error before anything runs.

use std::time::Duration;

use levain::dataflow::error::{Error, ErrorCode};
use levain::dataflow::plan::{CompileOptions, compile};
use levain::dataflow::runner::NoObserver;
use levain::prelude::*;

use super::run_everywhere;

const OPTIONS: CompileOptions = CompileOptions { fuse: true, lift: true };

/// Compiles a recipe that is wrong; all `words` are in the error.
#[track_caller]
fn check(code: ErrorCode, words: &[&str], recipe: impl FnOnce(&Pipeline)) {
    let pipeline = Pipeline::new();
    recipe(&pipeline);
    let error = compile(&pipeline, OPTIONS).expect_err("a mistake");
    check_error(&error, code, words);
}

#[track_caller]
fn check_error(error: &Error, code: ErrorCode, words: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    assert!(error.advice().is_some(), "an error says how it is mended: {error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is missing in: {error}");
    }
}

fn numbers(pipeline: &Pipeline) -> PCollection<i64> {
    pipeline.apply(Create::of([1i64, 2, 3]))
}

#[test]
fn a_name_that_is_given_twice_names_both_lines() {
    let first = line!() + 3;
    let lines = [first, first + 1].map(|line| format!("refusals.rs:{line}"));
    check(ErrorCode::DUPLICATE_NAME, &["`Twice`", &lines[0], &lines[1]], |pipeline| {
        pipeline.apply_named("Twice", Create::of([1i64]));
        pipeline.apply_named("Twice", Create::of([2i64]));
    });
}

#[test]
fn names_that_are_not_given_are_numbered() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline);
    all.apply(Map::of(|n: i64| n)).apply(Map::of(|n: i64| n));
    let text = compile(&pipeline, OPTIONS).expect("compiles").explain();
    assert!(text.contains("Map/ParDo > Map2/ParDo"), "{text}");
}

#[test]
fn keys_whose_bytes_may_differ_are_refused() {
    let line = format!("refusals.rs:{}", line!() + 3);
    check(ErrorCode::KEY_NOT_DETERMINISTIC, &["double", "GroupByKey", &line], |pipeline| {
        let keyed = numbers(pipeline).apply(Map::of(|n: i64| (n as f64, n)));
        keyed.apply(GroupByKey);
    });
    check(ErrorCode::KEY_NOT_DETERMINISTIC, &["iterable<f32>"], |pipeline| {
        numbers(pipeline)
            .apply(Map::of(|n: i64| (vec![n as f32], n)))
            .apply(CombinePerKey::of(Sum::<i64>::new()));
    });
}

#[test]
fn collections_of_two_pipelines_do_not_mix() {
    check(ErrorCode::INVALID_RECIPE, &["another pipeline", "Flatten"], |pipeline| {
        let other = numbers(&Pipeline::new());
        PCollectionList::of(&numbers(pipeline), [other]).apply(Flatten);
    });
}

/// Reads a side input.
#[derive(Clone)]
struct Read(PCollectionView<i64>);

impl DoFn for Read {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let side = *ctx.side(&self.0)?;
        ctx.output(element + side)
    }
}

fn one(pipeline: &Pipeline) -> PCollectionView<i64> {
    pipeline.apply_named("One", Create::of([1i64])).as_singleton_view()
}

#[test]
fn a_side_input_of_another_pipeline_is_refused() {
    check(ErrorCode::NOT_DECLARED, &["side input of another pipeline", "Reader"], |pipeline| {
        // Both pipelines have a first view, of the same type.
        let (own, other) = (one(pipeline), one(&Pipeline::new()));
        let reader = ParDo::of(Read(own)).with_side(&own).with_side(&other);
        numbers(pipeline).apply_named("Reader", reader);
    });
}

#[test]
fn a_side_input_that_is_not_declared_is_an_error_of_its_step() {
    let pipeline = Pipeline::new();
    let view = one(&pipeline);
    numbers(&pipeline).apply_named("Reader", ParDo::of(Read(view)));
    for outcome in run_everywhere(&pipeline) {
        let error = outcome.expect_err("not declared");
        check_error(&error, ErrorCode::NOT_DECLARED, &["side input", "Reader", "with_side"]);
    }
}

#[test]
fn a_side_input_of_another_pipeline_is_not_taken_for_ones_own() {
    let pipeline = Pipeline::new();
    let (own, other) = (one(&pipeline), one(&Pipeline::new()));
    numbers(&pipeline).apply_named("Reader", ParDo::of(Read(other)).with_side(&own));
    for outcome in run_everywhere(&pipeline) {
        check_error(&outcome.expect_err("foreign"), ErrorCode::NOT_DECLARED, &["Reader"]);
    }
}

const ODD: Tag<i64> = Tag::new("odd");

/// Puts odd numbers out under a tag.
#[derive(Clone)]
struct Split;

impl DoFn for Split {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        if element % 2 == 0 { ctx.output(element) } else { ctx.output_to(&ODD, element) }
    }
}

#[test]
fn an_output_that_is_not_declared_is_an_error_of_its_step() {
    let pipeline = Pipeline::new();
    numbers(&pipeline).apply_named("Split", ParDo::of(Split));
    for outcome in run_everywhere(&pipeline) {
        let error = outcome.expect_err("not declared");
        check_error(&error, ErrorCode::NOT_DECLARED, &["`odd`", "Split", "with_output"]);
    }
}

#[test]
fn an_output_that_is_not_declared_cannot_be_read() {
    check(ErrorCode::NOT_DECLARED, &["`even`"], |pipeline| {
        let outputs = numbers(pipeline).apply(ParDo::of(Split).with_output(&ODD));
        outputs.get(&Tag::<i64>::new("even"));
    });
}

#[test]
fn an_output_has_the_type_of_its_tag() {
    check(ErrorCode::NOT_DECLARED, &["`odd`"], |pipeline| {
        let outputs = numbers(pipeline).apply(ParDo::of(Split).with_output(&ODD));
        outputs.get(&Tag::<String>::new("odd")).collect();
    });
}

#[test]
fn two_outputs_need_two_tags() {
    check(ErrorCode::DUPLICATE_NAME, &["odd"], |pipeline| {
        let split = ParDo::of(Split).with_output(&ODD).with_output(&ODD);
        numbers(pipeline).apply(split);
    });
}

#[test]
fn a_collection_that_was_not_asked_for_has_no_results() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline);
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    let error = report.get(&all.collect()).expect_err("asked for too late");
    check_error(&error, ErrorCode::NO_RESULT, &["collect"]);
}

#[test]
fn a_collection_of_another_pipeline_has_no_results_here() {
    let (pipeline, other) = (Pipeline::new(), Pipeline::new());
    numbers(&pipeline).collect();
    let foreign = numbers(&other).apply(Map::of(|n: i64| n.to_string())).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("runs");
    check_error(&report.get(&foreign).expect_err("foreign"), ErrorCode::NO_RESULT, &["collect"]);
}

#[test]
fn too_little_memory_is_refused_with_what_would_do() {
    let pipeline = Pipeline::new();
    numbers(&pipeline).apply(Map::of(|n: i64| (n, n))).apply(GroupByKey);
    let runner = DirectRunner::new();
    let graph = compile(&pipeline, runner.compile_options()).expect("compiles");
    let least = DirectRunner::least_memory_bytes(&graph);
    let run = |bytes| {
        let options = RunOptions::default().with_memory_bytes(bytes);
        pipeline.run_with(&runner, &options, &NoObserver)
    };
    let error = run(least - 1).expect_err("too little");
    check_error(&error, ErrorCode::MEMORY_TOO_SMALL, &[&format!("at least {least} bytes")]);
    run(least).expect("what would do does");
}

/// Numbers as their own times, in windows of ten milliseconds.
fn windowed(pipeline: &Pipeline) -> PCollection<i64> {
    let timed = numbers(pipeline).apply(WithTimestamps::of(|n: &i64| Timestamp::from_millis(*n)));
    timed.apply(WindowInto::of(FixedWindows::of(Duration::from_millis(10))))
}

fn in_sessions(pipeline: &Pipeline) -> PCollection<(i64, i64)> {
    let pairs = windowed(pipeline).apply(Map::of(|n: i64| (n, n)));
    pairs.apply(WindowInto::of(Sessions::with_gap(Duration::from_millis(5))))
}

#[test]
fn views_are_looked_up_by_keys_of_equal_bytes_only() {
    let line = format!("refusals.rs:{}", line!() + 7);
    check(
        ErrorCode::KEY_NOT_DETERMINISTIC,
        &["double", "looked up", "Halves", &line],
        |pipeline| {
            let halves =
                numbers(pipeline).apply_named("Halves", Map::of(|n: i64| (n as f64 / 2., n)));
            halves.as_map_view();
        },
    );
    check(ErrorCode::KEY_NOT_DETERMINISTIC, &["iterable<f32>", "integers"], |pipeline| {
        numbers(pipeline).apply(Map::of(|n: i64| (vec![n as f32], n))).as_multimap_view();
    });
}

#[test]
fn a_side_input_of_windows_that_merge_is_refused() {
    let words = ["Sessions", "WindowInto"];
    let line = format!("refusals.rs:{}", line!() + 2);
    check(ErrorCode::WINDOWS_DIFFER, &[words[0], words[1], &line], |pipeline| {
        in_sessions(pipeline).as_list_view();
    });
    check(ErrorCode::WINDOWS_DIFFER, &words, |pipeline| {
        in_sessions(pipeline).as_singleton_view();
    });
    check(ErrorCode::WINDOWS_DIFFER, &words, |pipeline| {
        in_sessions(pipeline).as_multimap_view();
    });
}

#[test]
fn a_side_input_of_merged_windows_needs_a_mapping() {
    let recipe = |pipeline: &Pipeline, mapping: Option<WindowMapping>| {
        let sums = in_sessions(pipeline).apply(CombinePerKey::of(Sum::<i64>::new()));
        let view = sums.apply(Map::of(|(_, sum): (i64, i64)| sum)).as_singleton_view_or(0);
        let read = ParDo::of(Read(view));
        let read = match mapping {
            Some(mapping) => read.with_side_in(&view, mapping),
            None => read.with_side(&view),
        };
        windowed(pipeline).apply_named("Reader", read).collect()
    };
    check(ErrorCode::WINDOWS_DIFFER, &["Reader", "with_side_in", "Sessions"], |pipeline| {
        recipe(pipeline, None);
    });
    let pipeline = Pipeline::new();
    let session = WindowMapping::of(|_| Window::of_millis(2, 7));
    let sums = recipe(&pipeline, Some(session));
    for outcome in run_everywhere(&pipeline) {
        assert_eq!(super::sorted(&outcome.expect("runs"), &sums), [3, 4, 5]);
    }
}

#[test]
fn collections_of_different_windows_are_not_flattened() {
    let line = format!("refusals.rs:{}", line!() + 3);
    let words = ["Fixed", "Global", "WindowInto", "Flatten", &line];
    check(ErrorCode::WINDOWS_DIFFER, &words, |pipeline| {
        PCollectionList::of(&windowed(pipeline), [numbers(pipeline)]).apply(Flatten);
    });
}

#[test]
fn a_default_in_windows_is_refused() {
    let line = format!("refusals.rs:{}", line!() + 3);
    let words = ["Fixed", "default", "without_default", "CombineGlobally", &line];
    check(ErrorCode::WINDOWS_DIFFER, &words, |pipeline| {
        windowed(pipeline).apply(CombineGlobally::of(Sum::<i64>::new()));
    });
}

#[test]
fn a_trigger_is_refused_by_name() {
    let line = format!("refusals.rs:{}", line!() + 3);
    check(ErrorCode::RUNNER_CANNOT, &["AfterCount(3)", "WindowInto", &line], |pipeline| {
        let trigger = levain::dataflow::primitives::Trigger::AfterCount(3);
        windowed(pipeline).apply(WindowInto::same().with_trigger(trigger));
    });
}

#[test]
fn state_is_not_kept_in_windows_that_merge() {
    let words = ["state", "Sessions", "group by key", "Stateful"];
    check(ErrorCode::WINDOWS_DIFFER, &words, |pipeline| {
        in_sessions(pipeline).apply_named("Stateful", StatefulParDo::of(LateTimer));
    });
}

/// Runs a recipe that fails while it runs; all `words` are in the error.
#[track_caller]
fn check_run(code: ErrorCode, words: &[&str], recipe: impl FnOnce(&Pipeline)) {
    let pipeline = Pipeline::new();
    recipe(&pipeline);
    for outcome in run_everywhere(&pipeline) {
        check_error(&outcome.expect_err("it cannot run"), code, words);
    }
}

/// Sets a timer for after the end of the window.
#[derive(Clone)]
struct LateTimer;

impl StatefulDoFn for LateTimer {
    type Key = i64;
    type Value = i64;
    type Out = i64;

    fn process(&mut self, _: &i64, _: i64, ctx: &mut StatefulContext<'_, '_, i64>) -> Result<()> {
        let end = ctx.window().max_timestamp();
        ctx.set_timer(TimerFamily::new("late"), end + Duration::from_millis(1))
    }
}

#[test]
fn st10_a_timer_after_its_window_is_refused() {
    let words = ["timer", "expiration", "late", "Timers", "on_window_expiration"];
    check_run(ErrorCode::TIME_OUT_OF_BOUNDS, &words, |pipeline| {
        let pairs = windowed(pipeline).apply(Map::of(|n: i64| (n, n)));
        pairs.apply_named("Timers", StatefulParDo::of(LateTimer));
    });
}

/// Puts elements out so many milliseconds from their time.
#[derive(Clone)]
struct ShiftTime(i64);

impl DoFn for ShiftTime {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let timestamp = Timestamp::from_millis(ctx.timestamp().millis() + self.0);
        ctx.output_at(timestamp, element)
    }
}

#[test]
fn pd5_a_time_behind_the_allowed_skew_is_refused() {
    let words =
        ["before the time of the element", "1001 ms", "1000 ms", "with_allowed_skew", "Shift"];
    check_run(ErrorCode::TIME_OUT_OF_BOUNDS, &words, |pipeline| {
        let shift = ParDo::of(ShiftTime(-1001)).with_allowed_skew(Duration::from_millis(1000));
        windowed(pipeline).apply_named("Shift", shift);
    });
    let pipeline = Pipeline::new();
    let shift = ParDo::of(ShiftTime(-1000)).with_allowed_skew(Duration::from_millis(1000));
    let shifted = windowed(&pipeline).apply(shift).apply(ReifyTimestamps);
    let times = shifted.apply(Map::of(|(_, time): (i64, Timestamp)| time.millis())).collect();
    for outcome in run_everywhere(&pipeline) {
        assert_eq!(super::sorted(&outcome.expect("runs"), &times), [-999, -998, -997]);
    }
}

#[test]
fn times_of_outputs_are_set_only_where_that_is_declared() {
    check_run(ErrorCode::NOT_DECLARED, &["times", "with_timestamps", "Shift"], |pipeline| {
        windowed(pipeline).apply_named("Shift", ParDo::of(ShiftTime(1)));
    });
}

/// Says how many elements a bundle has had, and not in which window.
#[derive(Clone, Default)]
struct Tally(i64);

impl DoFn for Tally {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output(std::mem::take(&mut self.0))
    }
}

#[test]
fn what_a_bundle_ends_with_needs_a_window() {
    check_run(ErrorCode::WINDOWS_DIFFER, &["window", "output_in", "Tally"], |pipeline| {
        windowed(pipeline).apply_named("Tally", ParDo::of(Tally::default()));
    });
}
