//! CoGroupByKey and joins, also of groups that memory does not hold.

use std::time::Duration;

use levain::prelude::*;

use super::{Size, check, numbers, texts};

type Both = (i64, (TaggedIterable<String>, TaggedIterable<i64>));

fn sorted<T: Element + Ord>(values: &TaggedIterable<T>) -> Vec<T> {
    let mut values: Vec<T> = values.iter().collect();
    values.sort();
    values
}

#[test]
fn inputs_are_grouped_with_keys_that_one_lacks() {
    check(
        Size::Tiny,
        |pipeline| {
            let names = [(1, "ann"), (2, "bob"), (2, "bert")];
            let names = names.map(|(key, name)| (key, name.to_owned()));
            let names = pipeline.apply(Create::of(names));
            let ages = pipeline.apply(Create::of([(2i64, 20i64), (3, 30)]));
            let both = names.apply(CoGroupByKey::with(&ages));
            both.apply(Map::of(|(key, (names, ages)): Both| (key, sorted(&names), sorted(&ages))))
        },
        [
            (1, texts(["ann"]).to_vec(), vec![]),
            (2, texts(["bert", "bob"]).to_vec(), vec![20]),
            (3, vec![], vec![30]),
        ],
    );
}

#[test]
fn gb10_inputs_are_grouped_in_windows() {
    // Beam's windows of four milliseconds, with an element at every one of twelve.
    let of = |pipeline: &Pipeline, name: &str, times: &[i64]| {
        let times = pipeline.apply_named(name, Create::of(times.to_vec()));
        let timed = times.apply(WithTimestamps::of(|time: &i64| Timestamp::from_millis(*time)));
        let windowed = timed.apply(WindowInto::of(FixedWindows::of(Duration::from_millis(4))));
        windowed.apply(Map::of(|time: i64| (time % 2, time)))
    };
    type Both = (i64, (TaggedIterable<i64>, TaggedIterable<i64>));
    check(
        Size::Tiny,
        |pipeline| {
            let clicks = of(pipeline, "Clicks", &[0, 2, 4, 6, 8, 9]);
            let purchases = of(pipeline, "Purchases", &[2, 3, 7, 11]);
            let both = clicks.apply(CoGroupByKey::with(&purchases)).apply(ReifyWindows);
            both.apply(Map::of(|((key, (a, b)), _, window): (Both, Timestamp, Window)| {
                let start = match window {
                    Window::Interval { start, .. } => start.millis(),
                    Window::Global => -1,
                };
                (start, key, sorted(&a), sorted(&b))
            }))
        },
        [
            (0, 0, vec![0, 2], vec![2]),
            (0, 1, vec![], vec![3]),
            (4, 0, vec![4, 6], vec![]),
            (4, 1, vec![], vec![7]),
            (8, 0, vec![8], vec![]),
            (8, 1, vec![9], vec![11]),
        ],
    );
}

#[test]
fn four_inputs_are_grouped() {
    type Four =
        (TaggedIterable<i64>, TaggedIterable<i64>, TaggedIterable<String>, TaggedIterable<i64>);
    check(
        Size::Tiny,
        |pipeline| {
            let of = |rest: i64, factor: i64| {
                let numbers = numbers(pipeline, (0..40).filter(move |n| n % rest == 0));
                numbers.apply(Map::of(move |n: i64| (n % 3, n * factor)))
            };
            let named = of(4, 1).apply(Map::of(|(key, n): (i64, i64)| (key, n.to_string())));
            let four = of(2, 1).apply(CoGroupByKey::with(&of(3, 1)).and(&named).and(&of(20, 7)));
            let four = four.apply(Reshuffle);
            four.apply(Map::of(|(key, (a, b, c, d)): (i64, Four)| {
                let named = c.iter().map(|text| text.len() as i64).sum::<i64>();
                (key, (a.iter().sum::<i64>(), b.iter().sum::<i64>(), named, d.iter().sum::<i64>()))
            }))
        },
        [
            // 0, 6, .. 36; 0, 3, .. 39; 0, 12, 24, 36; 0.
            (0, (126, 273, 7, 0)),
            // 4, 10, .. 34; none; 4, 16, 28.
            (1, (114, 0, 5, 0)),
            // 2, 8, .. 38; none; 8, 20, 32; 20.
            (2, (140, 0, 5, 140)),
        ],
    );
}

#[test]
fn groups_of_several_inputs_may_be_larger_than_memory() {
    let name = |n: i64| format!("{n:01000}");
    check(
        Size::Large,
        |pipeline| {
            let names = numbers(pipeline, 0..400).apply(Map::of(move |n: i64| (n % 2, name(n))));
            let ages = numbers(pipeline, 0..400).apply(Map::of(|n: i64| (n % 3, n)));
            names.apply(CoGroupByKey::with(&ages)).apply(Map::of(|(key, (names, ages)): Both| {
                // Read by turns, and more than once.
                let before = ages.iter().sum::<i64>();
                let longest = names.iter().max().map_or(0, |name| name.len() as i64);
                let names = names.iter().filter_map(|name| name.parse::<i64>().ok());
                (key, longest, names.sum::<i64>(), ages.iter().sum::<i64>() + before)
            }))
        },
        [(0, 1000, 39_800, 2 * 26_733), (1, 1000, 40_000, 2 * 26_467), (2, 0, 0, 2 * 26_600)],
    );
}

#[test]
fn joins_keep_what_their_name_says() {
    check(
        Size::Tiny,
        |pipeline| {
            let left = numbers(pipeline, 0..6).apply(Map::of(|n: i64| (n % 3, n)));
            let right = numbers(pipeline, 1..5).apply(Map::of(|n: i64| (n, 10 * n)));
            let inner = left.apply(InnerJoin::with(&right));
            let inner = inner.apply(Map::of(|pair: (i64, (i64, i64))| format!("inner {pair:?}")));
            let full = left.apply(FullJoin::with(&right));
            let full = full.apply(Map::of(|(key, pair): (i64, (Option<i64>, Option<i64>))| {
                format!("full {key} {pair:?}")
            }));
            PCollectionList::of(&inner, [full]).apply(Flatten)
        },
        texts([
            "inner (1, (1, 10))",
            "inner (1, (4, 10))",
            "inner (2, (2, 20))",
            "inner (2, (5, 20))",
            "full 0 (Some(0), None)",
            "full 0 (Some(3), None)",
            "full 1 (Some(1), Some(10))",
            "full 1 (Some(4), Some(10))",
            "full 2 (Some(2), Some(20))",
            "full 2 (Some(5), Some(20))",
            "full 3 (None, Some(30))",
            "full 4 (None, Some(40))",
        ]),
    );
}

#[test]
fn a_join_may_have_more_on_both_sides_than_memory_holds() {
    let name = |n: i64| format!("{n:02000}");
    check(
        Size::Large,
        |pipeline| {
            let left = numbers(pipeline, 0..60).apply(Map::of(move |n: i64| ((), name(n))));
            let right = numbers(pipeline, 30..60).apply(Map::of(move |n: i64| ((), name(n))));
            let pairs = left.apply(InnerJoin::with(&right));
            // Only the equal ones of 1800 pairs.
            pairs.apply(FlatMap::of(|((), (a, b)): ((), (String, String))| {
                (a == b).then(|| a.parse::<i64>().unwrap_or(-1))
            }))
        },
        30..60,
    );
}
