//! A random program over the whole model, and the pipeline that it is.
//!
//! All collections hold pairs of small integers, so that any step fits any collection. A step names
//! its inputs by numbers that are taken modulo the collections there are.

use std::time::Duration;

use levain::dataflow::testing::{each, map};
use levain::prelude::*;
use proptest::prelude::*;

/// What all collections hold.
pub(super) type Pair = (i64, i64);

/// Values stay below this, so that nothing overflows and keys meet.
const MODULUS: i64 = 97;
/// A step that might make more elements than this is left out.
const SIZE_LIMIT: usize = 3000;

/// One step of a program.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(Vec<Pair>),
    Map { input: usize, factor: i64, swaps: bool },
    Filter { input: usize, divisor: i64 },
    Copies { input: usize, count: usize },
    Split { input: usize, divisor: i64 },
    GroupByKey { input: usize },
    CombinePerKey { input: usize, is_greatest: bool },
    CombineGlobally { input: usize },
    Stateful { input: usize, is_by_time: bool },
    Flatten { inputs: Vec<usize> },
    Reshuffle { input: usize },
    IterableSide { input: usize, side: usize },
    SingletonSide { input: usize, side: usize },
    MapSide { input: usize, side: usize },
    Timestamps { input: usize, factor: i64 },
    Windows { input: usize, windows: Windows },
}

/// How a collection is put into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    Global,
    Fixed(u64),
    Sliding(u64, u64),
    Sessions(u64),
    /// Sessions that a grouping has merged.
    Merged(u64),
}

impl Step {
    /// The name of the kind of step.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Map { .. } => "map",
            Self::Filter { .. } => "filter",
            Self::Copies { .. } => "copies",
            Self::Split { .. } => "split",
            Self::GroupByKey { .. } => "group",
            Self::CombinePerKey { .. } => "combine per key",
            Self::CombineGlobally { .. } => "combine globally",
            Self::Stateful { .. } => "stateful",
            Self::Flatten { .. } => "flatten",
            Self::Reshuffle { .. } => "reshuffle",
            Self::IterableSide { .. } => "iterable side",
            Self::SingletonSide { .. } => "singleton side",
            Self::MapSide { .. } => "map side",
            Self::Timestamps { .. } => "timestamps",
            Self::Windows { .. } => "windows",
        }
    }
}

/// The number of kinds of steps.
pub(super) const KINDS: usize = 16;

fn windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        Just(Windows::Global),
        (1..40u64).prop_map(Windows::Fixed),
        (2..40u64, 1..40u64)
            .prop_map(|(size, period)| Windows::Sliding(size, period.clamp(size / 3 + 1, size))),
        (1..20u64).prop_map(Windows::Sessions),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let input = || 0..12usize;
    let pairs = prop::collection::vec((0..6i64, 0..MODULUS), 0..14);
    prop_oneof![
        2 => pairs.prop_map(Step::Create),
        1 => (input(), 1..10i64, any::<bool>())
            .prop_map(|(input, factor, swaps)| Step::Map { input, factor, swaps }),
        1 => (input(), 2..4i64).prop_map(|(input, divisor)| Step::Filter { input, divisor }),
        1 => (input(), 0..3usize).prop_map(|(input, count)| Step::Copies { input, count }),
        1 => (input(), 2..4i64).prop_map(|(input, divisor)| Step::Split { input, divisor }),
        2 => input().prop_map(|input| Step::GroupByKey { input }),
        2 => (input(), any::<bool>())
            .prop_map(|(input, is_greatest)| Step::CombinePerKey { input, is_greatest }),
        1 => input().prop_map(|input| Step::CombineGlobally { input }),
        1 => (input(), any::<bool>())
            .prop_map(|(input, is_by_time)| Step::Stateful { input, is_by_time }),
        2 => prop::collection::vec(input(), 0..4).prop_map(|inputs| Step::Flatten { inputs }),
        1 => input().prop_map(|input| Step::Reshuffle { input }),
        1 => (input(), input()).prop_map(|(input, side)| Step::IterableSide { input, side }),
        1 => (input(), input()).prop_map(|(input, side)| Step::SingletonSide { input, side }),
        1 => (input(), input()).prop_map(|(input, side)| Step::MapSide { input, side }),
        2 => (input(), 1..5i64).prop_map(|(input, factor)| Step::Timestamps { input, factor }),
        2 => (input(), windows()).prop_map(|(input, windows)| Step::Windows { input, windows }),
    ]
}

/// Programs of up to twelve steps.
pub(super) fn programs() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..12)
}

/// A collection of the pipeline, and what is known of it.
#[derive(Clone)]
struct Made {
    pairs: PCollection<Pair>,
    windows: Windows,
    /// The most elements that it can have.
    size: usize,
    is_read: bool,
}

/// A result that was asked for: every pair with its time and window.
pub(super) type Asked = Collected<(Pair, Timestamp, Window)>;

/// Builds the pipeline of a program, and asks for what no step reads.
pub(super) fn build(program: &[Step]) -> (Pipeline, Vec<Asked>) {
    let pipeline = Pipeline::new();
    let start = pipeline.apply(Create::of([(1i64, 2i64), (1, 3), (2, 2)]));
    let mut building = Building { pipeline: pipeline.clone(), made: Vec::new() };
    building.add(start, Windows::Global, 3);
    program.iter().for_each(|step| building.apply(step));
    let unread = building.made.iter().filter(|made| !made.is_read);
    let asked = unread.map(|made| made.pairs.apply(ReifyWindows).collect()).collect();
    (pipeline, asked)
}

struct Building {
    pipeline: Pipeline,
    made: Vec<Made>,
}

impl Building {
    fn add(&mut self, pairs: PCollection<Pair>, windows: Windows, size: usize) {
        self.made.push(Made { pairs, windows, size, is_read: false });
    }

    fn take(&mut self, place: usize) -> Made {
        let count = self.made.len();
        let made = &mut self.made[place % count];
        made.is_read = true;
        made.clone()
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Create(ref pairs) => {
                let created = self.pipeline.apply(Create::of(pairs.clone()));
                self.add(created, Windows::Global, pairs.len());
            }
            Step::Flatten { ref inputs } => self.flatten(inputs),
            Step::IterableSide { input, side }
            | Step::SingletonSide { input, side }
            | Step::MapSide { input, side } => self.with_side(step, input, side),
            Step::Map { input, .. }
            | Step::Filter { input, .. }
            | Step::Copies { input, .. }
            | Step::Split { input, .. } => self.each(step, input),
            Step::GroupByKey { input }
            | Step::CombinePerKey { input, .. }
            | Step::CombineGlobally { input }
            | Step::Stateful { input, .. } => self.group(step, input),
            Step::Reshuffle { input } => {
                let input = self.take(input);
                self.add(input.pairs.apply(Reshuffle), input.windows, input.size);
            }
            Step::Timestamps { input, factor } => {
                let input = self.take(input);
                let function = move |pair: &Pair| Timestamp::from_millis(pair.1 * factor - MODULUS);
                let timed = WithTimestamps::of(function).with_allowed_skew(Duration::MAX);
                self.add(input.pairs.apply(timed), input.windows, input.size);
            }
            Step::Windows { input, windows } => self.window(input, windows),
        }
    }

    fn each(&mut self, step: &Step, input: usize) {
        let Made { pairs, windows, size, .. } = self.take(input);
        match *step {
            Step::Map { factor, swaps, .. } => {
                let mapped = pairs.apply(map(move |(key, value): Pair| {
                    let value = (value * factor + 1) % MODULUS;
                    if swaps { (value, key) } else { (key, value) }
                }));
                self.add(mapped, windows, size);
            }
            Step::Filter { divisor, .. } => {
                let kept = pairs.apply(each(move |pair: Pair, ctx| match pair.1 % divisor {
                    0 => Ok(()),
                    _ => ctx.output(pair),
                }));
                self.add(kept, windows, size);
            }
            Step::Copies { count, .. } if size * count <= SIZE_LIMIT => {
                let copies = pairs.apply(each(move |pair: Pair, ctx| {
                    (0..count).try_for_each(|copy| ctx.output((pair.0, pair.1 + copy as i64)))
                }));
                self.add(copies, windows, size * count);
            }
            Step::Split { divisor, .. } => {
                const OTHERS: Tag<Pair> = Tag::new("others");
                let split = each(move |pair: Pair, ctx| match pair.1 % divisor {
                    0 => ctx.output_to(&OTHERS, pair),
                    _ => ctx.output(pair),
                });
                let outputs = pairs.apply(split.with_output(&OTHERS));
                self.add(outputs.main.clone(), windows, size);
                self.add(outputs.get(&OTHERS), windows, size);
            }
            _ => {}
        }
    }

    fn group(&mut self, step: &Step, input: usize) {
        let Made { pairs, windows, size, .. } = self.take(input);
        // State is kept in windows that merge no more.
        let must_be_global =
            matches!((step, windows), (Step::Stateful { .. }, Windows::Sessions(_)));
        let (pairs, windows) = match must_be_global {
            true => (pairs.apply(WindowInto::of(GlobalWindows)), Windows::Global),
            false => (pairs, windows),
        };
        let grouped = match windows {
            Windows::Sessions(gap) => Windows::Merged(gap),
            other => other,
        };
        let made = match *step {
            Step::GroupByKey { .. } => pairs.apply(GroupByKey).apply(map(fold)),
            Step::CombinePerKey { is_greatest: true, .. } => greatest(&pairs),
            Step::Stateful { is_by_time: true, .. } => pairs.apply(StatefulParDo::by_time(Keeps)),
            Step::Stateful { .. } => pairs.apply(StatefulParDo::of(Keeps)),
            Step::CombinePerKey { .. } => {
                let sums = pairs.apply(CombinePerKey::of(Sum::<i64>::new()));
                sums.apply(map(|(key, sum): Pair| (key, sum % MODULUS)))
            }
            _ => {
                let values = pairs.apply(map(|pair: Pair| pair.1));
                let sum = CombineGlobally::of(Sum::<i64>::new());
                let sum = if windows == Windows::Global { sum } else { sum.without_default() };
                values.apply(sum).apply(map(|sum: i64| (0, sum % MODULUS)))
            }
        };
        // A stateful function gives two pairs a key, all others one.
        self.add(made, grouped, 2 * size + 1);
    }

    fn flatten(&mut self, inputs: &[usize]) {
        let inputs: Vec<Made> = inputs.iter().map(|&input| self.take(input)).collect();
        let windows = inputs.first().map_or(Windows::Global, |first| first.windows);
        let is_common = inputs.iter().all(|input| input.windows == windows);
        let mut list = PCollectionList::empty(&self.pipeline);
        for input in &inputs {
            let global = || input.pairs.apply(WindowInto::of(GlobalWindows));
            list.push(&if is_common { input.pairs.clone() } else { global() });
        }
        let size = inputs.iter().map(|input| input.size).sum();
        if size <= SIZE_LIMIT {
            let windows = if is_common { windows } else { Windows::Global };
            self.add(list.apply(Flatten), windows, size);
        }
    }

    fn window(&mut self, input: usize, windows: Windows) {
        let Made { pairs, size, .. } = self.take(input);
        let ms = Duration::from_millis;
        let (into, times) = match windows {
            Windows::Global | Windows::Merged(_) => (WindowInto::of(GlobalWindows), 1),
            Windows::Fixed(length) => (WindowInto::of(FixedWindows::of(ms(length))), 1),
            Windows::Sliding(length, period) => {
                let sliding = SlidingWindows::of(ms(length), ms(period));
                (WindowInto::of(sliding), length.div_ceil(period) as usize)
            }
            Windows::Sessions(gap) => (WindowInto::of(Sessions::with_gap(ms(gap))), 1),
        };
        if size * times <= SIZE_LIMIT {
            self.add(pairs.apply(into), windows, size * times);
        }
    }

    fn with_side(&mut self, step: &Step, input: usize, side: usize) {
        let (main, side) = (self.take(input), self.take(side));
        // Windows that may still merge are no windows of a side input.
        let may_be_side = !matches!(side.windows, Windows::Sessions(_) | Windows::Merged(_));
        let global = || side.pairs.apply(WindowInto::of(GlobalWindows));
        let pairs = if may_be_side { side.pairs.clone() } else { global() };
        let made = match step {
            Step::IterableSide { .. } => {
                let view = pairs.as_iterable_view();
                let add = each(move |(key, value): Pair, ctx: &mut ProcessContext<'_, Pair>| {
                    let sum: i64 = ctx.side(&view)?.iter().map(|pair| pair.0 + pair.1).sum();
                    ctx.output((key, (value + sum) % MODULUS))
                });
                main.pairs.apply(add.with_side(&view))
            }
            Step::SingletonSide { .. } => {
                let values = pairs.apply(map(|pair: Pair| pair.1));
                let sum = CombineGlobally::of(Sum::<i64>::new()).into_singleton_view();
                let view = values.apply(sum);
                let add = each(move |(key, value): Pair, ctx: &mut ProcessContext<'_, Pair>| {
                    let sum = *ctx.side(&view)?;
                    ctx.output((key, (value + sum) % MODULUS))
                });
                main.pairs.apply(add.with_side(&view))
            }
            _ => {
                let view = greatest(&pairs).as_map_view();
                let look_up =
                    each(move |(key, value): Pair, ctx: &mut ProcessContext<'_, Pair>| {
                        let greatest = ctx.side(&view)?.get(&key)?;
                        ctx.output((key, (value + greatest.unwrap_or(50)) % MODULUS))
                    });
                main.pairs.apply(look_up.with_side(&view))
            }
        };
        self.add(made, main.windows, main.size);
    }
}

const SUM: ValueState<i64> = ValueState::new("sum");
const SEEN: SetState<i64> = SetState::new("seen");
const ALARM: TimerFamily = TimerFamily::new("alarm");

/// Keeps what depends on no order of values, and puts it out by a timer and at the end.
#[derive(Clone)]
struct Keeps;

impl StatefulDoFn for Keeps {
    type Key = i64;
    type Value = i64;
    type Out = Pair;

    fn process(
        &mut self,
        _: &i64,
        value: i64,
        ctx: &mut StatefulContext<'_, '_, Pair>,
    ) -> Result<()> {
        let sum = ctx.value(&SUM)?.unwrap_or(0);
        ctx.set_value(&SUM, (sum + value) % MODULUS)?;
        ctx.add_to_set(&SEEN, value % 5)?;
        ctx.set_timer(ALARM, ctx.window().max_timestamp())
    }

    fn on_timer(
        &mut self,
        key: &i64,
        _: &Timer,
        ctx: &mut StatefulContext<'_, '_, Pair>,
    ) -> Result<()> {
        let count = ctx.set(&SEEN)?.len() as i64;
        ctx.output((*key, count))
    }

    fn on_window_expiration(
        &mut self,
        key: &i64,
        ctx: &mut StatefulContext<'_, '_, Pair>,
    ) -> Result<()> {
        let sum = ctx.value(&SUM)?.unwrap_or(0);
        ctx.output((*key, sum))
    }
}

/// The greatest value of each key.
fn greatest(pairs: &PCollection<Pair>) -> PCollection<Pair> {
    let greatest = pairs.apply(CombinePerKey::of(Max::<i64>::new()));
    greatest.apply(map(|(key, value): (i64, Option<i64>)| (key, value.unwrap_or_default())))
}

/// What depends on every value of a group, and on no order of them.
fn fold((key, values): (i64, Iterable<i64>)) -> Pair {
    let mut values: Vec<i64> = values.iter().collect();
    values.sort_unstable();
    (key, values.iter().fold(7, |folded, value| (31 * folded + value) % MODULUS))
}
