//! Combine functions, hot keys and distinct elements.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use levain::dataflow::plan::CompileOptions;
use levain::prelude::*;

use super::{Size, check, numbers, texts};

#[test]
fn functions_that_choose_choose_the_same() {
    let number = |n: i64| n * 7919 % 1000;
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, 0..1000).apply(Map::of(number));
            let chosen = SingleInputTupleCombineFn::of((
                Top::largest(3),
                Top::smallest_by(3, |n: &i64| n % 10),
                Sample::fixed_size(3),
            ));
            all.apply(CombineGlobally::of(chosen))
        },
        [(vec![999, 998, 997], SMALLEST.to_vec(), SAMPLE.to_vec())],
    );
}

/// The multiples of ten with the least encodings: varints of one byte.
const SMALLEST: [i64; 3] = [0, 10, 20];
/// The numbers whose varints have the least hashes, as the package `xxhash` of Python has them.
const SAMPLE: [i64; 3] = [354, 411, 644];

#[test]
fn sketches_give_the_same_estimate() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, 0..6000).apply(Map::of(|n: i64| (n % 2, n % 1500)));
            let distinct = all.apply(CombinePerKey::of(ApproximateDistinct::<i64>::new()));
            let near = distinct.apply(Map::of(|(key, n): (i64, u64)| (key, n.abs_diff(750) < 40)));
            let quantiles = Quantiles::of([0.0, 0.5, 1.0]).expect("are shares");
            let floats = all.apply(Map::of(|(key, n): (i64, i64)| (key, n as f64)));
            let quantiles = floats.apply(CombinePerKey::of(quantiles));
            let quantiles = quantiles.apply(Map::of(|(key, of): (i64, Vec<f64>)| {
                (key + 10, of[0] == key as f64 && (of[1] - 748.0).abs() < 9.0)
            }));
            PCollectionList::of(&near, [quantiles]).apply(Flatten)
        },
        [(0, true), (1, true), (10, true), (11, true)],
    );
}

#[test]
fn estimates_do_not_depend_on_the_run() {
    check(
        Size::Tiny,
        |pipeline| {
            let all = numbers(pipeline, 0..6000).apply(Map::of(|n: i64| (n % 3, n % 1500)));
            let distinct = all.apply(CombinePerKey::of(ApproximateDistinct::<i64>::new()));
            let floats = all.apply(Map::of(|(key, n): (i64, i64)| (key, n as f64 / 7.0)));
            let quantiles =
                floats.apply(CombinePerKey::of(Quantiles::of([0.5]).expect("is a share")));
            let quantiles =
                quantiles.apply(Map::of(|(key, of): (i64, Vec<f64>)| (key, of[0].to_bits())));
            PCollectionList::of(&distinct, [quantiles]).apply(Flatten)
        },
        (0..3).flat_map(|key| {
            let values = (0..6000i64).filter(move |n| n % 3 == key).map(|n| n % 1500);
            let floats = values.clone().map(|n| n as f64 / 7.0);
            let quantiles = Quantiles::of([0.5]).expect("is a share");
            let median = combine(&quantiles, floats)[0];
            [(key, combine(&ApproximateDistinct::new(), values)), (key, median.to_bits())]
        }),
    );
}

fn combine<C: CombineFn>(function: &C, values: impl Iterator<Item = C::In>) -> C::Out {
    let mut accumulator = function.create();
    values.for_each(|value| function.add(&mut accumulator, value));
    function.extract(accumulator)
}

#[test]
fn lists_and_sets_are_in_one_order() {
    check(
        Size::Large,
        |pipeline| {
            let name = |n: i64| format!("{:0100}", n * 7919 % 500);
            let pairs = numbers(pipeline, 0..2000).apply(Map::of(move |n: i64| (n % 2, name(n))));
            let both = SingleInputTupleCombineFn::of((ToList::new(), ToSet::new()));
            pairs.apply(CombinePerKey::of(both))
        },
        [0i64, 1].map(|rest| {
            let of = |n: i64| format!("{n:0100}");
            let set: Vec<String> = (0..500).filter(|n| n % 2 == rest).map(of).collect();
            let list = set.iter().flat_map(|name| vec![name.clone(); 4]).collect::<Vec<_>>();
            (rest, (list, set))
        }),
    );
}

#[test]
fn floats_agree_within_their_tolerance() {
    check(
        Size::Tiny,
        |pipeline| {
            let floats = numbers(pipeline, 0..1001).apply(Map::of(|n: i64| n as f64 / 10.0));
            let both = SingleInputTupleCombineFn::of((Mean, Variance::population()));
            let both = floats.apply(CombineGlobally::of(both));
            // Of 0 to n the variance is n (n + 2) / 12.
            both.apply(Map::of(|(mean, variance): (f64, f64)| {
                let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
                (is_near(mean, 50.0), is_near(variance, 1000.0 * 1002.0 / 1200.0))
            }))
        },
        [(true, true)],
    );
}

#[test]
fn hot_keys_give_what_others_do() {
    for fanout in [0, 1, 5] {
        check(
            Size::Tiny,
            |pipeline| {
                let words = numbers(pipeline, 0..600);
                let pairs = words.apply(Map::of(|n: i64| (i64::from(n % 2 == 0) * (n % 5), n)));
                let by_key = move |key: &i64| if *key == 0 { fanout } else { 2 };
                pairs.apply(HotKeyFanout::of(Sum::<i64>::new(), by_key))
            },
            // The odd ones, and those that ten divides: 90000 + 17700; the other even ones by rest.
            [(0, 107_700), (1, 18_060), (2, 17_820), (3, 18_180), (4, 17_940)],
        );
    }
}

#[test]
fn distinct_elements_are_kept_once() {
    check(
        Size::Large,
        |pipeline| {
            let names =
                numbers(pipeline, 0..3000).apply(Map::of(|n: i64| format!("{:0300}", n % 1000)));
            names.apply(Distinct)
        },
        (0..1000).map(|n| format!("{n:0300}")),
    );
    check(
        Size::Tiny,
        |pipeline| {
            let words = pipeline.apply(Create::of(texts(["b", "a", "cc", "bb", "ca"])));
            words.apply(Distinct::by(|word: &String| word.len() as u64))
        },
        texts(["a", "bb"]),
    );
}

/// What a function is asked for, in order.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<&'static str>>>);

impl Calls {
    fn note(&self, call: &'static str) {
        self.0.lock().expect("no caller panics").push(call);
    }
}

impl CombineFn for Calls {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.note("setup");
        Ok(())
    }

    fn create(&self) -> i64 {
        self.note("create");
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        self.note("add");
        *sum += value;
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        self.note("merge");
        *sum += other;
    }

    fn compact(&self, _: &mut i64) {
        self.note("compact");
    }

    fn extract(&self, sum: i64) -> i64 {
        self.note("extract");
        sum
    }

    fn teardown(&mut self) {
        self.note("teardown");
    }
}

#[track_caller]
fn check_calls(lift: bool, want: &[&str]) {
    let (pipeline, calls) = (Pipeline::new(), Calls::default());
    let pairs = pipeline.apply(Create::of([((), 1i64), ((), 2)]));
    pairs.apply(CombinePerKey::of(calls.clone()));
    let runner = DirectRunner::new().with_threads(std::num::NonZeroUsize::MIN);
    let options = RunOptions::default().with_partition_count(std::num::NonZeroUsize::MIN);
    let runner = runner.with_compile_options(CompileOptions { fuse: true, lift });
    pipeline.run_with(&runner, &options, &super::NoObserver).expect("runs");
    assert_eq!(*calls.0.lock().expect("no caller panics"), want);
}

#[test]
fn co13_a_function_is_called_in_order() {
    check_calls(false, &["setup", "create", "add", "add", "extract", "teardown"]);
    let before = ["setup", "create", "add", "add", "compact", "teardown"];
    let after = ["setup", "create", "merge", "extract", "teardown"];
    check_calls(true, &[&before[..], &after[..]].concat());
}

/// The values above the limit of their window, ascending, with that limit.
#[derive(Clone)]
struct Above(PCollectionView<i64>);

impl CombineFnWithContext for Above {
    type In = i64;
    type Acc = Vec<i64>;
    type Out = (i64, Vec<i64>);

    fn create(&self, _: &CombineContext<'_>) -> Result<Vec<i64>> {
        Ok(Vec::new())
    }

    fn add(&self, above: &mut Vec<i64>, value: i64, ctx: &CombineContext<'_>) -> Result<()> {
        if value > *ctx.side(&self.0)? {
            above.push(value);
        }
        Ok(())
    }

    fn merge(&self, above: &mut Vec<i64>, other: Vec<i64>, _: &CombineContext<'_>) -> Result<()> {
        above.extend(other);
        Ok(())
    }

    fn extract(&self, mut above: Vec<i64>, ctx: &CombineContext<'_>) -> Result<Self::Out> {
        above.sort_unstable();
        Ok((*ctx.side(&self.0)?, above))
    }
}

/// Values at the times that they are, combined in windows under limits of windows of ten: 2, then 7.
#[track_caller]
fn check_above(windows: fn() -> WindowInto, fanout: u32, want: &[(&str, i64, &[i64])]) {
    let want = want.iter().map(|(key, limit, above)| ((*key).to_owned(), (*limit, above.to_vec())));
    check(
        Size::Tiny,
        |pipeline| {
            let time = |n: &i64| Timestamp::from_millis(*n);
            let limits = numbers(pipeline, [2, 17]).apply(WithTimestamps::of(time));
            let tens = || WindowInto::of(FixedWindows::of(Duration::from_millis(10)));
            let limits = limits.apply(tens()).apply(Map::of(|n: i64| n % 10));
            let limit = limits.as_singleton_view();
            let values = [("a", 1), ("a", 3), ("a", 5), ("b", 6), ("b", 8), ("b", 9), ("a", 15)];
            let values = values.map(|(key, n)| (key.to_owned(), n));
            let values = pipeline.apply(Create::of(values));
            let values =
                values.apply(WithTimestamps::of(move |pair: &(String, i64)| time(&pair.1)));
            let above = CombinePerKey::with_context(Above(limit)).with_side(&limit);
            values.apply(windows()).apply(above.with_hot_key_fanout(move |_| fanout))
        },
        want,
    );
}

#[test]
fn a_function_sees_the_side_input_of_the_window_that_it_combines_in() {
    for fanout in [1, 3] {
        check_above(
            || WindowInto::of(FixedWindows::of(Duration::from_millis(10))),
            fanout,
            &[("a", 2, &[3, 5]), ("b", 2, &[6, 8, 9]), ("a", 7, &[15])],
        );
    }
    // The sessions of `b` are [6,9), [8,11) and [9,12); as one they end in the second ten.
    check_above(
        || WindowInto::of(Sessions::with_gap(Duration::from_millis(3))),
        1,
        &[("a", 2, &[3, 5]), ("b", 7, &[8, 9]), ("a", 7, &[15])],
    );
}
