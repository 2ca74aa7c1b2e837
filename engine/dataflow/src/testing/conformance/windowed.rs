//! Outputs, combining, side inputs and reshuffles in windows: the rows of other tables that are
//! about event time.

use super::Case;
use super::case::expect_failure;
use super::functions::{Sum, texts};
use super::timed::{at, brief, ms, shown, shown_groups, shown_texts, timed, timed_pairs};
use crate::capability::Capability::Windows;
use crate::combine::CombineFn;
use crate::dofn::{BundleState, DoFn, ProcessContext, Tag};
use crate::error::{ErrorCode, Result};
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{
    CombineGlobally, CombinePerKey, Create, GroupByKey, ParDo, ReifyTimestamps, Reshuffle,
    WindowInto, WithTimestamps,
};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};
use crate::view::PCollectionView;
use crate::window::{FixedWindows, GlobalWindows, Sessions, SlidingWindows, Window};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "PD5",
        "outputs get times; back by more than the skew is refused",
        Windows,
        output_times,
    ),
    Case::new(
        "PD6",
        "the end of a bundle puts out with a time and a window",
        Windows,
        end_of_bundle,
    ),
    Case::new("PD8", "a DoFn sees time, window and pane of its element", Windows, seen),
    Case::new("MO4", "tagged outputs keep and set times", Windows, tagged_times),
    Case::new("GB12", "joined inputs keep to their windows", Windows, joined),
    Case::new(
        "CO7",
        "values are combined by fixed window, globally and per key",
        Windows,
        by_fixed,
    ),
    Case::new("CO8", "values are combined in every sliding window by itself", Windows, by_sliding),
    Case::new("CO9", "values are combined by session", Windows, by_session),
    Case::new(
        "CO10",
        "what is combined is a side input by window, with a default",
        Windows,
        as_view,
    ),
    Case::new("SI7", "a side input is that of the window", Windows, side_by_window),
    Case::new("SI8", "a side input in the global window is one for all", Windows, side_global),
    Case::new("SI9", "a window without elements has the default", Windows, side_default),
    Case::new(
        "SI10",
        "an element in many windows sees the side input of each",
        Windows,
        side_in_many,
    ),
    Case::new(
        "SI14",
        "a side input is found at the end of the main window",
        Windows,
        side_of_other_size,
    ),
    Case::new("RE2", "a reshuffle keeps times and windows", Windows, reshuffled),
    Case::new("RE3", "a reshuffle keeps panes", Windows, reshuffled_panes),
];

fn output_times(runner: &dyn Runner) -> Result<()> {
    let shift = |by: i64| {
        each(move |n: i64, ctx: &mut ProcessContext<'_, i64>| ctx.output_at(at(n + by), n))
    };
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([3i64, 42]));
    let timed = numbers.apply_named("Set", shift(0).with_timestamps());
    assert_that(&timed.apply(ReifyTimestamps)).contains_in_any_order([(3, at(3)), (42, at(42))]);
    let back = timed.apply_named("Back", shift(-1000).with_allowed_skew(ms(1000)));
    let want = [(3, at(-997)), (42, at(-958))];
    assert_that(&back.apply(ReifyTimestamps)).contains_in_any_order(want);
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let timed = pipeline.apply(Create::of([3i64])).apply_named("Set", shift(0).with_timestamps());
    timed.apply_named("Back", shift(-1000).with_allowed_skew(ms(10)));
    expect_failure(pipeline.run(), ErrorCode::TIME_OUT_OF_BOUNDS, &["Back", "skew"])?;
    let pipeline = TestPipeline::on(runner);
    pipeline.apply(Create::of([3i64])).apply_named("Set", shift(0));
    let words = ["Set", "with_timestamps"];
    expect_failure(pipeline.run(), ErrorCode::NOT_DECLARED, &words).map(drop)
}

/// Puts out nothing but how many elements its bundle had, in a window of its own.
#[derive(Clone, Default)]
struct CountAtEnd(BundleState<i64>);

impl DoFn for CountAtEnd {
    type In = i64;
    type Out = (String, i64);

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, (String, i64)>) -> Result<()> {
        *self.0.get() += 1;
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, (String, i64)>) -> Result<()> {
        let count = std::mem::take(self.0.get());
        ctx.output_in(Window::of_millis(3, 4), at(3), ("finish".to_owned(), count))
    }
}

fn end_of_bundle(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..10i64));
    let timed = numbers.apply(WithTimestamps::of(|n: &i64| at(*n)));
    let windowed = timed.apply(WindowInto::of(FixedWindows::of(ms(1))));
    let counts = windowed.apply(ParDo::of(CountAtEnd::default()).with_timestamps());
    let sum = counts.apply(CombinePerKey::of(Sum));
    assert_that(&shown(&sum)).is_singleton("finish 10 in [3,4) at 3".to_owned());
    pipeline.run().map(drop)
}

fn seen(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 3), ("b", 2, 17)]);
    let see = || {
        each(|(key, value): (String, i64), ctx: &mut ProcessContext<'_, String>| {
            let (time, window) = (ctx.timestamp().millis(), brief(ctx.window()));
            ctx.output(format!("{key} {value} at {time} in {window}, {:?}", ctx.pane()))
        })
    };
    let want = ["a 1 at 3 in all, NoFiring", "b 2 at 17 in all, NoFiring"];
    assert_that(&pairs.apply(see())).contains_in_any_order(texts(want));
    let sums = pairs.apply(WindowInto::of(FixedWindows::of(ms(10)))).apply(CombinePerKey::of(Sum));
    let want = ["a 1 at 9 in [0,10), OnTime", "b 2 at 19 in [10,20), OnTime"];
    assert_that(&sums.apply(see())).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn tagged_times(runner: &dyn Runner) -> Result<()> {
    const LATER: Tag<(String, i64)> = Tag::new("later");
    const KEPT: Tag<(String, i64)> = Tag::new("kept");
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 3), ("b", 2, 17)]);
    let tag = each(|pair: (String, i64), ctx: &mut ProcessContext<'_, (String, i64)>| {
        ctx.output_to_at(&LATER, ctx.timestamp() + ms(100), pair.clone())?;
        ctx.output_to(&KEPT, pair)
    });
    let outputs = pairs.apply(tag.with_timestamps().with_output(&LATER).with_output(&KEPT));
    let want = ["a 1 in all at 103", "b 2 in all at 117"];
    assert_that(&shown(&outputs.get(&LATER))).contains_in_any_order(texts(want));
    let want = ["a 1 in all at 3", "b 2 in all at 17"];
    assert_that(&shown(&outputs.get(&KEPT))).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn joined(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    // Clicks are positive, purchases negative.
    let [clicks, purchases] = [
        timed(&pipeline, &[("x", 1, 0), ("x", 2, 3), ("x", 3, 8), ("y", 4, 4)]),
        timed(&pipeline, &[("x", -1, 2), ("y", -2, 7), ("z", -3, 11)]),
    ]
    .map(|pairs| pairs.apply(WindowInto::of(FixedWindows::of(ms(4)))));
    let all = crate::pcollection::PCollectionList::of(&clicks, [purchases]);
    let groups = all.apply(crate::primitives::Flatten).apply(GroupByKey);
    let want = [
        "x [-1, 1, 2] in [0,4) at 3",
        "x [3] in [8,12) at 11",
        "y [-2, 4] in [4,8) at 7",
        "z [-3] in [8,12) at 11",
    ];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

/// Values without keys.
fn values(pairs: &PCollection<(String, i64)>) -> PCollection<i64> {
    pairs.apply(map(|(_, value): (String, i64)| value))
}

fn by_fixed(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed_pairs(&pipeline, [0, 1, 6, 7, 8]);
    let pairs = pairs.apply(WindowInto::of(FixedWindows::of(ms(2))));
    let sums = values(&pairs).apply(CombineGlobally::of(Sum).without_default());
    assert_that(&sums).contains_in_any_order([2, 5, 13]);
    let want =
        ["a 2 in [0,2) at 1", "a 4 in [6,8) at 7", "b 1 in [6,8) at 7", "b 13 in [8,10) at 9"];
    let sums = pairs.apply(CombinePerKey::of(Sum));
    assert_that(&shown(&sums)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

/// A list of all values, which takes what it merges apart.
#[derive(Clone)]
struct Lists;

impl CombineFn for Lists {
    type In = i64;
    type Acc = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, list: &mut Vec<i64>, value: i64) {
        list.push(value);
    }

    fn merge(&self, list: &mut Vec<i64>, mut other: Vec<i64>) {
        list.append(&mut other);
        other.push(-1);
    }

    fn extract(&self, mut list: Vec<i64>) -> Vec<i64> {
        list.sort_unstable();
        list
    }
}

fn by_sliding(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 1), ("k", 2, 2), ("k", 3, 3)]);
    let pairs = pairs.apply(WindowInto::of(SlidingWindows::of(ms(3), ms(1))));
    let lists = values(&pairs).apply(CombineGlobally::of(Lists).without_default());
    let lists = lists.apply(map(|list: Vec<i64>| format!("{list:?}")));
    let want = [
        "[1] in [-1,2) at 1",
        "[1, 2] in [0,3) at 2",
        "[1, 2, 3] in [1,4) at 3",
        "[2, 3] in [2,5) at 4",
        "[3] in [3,6) at 5",
    ];
    assert_that(&shown_texts(&lists)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn by_session(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed_pairs(&pipeline, [0, 4, 7, 10, 16]);
    let pairs = pairs.apply(WindowInto::of(Sessions::with_gap(ms(5))));
    let sums = values(&pairs).apply(CombineGlobally::of(Sum).without_default());
    assert_that(&sums).contains_in_any_order([7, 13]);
    let want = ["a 6 in [0,12) at 11", "b 1 in [10,15) at 14", "b 13 in [16,21) at 20"];
    let sums = pairs.apply(CombinePerKey::of(Sum));
    assert_that(&shown(&sums)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

/// The elements with the sum of their side input and their window.
fn with_sums(main: &PCollection<(String, i64)>, sums: PCollectionView<i64>) -> PCollection<String> {
    let show = each(move |(key, _): (String, i64), ctx: &mut ProcessContext<'_, String>| {
        let sum = *ctx.side(&sums)?;
        ctx.output(format!("{key}{sum} {}", brief(ctx.window())))
    });
    main.apply(show.with_side(&sums))
}

/// Beam's cases of windowed side inputs: main A at 4, B at 15, C at 7 in windows of ten, and the
/// sums of what lies at these times.
fn check_sides(
    runner: &dyn Runner,
    side: &[(&str, i64, i64)],
    windows: WindowInto,
    want: [&str; 3],
) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let main = main_in_tens(&pipeline);
    let side = values(&timed(&pipeline, side).apply(windows));
    let sums = side.apply(CombineGlobally::of(Sum).into_singleton_view());
    assert_that(&with_sums(&main, sums)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn main_in_tens(pipeline: &Pipeline) -> PCollection<(String, i64)> {
    let main = timed(pipeline, &[("A", 0, 4), ("B", 0, 15), ("C", 0, 7)]);
    main.apply(WindowInto::of(FixedWindows::of(ms(10))))
}

const SIDE: [(&str, i64, i64); 3] = [("", 1, 1), ("", 2, 11), ("", 3, 13)];

fn as_view(runner: &dyn Runner) -> Result<()> {
    let windows = WindowInto::of(FixedWindows::of(ms(10)));
    let side = [("", 1, 1), ("", 3, 2)];
    check_sides(runner, &side, windows, ["A4 [0,10)", "B0 [10,20)", "C4 [0,10)"])
}

fn side_by_window(runner: &dyn Runner) -> Result<()> {
    let windows = WindowInto::of(FixedWindows::of(ms(10)));
    check_sides(runner, &SIDE, windows, ["A1 [0,10)", "B5 [10,20)", "C1 [0,10)"])
}

fn side_global(runner: &dyn Runner) -> Result<()> {
    let windows = WindowInto::of(GlobalWindows);
    check_sides(runner, &SIDE, windows, ["A6 [0,10)", "B6 [10,20)", "C6 [0,10)"])
}

fn side_default(runner: &dyn Runner) -> Result<()> {
    let windows = WindowInto::of(FixedWindows::of(ms(10)));
    check_sides(runner, &SIDE[1..], windows, ["A0 [0,10)", "B5 [10,20)", "C0 [0,10)"])
}

fn side_of_other_size(runner: &dyn Runner) -> Result<()> {
    // The window of seven that holds 9 is [7,14), that which holds 19 is [14,21).
    let windows = WindowInto::of(FixedWindows::of(ms(7)));
    check_sides(runner, &SIDE, windows, ["A5 [0,10)", "B0 [10,20)", "C5 [0,10)"])
}

fn side_in_many(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let main = timed(&pipeline, &[("a:", 0, 2)]);
    let main = main.apply(WindowInto::of(SlidingWindows::of(ms(5), ms(1))));
    let one = pipeline.apply(Create::of([1i64])).as_singleton_view();
    let want = ["a:1 [-2,3)", "a:1 [-1,4)", "a:1 [0,5)", "a:1 [1,6)", "a:1 [2,7)"];
    assert_that(&with_sums(&main, one)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn reshuffled(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 3), ("b", 2, 17)]);
    let want = ["a 1 in all at 3", "b 2 in all at 17"];
    assert_that(&shown(&pairs.apply(Reshuffle))).contains_in_any_order(texts(want));
    let fixed = pairs.apply(WindowInto::of(FixedWindows::of(ms(10)))).apply(Reshuffle);
    let want = ["a 1 in [0,10) at 3", "b 2 in [10,20) at 17"];
    assert_that(&shown(&fixed)).contains_in_any_order(texts(want));
    let sessions = pairs.apply(WindowInto::of(Sessions::with_gap(ms(20)))).apply(Reshuffle);
    let all = sessions.apply(map(|(_, value): (String, i64)| ("all".to_owned(), value)));
    let groups = all.apply(GroupByKey);
    assert_that(&shown_groups(&groups)).is_singleton("all [1, 2] in [3,37) at 36".to_owned());
    pipeline.run().map(drop)
}

fn reshuffled_panes(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 3), ("b", 2, 17)]);
    let see = || {
        each(|(key, _): (String, i64), ctx: &mut ProcessContext<'_, String>| {
            ctx.output(format!("{key} {:?}", ctx.pane()))
        })
    };
    let before = pairs.apply(Reshuffle).apply(see());
    assert_that(&before).contains_in_any_order(texts(["a NoFiring", "b NoFiring"]));
    let after = pairs.apply(CombinePerKey::of(Sum)).apply(Reshuffle).apply(see());
    assert_that(&after).contains_in_any_order(texts(["a OnTime", "b OnTime"]));
    pipeline.run().map(drop)
}
