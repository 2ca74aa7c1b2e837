//! How a pipeline is run never changes what it gives.
//!
//! Every recipe here runs fused and unfused, lifted and unlifted, in bundles of one element and of
//! all, over one partition and seven, with ample memory and with the least that it can run in, on
//! one thread and on eight; and once on the reference runner. All must give the values that are
//! written down beside the recipe.

mod batches;
mod blocks;
mod combining;
mod dead_letters;
mod joining;
mod state;
#[expect(clippy::needless_pass_by_value, reason = "all readers have the signature of `WithView`")]
mod views;
mod windows;

use std::fmt::Debug;
use std::num::NonZeroUsize;

use bytes::Bytes;
use levain::dataflow::plan::{CompileOptions, compile};
use levain::dataflow::runner::NoObserver;
use levain::dataflow::testing::ReferenceRunner;
use levain::prelude::*;

/// One way to run a pipeline.
#[derive(Debug, Clone, Copy)]
struct Way {
    fuse: bool,
    lift: bool,
    bundle_elements: Option<usize>,
    partition_count: usize,
    is_scarce: bool,
    threads: usize,
}

fn all_ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for bits in 0..64u32 {
        let is_set = |bit: u32| bits >> bit & 1 == 1;
        ways.push(Way {
            fuse: is_set(0),
            lift: is_set(1),
            bundle_elements: is_set(2).then_some(1),
            partition_count: if is_set(3) { 7 } else { 1 },
            is_scarce: is_set(4),
            threads: if is_set(5) { 8 } else { 1 },
        });
    }
    ways
}

/// Bytes for what side inputs keep in memory, besides the least that a pipeline runs in.
const FOR_VIEWS_BYTES: u64 = 4 << 10;

impl Way {
    fn run(self, pipeline: &Pipeline) -> Result<JobReport> {
        let number = |n: usize| NonZeroUsize::new(n).expect("ways have no zeroes");
        let compile_options = CompileOptions { fuse: self.fuse, lift: self.lift };
        let runner = DirectRunner::new()
            .with_threads(number(self.threads))
            .with_compile_options(compile_options);
        let partition_count = number(self.partition_count);
        let mut options = RunOptions::default().with_partition_count(partition_count);
        options.bundle_elements = self.bundle_elements.map(number);
        if self.is_scarce {
            let graph = compile(pipeline, compile_options)?;
            let least = DirectRunner::least_memory_bytes(&graph);
            options.memory_bytes = Some(least + FOR_VIEWS_BYTES);
        }
        let report = pipeline.run_with(&runner, &options, &NoObserver)?;
        let limit = options.memory_bytes.unwrap_or(u64::MAX);
        assert!(report.peak_bytes <= limit, "{} of {limit} bytes: {self:?}", report.peak_bytes);
        Ok(report)
    }
}

/// Whether a recipe has more data than the least memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Tiny,
    Large,
}

/// Runs a recipe in all ways; its results, as texts, must be `want` in any order.
#[track_caller]
fn check<T: Element + Debug>(
    size: Size,
    recipe: impl FnOnce(&Pipeline) -> PCollection<T>,
    want: impl IntoIterator<Item = T>,
) {
    let pipeline = Pipeline::new();
    let collected = recipe(&pipeline).collect();
    let texts = |values: &mut dyn Iterator<Item = T>| {
        let mut texts: Vec<String> = values.map(|value| format!("{value:?}")).collect();
        texts.sort();
        texts
    };
    let want = texts(&mut want.into_iter());
    let got = |report: &JobReport| texts(&mut report.get(&collected).expect("asked for").iter());
    let reference = pipeline.run(&ReferenceRunner).expect("the reference runner runs it");
    assert_eq!(got(&reference), want, "the reference runner");
    for way in all_ways() {
        let report = way.run(&pipeline);
        assert!(report.is_ok(), "{way:?}: {report:?}");
        let report = report.expect("just seen");
        assert!(got(&report) == want, "{way:?} gives {:?} instead of {want:?}", got(&report));
        if way.is_scarce && size == Size::Large {
            assert!(report.shuffle.spilled_bytes > 0, "{way:?} spills");
        }
    }
}

fn numbers(pipeline: &Pipeline, values: impl IntoIterator<Item = i64>) -> PCollection<i64> {
    pipeline.apply(Create::of(values))
}

fn texts<const N: usize>(values: [&str; N]) -> [String; N] {
    values.map(str::to_owned)
}

fn count_words(lines: &PCollection<String>) -> PCollection<(String, u64)> {
    let split = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    lines.apply(FlatMap::of(split)).apply(Count::per_element())
}

#[test]
fn words_are_counted() {
    let want = [("a", 3), ("b", 2), ("c", 1)].map(|(word, count)| (word.to_owned(), count));
    let lines = texts(["a b", "b a a", "c"]);
    check(Size::Tiny, |pipeline| count_words(&pipeline.apply(Create::of(lines))), want);
}

#[test]
fn many_distinct_words_are_counted() {
    // The word of each number below 2000, twice; and one word in every line.
    let line = |n: u64| format!("word{n} word{} the", 1999 - n);
    let want = (0..2000u64).map(|n| (format!("word{n}"), 2)).chain([("the".to_owned(), 2000)]);
    let lines = (0..2000).map(line);
    check(Size::Large, |pipeline| count_words(&pipeline.apply(Create::of(lines))), want);
}

/// The values of each key, sorted.
fn grouped(pairs: &PCollection<(i64, String)>) -> PCollection<(i64, Vec<String>)> {
    pairs.apply(GroupByKey).apply(Map::of(|(key, values): (i64, Iterable<String>)| {
        let mut values: Vec<String> = values.iter().collect();
        values.sort();
        (key, values)
    }))
}

#[test]
fn tiny_groups_are_brought_together() {
    let pairs = [(1, "x"), (2, "y"), (1, "z")].map(|(key, value)| (key, value.to_owned()));
    let want = [(1, texts(["x", "z"]).to_vec()), (2, texts(["y"]).to_vec())];
    check(Size::Tiny, |pipeline| grouped(&pipeline.apply(Create::of(pairs))), want);
}

#[test]
fn groups_larger_than_memory_are_brought_together() {
    // Two groups of 300 values of one kilobyte, and 100 groups of one.
    let value = |n: i64| format!("{n:01000}");
    let pairs = (0..600).map(move |n| (n % 2, value(n))).chain((1000..1100).map(|n| (n, value(n))));
    let values = |rest: i64| (0..600).filter(|n| n % 2 == rest).map(value).collect::<Vec<_>>();
    let large = (0..2).map(|key| (key, values(key)));
    let want = large.chain((1000..1100).map(|n| (n, vec![value(n)])));
    let pairs = pairs.collect::<Vec<_>>();
    check(Size::Large, |pipeline| grouped(&pipeline.apply(Create::of(pairs))), want);
}

#[test]
fn values_are_combined_by_key() {
    check(
        Size::Large,
        |pipeline| {
            let pairs = numbers(pipeline, 0..5000).apply(Map::of(|n: i64| (n % 1000, n)));
            pairs.apply(CombinePerKey::of(Sum::<i64>::new()))
        },
        // n, n + 1000, ... n + 4000
        (0..1000).map(|n| (n, 5 * n + 10_000)),
    );
}

#[test]
fn accumulators_may_be_larger_than_memory() {
    let name = |n: i64| format!("{n:0500}");
    check(
        Size::Large,
        |pipeline| {
            let pairs = numbers(pipeline, 0..1000).apply(Map::of(move |n: i64| (n % 500, name(n))));
            pairs.apply(CombinePerKey::of(Max::<String>::new()))
        },
        (0..500).map(|n| (n, Some(name(n + 500)))),
    );
}

#[test]
fn a_whole_collection_is_combined() {
    let sum = || CombineGlobally::of(Sum::<i64>::new());
    check(Size::Tiny, |pipeline| numbers(pipeline, 1..=1000).apply(sum()), [500_500]);
    check(Size::Tiny, |pipeline| numbers(pipeline, []).apply(sum()), [0]);
    let or_none = || sum().without_default();
    check(Size::Tiny, |pipeline| numbers(pipeline, 1..=4).apply(or_none()), [10]);
    check(Size::Tiny, |pipeline| numbers(pipeline, []).apply(or_none()), []);
}

#[test]
fn a_flatten_counts_a_collection_as_often_as_it_stands_there() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, [1, 2]);
            let tens = all.apply(Map::of(|n: i64| n * 10));
            let shuffled = all.apply(Reshuffle);
            PCollectionList::of(&all, [all.clone(), tens, shuffled, all.clone()]).apply(Flatten)
        },
        [1, 1, 1, 1, 2, 2, 2, 2, 10, 20],
    );
}

#[test]
fn a_flatten_of_nothing_is_empty() {
    check(Size::Tiny, |pipeline| PCollectionList::<i64>::empty(pipeline).apply(Flatten), []);
}

const ODD: Tag<String> = Tag::new("odd");
const COUNT: Tag<u32> = Tag::new("count");

/// Even numbers go to the main output, odd ones as texts to a tag, a one for each to another.
#[derive(Clone)]
struct Split;

impl DoFn for Split {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output_to(&COUNT, 1)?;
        if element % 2 == 0 {
            return ctx.output(element);
        }
        ctx.output_to(&ODD, element.to_string())
    }
}

#[test]
fn outputs_go_where_their_tag_says() {
    check(
        Size::Tiny,
        |pipeline| {
            let split = ParDo::of(Split).with_output(&ODD).with_output(&COUNT);
            let outputs = numbers(pipeline, 0..7).apply(split);
            let even = outputs.main.apply(Map::of(|n: i64| format!("even {n}")));
            let odd = outputs.get(&ODD).apply(Map::of(|n: String| format!("odd {n}")));
            let count = outputs.get(&COUNT).apply(CombineGlobally::of(Sum::<u32>::new()));
            let count = count.apply(Map::of(|n: u32| format!("{n} in all")));
            PCollectionList::of(&even, [odd, count]).apply(Flatten)
        },
        texts(["even 0", "even 2", "even 4", "even 6", "odd 1", "odd 3", "odd 5", "7 in all"]),
    );
}

/// Reads a side input of each shape.
#[derive(Clone)]
struct ReadSides {
    factor: PCollectionView<i64>,
    names: PCollectionView<MapView<i64, String>>,
    others: PCollectionView<Iterable<i64>>,
}

impl DoFn for ReadSides {
    type In = i64;
    type Out = String;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let factor = *ctx.side(&self.factor)?;
        let names = ctx.side(&self.names)?;
        let name = names.get(&element)?.unwrap_or_else(|| "nobody".to_owned());
        let others: i64 = ctx.side(&self.others)?.iter().sum();
        ctx.output(format!("{name} {} of {others}", element * factor))
    }
}

#[test]
fn side_inputs_of_every_shape_are_read() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, [1, 2, 3]);
            let factor = all.apply(CombineGlobally::of(Sum::<i64>::new())).as_singleton_view();
            let names = [(1, "one".to_owned()), (3, "three".to_owned())];
            let names = pipeline.apply(Create::of(names)).as_map_view();
            let others = all.as_iterable_view();
            let read = ParDo::of(ReadSides { factor, names, others });
            all.apply(read.with_side(&factor).with_side(&names).with_side(&others))
        },
        texts(["one 6 of 6", "nobody 12 of 6", "three 18 of 6"]),
    );
}

/// Counts the values of a large side input that are divisible by an element.
#[derive(Clone)]
struct CountMultiples(PCollectionView<Iterable<String>>);

impl DoFn for CountMultiples {
    type In = i64;
    type Out = (i64, u64);

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let texts = ctx.side(&self.0)?;
        let multiples =
            texts.iter().filter(|text| text.parse::<i64>().is_ok_and(|n| n % element == 0));
        ctx.output((element, multiples.count() as u64))
    }
}

#[test]
fn an_iterable_side_input_may_be_larger_than_memory() {
    check(
        Size::Large,
        |pipeline| {
            let large = numbers(pipeline, 1..=1000).apply(Map::of(|n: i64| format!("{n:0400}")));
            let large = large.as_iterable_view();
            let few = numbers(pipeline, [1, 7, 10]);
            few.apply(ParDo::of(CountMultiples(large)).with_side(&large))
        },
        [(1, 1000), (7, 142), (10, 100)],
    );
}

#[test]
fn a_reshuffle_gives_every_element_once() {
    let name = |n: i64| format!("{n:0300}");
    check(
        Size::Large,
        |pipeline| {
            let all = numbers(pipeline, 0..2000).apply(Reshuffle).apply(Map::of(name));
            all.apply(Reshuffle)
        },
        (0..2000).map(name),
    );
}

#[test]
fn payloads_are_shared_spilled_and_come_back() {
    let payload = |n: i64| Bytes::from(vec![n as u8; 20_000]);
    check(
        Size::Large,
        |pipeline| {
            let chunks = numbers(pipeline, 0..60);
            let keyed = chunks.apply(Map::of(move |n: i64| (n % 4, (n, payload(n)))));
            keyed.apply(GroupByKey).apply(Map::of(
                |(key, chunks): (i64, Iterable<(i64, Bytes)>)| {
                    let is_whole = |(n, bytes): &(i64, Bytes)| {
                        bytes.len() == 20_000 && bytes.iter().all(|byte| *byte == *n as u8)
                    };
                    (key, chunks.iter().filter(is_whole).map(|(n, _)| n).sum::<i64>())
                },
            ))
        },
        // 15 numbers each: key, key + 4, ... key + 56.
        (0..4).map(|key| (key, 15 * key + 420)),
    );
}

#[test]
fn groups_of_groups_cross_stages() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = numbers(pipeline, 0..20).apply(Map::of(|n: i64| (n % 5, n)));
            let groups = pairs.apply(GroupByKey).apply(Reshuffle);
            groups.apply(Map::of(|(key, values): (i64, Iterable<i64>)| {
                (key, values.iter().sum::<i64>())
            }))
        },
        (0..5).map(|key| (key, 4 * key + 30)),
    );
}

#[test]
fn empty_collections_stay_empty() {
    check(Size::Tiny, |pipeline| numbers(pipeline, []).apply(Map::of(|n: i64| n)), []);
    check(Size::Tiny, |pipeline| count_words(&pipeline.apply(Create::of([]))), []);
    check(Size::Tiny, |pipeline| grouped(&pipeline.apply(Create::of([]))), []);
    check(Size::Tiny, |pipeline| numbers(pipeline, []).apply(Reshuffle), []);
}
