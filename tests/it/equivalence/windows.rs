//! Windows, times and side inputs by window: Beam's own cases, by the names of its suite.

use std::time::Duration;

use levain::prelude::*;

use super::{Size, check, texts};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Pairs of a key and a value, each at its time.
fn timed(
    pipeline: &Pipeline,
    name: &str,
    pairs: &[(&str, i64, i64)],
) -> PCollection<(String, i64)> {
    let pairs: Vec<(String, (i64, i64))> =
        pairs.iter().map(|&(key, value, time)| (key.to_owned(), (value, time))).collect();
    let pairs = pipeline.apply_named(name, Create::of(pairs));
    let pairs = pairs.apply(WithTimestamps::of(|pair: &(String, (i64, i64))| at(pair.1.1)));
    pairs.apply(Map::of(|(key, (value, _)): (String, (i64, i64))| (key, value)))
}

/// Each group as text: key, sorted values, window and time.
fn shown(groups: &PCollection<(String, Iterable<i64>)>) -> PCollection<String> {
    let sorted = Map::of(|(key, values): (String, Iterable<i64>)| {
        let mut values: Vec<i64> = values.iter().collect();
        values.sort_unstable();
        (key, values)
    });
    shown_values(&groups.apply(sorted))
}

/// Each pair as text, with window and time.
fn shown_values<V: Element + std::fmt::Debug>(
    pairs: &PCollection<(String, V)>,
) -> PCollection<String> {
    let pairs = pairs.apply(ReifyWindows);
    pairs.apply(Map::of(|((key, value), time, window): ((String, V), Timestamp, Window)| {
        format!("{key} {value:?} in {} at {}", brief(window), time.millis())
    }))
}

fn brief(window: Window) -> String {
    match window {
        Window::Global => "all".to_owned(),
        Window::Interval { start, end } => format!("[{},{})", start.millis(), end.millis()),
    }
}

#[test]
fn wi1_groups_keep_to_fixed_windows() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs =
                timed(pipeline, "Pairs", &[("k", 1, 1), ("k", 2, 4), ("k", 3, 5), ("j", 4, 9)]);
            shown(&pairs.apply(WindowInto::of(FixedWindows::of(ms(5)))).apply(GroupByKey))
        },
        texts(["k [1, 2] in [0,5) at 4", "k [3] in [5,10) at 9", "j [4] in [5,10) at 9"]),
    );
}

#[test]
fn wi2_an_element_is_in_every_sliding_window_that_holds_it() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = timed(pipeline, "Pairs", &[("foo", 1, 1), ("foo", 4, 4), ("bar", 3, 3)]);
            shown(&pairs.apply(WindowInto::of(SlidingWindows::of(ms(5), ms(3)))).apply(GroupByKey))
        },
        texts([
            "foo [1] in [-3,2) at 1",
            "foo [1, 4] in [0,5) at 4",
            "foo [4] in [3,8) at 7",
            "bar [3] in [0,5) at 4",
            "bar [3] in [3,8) at 7",
        ]),
    );
}

#[test]
fn wi3_sessions_last_as_long_as_elements_come() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = [("foo", 1, 1), ("foo", 4, 4), ("foo", 9, 9), ("bar", 3, 3)];
            let pairs = timed(pipeline, "Pairs", &pairs);
            shown(&pairs.apply(WindowInto::of(Sessions::with_gap(ms(4)))).apply(GroupByKey))
        },
        texts(["foo [1, 4] in [1,8) at 7", "foo [9] in [9,13) at 12", "bar [3] in [3,7) at 6"]),
    );
}

#[test]
fn sessions_that_only_touch_stay_apart_and_chains_join() {
    check(
        Size::Tiny,
        |pipeline| {
            // Of two keys of different length, one the beginning of the other.
            let pairs =
                [("a", 1, 0), ("a", 2, 5), ("ab", 3, 1), ("a", 4, 9), ("ab", 5, 20), ("a", 6, 13)];
            let pairs = timed(pipeline, "Pairs", &pairs);
            shown(&pairs.apply(WindowInto::of(Sessions::with_gap(ms(5)))).apply(GroupByKey))
        },
        texts([
            "a [1] in [0,5) at 4",
            "a [2, 4, 6] in [5,18) at 17",
            "ab [3] in [1,6) at 5",
            "ab [5] in [20,25) at 24",
        ]),
    );
}

#[test]
fn wi4_a_timestamp_combiner_says_when_groups_are() {
    for (combiner, want) in [
        (TimestampCombiner::Earliest, "k [1, 2] in [0,600000) at 0"),
        (TimestampCombiner::Latest, "k [1, 2] in [0,600000) at 10"),
        (TimestampCombiner::EndOfWindow, "k [1, 2] in [0,600000) at 599999"),
    ] {
        check(
            Size::Tiny,
            |pipeline| {
                let pairs = timed(pipeline, "Pairs", &[("k", 1, 0), ("k", 2, 10)]);
                let windows = WindowInto::of(FixedWindows::of(ms(600_000)));
                let pairs = pairs.apply(windows.with_timestamp_combiner(combiner));
                shown(&pairs.apply(GroupByKey))
            },
            texts([want]),
        );
    }
}

#[test]
fn the_global_window_combines_times_too() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = timed(pipeline, "Pairs", &[("k", 1, 3), ("k", 2, 10), ("j", 3, 7)]);
            let latest = WindowInto::same().with_timestamp_combiner(TimestampCombiner::Latest);
            let sums = pairs.apply(latest).apply(CombinePerKey::of(Sum::<i64>::new()));
            shown_values(&sums.apply(Reshuffle))
        },
        texts(["k 3 in all at 10", "j 3 in all at 7"]),
    );
}

#[test]
fn wi5_what_was_grouped_is_put_into_windows_anew() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = [("foo", 1, 1), ("foo", 4, 4), ("foo", 9, 9), ("bar", 3, 3)];
            let sessions = WindowInto::of(Sessions::with_gap(ms(10)));
            let latest = sessions.with_timestamp_combiner(TimestampCombiner::Latest);
            let sums = timed(pipeline, "Pairs", &pairs).apply(latest);
            let sums = sums.apply(CombinePerKey::of(Sum::<i64>::new()));
            let again = sums.apply(WindowInto::of(FixedWindows::of(ms(1)))).apply(GroupByKey);
            shown(&again)
        },
        texts(["foo [14] in [9,10) at 9", "bar [3] in [3,4) at 3"]),
    );
}

#[test]
fn wi8_times_before_the_epoch_have_windows() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs =
                timed(pipeline, "Pairs", &[("k", 1, -1), ("k", 2, -5), ("k", 3, 0), ("k", 4, -6)]);
            shown(&pairs.apply(WindowInto::of(FixedWindows::of(ms(5)))).apply(GroupByKey))
        },
        texts(["k [1, 2] in [-5,0) at -1", "k [4] in [-10,-5) at -6", "k [3] in [0,5) at 4"]),
    );
}

#[test]
fn wi10_merged_windows_are_kept_through_a_reshuffle() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = timed(pipeline, "Pairs", &[("a", 1, 0), ("a", 2, 3), ("b", 3, 1)]);
            let sums = pairs
                .apply(WindowInto::of(Sessions::with_gap(ms(5))))
                .apply(CombinePerKey::of(Sum::<i64>::new()));
            // [0,8) and [1,6) intersect; of another key they are not one.
            let values = sums
                .apply(Reshuffle)
                .apply(Map::of(|(_, sum): (String, i64)| ("all".to_owned(), sum)));
            shown(&values.apply(GroupByKey))
        },
        texts(["all [3] in [0,8) at 7", "all [3] in [1,6) at 5"]),
    );
}

/// The table of Beam's tests of combining.
fn table(pipeline: &Pipeline, times: [i64; 5]) -> PCollection<(String, i64)> {
    let [a, b, c, d, e] = times;
    timed(pipeline, "Pairs", &[("a", 1, a), ("a", 1, b), ("a", 4, c), ("b", 1, d), ("b", 13, e)])
}

#[test]
fn co7_values_are_combined_by_fixed_window() {
    let windowed = |pipeline: &Pipeline| {
        table(pipeline, [0, 1, 6, 7, 8]).apply(WindowInto::of(FixedWindows::of(ms(2))))
    };
    check(
        Size::Tiny,
        |pipeline| {
            let sum = CombineGlobally::of(Sum::<i64>::new()).without_default();
            windowed(pipeline).apply(Map::of(|(_, value): (String, i64)| value)).apply(sum)
        },
        [2, 5, 13],
    );
    check(
        Size::Tiny,
        |pipeline| shown_values(&windowed(pipeline).apply(CombinePerKey::of(Sum::<i64>::new()))),
        texts([
            "a 2 in [0,2) at 1",
            "a 4 in [6,8) at 7",
            "b 1 in [6,8) at 7",
            "b 13 in [8,10) at 9",
        ]),
    );
}

#[test]
fn co9_values_are_combined_by_session() {
    check(
        Size::Tiny,
        |pipeline| {
            let sessions = WindowInto::of(Sessions::with_gap(ms(5)));
            let sums = table(pipeline, [0, 4, 7, 10, 16]).apply(sessions);
            shown_values(&sums.apply(CombinePerKey::of(Sum::<i64>::new())))
        },
        texts(["a 6 in [0,12) at 11", "b 1 in [10,15) at 14", "b 13 in [16,21) at 20"]),
    );
}

#[test]
fn many_windows_are_combined_in_scarce_memory() {
    let count = 20_000i64;
    check(
        Size::Large,
        |pipeline| {
            let numbers = pipeline.apply(Create::of(0..count));
            let timed = numbers.apply(WithTimestamps::of(|n: &i64| at(*n % 5000)));
            let pairs = timed.apply(Map::of(|n: i64| (format!("key {}", n % 2), n)));
            let pairs = pairs.apply(WindowInto::of(FixedWindows::of(ms(1))));
            let sums = pairs.apply(CombinePerKey::of(Sum::<i64>::new())).apply(ReifyWindows);
            sums.apply(Map::of(|((_, sum), time, _): ((String, i64), Timestamp, Window)| {
                (time.millis(), sum)
            }))
        },
        // n, n + 5000, n + 10000, n + 15000: all even or all odd.
        (0..5000).map(|n| (n, 4 * n + 30_000)),
    );
}

/// Shows each element with the value of a side input.
#[derive(Clone)]
struct WithSide(PCollectionView<i64>);

impl DoFn for WithSide {
    type In = (String, i64);
    type Out = String;

    fn process(&mut self, pair: Self::In, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let side = ctx.side(&self.0)?;
        ctx.output(format!("{}{side} {}", pair.0, brief(ctx.window())))
    }
}

#[derive(Clone, Copy)]
enum SideWindows {
    Fixed(u64),
    Global,
}

/// Beam's side input cases: main A at 4, B at 15, C at 7 in windows of ten; side values by window.
#[track_caller]
fn check_side(windows: SideWindows, values: &[i64], want: [&str; 3]) {
    check(
        Size::Tiny,
        |pipeline| {
            let main = timed(pipeline, "Main", &[("A", 0, 4), ("B", 0, 15), ("C", 0, 7)]);
            let main = main.apply(WindowInto::of(FixedWindows::of(ms(10))));
            let times = [(1, 1), (2, 11), (3, 13)];
            let side = times.into_iter().filter(|(value, _)| values.contains(value));
            let side: Vec<_> = side.map(|(value, time)| ("", value, time)).collect();
            let side = timed(pipeline, "Side", &side);
            let side = side.apply(Map::of(|(_, value): (String, i64)| value));
            let side = match windows {
                SideWindows::Fixed(size) => side.apply(WindowInto::of(FixedWindows::of(ms(size)))),
                SideWindows::Global => side.apply(WindowInto::of(GlobalWindows)),
            };
            let sum = side.apply(CombineGlobally::of(Sum::<i64>::new()).into_singleton_view());
            main.apply(ParDo::of(WithSide(sum)).with_side(&sum))
        },
        texts(want),
    );
}

#[test]
fn si7_a_side_input_is_that_of_the_window() {
    check_side(SideWindows::Fixed(10), &[1, 2, 3], ["A1 [0,10)", "B5 [10,20)", "C1 [0,10)"]);
}

#[test]
fn si8_a_side_input_in_the_global_window_is_one_for_all() {
    check_side(SideWindows::Global, &[1, 2, 3], ["A6 [0,10)", "B6 [10,20)", "C6 [0,10)"]);
}

#[test]
fn si9_a_window_without_elements_has_the_default() {
    check_side(SideWindows::Fixed(10), &[2, 3], ["A0 [0,10)", "B5 [10,20)", "C0 [0,10)"]);
}

#[test]
fn si14_a_side_input_is_found_at_the_end_of_the_main_window() {
    // The window of 7 that holds 9 is [7,14), that which holds 19 is [14,21).
    check_side(SideWindows::Fixed(7), &[1, 2, 3], ["A5 [0,10)", "B0 [10,20)", "C5 [0,10)"]);
}

/// Lists a side input of every shape in a window.
#[derive(Clone)]
struct WithShapes {
    list: PCollectionView<Iterable<(String, i64)>>,
    map: PCollectionView<MapView<String, i64>>,
}

impl DoFn for WithShapes {
    type In = (String, i64);
    type Out = String;

    fn process(&mut self, pair: Self::In, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let list = ctx.side(&self.list)?;
        let mut values: Vec<i64> = list.iter().map(|(_, value)| value).collect();
        values.sort_unstable();
        let map = ctx.side(&self.map)?;
        let found = map.get(&"x".to_owned())?;
        ctx.output(format!("{} {values:?} {found:?}", pair.0))
    }
}

#[test]
fn side_inputs_of_other_shapes_have_windows_too() {
    check(
        Size::Tiny,
        |pipeline| {
            let fixed = || WindowInto::of(FixedWindows::of(ms(10)));
            let side = [("x", 1, 1), ("y", 2, 2), ("x", 3, 11)];
            let side = timed(pipeline, "Side", &side).apply(fixed());
            let (list, map) = (side.as_iterable_view(), side.as_map_view());
            let main = timed(pipeline, "Main", &[("A", 0, 4), ("B", 0, 15), ("C", 0, 25)]);
            let shapes = ParDo::of(WithShapes { list, map }).with_side(&list).with_side(&map);
            main.apply(fixed()).apply(shapes)
        },
        texts(["A [1, 2] Some(1)", "B [3] Some(3)", "C [] None"]),
    );
}

#[test]
fn a_window_mapping_says_where_to_look() {
    check(
        Size::Tiny,
        |pipeline| {
            let fixed = || WindowInto::of(FixedWindows::of(ms(10)));
            let side = timed(pipeline, "Side", &[("", 1, 1), ("", 2, 11)]).apply(fixed());
            let side = side.apply(Map::of(|(_, value): (String, i64)| value));
            let side = side.as_singleton_view_or(0);
            let main = timed(pipeline, "Main", &[("A", 0, 4), ("B", 0, 15)]).apply(fixed());
            // The values of ten milliseconds before.
            let before = WindowMapping::of(|window| match window {
                Window::Interval { start, end } => {
                    Window::Interval { start: start - ms(10), end: end - ms(10) }
                }
                other => other,
            });
            main.apply(ParDo::of(WithSide(side)).with_side_in(&side, before))
        },
        texts(["A0 [0,10)", "B1 [10,20)"]),
    );
}

/// Puts out its elements later, and says when the bundle is over.
#[derive(Clone)]
struct Later;

impl DoFn for Later {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output_at(at(element + 100), element)
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output_in(Window::of_millis(3, 4), at(3), -1)
    }
}

#[test]
fn pd5_and_pd6_times_of_outputs_are_set() {
    check(
        Size::Tiny,
        |pipeline| {
            let numbers = pipeline.apply(Create::of([1i64, 2]));
            let later = numbers.apply(ParDo::of(Later).with_timestamps()).apply(Reshuffle);
            let shown = later.apply(ReifyWindows);
            let shown = shown.apply(Map::of(|(value, time, window): (i64, Timestamp, Window)| {
                format!("{value} {} {}", time.millis(), brief(window))
            }));
            // How many bundles end is the runner's business.
            shown.apply(Count::per_element()).apply(Map::of(|(text, _): (String, u64)| text))
        },
        texts(["1 101 all", "2 102 all", "-1 3 [3,4)"]),
    );
}

#[test]
fn fl7_windows_are_kept_through_a_flatten() {
    check(
        Size::Tiny,
        |pipeline| {
            let fixed = || WindowInto::of(FixedWindows::of(ms(5)));
            let first = timed(pipeline, "First", &[("k", 1, 1), ("k", 2, 6)]).apply(fixed());
            let other = timed(pipeline, "Other", &[("k", 3, 2)]).apply(fixed());
            let all = PCollectionList::of(&first, [other, first.apply(Reshuffle)]).apply(Flatten);
            shown(&all.apply(GroupByKey))
        },
        texts(["k [1, 1, 3] in [0,5) at 4", "k [2, 2] in [5,10) at 9"]),
    );
}

/// Windows of the recipe: each even number with the odd one that follows.
#[derive(Debug)]
struct Pairs;

impl WindowFn for Pairs {
    fn kind(&self) -> levain::dataflow::window::WindowFnKind {
        levain::dataflow::window::WindowFnKind::Custom("pairs".to_owned())
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        let start = timestamp.millis() & !1;
        into.push(Window::of_millis(start, start + 2));
    }
}

#[test]
fn wi9_windows_of_the_recipe_are_assigned() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = timed(pipeline, "Pairs", &[("k", 1, 2), ("k", 2, 3), ("k", 3, 4)]);
            shown(&pairs.apply(WindowInto::of(Pairs)).apply(GroupByKey))
        },
        texts(["k [1, 2] in [2,4) at 3", "k [3] in [4,6) at 5"]),
    );
}

/// Puts out how many elements a bundle has had.
#[derive(Clone, Default)]
struct Tally(u64);

impl DoFn for Tally {
    type In = i64;
    type Out = u64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, u64>) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, u64>) -> Result<()> {
        ctx.output(std::mem::take(&mut self.0))
    }
}

#[test]
fn without_windows_a_bundle_needs_no_time_to_end() {
    check(
        Size::Tiny,
        |pipeline| {
            // One of the collections was grouped, so that times differ.
            let all = pipeline.apply(Create::of([1i64, 2, 3]));
            let sum = all.apply(CombineGlobally::of(Sum::<i64>::new()).without_default());
            let both = PCollectionList::of(&all, [sum]).apply(Flatten);
            both.apply(ParDo::of(Tally::default())).apply(CombineGlobally::of(Sum::<u64>::new()))
        },
        [4],
    );
}

#[test]
fn the_first_and_the_last_value_are_chosen_by_time() {
    let pairs = |pipeline: &Pipeline| {
        let pairs = [("a", 1, 5), ("a", 2, 9), ("a", 3, 9), ("b", 4, 2), ("a", 5, 1), ("b", 6, 12)];
        timed(pipeline, "Pairs", &pairs)
    };
    let of = |key: &str, value| (key.to_owned(), value);
    // Of two at the same time, the one of the greater encoding.
    check(Size::Tiny, |p| pairs(p).apply(Latest::per_key()), [of("a", 3), of("b", 6)]);
    check(Size::Tiny, |p| pairs(p).apply(Earliest::per_key()), [of("a", 5), of("b", 4)]);
    check(Size::Tiny, |p| pairs(p).apply(Latest::globally()), [of("b", 6)]);
    let by_ten = || WindowInto::of(FixedWindows::of(ms(10)));
    check(
        Size::Tiny,
        |p| pairs(p).apply(by_ten()).apply(Earliest::globally()),
        [of("a", 5), of("b", 6)],
    );
}
