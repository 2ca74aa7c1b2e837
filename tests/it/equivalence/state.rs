//! Functions with state and timers: Beam's own cases, by the names of its suite.

use std::time::Duration;

use levain::prelude::*;

use super::{Size, check, texts};

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Values of one or more keys, each at its time.
fn timed(pipeline: &Pipeline, values: &[(&str, i64, i64)]) -> PCollection<(String, i64)> {
    let values: Vec<(String, (i64, i64))> =
        values.iter().map(|&(key, value, time)| (key.to_owned(), (value, time))).collect();
    let values = pipeline.apply(Create::of(values));
    let values = values.apply(WithTimestamps::of(|pair: &(String, (i64, i64))| at(pair.1.1)));
    values.apply(Map::of(|(key, (value, _)): (String, (i64, i64))| (key, value)))
}

const SEEN: ValueState<i64> = ValueState::new("seen");

/// Puts out how many elements of the key came before, from a number on in steps.
#[derive(Clone)]
struct Numbered {
    first: i64,
    step: i64,
}

impl StatefulDoFn for Numbered {
    type Key = String;
    type Value = i64;
    type Out = i64;

    fn process(
        &mut self,
        _: &String,
        _: i64,
        ctx: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        let seen = ctx.value(&SEEN)?.unwrap_or(0);
        ctx.set_value(&SEEN, seen + 1)?;
        ctx.output(self.first + seen * self.step)
    }
}

#[test]
fn st1_and_st2_state_is_of_one_function_and_key() {
    check(
        Size::Tiny,
        |pipeline| {
            let pairs = [("hello", 42), ("hello", 97), ("hello", 84), ("bye", 1)];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
            let pairs = pipeline.apply(Create::of(pairs));
            let first = pairs.apply(StatefulParDo::of(Numbered { first: 0, step: 1 }));
            let other = pairs.apply(StatefulParDo::of(Numbered { first: 13, step: 13 }));
            PCollectionList::of(&first, [other]).apply(Flatten)
        },
        [0, 1, 2, 0, 13, 26, 39, 13],
    );
}

#[test]
fn st3_state_is_of_one_window() {
    check(
        Size::Tiny,
        |pipeline| {
            let times = [("k", 0, 1), ("k", 0, 2), ("k", 0, 3), ("k", 0, 11), ("k", 0, 13)];
            let windows = WindowInto::of(FixedWindows::of(ms(10)));
            let numbered = StatefulParDo::of(Numbered { first: 0, step: 1 });
            let numbers = timed(pipeline, &times).apply(windows).apply(numbered);
            numbers.apply(ReifyWindows).apply(Map::of(
                |(number, _, window): (i64, Timestamp, Window)| format!("{number} {window}"),
            ))
        },
        texts([
            "0 [0.000 s, 0.010 s)",
            "1 [0.000 s, 0.010 s)",
            "2 [0.000 s, 0.010 s)",
            "0 [0.010 s, 0.020 s)",
            "1 [0.010 s, 0.020 s)",
        ]),
    );
}

const BAG: BagState<i64> = BagState::new("bag");
const SET: SetState<i64> = SetState::new("set");
const MAP: MapState<i64, i64> = MapState::new("map");
const SUM: CombiningState<Sum<i64>> = CombiningState::new("sum");

/// Keeps values in state of every kind, and shows it all at the end.
#[derive(Clone)]
struct Keeps;

impl StatefulDoFn for Keeps {
    type Key = String;
    type Value = i64;
    type Out = String;

    fn process(
        &mut self,
        _: &String,
        value: i64,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        if value < 0 {
            ctx.remove(&MAP, &(-value % 10))?;
            return Ok(());
        }
        ctx.add_to_bag(&BAG, value)?;
        ctx.add_to_set(&SET, value % 10)?;
        ctx.put(&MAP, value % 10, value)?;
        ctx.combine(&SUM, &Sum::new(), value)
    }

    fn on_window_expiration(
        &mut self,
        key: &String,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        let mut bag = ctx.bag(&BAG)?.to_vec();
        bag.sort_unstable();
        let (set, entries) = (ctx.set(&SET)?, ctx.entries(&MAP)?);
        let (has_four, of_seven) = (ctx.set_contains(&SET, &4)?, ctx.get(&MAP, &7)?);
        let sum = ctx.combined(&SUM, &Sum::new())?;
        ctx.output(format!("{key} {bag:?} {set:?} {entries:?} {has_four} {of_seven:?} {sum}"))
    }
}

#[test]
fn st4_state_of_every_kind_is_kept() {
    check(
        Size::Tiny,
        |pipeline| {
            let values = [("k", 97, 1), ("k", 42, 2), ("k", 84, 3), ("k", 12, 4), ("k", -2, 5)];
            timed(pipeline, &values).apply(StatefulParDo::by_time(Keeps))
        },
        texts(["k [12, 42, 84, 97] [2, 4, 7] [(4, 84), (7, 97)] true Some(97) 235"]),
    );
}

const ALARM: TimerFamily = TimerFamily::new("alarm");

/// Puts out 3 for each element, and 42 when a timer comes; each timer sets the next, a few times.
#[derive(Clone)]
struct Alarms {
    repeats: i64,
}

impl StatefulDoFn for Alarms {
    type Key = String;
    type Value = i64;
    type Out = i64;

    fn process(
        &mut self,
        _: &String,
        value: i64,
        ctx: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        ctx.set_timer(ALARM, at(value))?;
        ctx.output(3)
    }

    fn on_timer(
        &mut self,
        _: &String,
        timer: &Timer,
        ctx: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        assert!(timer.is_of(ALARM), "no other is set");
        let seen = ctx.value(&SEEN)?.unwrap_or(0) + 1;
        ctx.set_value(&SEEN, seen)?;
        if seen < self.repeats {
            ctx.set_timer(ALARM, timer.timestamp + ms(1))?;
        }
        ctx.output(42)
    }
}

/// Each number as text, with its time.
fn with_times(numbers: &PCollection<i64>) -> PCollection<String> {
    numbers
        .apply(ReifyTimestamps)
        .apply(Map::of(|(number, time): (i64, Timestamp)| format!("{number} at {}", time.millis())))
}

#[test]
fn st7_and_st8_timers_come_and_set_others() {
    check(
        Size::Tiny,
        |pipeline| {
            let alarms = StatefulParDo::of(Alarms { repeats: 3 });
            with_times(&timed(pipeline, &[("a", 10, 1), ("b", 20, 2)]).apply(alarms))
        },
        texts([
            "3 at 1", "3 at 2", "42 at 10", "42 at 11", "42 at 12", "42 at 20", "42 at 21",
            "42 at 22",
        ]),
    );
}

#[test]
fn st9_a_timer_comes_in_its_window() {
    check(
        Size::Tiny,
        |pipeline| {
            let windows = WindowInto::of(SlidingWindows::of(ms(30), ms(10)));
            let alarms = timed(pipeline, &[("a", 9, 5)]).apply(windows);
            let numbers = alarms.apply(StatefulParDo::of(Alarms { repeats: 1 }));
            numbers.apply(ReifyWindows).apply(Map::of(
                |(number, _, window): (i64, Timestamp, Window)| (number, window.max_timestamp()),
            ))
        },
        [3, 42].into_iter().flat_map(|number| [9, 19, 29].map(|end| (number, at(end)))),
    );
}

/// Sets timers by tag, clears some, and shows the tags of those that come.
#[derive(Clone)]
struct Tagged;

impl StatefulDoFn for Tagged {
    type Key = String;
    type Value = i64;
    type Out = String;

    fn process(
        &mut self,
        _: &String,
        _: i64,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        ctx.set_timer_tagged(ALARM, "first", at(50))?;
        ctx.set_timer_tagged(ALARM, "again", at(10))?;
        ctx.set_timer_tagged(ALARM, "again", at(70))?;
        ctx.set_timer_tagged(ALARM, "never", at(60))?;
        ctx.clear_timer_tagged(ALARM, "never");
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: &String,
        timer: &Timer,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        ctx.output(format!("{} {}", timer.tag, timer.timestamp.millis()))
    }
}

#[test]
fn st11_the_last_time_that_is_set_counts() {
    check(
        Size::Tiny,
        |pipeline| timed(pipeline, &[("a", 0, 1)]).apply(StatefulParDo::of(Tagged)),
        texts(["first 50", "again 70"]),
    );
}

const LATEST: ValueState<i64> = ValueState::new("latest");

/// Puts out how elements and timers follow each other.
#[derive(Clone)]
struct InOrder;

impl StatefulDoFn for InOrder {
    type Key = String;
    type Value = i64;
    type Out = String;

    fn process(
        &mut self,
        _: &String,
        _: i64,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        let now = ctx.timestamp().millis();
        let latest = ctx.value(&LATEST)?.unwrap_or(i64::MIN);
        assert!(latest <= now, "{latest} came before {now}");
        ctx.set_value(&LATEST, now)?;
        if now % 100 == 0 {
            ctx.set_timer_tagged(ALARM, &now.to_string(), at(now) + ms(50))?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: &String,
        timer: &Timer,
        ctx: &mut StatefulContext<'_, '_, String>,
    ) -> Result<()> {
        let latest = ctx.value(&LATEST)?.unwrap_or(i64::MIN);
        ctx.output(format!("{} after {latest}", timer.tag))
    }
}

#[test]
fn st12_elements_come_by_time_and_timers_between_them() {
    check(
        Size::Large,
        |pipeline| {
            // A thousand elements in disorder, of one key.
            let times = (0..1000i64).map(|n| n * 7919 % 1000);
            let times = pipeline.apply(Create::of(times));
            let timed = times.apply(WithTimestamps::of(|time: &i64| at(*time)));
            let keyed = timed.apply(Map::of(|time: i64| (format!("{:0400}", 0), time)));
            keyed.apply(StatefulParDo::by_time(InOrder))
        },
        (0..10).map(|n| format!("{} after {}", n * 100, n * 100 + 50)),
    );
}

const FEW: Tag<String> = Tag::new("few");

/// Puts first elements on the main output and others on a tag, with a side input.
#[derive(Clone)]
struct FirstOnly {
    note: PCollectionView<String>,
}

impl StatefulDoFn for FirstOnly {
    type Key = String;
    type Value = i64;
    type Out = i64;

    fn process(
        &mut self,
        key: &String,
        value: i64,
        ctx: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        if ctx.add_to_set(&SET, value)? {
            return ctx.output(value);
        }
        let note = ctx.side(&self.note)?;
        ctx.output_to(&FEW, format!("{key}{value} {note}"))
    }
}

#[test]
fn st5_state_side_inputs_and_tags_go_together() {
    check(
        Size::Tiny,
        |pipeline| {
            let note = pipeline.apply_named("Note", Create::of(["again".to_owned()]));
            let note = note.as_singleton_view();
            let values = timed(pipeline, &[("k", 1, 1), ("k", 1, 2), ("j", 1, 1), ("k", 2, 9)]);
            let first = StatefulParDo::of(FirstOnly { note }).with_side(&note).with_output(&FEW);
            let outputs = values.apply(first);
            let main = outputs.main.apply(Map::of(|value: i64| value.to_string()));
            PCollectionList::of(&main, [outputs.get(&FEW)]).apply(Flatten)
        },
        texts(["1", "1", "2", "k1 again"]),
    );
}
