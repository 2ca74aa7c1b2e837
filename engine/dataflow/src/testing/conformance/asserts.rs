//! Assertions about collections, which the whole suite rests on.

use super::Case;
use super::case::{ensure, expect_failure};
use super::functions::{pairs, texts};
use crate::capability::Capability::ParDo as Pardo;
use crate::error::{ErrorCode, Result};
use crate::pcollection::{PCollection, PCollectionList};
use crate::primitives::{Create, Flatten};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that};

pub(super) const CASES: &[Case] = &[
    Case::new("PA1", "what a collection holds may be claimed in any order", Pardo, in_any_order),
    Case::new(
        "PA2",
        "a claim of emptiness fails on an element, and holds without",
        Pardo,
        emptiness,
    ),
    Case::new("PA3", "a singleton is one element, not none and not many", Pardo, singleton),
    Case::new(
        "PA4",
        "whatever a function finds wrong fails the run with what it says",
        Pardo,
        satisfied,
    ),
    Case::new("PA5", "claims hold of flattened collections", Pardo, flattened),
    Case::new("PA6", "a failure carries the name and the line of the claim", Pardo, named),
    Case::new("PA7", "a claim about an empty collection is checked", Pardo, about_nothing),
];

/// Whether a claim about numbers fails on this runner.
fn fails(
    runner: &dyn Runner,
    values: &[i64],
    claim: impl FnOnce(&PCollection<i64>),
) -> Result<bool> {
    let pipeline = TestPipeline::on(runner);
    claim(&pipeline.apply(Create::of(values.to_vec())));
    match pipeline.run() {
        Ok(_) => Ok(false),
        Err(error) if error.code() == ErrorCode::ASSERTION => Ok(true),
        Err(error) => Err(error),
    }
}

fn check(is_failing: Result<bool>, should_fail: bool) -> Result<()> {
    let is_failing = is_failing?;
    let how = if should_fail { "did not fail" } else { "failed" };
    ensure(is_failing == should_fail, || format!("an assertion {how}"))
}

fn in_any_order(runner: &dyn Runner) -> Result<()> {
    for (wanted, should_fail) in
        [(&[4i64, 3, 4][..], false), (&[3, 4], true), (&[3, 4, 4, 4], true), (&[3, 3, 4], true)]
    {
        let wanted = wanted.to_vec();
        let claim = |all: &PCollection<i64>| assert_that(all).contains_in_any_order(wanted);
        check(fails(runner, &[3, 4, 4], claim), should_fail)?;
    }
    Ok(())
}

fn emptiness(runner: &dyn Runner) -> Result<()> {
    check(fails(runner, &[], |all| assert_that(all).is_empty()), false)?;
    check(fails(runner, &[0], |all| assert_that(all).is_empty()), true)
}

fn singleton(runner: &dyn Runner) -> Result<()> {
    for (values, should_fail) in [(&[7i64][..], false), (&[], true), (&[7, 7], true), (&[8], true)]
    {
        check(fails(runner, values, |all| assert_that(all).is_singleton(7)), should_fail)?;
    }
    Ok(())
}

fn satisfied(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    assert_that(&pairs(&pipeline)).satisfies(|all| Err(format!("there are {}", all.len())));
    expect_failure(pipeline.run(), ErrorCode::ASSERTION, &["there are 5"])?;
    let holds = |all: &PCollection<i64>| assert_that(all).satisfies(|_| Ok(()));
    check(fails(runner, &[1], holds), false)
}

fn flattened(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let [first, second] = [["a", "b"], ["b", "c"]].map(|it| pipeline.apply(Create::of(texts(it))));
    let both = PCollectionList::of(&first, [second]).apply(Flatten);
    assert_that(&both).contains_in_any_order(texts(["a", "b", "b", "c"]));
    pipeline.run().map(drop)
}

fn named(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let all = pipeline.apply(Create::of([1i64]));
    let claim = assert_that(&all).with_name("only twos");
    claim.is_singleton(2);
    let line = format!("asserts.rs:{}", line!() - 1);
    let words = ["only twos/Check", &line, "missing", "unexpected"];
    expect_failure(pipeline.run(), ErrorCode::ASSERTION, &words).map(drop)
}

fn about_nothing(runner: &dyn Runner) -> Result<()> {
    check(fails(runner, &[], |none| assert_that(none).is_singleton(1)), true)?;
    let claim = |none: &PCollection<i64>| {
        assert_that(none).satisfies(|all| Err(format!("{} elements", all.len())));
    };
    check(fails(runner, &[], claim), true)
}
