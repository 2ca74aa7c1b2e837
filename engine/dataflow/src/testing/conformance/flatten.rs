//! Flatten.

use super::Case;
use super::functions::{keyed, sorted, texts};
use crate::capability::Capability::Flatten as Flattens;
use crate::dofn::ProcessContext;
use crate::error::Result;
use crate::pcollection::{PCollection, PCollectionList};
use crate::pipeline::Pipeline;
use crate::primitives::{Create, Flatten, GroupByKey};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("FL1", "several, one and no collection are flattened", Flattens, any_number),
    Case::new("FL2", "a collection that is flattened with itself counts twice", Flattens, itself),
    Case::new(
        "FL3",
        "elements of several coders keep their values, before and after grouping",
        Flattens,
        coders,
    ),
    Case::new("FL4", "a flattened collection, also of nothing, is a side input", Flattens, as_side),
    Case::new(
        "FL5",
        "fused and unfused inputs are flattened once for every consumer",
        Flattens,
        consumers,
    ),
];

fn numbers<const N: usize>(pipeline: &Pipeline, values: [i64; N]) -> PCollection<i64> {
    pipeline.apply(Create::of(values))
}

fn any_number(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let [first, second] = [[1, 2], [2, 3]].map(|values| numbers(&pipeline, values));
    let nothing = numbers(&pipeline, []);
    let all = PCollectionList::of(&first, [second, nothing]).apply(Flatten);
    assert_that(&all).contains_in_any_order([1, 2, 2, 3]);
    let one = PCollectionList::of(&first, []).apply(Flatten);
    assert_that(&one).contains_in_any_order([1, 2]);
    let none = PCollectionList::<i64>::empty(&pipeline).apply(Flatten);
    assert_that(&none).is_empty();
    assert_that(&none.apply(map(|n: i64| n + 1))).is_empty();
    pipeline.run().map(drop)
}

fn itself(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let created = numbers(&pipeline, [1, 2]);
    let twice = PCollectionList::of(&created, [created.clone()]).apply(Flatten);
    assert_that(&twice).contains_in_any_order([1, 1, 2, 2]);
    // Within a stage, and a flattened one again.
    let made = created.apply(map(|n: i64| n * 10));
    let twice = PCollectionList::of(&made, [made.clone()]).apply(Flatten);
    let thrice = PCollectionList::of(&twice, [made]).apply(Flatten);
    assert_that(&thrice).contains_in_any_order([10, 10, 10, 20, 20, 20]);
    pipeline.run().map(drop)
}

fn coders(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let nullable = pipeline.apply(Create::of([Some(1i64), None])).apply(map(|n| (n, 'n' as i64)));
    let varint = numbers(&pipeline, [1, 2]).apply(map(|n| (Some(n), 'v' as i64)));
    let small = pipeline.apply(Create::of([1i32])).apply(map(|n| (Some(i64::from(n)), 's' as i64)));
    let all = PCollectionList::of(&nullable, [varint, small]).apply(Flatten);
    let groups = sorted(&all.apply(GroupByKey));
    let [n, s, v] = ['n', 's', 'v'].map(|letter| letter as i64);
    let want = [(Some(1), vec![n, s, v]), (None, vec![n]), (Some(2), vec![v])];
    assert_that(&groups).contains_in_any_order(want.clone());
    let again = PCollectionList::of(&groups, [groups.clone()]).apply(Flatten);
    let as_text = again.apply(map(|group: (Option<i64>, Vec<i64>)| format!("{group:?}")));
    let want = want.iter().chain(&want).map(|group| format!("{group:?}"));
    assert_that(&as_text).contains_in_any_order(want);
    pipeline.run().map(drop)
}

fn as_side(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let some = PCollectionList::of(&numbers(&pipeline, [1, 2]), [numbers(&pipeline, [3])]);
    let some = some.apply(Flatten).as_iterable_view();
    let none = PCollectionList::<i64>::empty(&pipeline).apply(Flatten).as_iterable_view();
    let sums = each(move |key: String, ctx: &mut ProcessContext<'_, String>| {
        let (some, none) = (ctx.side(&some)?, ctx.side(&none)?);
        ctx.output(format!("{key} {} {}", some.iter().sum::<i64>(), none.len()))
    });
    let keys = pipeline.apply(Create::of(texts(["a", "b"])));
    let sums = keys.apply(sums.with_side(&some).with_side(&none));
    assert_that(&sums).contains_in_any_order(texts(["a 6 0", "b 6 0"]));
    pipeline.run().map(drop)
}

fn consumers(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = pipeline.apply(Create::of(keyed([("a", 1i64), ("b", 2), ("a", 3)])));
    let fused = pairs.apply(map(|(key, n): (String, i64)| (key, n * 10)));
    let grouped = sorted(&pairs.apply(GroupByKey));
    let unfused = grouped.apply(map(|(key, values): (String, Vec<i64>)| (key, values[0])));
    let all = PCollectionList::of(&fused, [unfused, pairs]).apply(Flatten);
    let want = keyed([("a", vec![1, 1, 3, 10, 30]), ("b", vec![2, 2, 20])]);
    assert_that(&sorted(&all.apply(GroupByKey))).contains_in_any_order(want);
    let keys = all.apply(map(|(key, _): (String, i64)| key));
    assert_that(&keys).contains_in_any_order(texts(["a", "a", "a", "a", "a", "b", "b", "b"]));
    let large = all.apply(each(
        |pair: (String, i64), ctx: &mut ProcessContext<'_, i64>| {
            if pair.1 < 10 { Ok(()) } else { ctx.output(pair.1) }
        },
    ));
    assert_that(&large).contains_in_any_order([10, 20, 30]);
    pipeline.run().map(drop)
}
