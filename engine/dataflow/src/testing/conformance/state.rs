//! State and timers.

use std::marker::PhantomData;
use std::sync::Arc;

use super::Case;
use super::case::{ensure, expect_failure};
use super::functions::{Odd, Sum, texts};
use super::timed::{at, ms, shown_texts, timed};
use crate::capability::Capability::{EventTimers, State};
use crate::coder::{Coder as _, Preview};
use crate::dofn::Tag;
use crate::element::Element;
use crate::error::{ErrorCode, Result};
use crate::pcollection::PCollection;
use crate::pipeline::Pipeline;
use crate::primitives::{CombinePerKey, Create, StatefulParDo, WindowInto, WithTimestamps};
use crate::runner::Runner;
use crate::state::{
    BagState, CombiningState, MapState, SetState, StatefulContext, StatefulDoFn, Timer,
    TimerFamily, ValueState,
};
use crate::testing::{TestPipeline, assert_that, map};
use crate::window::{FixedWindows, SlidingWindows, Window};

pub(super) const CASES: &[Case] = &[
    Case::new("ST1", "a value is kept for each key", State, value),
    Case::new("ST2", "state of one name in two functions is apart", State, apart),
    Case::new("ST3", "state is of one window", State, by_window),
    Case::new(
        "ST4",
        "bags, sets, maps and combined values are kept, looked up and forgotten",
        State,
        kinds,
    ),
    Case::new("ST5", "state and side inputs go together", State, with_side),
    Case::new(
        "ST6",
        "keys and state have any coder; keys whose encodings may differ are refused",
        State,
        coders,
    ),
    Case::new(
        "ST7",
        "a timer comes after its element, also of what was grouped",
        EventTimers,
        timer,
    ),
    Case::new(
        "ST8",
        "timers of many keys come at their times, and set others",
        EventTimers,
        looping,
    ),
    Case::new("ST9", "a timer comes in its own window", EventTimers, in_window),
    Case::new("ST10", "a timer after the end of its window is refused", EventTimers, out_of_bounds),
    Case::new(
        "ST11",
        "the last time that is set counts, and a cleared timer never comes",
        EventTimers,
        cleared,
    ),
    Case::new("ST12", "elements come by time where that is asked for", State, by_time),
    Case::new("ST13", "each key and window expires once", State, expired),
];

type Context<'a, 'b> = StatefulContext<'a, 'b, String>;
type Process = dyn Fn(&str, i64, &mut Context<'_, '_>) -> Result<()> + Send + Sync;
type OnTimer = dyn Fn(&Timer, &mut Context<'_, '_>) -> Result<()> + Send + Sync;
type OnExpiration = dyn Fn(&str, &mut Context<'_, '_>) -> Result<()> + Send + Sync;

/// A stateful function of closures.
#[derive(Clone)]
struct Stateful {
    process: Arc<Process>,
    on_timer: Arc<OnTimer>,
    on_expiration: Arc<OnExpiration>,
}

impl Stateful {
    fn of(
        process: impl Fn(&str, i64, &mut Context<'_, '_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            process: Arc::new(process),
            on_timer: Arc::new(|_, _| Ok(())),
            on_expiration: Arc::new(|_, _| Ok(())),
        }
    }

    fn on_timer(
        mut self,
        on_timer: impl Fn(&Timer, &mut Context<'_, '_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_timer = Arc::new(on_timer);
        self
    }

    fn on_expiration(
        mut self,
        on_expiration: impl Fn(&str, &mut Context<'_, '_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.on_expiration = Arc::new(on_expiration);
        self
    }
}

impl StatefulDoFn for Stateful {
    type Key = String;
    type Value = i64;
    type Out = String;

    fn process(&mut self, key: &String, value: i64, ctx: &mut Context<'_, '_>) -> Result<()> {
        (self.process)(key, value, ctx)
    }

    fn on_timer(&mut self, _: &String, timer: &Timer, ctx: &mut Context<'_, '_>) -> Result<()> {
        (self.on_timer)(timer, ctx)
    }

    fn on_window_expiration(&mut self, key: &String, ctx: &mut Context<'_, '_>) -> Result<()> {
        (self.on_expiration)(key, ctx)
    }
}

const SEEN: ValueState<i64> = ValueState::new("seen");
const BAG: BagState<i64> = BagState::new("bag");
const SET: SetState<i64> = SetState::new("set");
const MAP: MapState<i64, i64> = MapState::new("map");
const SUM: CombiningState<Sum> = CombiningState::new("sum");
const ALARM: TimerFamily = TimerFamily::new("alarm");

/// Numbers the elements of a key: from `first` on, in steps.
fn numbered(first: i64, step: i64) -> Stateful {
    Stateful::of(move |_, _, ctx| {
        let seen = ctx.value(&SEEN)?.unwrap_or(0);
        ctx.set_value(&SEEN, seen + 1)?;
        ctx.output((first + seen * step).to_string())
    })
}

/// The values of Beam's tests of state.
fn hellos(pipeline: &Pipeline) -> PCollection<(String, i64)> {
    let values = [42i64, 97, 84].map(|value| ("hello".to_owned(), value));
    pipeline.apply(Create::of(values))
}

fn value(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = hellos(&pipeline).apply(StatefulParDo::of(numbered(0, 1)));
    assert_that(&numbers).contains_in_any_order(texts(["0", "1", "2"]));
    pipeline.run().map(drop)
}

fn apart(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let hellos = hellos(&pipeline);
    let [first, second] = [(0, 1), (13, 13)]
        .map(|(first, step)| hellos.apply(StatefulParDo::of(numbered(first, step))));
    assert_that(&first).contains_in_any_order(texts(["0", "1", "2"]));
    assert_that(&second).contains_in_any_order(texts(["13", "26", "39"]));
    pipeline.run().map(drop)
}

fn by_window(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let times = [1, 2, 3, 11, 13].map(|time| ("hello", 7, time));
    let values = timed(&pipeline, &times).apply(WindowInto::of(FixedWindows::of(ms(10))));
    let numbers = values.apply(StatefulParDo::of(numbered(0, 1)));
    let first = Window::of_millis(0, 10);
    let second = Window::of_millis(10, 20);
    assert_that(&numbers).contains_in_window(first, texts(["0", "1", "2"]));
    assert_that(&numbers).contains_in_window(second, texts(["0", "1"]));
    pipeline.run().map(drop)
}

fn kinds(runner: &dyn Runner) -> Result<()> {
    let keeps = Stateful::of(|_, value, ctx| {
        ctx.add_to_bag(&BAG, value)?;
        ctx.add_to_set(&SET, value % 10)?;
        ctx.put(&MAP, value % 10, 1)?;
        ctx.combine(&SUM, &Sum, value)
    });
    let keeps = keeps.on_expiration(|key, ctx| {
        let mut bag = ctx.bag(&BAG)?.to_vec();
        bag.sort_unstable();
        let (set, entries, sum) = (ctx.set(&SET)?, ctx.entries(&MAP)?, ctx.combined(&SUM, &Sum)?);
        ctx.output(format!("{key} {bag:?} {set:?} {entries:?} {sum}"))
    });
    let pipeline = TestPipeline::on(runner);
    let values = [97i64, 42, 84, 12].map(|value| ("k".to_owned(), value));
    let kept = pipeline.apply(Create::of(values)).apply(StatefulParDo::of(keeps));
    let want = "k [12, 42, 84, 97] [2, 4, 7] [(2, 1), (4, 1), (7, 1)] 235";
    assert_that(&kept).is_singleton(want.to_owned());
    pipeline.run()?;
    looked_up(runner)?;
    deduplicated(runner)
}

/// State is looked up, forgotten, and there again where it is used anew.
fn looked_up(runner: &dyn Runner) -> Result<()> {
    let looks = Stateful::of(|_, value, ctx| {
        ctx.add_to_bag(&BAG, value)?;
        ctx.add_to_set(&SET, value)?;
        ctx.put(&MAP, value, 2 * value)?;
        ctx.set_value(&SEEN, value)?;
        ctx.combine(&SUM, &Sum, value)
    });
    let looks = looks.on_expiration(|_, ctx| {
        let found = [42, 7].map(|value| ctx.set_contains(&SET, &value));
        let doubled = [42, 7].map(|value| ctx.get(&MAP, &value));
        ctx.output(format!("{found:?} {doubled:?}"))?;
        ctx.remove(&MAP, &42)?;
        ctx.clear_bag(&BAG);
        ctx.clear_value(&SEEN);
        ctx.clear_combined(&SUM);
        ctx.combine(&SUM, &Sum, 5)?;
        let (bag, entries, seen) = (ctx.bag(&BAG)?.len(), ctx.entries(&MAP)?, ctx.value(&SEEN)?);
        ctx.output(format!("{bag} {entries:?} {seen:?} {}", ctx.combined(&SUM, &Sum)?))
    });
    let pipeline = TestPipeline::on(runner);
    let values = [42i64, 84].map(|value| ("k".to_owned(), value));
    let lines = pipeline.apply(Create::of(values)).apply(StatefulParDo::of(looks));
    let found = "[Ok(true), Ok(false)] [Ok(Some(84)), Ok(None)]";
    assert_that(&lines).contains_in_any_order(texts([found, "0 [(84, 168)] None 5"]));
    pipeline.run().map(drop)
}

/// What was seen before goes to another output, at the end of its window.
fn deduplicated(runner: &dyn Runner) -> Result<()> {
    const AGAIN: Tag<String> = Tag::new("again");
    let once = Stateful::of(|key, value, ctx| {
        let shown = format!("{key} {value}");
        if ctx.add_to_set(&SET, value)? {
            return ctx.output_at(ctx.window().max_timestamp(), shown);
        }
        ctx.count("again", 1);
        ctx.output_to(&AGAIN, format!("{shown} at {}", ctx.timestamp().millis()))
    });
    let pipeline = TestPipeline::on(runner);
    let values = timed(&pipeline, &[("a", 1, 3), ("b", 1, 4), ("a", 1, 3), ("a", 1, 13)]);
    let windows = values.apply(WindowInto::of(FixedWindows::of(ms(10))));
    let outputs = windows.apply(StatefulParDo::of(once).with_output(&AGAIN));
    let want = ["a 1 in [0,10) at 9", "b 1 in [0,10) at 9", "a 1 in [10,20) at 19"];
    assert_that(&shown_texts(&outputs.main)).contains_in_any_order(texts(want));
    assert_that(&outputs.get(&AGAIN)).is_singleton("a 1 at 3".to_owned());
    let counted = pipeline.run()?.metrics.counter("again");
    ensure(counted == 1, || format!("{counted} were counted, not 1"))
}

fn with_side(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let names = pipeline.apply(Create::of([0i64, 1, 2])).as_iterable_view();
    let count = Stateful::of(|_, value, ctx| ctx.add_to_bag(&BAG, value));
    let show = count.on_expiration(move |_, ctx| {
        let mut bag = ctx.bag(&BAG)?.to_vec();
        bag.sort_unstable();
        let mut side: Vec<i64> = ctx.side(&names)?.iter().collect();
        side.sort_unstable();
        ctx.output(format!("{bag:?} {side:?}"))
    });
    let shown = hellos(&pipeline).apply(StatefulParDo::of(show).with_side(&names));
    assert_that(&shown).is_singleton("[42, 84, 97] [0, 1, 2]".to_owned());
    pipeline.run().map(drop)
}

/// Puts out 3 for each element; its timer, set for the value, puts out 42 so many times.
fn alarms(repeats: i64) -> Stateful {
    let set = Stateful::of(|_, value, ctx| {
        ctx.set_timer(ALARM, at(value))?;
        ctx.output("3".to_owned())
    });
    set.on_timer(move |timer, ctx| {
        let seen = ctx.value(&SEEN)?.unwrap_or(0) + 1;
        ctx.set_value(&SEEN, seen)?;
        if seen < repeats {
            ctx.set_timer(ALARM, timer.timestamp + ms(1))?;
        }
        ctx.output("42".to_owned())
    })
}

/// Lists what came before for a key of any type, in state of another coder than those of elements.
#[derive(Clone)]
struct Before<K>(PhantomData<fn(K)>);

const BEFORE: ValueState<Option<Vec<(bool, i64)>>> = ValueState::new("before");
const SET_OF_ODD: SetState<Odd> = SetState::new("odd");

impl<K: Element> StatefulDoFn for Before<K> {
    type Key = K;
    type Value = i64;
    type Out = String;

    fn process(&mut self, _: &K, value: i64, ctx: &mut Context<'_, '_>) -> Result<()> {
        let mut before = ctx.value(&BEFORE)?.flatten().unwrap_or_default();
        before.push((value > 2, value));
        ctx.set_value(&BEFORE, Some(before))?;
        // Equal are those with equal encodings: two values of three are one.
        ctx.add_to_set(&SET_OF_ODD, Odd(value % 2)).map(drop)
    }

    fn on_window_expiration(&mut self, key: &K, ctx: &mut Context<'_, '_>) -> Result<()> {
        let mut preview = Preview::default();
        K::coder().preview(key, &mut preview);
        let before = ctx.value(&BEFORE)?.flatten();
        let count = ctx.set(&SET_OF_ODD)?.len();
        ctx.output(format!("{}: {before:?}, {count}", preview.finish()))
    }
}

/// What [`Before`] keeps of three values under one key and one under another.
fn kept_under<K: Element>(pipeline: &Pipeline, key: &K, other: &K) -> PCollection<String> {
    let pairs = [(key, 1i64), (key, 3), (other, 2), (key, 5)];
    let pairs = pairs.map(|(key, value)| (key.clone(), value));
    let timed =
        pipeline.apply(Create::of(pairs)).apply(WithTimestamps::of(|pair: &(K, i64)| at(pair.1)));
    // In windows keys are nested, and more bytes follow theirs.
    let windows = timed.apply(WindowInto::of(FixedWindows::of(ms(4))));
    windows.apply(StatefulParDo::by_time(Before(PhantomData)))
}

/// Claims that [`Before`] has told the two keys apart.
fn check_kept(lines: &PCollection<String>) {
    let kept = lines.apply(map(|line: String| match line.split_once(": Some(") {
        Some((_, kept)) => kept.to_owned(),
        None => line,
    }));
    let want = ["[(false, 1), (true, 3)]), 1", "[(true, 5)]), 1", "[(false, 2)]), 1"];
    assert_that(&kept).contains_in_any_order(texts(want));
}

fn coders(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    check_kept(&kept_under(&pipeline, &Odd(8), &Odd(9)));
    check_kept(&kept_under(&pipeline, &Some(String::new()), &None));
    check_kept(&kept_under(&pipeline, &vec![vec![1i64], vec![]], &vec![vec![], vec![1i64]]));
    check_kept(&kept_under(&pipeline, &(1i64, vec![2u8]), &(1, vec![])));
    pipeline.run()?;
    let pipeline = TestPipeline::on(runner);
    kept_under(&pipeline, &0.5f64, &1.5);
    let words = ["double", "Before", "state.rs:"];
    expect_failure(pipeline.run(), ErrorCode::KEY_NOT_DETERMINISTIC, &words).map(drop)
}

fn timer(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let values = timed(&pipeline, &[("hello", 37, 1)]);
    let rung = values.apply(StatefulParDo::of(alarms(1)));
    let want = ["3 in all at 1", "42 in all at 37"];
    assert_that(&shown_texts(&rung)).contains_in_any_order(texts(want));
    let sums = timed(&pipeline, &[("k", 30, 1), ("k", 7, 2)]);
    let sums = sums.apply(WindowInto::of(FixedWindows::of(ms(100)))).apply(CombinePerKey::of(Sum));
    let rung = sums.apply(StatefulParDo::of(alarms(1)));
    let want = ["3 in [0,100) at 99", "42 in [0,100) at 37"];
    assert_that(&shown_texts(&rung)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn looping(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let keys: Vec<String> = (0..20).map(|key| format!("key {key}")).collect();
    let values: Vec<_> = keys.iter().map(|key| (key.as_str(), 1000, 1)).collect();
    let rung = timed(&pipeline, &values).apply(StatefulParDo::of(alarms(5)));
    let times = (1000..1005).map(|time| format!("42 in all at {time}"));
    let of_key = times.chain(["3 in all at 1".to_owned()]);
    let want = (0..20).flat_map(|_| of_key.clone()).collect::<Vec<_>>();
    assert_that(&shown_texts(&rung)).contains_in_any_order(want);
    pipeline.run().map(drop)
}

fn in_window(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let windows = WindowInto::of(SlidingWindows::of(ms(30), ms(10)));
    let rung = timed(&pipeline, &[("a", 9, 5)]).apply(windows);
    let rung = rung.apply(StatefulParDo::of(alarms(1)));
    let want = ["[-20,10)", "[-10,20)", "[0,30)"];
    let want = want.map(|window| [format!("3 in {window} at 5"), format!("42 in {window} at 9")]);
    assert_that(&shown_texts(&rung)).contains_in_any_order(want.concat());
    pipeline.run().map(drop)
}

fn out_of_bounds(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let values = timed(&pipeline, &[("a", 10, 5)]).apply(WindowInto::of(FixedWindows::of(ms(10))));
    values.apply_named("Alarms", StatefulParDo::of(alarms(1)));
    let words = ["timer", "expiration", "Alarms"];
    expect_failure(pipeline.run(), ErrorCode::TIME_OUT_OF_BOUNDS, &words).map(drop)
}

fn cleared(runner: &dyn Runner) -> Result<()> {
    let sets = Stateful::of(|_, _, ctx| {
        ctx.set_timer_tagged(ALARM, "first", at(50))?;
        ctx.set_timer_tagged(ALARM, "again", at(10))?;
        ctx.set_timer_tagged(ALARM, "again", at(70))?;
        ctx.set_timer_tagged(ALARM, "never", at(60))?;
        ctx.clear_timer_tagged(ALARM, "never");
        ctx.set_timer(ALARM, at(65))?;
        ctx.clear_timer(ALARM);
        Ok(())
    });
    let sets = sets
        .on_timer(|timer, ctx| ctx.output(format!("{} {}", timer.tag, timer.timestamp.millis())));
    let pipeline = TestPipeline::on(runner);
    let rung = timed(&pipeline, &[("a", 0, 1)]).apply(StatefulParDo::of(sets));
    assert_that(&rung).contains_in_any_order(texts(["first 50", "again 70"]));
    pipeline.run().map(drop)
}

fn by_time(runner: &dyn Runner) -> Result<()> {
    let in_order = Stateful::of(|key, value, ctx| {
        let before = ctx.value(&SEEN)?.unwrap_or(-1);
        ctx.set_value(&SEEN, value)?;
        if before < value { Ok(()) } else { ctx.output(format!("{key}: {value} after {before}")) }
    });
    let in_order = in_order.on_expiration(|key, ctx| {
        let last = ctx.value(&SEEN)?;
        ctx.output(format!("{key}: last {last:?}"))
    });
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of((0..1000i64).map(|n| n * 7919 % 1000)));
    let at_times = numbers.apply(WithTimestamps::of(|n: &i64| at(*n)));
    let pairs =
        at_times.apply(map(|n: i64| (if n % 2 == 0 { "even" } else { "odd" }.to_owned(), n)));
    let lines = pairs.apply(StatefulParDo::by_time(in_order));
    let want = ["even: last Some(998)", "odd: last Some(999)"];
    assert_that(&lines).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}

fn expired(runner: &dyn Runner) -> Result<()> {
    let expires =
        Stateful::of(|_, _, _| Ok(())).on_expiration(|key, ctx| ctx.output(key.to_owned()));
    let pipeline = TestPipeline::on(runner);
    let values = [("a", 1, 1), ("a", 2, 2), ("b", 3, 3), ("a", 4, 12)];
    let values = timed(&pipeline, &values).apply(WindowInto::of(FixedWindows::of(ms(10))));
    let ends = values.apply(StatefulParDo::of(expires));
    let want = ["a in [0,10) at 9", "b in [0,10) at 9", "a in [10,20) at 19"];
    assert_that(&shown_texts(&ends)).contains_in_any_order(texts(want));
    pipeline.run().map(drop)
}
