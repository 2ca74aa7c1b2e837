//! Side inputs: what each shape gives, and what does not have its shape.

use levain::dataflow::error::ErrorCode;
use levain::dataflow::plan::compile;
use levain::dataflow::runner::NoObserver;
use levain::prelude::*;

use super::{run_everywhere, sorted};

/// Looks a key up in a map view.
#[derive(Clone)]
struct LookUp(PCollectionView<MapView<String, i64>>);

impl DoFn for LookUp {
    type In = String;
    type Out = Option<i64>;

    fn process(&mut self, key: String, ctx: &mut ProcessContext<'_, Option<i64>>) -> Result<()> {
        let map = ctx.side(&self.0)?;
        ctx.output(map.get(&key)?)
    }
}

/// Puts out the value of a singleton view.
#[derive(Clone)]
struct ReadOne<T: Element>(PCollectionView<T>);

impl<T: Element> DoFn for ReadOne<T> {
    type In = String;
    type Out = T;

    fn process(&mut self, _: String, ctx: &mut ProcessContext<'_, T>) -> Result<()> {
        let value = ctx.side(&self.0)?;
        ctx.output((*value).clone())
    }
}

fn keys(pipeline: &Pipeline, keys: &[&str]) -> PCollection<String> {
    pipeline.apply_named("Keys", Create::of(keys.iter().map(|key| (*key).to_owned())))
}

fn numbers(pipeline: &Pipeline, values: &[i64]) -> PCollection<i64> {
    pipeline.apply_named("Numbers", Create::of(values.to_vec()))
}

fn look_up(pipeline: &Pipeline, pairs: &[(&str, i64)]) -> Collected<Option<i64>> {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), *value));
    let map = pipeline.apply_named("Pairs", Create::of(pairs.collect::<Vec<_>>())).as_map_view();
    let keys = keys(pipeline, &["a", "b", "c"]);
    keys.apply_named("LookUp", ParDo::of(LookUp(map)).with_side(&map)).collect()
}

#[track_caller]
fn check_fails(pipeline: &Pipeline, code: ErrorCode, words: &[&str]) {
    for outcome in run_everywhere(pipeline) {
        let error = outcome.expect_err("the view cannot be made");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.advice().is_some(), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "`{word}` is missing in: {error}");
        }
    }
}

#[test]
fn a_map_view_is_looked_up_by_key() {
    let pipeline = Pipeline::new();
    let found = look_up(&pipeline, &[("a", 1), ("b", 2)]);
    for outcome in run_everywhere(&pipeline) {
        assert_eq!(sorted(&outcome.expect("runs"), &found), [None, Some(1), Some(2)]);
    }
}

#[test]
fn a_map_view_refuses_a_key_twice_and_names_it() {
    let pipeline = Pipeline::new();
    look_up(&pipeline, &[("a", 1), ("b", 2), ("a", 3)]);
    check_fails(&pipeline, ErrorCode::VIEW_MISMATCH, &["\"a\"", "Pairs", "views.rs:"]);
}

#[test]
fn a_singleton_view_is_the_only_element_or_the_default() {
    for (values, want) in [(&[7i64][..], 7), (&[], -1)] {
        let pipeline = Pipeline::new();
        let one = numbers(&pipeline, values).as_singleton_view_or(-1);
        let read = keys(&pipeline, &["k"]).apply(ParDo::of(ReadOne(one)).with_side(&one));
        let read = read.collect();
        for outcome in run_everywhere(&pipeline) {
            assert_eq!(sorted(&outcome.expect("runs"), &read), [want]);
        }
    }
}

#[test]
fn a_singleton_view_is_of_exactly_one_element() {
    for (values, words) in [(&[][..], "as_singleton_view_or"), (&[1i64, 2], "2 elements")] {
        let pipeline = Pipeline::new();
        let one = numbers(&pipeline, values).as_singleton_view();
        keys(&pipeline, &["k"]).apply(ParDo::of(ReadOne(one)).with_side(&one));
        check_fails(&pipeline, ErrorCode::VIEW_MISMATCH, &[words, "Numbers", "views.rs:"]);
    }
}

/// Runs within the least memory and `more` bytes.
fn run_within(pipeline: &Pipeline, more: u64) -> Result<JobReport> {
    let runner = DirectRunner::new();
    let graph = compile(pipeline, runner.compile_options())?;
    let bytes = DirectRunner::least_memory_bytes(&graph) + more;
    pipeline.run_with(&runner, &RunOptions::default().with_memory_bytes(bytes), &NoObserver)
}

#[track_caller]
fn check_too_large(pipeline: &Pipeline, shape: &str, enough: u64) {
    let report = run_within(pipeline, enough).expect("there is enough memory");
    assert!(report.peak_bytes >= 1 << 20, "what the view takes is accounted");
    let error = run_within(pipeline, 64 << 10).expect_err("the view does not fit");
    assert_eq!(error.code(), ErrorCode::MEMORY_TOO_SMALL, "{error}");
    assert!(error.message().contains(shape), "{error}");
}

#[test]
fn a_map_view_that_is_too_large_is_refused() {
    let pipeline = Pipeline::new();
    let pairs: Vec<_> = (0..10_000).map(|n| (format!("key {n}"), n)).collect();
    let map = pipeline.apply(Create::of(pairs)).as_map_view();
    keys(&pipeline, &["key 1"]).apply(ParDo::of(LookUp(map)).with_side(&map));
    check_too_large(&pipeline, "map view", 16 << 20);
}

#[test]
fn a_singleton_view_that_is_too_large_is_refused() {
    let pipeline = Pipeline::new();
    let one = pipeline.apply(Create::of([vec![1i64; 300_000]])).as_singleton_view();
    keys(&pipeline, &["k"]).apply(ParDo::of(ReadOne(one)).with_side(&one));
    check_too_large(&pipeline, "singleton view", 16 << 20);
}

/// Adds up an iterable view.
#[derive(Clone)]
struct SumSide(PCollectionView<Iterable<i64>>);

impl DoFn for SumSide {
    type In = String;
    type Out = i64;

    fn process(&mut self, _: String, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let values = ctx.side(&self.0)?;
        ctx.output(values.iter().sum::<i64>() + values.len() as i64)
    }
}

#[test]
fn an_iterable_view_may_be_larger_than_memory() {
    let pipeline = Pipeline::new();
    let all = pipeline.apply(Create::of(0..100_000i64)).as_iterable_view();
    let keys = keys(&pipeline, &["a", "b"]);
    let sums = keys.apply(ParDo::of(SumSide(all)).with_side(&all)).collect();
    let report = run_within(&pipeline, 0).expect("runs");
    assert_eq!(sorted(&report, &sums), [4_999_950_000 + 100_000; 2]);
    assert!(report.shuffle.spilled_bytes > 100_000);
}

#[test]
fn a_side_input_of_ones_own_stage_is_complete_when_it_is_read() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, &[1, 2, 3]);
    let total = all.apply(CombineGlobally::of(Sum::<i64>::new())).as_singleton_view();
    let shifted = all.apply(ParDo::of(Shift(total)).with_side(&total)).collect();
    for outcome in run_everywhere(&pipeline) {
        assert_eq!(sorted(&outcome.expect("runs"), &shifted), [7, 8, 9]);
    }
}

/// Adds a side input to every element.
#[derive(Clone)]
struct Shift(PCollectionView<i64>);

impl DoFn for Shift {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let side = *ctx.side(&self.0)?;
        ctx.output(element + side)
    }
}
