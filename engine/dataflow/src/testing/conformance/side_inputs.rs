//! Side inputs.

use super::Case;
use super::case::{ensure, expect_failure};
use super::functions::{Sum, keyed, pairs, texts};
use crate::capability::Capability::SideInputs;
use crate::dofn::ProcessContext;
use crate::element::Element;
use crate::error::{ErrorCode, Result};
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{CombineGlobally, Create, GroupByKey};
use crate::runner::Runner;
use crate::shuffle::Iterable;
use crate::testing::{TestPipeline, assert_that, each, map};
use crate::view::{ListView, MultimapView, PCollectionView};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "SI1",
        "a singleton is given to every element, or its default, also null",
        SideInputs,
        singleton,
    ),
    Case::new(
        "SI2",
        "a singleton of no or of several elements fails the run",
        SideInputs,
        no_singleton,
    ),
    Case::new(
        "SI3",
        "iterables and lists are read again and again, also empty ones, by several",
        SideInputs,
        iterable,
    ),
    Case::new(
        "SI4",
        "a map is looked up, also an empty one; a key twice fails the run",
        SideInputs,
        maps,
    ),
    Case::new(
        "SI5",
        "a multimap gives all values of a key, and none of an absent one",
        SideInputs,
        multimap,
    ),
    Case::new("SI6", "what a DoFn does with a view no other sees", SideInputs, immutable),
    Case::new("SI11", "side inputs add up, and need not be read", SideInputs, cumulative),
    Case::new(
        "SI12",
        "side inputs come from the same source, from grouping, from other users of views",
        SideInputs,
        dependencies,
    ),
    Case::new("SI13", "values that are lists of lists are kept", SideInputs, nested),
];

fn letters(pipeline: &Pipeline) -> PCollection<String> {
    pipeline.apply(Create::of(texts(["x", "y"])))
}

/// What a function makes of each letter and a view.
fn with_view<V: Send + Sync + 'static, Out: Element>(
    letters: &PCollection<String>,
    view: PCollectionView<V>,
    function: impl Fn(String, &V) -> Result<Out> + Clone + Send + Sync + 'static,
) -> PCollection<Out> {
    let process = each(move |letter: String, ctx: &mut ProcessContext<'_, Out>| {
        let value = ctx.side(&view)?;
        ctx.output(function(letter, &value)?)
    });
    letters.apply(process.with_side(&view))
}

fn singleton(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let letters = letters(&pipeline);
    let seen = |view: PCollectionView<i64>| {
        with_view(&letters, view, |letter, value| Ok((letter, *value)))
    };
    let one = pipeline.apply(Create::of([47i64])).as_singleton_view();
    assert_that(&seen(one)).contains_in_any_order(keyed([("x", 47), ("y", 47)]));
    let none = pipeline.apply(Create::<i64>::of([]));
    let default = none.as_singleton_view_or(-1);
    assert_that(&seen(default)).contains_in_any_order(keyed([("x", -1), ("y", -1)]));
    let sum = pipeline.apply(Create::of([1i64, 20])).apply(CombineGlobally::of(Sum));
    let want = keyed([("x", 21), ("y", 21)]);
    assert_that(&seen(sum.as_singleton_view())).contains_in_any_order(want);
    let null = none.apply(map(Some)).as_singleton_view_or(None);
    let nulls = with_view(&letters, null, |letter, value| Ok((letter, *value)));
    assert_that(&nulls).contains_in_any_order(keyed([("x", None), ("y", None)]));
    pipeline.run().map(drop)
}

fn no_singleton(runner: &dyn Runner) -> Result<()> {
    for (values, words) in [(vec![], "empty"), (vec![1i64, 2, 3], "3 elements")] {
        let pipeline = TestPipeline::on(runner);
        let view = pipeline.apply_named("Values", Create::of(values)).as_singleton_view();
        with_view(&letters(&pipeline), view, |_, value| Ok(*value));
        expect_failure(pipeline.run(), ErrorCode::VIEW_MISMATCH, &[words, "Values"])?;
    }
    Ok(())
}

fn iterable(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let letters = letters(&pipeline);
    let sums = |view: PCollectionView<Iterable<i64>>| {
        with_view(&letters, view, |_, values: &Iterable<i64>| {
            let (first, second) = (values.iter().sum::<i64>(), values.iter().sum::<i64>());
            Ok(format!("{} values: {first}, {second}", values.len()))
        })
    };
    let some = pipeline.apply(Create::of([11i64, 13, 17, 23])).as_iterable_view();
    assert_that(&sums(some)).contains_in_any_order(texts(["4 values: 64, 64"; 2]));
    assert_that(&sums(some)).contains_in_any_order(texts(["4 values: 64, 64"; 2]));
    let none = pipeline.apply(Create::of([])).as_iterable_view();
    assert_that(&sums(none)).contains_in_any_order(texts(["0 values: 0, 0"; 2]));
    let listed = |view: PCollectionView<ListView<i64>>| {
        with_view(&letters, view, |_, list: &ListView<i64>| {
            // From the end to the start, and then in order: the order is one and the same.
            let picked = (0..list.len()).rev().map(|place| list.get(place));
            let mut picked: Vec<i64> = picked.collect::<Result<Option<_>>>()?.unwrap_or_default();
            picked.reverse();
            let is_one_order = picked == list.iter().collect::<Vec<_>>();
            let beyond = list.get(list.len())?;
            picked.sort_unstable();
            Ok(format!("{picked:?}, {is_one_order}, {beyond:?}"))
        })
    };
    let some = pipeline.apply(Create::of([11i64, 13, 17, 23])).as_list_view();
    let want = texts(["[11, 13, 17, 23], true, None"; 2]);
    assert_that(&listed(some)).contains_in_any_order(want.clone());
    assert_that(&listed(some)).contains_in_any_order(want);
    let none = pipeline.apply(Create::of([])).as_list_view();
    assert_that(&listed(none)).contains_in_any_order(texts(["[], true, None"; 2]));
    pipeline.run().map(drop)
}

fn maps(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let letters = letters(&pipeline);
    let some = pipeline.apply(Create::of(keyed([("x", 1i64), ("z", 3)]))).as_map_view();
    let found = with_view(&letters, some, |letter, map| {
        Ok(format!("{:?} of {}", map.get(&letter)?, map.len()))
    });
    assert_that(&found).contains_in_any_order(texts(["Some(1) of 2", "None of 2"]));
    let none = pipeline.apply(Create::<(String, i64)>::of([])).as_map_view();
    let found = with_view(&letters, none, |letter, map| {
        Ok(format!("{:?} of {}", map.get(&letter)?, map.len()))
    });
    assert_that(&found).contains_in_any_order(texts(["None of 0"; 2]));
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let twice = keyed([("x", Some(1i64)), ("x", None)]);
    let view = pipeline.apply_named("Twice", Create::of(twice)).as_map_view();
    with_view(&self::letters(&pipeline), view, |_, map| Ok(map.len() as i64));
    expect_failure(pipeline.run(), ErrorCode::VIEW_MISMATCH, &["\"x\"", "Twice"]).map(drop)
}

fn multimap(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let keys = pipeline.apply(Create::of(texts(["a", "b", "absent"])));
    let found = |view: PCollectionView<MultimapView<String, i64>>| {
        with_view(&keys, view, |key, map: &MultimapView<String, i64>| {
            let mut values: Vec<i64> = map.get(&key)?.iter().collect();
            values.sort_unstable();
            ensure(map.contains_key(&key)? != values.is_empty(), || "it has no values".to_owned())?;
            Ok((key, values))
        })
    };
    let pairs = pairs(&pipeline);
    let view = pairs.as_multimap_view();
    let want = keyed([("a", vec![1, 1, 4]), ("b", vec![1, 13]), ("absent", vec![])]);
    assert_that(&found(view)).contains_in_any_order(want);
    let none = pipeline.apply(Create::of([])).as_multimap_view();
    let want = keyed([("a", vec![]), ("b", vec![]), ("absent", vec![])]);
    assert_that(&found(none)).contains_in_any_order(want);
    let entries = with_view(&letters(&pipeline), view, |letter, map| {
        let mut entries: Vec<(String, i64)> = map.entries().iter().collect();
        let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        ensure(keys == ["a", "a", "a", "b", "b"], || format!("{keys:?} are not together"))?;
        entries.sort();
        Ok((letter, entries))
    });
    let all = keyed([("a", 1), ("a", 1), ("a", 4), ("b", 1), ("b", 13)]).to_vec();
    assert_that(&entries).contains_in_any_order(keyed([("x", all.clone()), ("y", all)]));
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let floats = pipeline.apply_named("Floats", Create::of([(0.5f64, 1i64)])).as_multimap_view();
    with_view(&letters(&pipeline), floats, |_, map| Ok(map.len() as i64));
    expect_failure(pipeline.run(), ErrorCode::KEY_NOT_DETERMINISTIC, &["double"]).map(drop)
}

fn immutable(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let letters = letters(&pipeline);
    let view = pipeline.apply(Create::of([vec![3i64, 1]])).as_singleton_view();
    let pushed = with_view(&letters, view, |_, list: &Vec<i64>| {
        let mut list = list.clone();
        list.push(9);
        Ok(list)
    });
    assert_that(&pushed).contains_in_any_order([vec![3, 1, 9], vec![3, 1, 9]]);
    let seen = with_view(&letters, view, |_, list: &Vec<i64>| Ok(list.clone()));
    assert_that(&seen).contains_in_any_order([vec![3, 1], vec![3, 1]]);
    pipeline.run().map(drop)
}

fn cumulative(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let [first, second, unread] =
        [1i64, 20, 300].map(|n| pipeline.apply(Create::of([n])).as_singleton_view());
    let add = each(move |n: i64, ctx: &mut ProcessContext<'_, i64>| {
        let sum = n + *ctx.side(&first)? + *ctx.side(&second)?;
        ctx.output(sum)
    });
    let add = add.with_side(&first).with_side(&second).with_side(&unread);
    let sums = pipeline.apply(Create::of([4000i64])).apply(add);
    assert_that(&sums).is_singleton(4021);
    pipeline.run().map(drop)
}

/// Every number with the sum of a view added.
fn shifted(numbers: &PCollection<i64>, by: PCollectionView<Iterable<i64>>) -> PCollection<i64> {
    let shift = each(move |n: i64, ctx: &mut ProcessContext<'_, i64>| {
        let sum: i64 = ctx.side(&by)?.iter().sum();
        ctx.output(n + sum)
    });
    numbers.apply(shift.with_side(&by))
}

fn dependencies(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([1i64, 2, 3]));
    let doubled = numbers.apply(map(|n: i64| 2 * n));
    // The sum 12 of a collection of the same source, and of the same stage.
    let by_same_source = shifted(&numbers, doubled.as_iterable_view());
    assert_that(&by_same_source).contains_in_any_order([13, 14, 15]);
    // The sum 42 of a collection that was made with a side input.
    let by_shifted = shifted(&doubled, by_same_source.as_iterable_view());
    assert_that(&by_shifted).contains_in_any_order([44, 46, 48]);
    // The keys of groups, whose sum is 1.
    let groups = numbers.apply(map(|n: i64| (n % 2, n))).apply(GroupByKey);
    let keys = groups.apply(map(|(key, _): (i64, Iterable<i64>)| key));
    let by_keys = shifted(&by_shifted, keys.as_iterable_view());
    assert_that(&by_keys).contains_in_any_order([45, 47, 49]);
    // Every third of a chain reads the first: 6 is added twice.
    let mut chain = numbers.clone();
    for _ in 0..2 {
        chain = shifted(&chain.apply(map(|n: i64| -n)), numbers.as_iterable_view());
    }
    assert_that(&chain).contains_in_any_order([1, 2, 3]);
    pipeline.run().map(drop)
}

fn nested(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let lists = [vec![vec![1i64, 2], vec![]], vec![], vec![vec![3]]];
    let view = pipeline.apply(Create::of(lists)).as_iterable_view();
    let seen = with_view(&letters(&pipeline), view, |_, lists: &Iterable<Vec<Vec<i64>>>| {
        let mut lists: Vec<_> = lists.iter().collect();
        lists.sort();
        Ok(lists)
    });
    let want = vec![vec![], vec![vec![1, 2], vec![]], vec![vec![3]]];
    assert_that(&seen).contains_in_any_order([want.clone(), want]);
    pipeline.run().map(drop)
}
