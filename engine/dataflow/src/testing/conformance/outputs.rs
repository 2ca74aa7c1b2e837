//! ParDo with several outputs.

use super::Case;
use super::case::expect_failure;
use super::functions::texts;
use crate::capability::Capability::TaggedOutputs;
use crate::dofn::{ProcessContext, Tag};
use crate::error::{ErrorCode, Result};
use crate::pcollection::PCollection;
use crate::primitives::{Create, ParDoOutputs};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "MO1",
        "every output holds what was put out to it, also nothing",
        TaggedOutputs,
        tagged,
    ),
    Case::new("MO2", "an empty input gives empty outputs", TaggedOutputs, empty),
    Case::new("MO3", "the main output may stay empty", TaggedOutputs, only_tagged),
    Case::new("MO5", "a tagged output goes on like any other", TaggedOutputs, chained),
    Case::new("MO6", "outputs may be ignored, but not be undeclared", TaggedOutputs, partly),
    Case::new("MO7", "outputs and side inputs go together", TaggedOutputs, with_sides),
];

const EVEN: Tag<i64> = Tag::new("even");
const TEXT: Tag<String> = Tag::new("text");
const LARGE: Tag<i64> = Tag::new("large");
const UNWRITTEN: Tag<i64> = Tag::new("unwritten");

/// All elements to the main output; each to those tags that it fits.
fn sorted_out(numbers: &PCollection<i64>) -> ParDoOutputs<i64> {
    let sort_out = each(|n: i64, ctx: &mut ProcessContext<'_, i64>| {
        if n % 2 == 0 {
            ctx.output_to(&EVEN, n)?;
        }
        if n > 100 {
            ctx.output_to(&LARGE, n)?;
        }
        ctx.output_to(&TEXT, format!("<{n}>"))?;
        ctx.output(n)
    });
    let sort_out = sort_out.with_output(&EVEN).with_output(&TEXT).with_output(&LARGE);
    numbers.apply(sort_out.with_output(&UNWRITTEN))
}

fn tagged(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let outputs = sorted_out(&pipeline.apply(Create::of([3i64, -42, 666])));
    assert_that(&outputs.main).contains_in_any_order([3, -42, 666]);
    assert_that(&outputs.get(&EVEN)).contains_in_any_order([-42, 666]);
    assert_that(&outputs.get(&TEXT)).contains_in_any_order(texts(["<3>", "<-42>", "<666>"]));
    assert_that(&outputs.get(&LARGE)).is_singleton(666);
    assert_that(&outputs.get(&UNWRITTEN)).is_empty();
    pipeline.run().map(drop)
}

fn empty(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let outputs = sorted_out(&pipeline.apply(Create::of([])));
    assert_that(&outputs.main).is_empty();
    assert_that(&outputs.get(&EVEN)).is_empty();
    assert_that(&outputs.get(&TEXT)).is_empty();
    assert_that(&outputs.get(&UNWRITTEN)).is_empty();
    pipeline.run().map(drop)
}

fn only_tagged(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([3i64, -42, 666]));
    let to_tag = each(|n: i64, ctx: &mut ProcessContext<'_, String>| ctx.output_to(&EVEN, n));
    let outputs = numbers.apply(to_tag.with_output(&EVEN));
    assert_that(&outputs.main).is_empty();
    assert_that(&outputs.get(&EVEN)).contains_in_any_order([3, -42, 666]);
    pipeline.run().map(drop)
}

fn chained(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let first = sorted_out(&pipeline.apply(Create::of([3i64, -42, 666])));
    let second = sorted_out(&first.get(&EVEN));
    assert_that(&second.get(&LARGE)).is_singleton(666);
    assert_that(&second.get(&TEXT)).contains_in_any_order(texts(["<-42>", "<666>"]));
    assert_that(&second.main.apply(map(|n: i64| -n))).contains_in_any_order([42, -666]);
    pipeline.run().map(drop)
}

fn partly(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let outputs = sorted_out(&pipeline.apply(Create::of([3i64, -42, 666])));
    assert_that(&outputs.get(&LARGE)).is_singleton(666);
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let undeclared = each(|n: i64, ctx: &mut ProcessContext<'_, i64>| ctx.output_to(&LARGE, n));
    pipeline.apply(Create::of([1i64])).apply_named("Undeclared", undeclared.with_output(&EVEN));
    let words = ["`large`", "Undeclared", "with_output"];
    expect_failure(pipeline.run(), ErrorCode::NOT_DECLARED, &words).map(drop)
}

fn with_sides(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let limit = pipeline.apply(Create::of([100i64])).as_singleton_view();
    let names = pipeline.apply(Create::of(texts(["x", "y"]))).as_iterable_view();
    let compare = each(move |n: i64, ctx: &mut ProcessContext<'_, i64>| {
        if n <= *ctx.side(&limit)? {
            return ctx.output(n);
        }
        let names = ctx.side(&names)?;
        names.iter().try_for_each(|name| ctx.output_to(&TEXT, format!("{name}{n}")))
    });
    let compare = compare.with_side(&limit).with_side(&names).with_output(&TEXT);
    let outputs = pipeline.apply(Create::of([3i64, 666])).apply(compare);
    assert_that(&outputs.main).is_singleton(3);
    assert_that(&outputs.get(&TEXT)).contains_in_any_order(texts(["x666", "y666"]));
    pipeline.run().map(drop)
}
