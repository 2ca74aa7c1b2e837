//! Impulse and Create.

use super::Case;
use super::functions::{sorted, texts};
use crate::capability::Capability::Impulse as Creation;
use crate::error::Result;
use crate::primitives::{Create, GroupByKey, Impulse};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("IM1", "an impulse is one element without bytes", Creation, impulse),
    Case::new("CR1", "created values come out as they are", Creation, values),
    Case::new("CR2", "no created value is an empty collection that can be used", Creation, empty),
    Case::new("CR3", "nulls among values survive", Creation, nulls),
    Case::new("CR4", "values without bytes survive, also as keys", Creation, units),
    Case::new(
        "CR6",
        "a pipeline that ends in nothing runs, and so does an empty one",
        Creation,
        no_sink,
    ),
];

fn impulse(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    assert_that(&pipeline.apply(Impulse)).is_singleton(Vec::new());
    pipeline.run().map(drop)
}

fn values(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let values = pipeline.apply(Create::of(texts(["test", "the", "test", "set"])));
    assert_that(&values).contains_in_any_order(texts(["set", "test", "test", "the"]));
    let numbers = pipeline.apply(Create::of(0..5000i64));
    assert_that(&numbers).contains_in_any_order(0..5000);
    pipeline.run().map(drop)
}

fn empty(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let none = pipeline.apply(Create::<i64>::of([]));
    assert_that(&none).is_empty();
    assert_that(&none.apply(map(|n: i64| (n, n))).apply(GroupByKey)).satisfies(|groups| {
        if groups.is_empty() { Ok(()) } else { Err(format!("{} groups of nothing", groups.len())) }
    });
    pipeline.run().map(drop)
}

fn nulls(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let text = |text: &str| Some(text.to_owned());
    let values = [text("test"), None, text(""), None];
    let created = pipeline.apply(Create::of(values.clone()));
    assert_that(&created).contains_in_any_order(values);
    pipeline.run().map(drop)
}

fn units(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    assert_that(&pipeline.apply(Create::of([(), ()]))).contains_in_any_order([(), ()]);
    let pairs = pipeline.apply(Create::of([((), ()), ((), ())]));
    assert_that(&pairs).contains_in_any_order([((), ()), ((), ())]);
    assert_that(&sorted(&pairs.apply(GroupByKey))).is_singleton(((), vec![(), ()]));
    pipeline.run().map(drop)
}

fn no_sink(runner: &dyn Runner) -> Result<()> {
    TestPipeline::on(runner).run()?;
    let pipeline = TestPipeline::on(runner);
    let counted = pipeline.apply(Create::of(0..10i64)).apply(each(|n: i64, ctx| {
        ctx.count("seen", 1);
        ctx.output(n)
    }));
    counted.apply(each(|_: i64, ctx: &mut crate::dofn::ProcessContext<'_, ()>| {
        ctx.count("ended", 1);
        Ok(())
    }));
    let metrics = pipeline.run()?.metrics;
    let counts = (metrics.counter("seen"), metrics.counter("ended"));
    super::case::ensure(counts == (10, 10), || format!("{counts:?} elements were seen, not 10"))
}
