//! Reshuffle, and batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Case;
use super::functions::{keyed, sorted};
use crate::capability::Capability::Reshuffle as Reshuffles;
use crate::dofn::ProcessContext;
use crate::error::Result;
use crate::primitives::{Create, GroupByKey, Reshuffle};
use crate::runner::Runner;
use crate::shuffle::Iterable;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("RE1", "the same elements come out, plain and after grouping", Reshuffles, same),
    Case::new(
        "RE4",
        "what is random before it is one value after it, for everyone",
        Reshuffles,
        stable,
    ),
    Case::new("RE5", "values are batched, the last batch may be smaller", Reshuffles, batches),
];

fn same(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = keyed([("k1", 3i64), ("k5", i64::MAX), ("k1", 4), ("k2", -33), ("k1", 3)]);
    let shuffled = pipeline.apply(Create::of(pairs.clone())).apply(Reshuffle);
    assert_that(&shuffled).contains_in_any_order(pairs);
    let groups = sorted(&shuffled.apply(GroupByKey)).apply(Reshuffle).apply(Reshuffle);
    let want = keyed([("k1", vec![3, 3, 4]), ("k5", vec![i64::MAX]), ("k2", vec![-33])]);
    assert_that(&groups).contains_in_any_order(want);
    let none = pipeline.apply(Create::<i64>::of([])).apply(Reshuffle);
    assert_that(&none).is_empty();
    pipeline.run().map(drop)
}

fn stable(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    // As good as random: every attempt on an element draws another number.
    let drawn = Arc::new(AtomicI64::new(0));
    let draw = map(move |n: i64| (n, drawn.fetch_add(1, Ordering::Relaxed)));
    let shuffled = pipeline.apply(Create::of(0..50i64)).apply(draw).apply(Reshuffle);
    let first = shuffled.apply_named("First", map(|pair: (i64, i64)| pair)).as_map_view();
    let is_same = each(move |(n, number): (i64, i64), ctx: &mut ProcessContext<'_, i64>| {
        let is_same = ctx.side(&first)?.get(&n)? == Some(number);
        ctx.output(if is_same { 0 } else { n })
    });
    let is_same = shuffled.apply_named("Second", is_same.with_side(&first));
    assert_that(&is_same).contains_in_any_order([0; 50]);
    pipeline.run().map(drop)
}

fn batches(runner: &dyn Runner) -> Result<()> {
    const BATCH: usize = 5;
    let pipeline = TestPipeline::on(runner);
    let pairs = pipeline.apply(Create::of(0..23i64)).apply(map(|n: i64| (n % 2, n)));
    let batched = pairs.apply(GroupByKey).apply(each(
        |(key, values): (i64, Iterable<i64>), ctx: &mut ProcessContext<'_, (i64, Vec<i64>)>| {
            let mut batch = Vec::with_capacity(BATCH);
            for value in values.iter() {
                batch.push(value);
                if batch.len() == BATCH {
                    ctx.output((key, std::mem::take(&mut batch)))?;
                }
            }
            if batch.is_empty() { Ok(()) } else { ctx.output((key, batch)) }
        },
    ));
    let sizes = batched.apply(map(|(key, batch): (i64, Vec<i64>)| (key, batch.len() as i64)));
    assert_that(&sizes).contains_in_any_order([(0, 5), (0, 5), (0, 2), (1, 5), (1, 5), (1, 1)]);
    let values = batched.apply(each(|(_, batch): (i64, Vec<i64>), ctx| {
        batch.into_iter().try_for_each(|value| ctx.output(value))
    }));
    assert_that(&values).contains_in_any_order(0..23);
    pipeline.run().map(drop)
}
