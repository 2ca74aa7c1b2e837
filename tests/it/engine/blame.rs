//! An error says which transform, which line of the recipe and which element.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use levain::dataflow::error::{Error, ErrorCode, ErrorKind};
use levain::dataflow::runner::NoObserver;
use levain::prelude::*;
use serde::{Deserialize, Serialize};

use super::{in_order, run_everywhere};

/// Runs a recipe that fails, and compares code, message, step and element; `line` is the line of
/// the recipe that applied what fails.
#[track_caller]
fn check(
    pipeline: &Pipeline,
    line: u32,
    code: ErrorCode,
    message: &str,
    step: &str,
    element: &str,
) {
    for outcome in run_everywhere(pipeline) {
        let error = outcome.expect_err("the recipe fails");
        assert_eq!((error.code(), error.message()), (code, message), "{error}");
        assert_eq!(error.place("step"), Some(step), "{error}");
        assert_eq!(error.place("element").unwrap_or_default(), element, "{error}");
        let recipe = format!("{}:{line}", file!());
        assert_eq!(error.place("recipe"), Some(recipe.as_str()), "{error}");
    }
}

fn numbers(pipeline: &Pipeline, count: i64) -> PCollection<i64> {
    pipeline.apply(Create::of(0..count))
}

fn user_error(message: &str) -> Error {
    Error::new(ErrorCode::USER_ERROR, ErrorKind::User, message)
}

/// Returns an error for one element.
#[derive(Clone)]
struct RefuseOne(i64);

impl DoFn for RefuseOne {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        if element == self.0 { Err(user_error("no such luck")) } else { ctx.output(element) }
    }
}

#[expect(clippy::panic, reason = "the panic is what is tested")]
fn panic_at(bad: i64) -> impl Fn(i64) -> i64 + Clone + Send + Sync {
    move |n| if n == bad { panic!("cannot be") } else { n }
}

const PANIC: &str = "the function panicked: cannot be";

#[test]
fn a_panic_in_a_chain_names_its_element() {
    let pipeline = Pipeline::new();
    let tens = numbers(&pipeline, 5000).apply(Map::of(|n: i64| n * 10));
    let line = line!() + 1;
    tens.apply(Map::of(panic_at(40_070))).apply(Map::of(|n: i64| n + 1));
    check(&pipeline, line, ErrorCode::USER_PANIC, PANIC, "Map2/ParDo", "40070");
}

#[test]
fn an_error_in_a_chain_names_its_element() {
    let pipeline = Pipeline::new();
    let tens = numbers(&pipeline, 5000).apply(Map::of(|n: i64| n * 10));
    let line = line!() + 1;
    tens.apply_named("Refuse", ParDo::of(RefuseOne(40_070)));
    check(&pipeline, line, ErrorCode::USER_ERROR, "no such luck", "Refuse", "40070");
}

#[test]
fn a_failure_after_a_group_names_the_group() {
    let pipeline = Pipeline::new();
    let groups = numbers(&pipeline, 5000).apply(Map::of(|n: i64| (n % 100, n))).apply(GroupByKey);
    let line = line!() + 1;
    groups.apply(Map::of(|(key, _): (i64, Iterable<i64>)| panic_at(42)(key)));
    check(&pipeline, line, ErrorCode::USER_PANIC, PANIC, "Map2/ParDo", "(42, 50 values)");
}

#[test]
fn an_element_of_a_type_of_ones_own_is_shown_by_its_fields() {
    let pipeline = Pipeline::new();
    let readings =
        numbers(&pipeline, 3).apply(Map::of(|n: i64| Reading { station: n, value: 0.5 }));
    let line = line!() + 1;
    readings.apply(Map::of(|reading: Reading| panic_at(1)(reading.station)));
    let shown = "Reading{station=1, value=0.5}";
    check(&pipeline, line, ErrorCode::USER_PANIC, PANIC, "Map2/ParDo", shown);
}

#[derive(Debug, Clone, Serialize, Deserialize, Element)]
struct Reading {
    station: i64,
    value: f64,
}

/// Adds numbers up, and panics where it is told to.
#[derive(Clone)]
struct PanicIn {
    phase: &'static str,
    limit: i64,
}

impl PanicIn {
    fn check(&self, phase: &str, sum: i64) {
        assert!(phase != self.phase || sum < self.limit, "{phase} panics");
    }
}

impl CombineFn for PanicIn {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        *sum += value;
        self.check("add", *sum);
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
        self.check("merge", *sum);
    }

    fn extract(&self, sum: i64) -> i64 {
        self.check("extract", sum);
        sum
    }
}

/// Sums of 500 numbers each, of which only that of `k9` reaches the limit, and with its last
/// numbers: what came before decides, so no second look at an element would find it.
fn combine(phase: &'static str) -> (Pipeline, u32) {
    let pipeline = Pipeline::new();
    let keyed = numbers(&pipeline, 5000).apply(Map::of(|n: i64| (format!("k{}", n % 10), n)));
    let line = line!() + 1;
    keyed.apply(CombinePerKey::of(PanicIn { phase, limit: 1_251_700 }));
    (pipeline, line)
}

#[test]
fn a_panic_in_a_combine_function_names_its_key() {
    for phase in ["add", "extract"] {
        let (pipeline, line) = combine(phase);
        let message = format!("the function panicked: {phase} panics");
        check(&pipeline, line, ErrorCode::USER_PANIC, &message, "CombinePerKey", "\"k9\"");
    }
}

#[test]
fn a_panic_in_merging_names_its_key() {
    let (pipeline, line) = combine("merge");
    let (direct, options) = in_order();
    // Only a lifted combine merges.
    let lifted = pipeline.run_with(&direct, &options, &NoObserver);
    let error = lifted.expect_err("the recipe fails");
    assert_eq!(error.place("element"), Some("\"k9\""));
    assert_eq!(error.place("recipe"), Some(format!("{}:{line}", file!()).as_str()));
}

/// Refuses one value, or panics at another one.
#[derive(Clone)]
struct RefuseValue {
    refused: i64,
    panics: i64,
}

impl StatefulDoFn for RefuseValue {
    type Key = String;
    type Value = i64;
    type Out = i64;

    #[expect(clippy::panic, reason = "the panic is what is tested")]
    fn process(
        &mut self,
        _: &String,
        value: i64,
        _: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        match value {
            value if value == self.refused => Err(user_error("no such luck")),
            value if value == self.panics => panic!("cannot be"),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_failure_with_state_names_its_key() {
    let cases = [
        (13, -1, "no such luck", "key", "\"k3\""),
        (-1, 13, PANIC, "element", "(\"k3\", 3 values)"),
    ];
    for (refused, panics, message, role, named) in cases {
        let pipeline = Pipeline::new();
        let keyed = numbers(&pipeline, 30).apply(Map::of(|n: i64| (format!("k{}", n % 10), n)));
        keyed.apply_named("State", StatefulParDo::of(RefuseValue { refused, panics }));
        for outcome in run_everywhere(&pipeline) {
            let error = outcome.expect_err("the recipe fails");
            assert_eq!(error.message(), message);
            assert_eq!(error.place(role), Some(named), "{error}");
            assert!(error.place("step").is_some_and(|step| step.starts_with("State")), "{error}");
        }
    }
}

/// Fails when its bundle ends.
#[derive(Clone)]
struct FailAtEnd;

impl DoFn for FailAtEnd {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        Ok(())
    }

    fn finish_bundle(&mut self, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        Err(user_error("the end is wrong"))
    }
}

#[test]
fn a_failure_at_the_end_of_a_bundle_names_no_element() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, 10);
    let line = line!() + 1;
    all.apply_named("End", ParDo::of(FailAtEnd));
    check(&pipeline, line, ErrorCode::USER_ERROR, "the end is wrong", "End", "");
}

/// A type whose own serde code panics.
#[derive(Debug, Clone, Element)]
struct Unwritable;

impl Serialize for Unwritable {
    #[expect(clippy::panic, reason = "the panic is what is tested")]
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("cannot be")
    }
}

impl<'de> Deserialize<'de> for Unwritable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[test]
fn a_panic_in_a_coder_names_who_made_the_element() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, 10);
    let line = line!() + 1;
    let made = all.apply_named("Make", Map::of(|_: i64| Unwritable));
    made.apply(Reshuffle);
    check(&pipeline, line, ErrorCode::USER_PANIC, PANIC, "Make/ParDo", "0");
}

#[test]
fn an_error_that_says_where_is_not_looked_for_again() {
    let calls = Arc::new(AtomicU32::new(0));
    let pipeline = Pipeline::new();
    numbers(&pipeline, 1).apply(ParDo::of(RefuseFile(Arc::clone(&calls))));
    let outcomes = run_everywhere(&pipeline);
    assert_eq!(calls.load(Ordering::Relaxed) as usize, outcomes.len(), "once a run");
    for outcome in outcomes {
        assert_eq!(outcome.expect_err("fails").place("file"), Some("a.nc"));
    }
}

/// Returns an error that names a file, and counts how often it did.
#[derive(Clone)]
struct RefuseFile(Arc<AtomicU32>);

impl DoFn for RefuseFile {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(user_error("cannot read").at("file", "a.nc"))
    }
}
