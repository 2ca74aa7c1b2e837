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
fn a_map_view_is_refused_when_memory_holds_no_index_of_it() {
    let pipeline = Pipeline::new();
    // Every fourth key stands in the index.
    let pairs: Vec<_> = (0..400).map(|n| (format!("{n:08000}"), n)).collect();
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

/// Whether a place is one of a list view; for the first, all values by place, ascending.
#[derive(Clone)]
struct Places(PCollectionView<ListView<String>>);

impl DoFn for Places {
    type In = i64;
    type Out = (i64, bool, Vec<String>);

    fn process(&mut self, place: i64, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let list = ctx.side(&self.0)?;
        let found = list.get(place as u64)?;
        let in_turn = usize::try_from(place).ok().and_then(|place| list.iter().nth(place));
        assert_eq!(found, in_turn, "both are in one order");
        let count = if place == 0 { list.len() } else { 0 };
        let all = (0..count).filter_map(|place| list.get(place).transpose());
        let mut all = all.collect::<Result<Vec<_>>>()?;
        all.sort();
        ctx.output((place, found.is_some(), all))
    }
}

/// The values of a key of a multimap view, ascending.
#[derive(Clone)]
struct AllOf(PCollectionView<MultimapView<i64, String>>);

impl DoFn for AllOf {
    type In = i64;
    type Out = (i64, Vec<String>);

    fn process(&mut self, key: i64, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let multimap = ctx.side(&self.0)?;
        let found = multimap.get(&key)?;
        let mut values: Vec<String> = found.iter().collect();
        assert_eq!((values.len() as u64, values.is_empty()), (found.len(), found.is_empty()));
        assert_eq!(multimap.contains_key(&key)?, !values.is_empty());
        values.sort();
        ctx.output((key, values))
    }
}

/// The value of a key of a map view.
#[derive(Clone)]
struct OneOf(PCollectionView<MapView<i64, String>>);

impl DoFn for OneOf {
    type In = i64;
    type Out = (i64, Option<String>, u64);

    fn process(&mut self, key: i64, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        let map = ctx.side(&self.0)?;
        let value = map.get(&key)?;
        assert_eq!(map.contains_key(&key)?, value.is_some());
        ctx.output((key, value, map.len()))
    }
}

/// Keeps pairs on an edge, as a view does that is not copied.
#[derive(Clone)]
struct Unread;

impl DoFn for Unread {
    type In = (i64, String);
    type Out = (i64, String);

    fn process(&mut self, pair: Self::In, ctx: &mut ProcessContext<'_, Self::Out>) -> Result<()> {
        ctx.output(pair)
    }
}

const ENTRY_COUNT: i64 = 50_000;

fn value(n: i64) -> String {
    format!("value {}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15u64 as i64))
}

fn asked(pipeline: &Pipeline) -> PCollection<i64> {
    let asked = (0..ENTRY_COUNT).step_by(997).chain([-1, 1, 2, 3, ENTRY_COUNT - 1, ENTRY_COUNT]);
    pipeline.apply_named("Asked", Create::of(asked))
}

/// Numbers, each with a value.
type Entries = PCollection<(i64, String)>;

/// Runs with ample memory and with the least, where the view is written to disk; `read` makes the
/// results of a collection of pairs.
#[track_caller]
fn check_larger_than_memory<T: Element + Ord + std::fmt::Debug>(
    pairs_of: impl Fn(i64) -> i64,
    read: impl Fn(&Entries) -> PCollection<T>,
) -> Vec<T> {
    let recipe = |read: &dyn Fn(&Entries) -> PCollection<T>| {
        let pipeline = Pipeline::new();
        let pairs = (0..ENTRY_COUNT).map(|n| (pairs_of(n), value(n)));
        let got = read(&pipeline.apply_named("Entries", Create::of(pairs))).collect();
        (pipeline, got)
    };
    let (pipeline, got) = recipe(&read);
    let ample = pipeline.run(&DirectRunner::new()).expect("runs");
    assert_eq!(ample.shuffle.spilled_bytes, 0);
    let want = sorted(&ample, &got);
    let scarce = run_within(&pipeline, 8 << 10).expect("runs");
    assert_eq!(sorted(&scarce, &got), want);
    // Of the spilled bytes, those that are there without the view too are not its own.
    let (unread, _) = recipe(&|pairs| {
        let all = pairs.as_iterable_view();
        let none = pairs.pipeline().apply_named("None", Create::<(i64, String)>::of([]));
        let none = none.apply(ParDo::of(Unread).with_side(&all));
        read(&none)
    });
    let unread = run_within(&unread, 8 << 10).expect("runs");
    let own = scarce.shuffle.spilled_bytes.saturating_sub(unread.shuffle.spilled_bytes);
    assert!(own > 300_000, "{own} bytes of the view were spilled");
    want
}

#[test]
fn a_map_view_may_be_larger_than_memory() {
    let found = check_larger_than_memory(
        |n| n,
        |pairs| {
            let map = pairs.as_map_view();
            asked(pairs.pipeline()).apply(ParDo::of(OneOf(map)).with_side(&map))
        },
    );
    let asked = (0..ENTRY_COUNT).step_by(997).chain([-1, 1, 2, 3, ENTRY_COUNT - 1, ENTRY_COUNT]);
    let is_there = |n: i64| (0..ENTRY_COUNT).contains(&n).then(|| value(n));
    let mut want: Vec<_> = asked.map(|n| (n, is_there(n), ENTRY_COUNT as u64)).collect();
    want.sort();
    assert_eq!(found, want);
}

#[test]
fn a_multimap_view_may_be_larger_than_memory() {
    // Three keys have 16 667 values or one less, all others none.
    let found = check_larger_than_memory(
        |n| n % 3,
        |pairs| {
            let multimap = pairs.as_multimap_view();
            asked(pairs.pipeline()).apply(ParDo::of(AllOf(multimap)).with_side(&multimap))
        },
    );
    for (key, values) in found {
        let mut want: Vec<String> = (0..ENTRY_COUNT).filter(|n| n % 3 == key).map(value).collect();
        want.sort();
        assert!(values == want, "{} values of {key}", values.len());
    }
}

#[test]
fn a_list_view_may_be_larger_than_memory() {
    let found = check_larger_than_memory(
        |n| n,
        |pairs| {
            let list = pairs.apply(Map::of(|(_, value): (i64, String)| value)).as_list_view();
            asked(pairs.pipeline()).apply(ParDo::of(Places(list)).with_side(&list))
        },
    );
    let mut all: Vec<String> = (0..ENTRY_COUNT).map(value).collect();
    all.sort();
    for (place, is_there, values) in found {
        assert_eq!(is_there, (0..ENTRY_COUNT).contains(&place), "{place}");
        let want = if place == 0 { &all[..] } else { &[] };
        assert!(values == want, "{} values by place", values.len());
    }
}

#[test]
fn a_key_twice_is_named_whether_a_map_view_fits_memory_or_not() {
    for more in [8 << 10, 64 << 20] {
        let pipeline = Pipeline::new();
        let pairs: Vec<_> = (0..20_000).map(|n| (format!("key {}", n % 19_999), n)).collect();
        let map = pipeline.apply_named("Pairs", Create::of(pairs)).as_map_view();
        keys(&pipeline, &["key 1"]).apply(ParDo::of(LookUp(map)).with_side(&map));
        let error = run_within(&pipeline, more).expect_err("a key is there twice");
        assert_eq!(error.code(), ErrorCode::VIEW_MISMATCH, "{error}");
        for word in ["\"key 0\"", "Pairs", "as_multimap_view"] {
            assert!(error.to_string().contains(word), "`{word}` is missing in: {error}");
        }
    }
}

#[test]
fn views_by_window_may_be_larger_than_memory() {
    let millis = std::time::Duration::from_millis;
    let pipeline = Pipeline::new();
    let fixed = || WindowInto::of(FixedWindows::of(millis(100)));
    let timed = |name: &str, numbers: Vec<i64>| {
        let numbers = pipeline.apply_named(name, Create::of(numbers));
        let timed = numbers.apply(WithTimestamps::of(|n: &i64| Timestamp::from_millis(n % 1000)));
        timed.apply(fixed())
    };
    // Ten windows of 2000 pairs each.
    let pairs = timed("Entries", (0..20_000).collect()).apply(Map::of(|n: i64| (n, value(n))));
    let map = pairs.as_map_view();
    let asked = timed("Asked", vec![0, 999, 1099, 19_999]);
    let found = asked.apply(ParDo::of(OneOf(map)).with_side(&map)).collect();
    let want: Vec<_> = [0, 999, 1099, 19_999].map(|n| (n, Some(value(n)), 2000)).into();
    for more in [8 << 10, 64 << 20] {
        let report = run_within(&pipeline, more).expect("runs");
        assert_eq!(sorted(&report, &found), want);
    }
}
