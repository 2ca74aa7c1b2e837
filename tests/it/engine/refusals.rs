//! Mistakes of a recipe, and plans that cannot run: each is one error before anything runs.

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
