//! Times and windows.

use std::time::Duration;

use super::Case;
use super::case::expect_failure;
use super::functions::{Sum, texts};
use super::timed::{at, ms, shown, shown_groups, timed};
use crate::capability::Capability::Windows;
use crate::dofn::ProcessContext;
use crate::error::{ErrorCode, Result};
use crate::pcollection::PCollectionList;
use crate::primitives::{
    CombinePerKey, Create, Flatten, GroupByKey, Impulse, ReifyTimestamps, ReifyWindows, Reshuffle,
    WindowInto, WithTimestamps,
};
use crate::runner::Runner;
use crate::shuffle::Iterable;
use crate::testing::{TestPipeline, assert_that, each, map};
use crate::time::Timestamp;
use crate::window::{
    FixedWindows, GlobalWindows, Sessions, SlidingWindows, TimestampCombiner, Window, WindowFn,
    WindowFnKind,
};

pub(super) const CASES: &[Case] = &[
    Case::new("WI1", "groups keep to fixed windows", Windows, fixed),
    Case::new("WI2", "an element is in every sliding window that holds it", Windows, sliding),
    Case::new("WI3", "sessions last as long as elements come", Windows, sessions),
    Case::new(
        "WI4",
        "the time of a group is the earliest, the latest, or the end of its window",
        Windows,
        combiners,
    ),
    Case::new("WI5", "what was grouped is put into windows anew", Windows, again),
    Case::new(
        "WI6",
        "without a function windows stay, and custom times too",
        Windows,
        same_windows,
    ),
    Case::new("WI7", "counts by fixed, sliding and merging windows", Windows, counts),
    Case::new(
        "WI8",
        "times before the epoch, at boundaries and at the limits have windows",
        Windows,
        boundaries,
    ),
    Case::new("WI9", "custom window functions assign and merge", Windows, custom),
    Case::new("WI10", "merged windows are kept through a reshuffle", Windows, reshuffled),
    Case::new("WI11", "a group is the first, last and only one of its window", Windows, panes),
    Case::new(
        "WI12",
        "times are given and taken; back by more than the skew is refused",
        Windows,
        times,
    ),
    Case::new(
        "IM2",
        "an impulse stands at the earliest time in the global window",
        Windows,
        impulse,
    ),
    Case::new("CR5", "created elements get their times", Windows, created),
    Case::new(
        "FL6",
        "collections in different windows are not flattened or joined",
        Windows,
        incompatible,
    ),
    Case::new("FL7", "windows are kept through a flatten", Windows, flattened),
];

fn fixed(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 1), ("k", 2, 4), ("k", 3, 5), ("j", 4, 7)]);
    let groups = pairs.apply(WindowInto::of(FixedWindows::of(ms(5)))).apply(GroupByKey);
    let want = ["k [1, 2] in [0,5) at 4", "k [3] in [5,10) at 9", "j [4] in [5,10) at 9"];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn sliding(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("foo", 1, 1), ("foo", 4, 4), ("bar", 3, 3)]);
    let windows = WindowInto::of(SlidingWindows::of(ms(5), ms(3)));
    let want = [
        "foo [1] in [-3,2) at 1",
        "foo [1, 4] in [0,5) at 4",
        "foo [4] in [3,8) at 7",
        "bar [3] in [0,5) at 4",
        "bar [3] in [3,8) at 7",
    ];
    let groups = pairs.apply(windows).apply(GroupByKey);
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn sessions(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("foo", 1, 1), ("foo", 4, 4), ("foo", 9, 9), ("bar", 3, 3)]);
    let groups = pairs.apply(WindowInto::of(Sessions::with_gap(ms(4)))).apply(GroupByKey);
    let want = ["foo [1, 4] in [1,8) at 7", "foo [9] in [9,13) at 12", "bar [3] in [3,7) at 6"];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn combiners(runner: &dyn Runner) -> Result<()> {
    for (combiner, time) in [
        (TimestampCombiner::Earliest, 0),
        (TimestampCombiner::Latest, 10),
        (TimestampCombiner::EndOfWindow, 599_999),
    ] {
        let pipeline = TestPipeline::on(runner);
        let pairs = timed(&pipeline, &[("k", 1, 0), ("k", 2, 10)]);
        let windows = WindowInto::of(FixedWindows::of(ms(600_000)));
        let windowed = pairs.apply(windows.with_timestamp_combiner(combiner));
        let want = format!("k [1, 2] in [0,600000) at {time}");
        assert_that(&shown_groups(&windowed.apply(GroupByKey))).is_singleton(want);
        let sums = windowed.apply(CombinePerKey::of(Sum));
        assert_that(&shown(&sums)).is_singleton(format!("k 3 in [0,600000) at {time}"));
        pipeline.run()?;
    }
    Ok(())
}

fn again(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("foo", 1, 1), ("foo", 4, 4), ("foo", 9, 9), ("bar", 3, 3)]);
    let windows = WindowInto::of(Sessions::with_gap(ms(10)));
    let windows = windows.with_timestamp_combiner(TimestampCombiner::Latest);
    let sums = pairs.apply(windows).apply(CombinePerKey::of(Sum));
    let groups = sums.apply(WindowInto::of(FixedWindows::of(ms(1)))).apply(GroupByKey);
    let want = ["foo [14] in [9,10) at 9", "bar [3] in [3,4) at 3"];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn same_windows(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 4), ("k", 2, 7)]);
    let fixed = pairs.apply(WindowInto::of(FixedWindows::of(ms(10))));
    // The times move out of the window; nothing but a function moves elements into others.
    let later = each(|pair: (String, i64), ctx: &mut ProcessContext<'_, (String, i64)>| {
        ctx.output_at(ctx.timestamp() + ms(100), pair)
    });
    let later = fixed.apply(later.with_timestamps());
    let kept = later.apply(WindowInto::same().with_timestamp_combiner(TimestampCombiner::Latest));
    let want = ["k 1 in [0,10) at 104", "k 2 in [0,10) at 107"];
    assert_that(&shown(&kept)).contains_in_any_order(texts(want));
    let groups = kept.apply(GroupByKey);
    assert_that(&shown_groups(&groups)).is_singleton("k [1, 2] in [0,10) at 107".to_owned());
    pipeline.run().map(drop)
}

fn counts(runner: &dyn Runner) -> Result<()> {
    let ones = [("a", 1, 1), ("b", 1, 2), ("a", 1, 3), ("a", 1, 12)];
    let check = |windows: WindowInto, want: &[&str]| {
        let pipeline = TestPipeline::on(runner);
        let earliest = windows.with_timestamp_combiner(TimestampCombiner::Earliest);
        let counts = timed(&pipeline, &ones).apply(earliest).apply(CombinePerKey::of(Sum));
        assert_that(&shown(&counts)).contains_in_any_order(want.iter().map(|it| (*it).to_owned()));
        pipeline.run().map(drop)
    };
    let fixed = ["a 2 in [0,10) at 1", "b 1 in [0,10) at 2", "a 1 in [10,20) at 12"];
    check(WindowInto::of(FixedWindows::of(ms(10))), &fixed)?;
    let sliding = [
        "a 2 in [-5,5) at 1",
        "b 1 in [-5,5) at 2",
        "a 2 in [0,10) at 1",
        "b 1 in [0,10) at 2",
        "a 1 in [5,15) at 12",
        "a 1 in [10,20) at 12",
    ];
    check(WindowInto::of(SlidingWindows::of(ms(10), ms(5))), &sliding)?;
    let merging = ["a 3 in [1,22) at 1", "b 1 in [2,12) at 2"];
    check(WindowInto::of(Sessions::with_gap(ms(10))), &merging)
}

fn boundaries(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, -1), ("k", 2, -5), ("k", 3, 0), ("k", 4, -6)]);
    let groups = pairs.apply(WindowInto::of(FixedWindows::of(ms(5)))).apply(GroupByKey);
    let want = ["k [1, 2] in [-5,0) at -1", "k [4] in [-10,-5) at -6", "k [3] in [0,5) at 4"];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    let end = Timestamp::END_OF_GLOBAL_WINDOW.millis();
    let limits = timed(&pipeline, &[("first", 1, Timestamp::MIN.millis()), ("last", 2, end)]);
    let groups = limits.apply(WindowInto::same()).apply(GroupByKey);
    let want = [format!("first [1] in all at {end}"), format!("last [2] in all at {end}")];
    assert_that(&shown_groups(&groups)).contains_in_any_order(want);
    pipeline.run().map(drop)
}

/// Windows of 2 for even times, of 3 for odd ones.
#[derive(Debug, Clone)]
struct ByParity;

impl WindowFn for ByParity {
    fn kind(&self) -> WindowFnKind {
        WindowFnKind::Custom("by parity".to_owned())
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        let start = timestamp.millis();
        into.push(Window::of_millis(start, start + if start % 2 == 0 { 2 } else { 3 }));
    }
}

/// Like [`ByParity`], but windows of a key that touch become one, up to a length of four.
#[derive(Debug, Clone)]
struct Growing;

impl WindowFn for Growing {
    fn kind(&self) -> WindowFnKind {
        WindowFnKind::Custom("growing".to_owned())
    }

    fn assign(&self, timestamp: Timestamp, into: &mut Vec<Window>) {
        ByParity.assign(timestamp, into);
    }

    fn merge(&self, current: Window, next: Window) -> Option<Window> {
        let span = current.span(next);
        let Window::Interval { start, end } = span else { return None };
        (end.millis() - start.millis() <= 4).then_some(span)
    }

    fn is_merging(&self) -> bool {
        true
    }
}

fn custom(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs =
        timed(&pipeline, &[("k", 1, 0), ("k", 2, 0), ("k", 3, 1), ("k", 4, 6), ("j", 5, 2)]);
    let groups = pairs.apply(WindowInto::of(ByParity)).apply(GroupByKey);
    let want = [
        "k [1, 2] in [0,2) at 1",
        "k [3] in [1,4) at 3",
        "k [4] in [6,8) at 7",
        "j [5] in [2,4) at 3",
    ];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    let groups = pairs.apply(WindowInto::of(Growing)).apply(GroupByKey);
    let want = ["k [1, 2, 3] in [0,4) at 3", "k [4] in [6,8) at 7", "j [5] in [2,4) at 3"];
    assert_that(&shown_groups(&groups)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn reshuffled(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 0), ("a", 2, 3), ("b", 3, 1)]);
    let sessions = WindowInto::of(Sessions::with_gap(ms(5)));
    let sums = pairs.apply(sessions).apply(CombinePerKey::of(Sum)).apply(Reshuffle);
    // [0,8) and [1,6) intersect; they have merged once, and do not merge again.
    let all = sums.apply(map(|(_, sum): (String, i64)| ("all".to_owned(), sum)));
    let want = ["all [3] in [0,8) at 7", "all [3] in [1,6) at 5"];
    assert_that(&shown_groups(&all.apply(GroupByKey))).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn panes(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 1), ("k", 2, 7)]);
    let before = pairs.apply(each(|_: (String, i64), ctx: &mut ProcessContext<'_, String>| {
        ctx.output(format!("{:?}", ctx.pane()))
    }));
    assert_that(&before).contains_in_any_order(texts(["NoFiring"; 2]));
    let groups = pairs.apply(WindowInto::of(FixedWindows::of(ms(5)))).apply(GroupByKey);
    let after = groups.apply(Reshuffle).apply(each(
        |_: (String, Iterable<i64>), ctx: &mut ProcessContext<'_, String>| {
            ctx.output(format!("{:?}", ctx.pane()))
        },
    ));
    assert_that(&after).contains_in_any_order(texts(["OnTime"; 2]));
    pipeline.run().map(drop)
}

fn times(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([3i64, 42]));
    let late = numbers.apply(WithTimestamps::of(|n: &i64| at(*n)));
    assert_that(&late.apply(ReifyTimestamps)).contains_in_any_order([(3, at(3)), (42, at(42))]);
    let back = |skew: Duration| WithTimestamps::of(|n: &i64| at(n - 1000)).with_allowed_skew(skew);
    let early = late.apply_named("Back", back(ms(1000))).apply(ReifyTimestamps);
    assert_that(&early).contains_in_any_order([(3, at(-997)), (42, at(-958))]);
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    let late = pipeline.apply(Create::of([3i64])).apply(WithTimestamps::of(|n: &i64| at(*n)));
    late.apply_named("Back", back(ms(999)));
    let words = ["Back", "skew", "1000 ms", "999 ms"];
    expect_failure(pipeline.run(), ErrorCode::TIME_OUT_OF_BOUNDS, &words).map(drop)
}

fn impulse(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let impulse = pipeline.apply(Impulse).apply(ReifyWindows);
    assert_that(&impulse).is_singleton((Vec::new(), Timestamp::MIN, Window::Global));
    pipeline.run().map(drop)
}

fn created(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("a", 1, 0), ("b", 2, -7), ("c", 3, 1 << 40)]);
    let want = ["a 1 in all at 0", "b 2 in all at -7", "c 3 in all at 1099511627776"];
    assert_that(&shown(&pairs)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn incompatible(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 1)]);
    let [five, ten] = [5, 10].map(|size| pairs.apply(WindowInto::of(FixedWindows::of(ms(size)))));
    PCollectionList::of(&five, [ten]).apply(Flatten);
    expect_failure(pipeline.run(), ErrorCode::WINDOWS_DIFFER, &["Flatten", "windows.rs:"])?;
    let pipeline = TestPipeline::on(runner);
    let pairs = timed(&pipeline, &[("k", 1, 1)]);
    let global = pairs.apply(WindowInto::of(GlobalWindows));
    let sessions = pairs.apply(WindowInto::of(Sessions::with_gap(ms(5))));
    PCollectionList::of(&sessions, [global]).apply(Flatten);
    expect_failure(pipeline.run(), ErrorCode::WINDOWS_DIFFER, &["Flatten"]).map(drop)
}

fn flattened(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let first = timed(&pipeline, &[("a", 1, 1), ("b", 1, 12)]);
    let second = timed(&pipeline, &[("a", 1, 9), ("a", 1, 19)]);
    let [first, second] =
        [first, second].map(|pairs| pairs.apply(WindowInto::of(FixedWindows::of(ms(10)))));
    let counts = PCollectionList::of(&first, [second]).apply(Flatten).apply(CombinePerKey::of(Sum));
    let want = ["a 2 in [0,10) at 9", "b 1 in [10,20) at 19", "a 1 in [10,20) at 19"];
    assert_that(&shown(&counts)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}
