use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorCode};
use crate::plan::{CompileOptions, StageGraph};
use crate::prelude::*;
use crate::runner::{Capabilities, JobObserver, JobReport, RunOptions, Runner};
use crate::testing::{ReferenceRunner, TestPipeline, assert_that, map};

fn numbers(pipeline: &Pipeline, values: &[i64]) -> PCollection<i64> {
    pipeline.apply(Create::of(values.to_vec()))
}

/// The error of a claim that does not hold, and the line of the claim.
#[track_caller]
fn refuted(values: &[i64], claim: impl FnOnce(&PCollection<i64>) -> u32) -> Error {
    let pipeline = TestPipeline::new();
    let line = claim(&numbers(&pipeline, values));
    let error = pipeline.run().expect_err("the claim does not hold");
    assert_eq!(error.code(), ErrorCode::ASSERTION, "{error}");
    let recipe = error.place("recipe").expect("the line of the claim");
    assert!(recipe.ends_with(&format!("tests.rs:{line}")), "{error}");
    error
}

#[test]
fn what_is_claimed_rightly_holds() {
    let pipeline = TestPipeline::new();
    let all = numbers(&pipeline, &[3, 1, 3]);
    assert_that(&all).contains_in_any_order([1, 3, 3]);
    assert_that(&all).satisfies(|all| match all.iter().sum::<i64>() {
        7 => Ok(()),
        sum => Err(format!("the sum is {sum}")),
    });
    let none = pipeline.apply_named("None", Create::<i64>::of([]));
    assert_that(&none).is_empty();
    assert_that(&none).contains_in_any_order([]);
    let one = pipeline.apply_named("One", Create::of([(1i64, "a".to_owned())]));
    assert_that(&one).with_name("one pair").is_singleton((1, "a".to_owned()));
    pipeline.run().expect("all hold");
}

#[test]
fn a_difference_is_shown_with_counts() {
    let error = refuted(&[1, 2, 2, 9], |all| {
        assert_that(all).contains_in_any_order([1, 3, 3, 3, 9]);
        line!() - 1
    });
    let want = "the collection holds 4 elements, of 5 that were expected 3 are missing, and 2 are unexpected";
    assert_eq!(error.message(), want);
    assert_eq!(error.place("missing"), Some("3 (3 times)"));
    assert_eq!(error.place("unexpected"), Some("2 (2 times)"));
    assert_eq!(error.place("step"), Some("AssertThat/Check"));
    assert_eq!(error.place("element"), None, "the impulse says nothing");
}

#[test]
fn a_long_difference_is_cut() {
    let values: Vec<i64> = (0..30).collect();
    let error = refuted(&values, |all| {
        assert_that(all).with_name("nothing there").is_singleton(5);
        line!() - 1
    });
    let shown = error.place("unexpected").expect("29 elements");
    assert_eq!(shown.lines().count(), 11);
    assert!(shown.ends_with("and 19 more"), "{shown}");
    assert_eq!(error.place("step"), Some("nothing there/Check"));
}

#[test]
fn an_element_too_few_or_too_many_is_no_singleton() {
    for values in [&[][..], &[7, 7]] {
        refuted(values, |all| {
            assert_that(all).is_singleton(7);
            line!() - 1
        });
    }
}

#[test]
fn an_element_where_none_should_be_is_shown() {
    let error = refuted(&[4], |all| {
        assert_that(all).is_empty();
        line!() - 1
    });
    assert_eq!(error.place("unexpected"), Some("4"));
}

#[test]
fn what_a_check_says_is_the_failure() {
    let error = refuted(&[2, 1], |all| {
        assert_that(all).satisfies(|all| Err(format!("there are {}", all.len())));
        line!() - 1
    });
    assert_eq!(error.message(), "there are 2");
}

#[test]
fn floats_are_compared_as_floats() {
    let pipeline = TestPipeline::new();
    let floats = pipeline.apply(Create::of([0.0f64, f64::NAN]));
    assert_that(&floats).contains_in_any_order([-0.0, f64::NAN]);
    pipeline.run().expect("holds");
}

/// Says that all is well without running anything.
struct DoesNothing;

impl Runner for DoesNothing {
    fn name(&self) -> &'static str {
        "does nothing"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED
    }

    fn compile_options(&self) -> CompileOptions {
        ReferenceRunner.compile_options()
    }

    fn run(&self, _: &StageGraph, _: &RunOptions, _: &dyn JobObserver) -> Result<JobReport> {
        Pipeline::new().run(&ReferenceRunner)
    }
}

#[test]
fn an_assertion_that_never_ran_fails_the_run() {
    let pipeline = TestPipeline::on(&DoesNothing);
    assert_that(&numbers(&pipeline, &[])).is_empty();
    let error = pipeline.run().expect_err("nothing was checked");
    assert_eq!(error.code(), ErrorCode::ASSERTION);
    assert_eq!(error.message(), "an assertion was found to hold 0 times, not once");
    assert!(error.place("recipe").is_some_and(|at| at.contains("pipeline/tests.rs:")), "{error}");
}

#[track_caller]
fn panics(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("panics");
    panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).expect("a text")
}

#[test]
fn a_pipeline_that_never_ran_fails_its_test() {
    let text = panics(|| {
        let pipeline = TestPipeline::new();
        numbers(&pipeline, &[1]).apply(map(|n: i64| n + 1));
    });
    assert_eq!(text, "a test pipeline was never run: call `run` on it");
}

#[test]
fn a_panic_of_the_test_itself_is_the_one_that_is_seen() {
    let text = panics(|| {
        let pipeline = TestPipeline::new();
        assert!(numbers(&pipeline, &[1]).id().0 == 99, "the cause");
    });
    assert_eq!(text, "the cause");
}

#[test]
fn an_assertion_after_the_run_is_refused() {
    let pipeline = TestPipeline::new();
    let all = numbers(&pipeline, &[1]);
    pipeline.run().expect("runs");
    let text = panics(|| assert_that(&all).is_singleton(1));
    assert!(text.starts_with("an assertion was added after its pipeline has run"), "{text}");
}

#[test]
fn elements_are_claimed_window_by_window() {
    let windowed = |pipeline: &Pipeline| {
        let timed = numbers(pipeline, &[1, 4, 6, 6])
            .apply(WithTimestamps::of(|n: &i64| Timestamp::from_millis(*n)));
        let five = std::time::Duration::from_millis(5);
        timed.apply(WindowInto::of(FixedWindows::of(five)))
    };
    let pipeline = TestPipeline::new();
    let all = windowed(&pipeline);
    assert_that(&all).contains_in_window(Window::of_millis(0, 5), [4, 1]);
    assert_that(&all).contains_in_window(Window::of_millis(5, 10), [6, 6]);
    assert_that(&all).contains_in_window(Window::of_millis(10, 15), []);
    assert_that(&all).contains_in_any_order([1, 4, 6, 6]);
    pipeline.run().expect("all hold");
    let pipeline = TestPipeline::new();
    assert_that(&windowed(&pipeline)).contains_in_window(Window::of_millis(0, 5), [1]);
    let error = pipeline.run().expect_err("4 is there too");
    assert_eq!(error.place("unexpected"), Some("4"), "{error}");
    assert_eq!(error.place("window"), Some("[0.000 s, 0.005 s)"), "{error}");
}
