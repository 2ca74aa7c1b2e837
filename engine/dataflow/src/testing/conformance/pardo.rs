//! ParDo.

use super::Case;
use super::case::ensure;
use super::functions::texts;
use crate::capability::Capability::ParDo as Pardo;
use crate::dofn::{BundleState, DoFn, ProcessContext};
use crate::error::Result;
use crate::pcollection::PCollection;
use crate::primitives::{Create, GroupByKey, ParDo};
use crate::ptransform::PTransform;
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("PD1", "every element is processed once, between start and finish", Pardo, life),
    Case::new("PD2", "an empty input is not processed and gives nothing", Pardo, empty),
    Case::new("PD3", "an output without elements can be used", Pardo, no_output),
    Case::new("PD4", "a ParDo within a composite does the same", Pardo, composite),
    Case::new("PD7", "large elements and many elements arrive whole", Pardo, large),
    Case::new("PD9", "a DoFn sees the arguments of its recipe", Pardo, arguments),
    Case::new("PD10", "two closures of one type keep what each captured", Pardo, captures),
    Case::new("PD11", "every consumer sees all elements as they were", Pardo, consumers),
];

/// Says what it processes, and refuses to before its bundle has started or after it has finished.
#[derive(Clone, Default)]
struct Life(BundleState<(bool, u64)>);

impl DoFn for Life {
    type In = i64;
    type Out = String;

    fn start_bundle(&mut self) -> Result<()> {
        let (is_started, _) = self.0.get();
        assert!(!*is_started, "a bundle starts that has started");
        *is_started = true;
        Ok(())
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let (is_started, count) = self.0.get();
        assert!(*is_started, "an element comes outside of a bundle");
        *count += 1;
        ctx.output(format!("processing {element}"))
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let (is_started, count) = std::mem::take(self.0.get());
        assert!(is_started, "a bundle finishes that has not started");
        ctx.output(format!("finished {count}"))
    }
}

fn life(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([3i64, -42, 666]));
    assert_that(&numbers.apply(ParDo::of(Life::default()))).satisfies(|lines| {
        let mut processed: Vec<_> = lines.iter().filter(|it| it.starts_with('p')).collect();
        processed.sort();
        let finished = lines.iter().filter_map(|it| it.strip_prefix("finished ")?.parse().ok());
        let counts: Vec<u64> = finished.collect();
        let is_whole = processed == ["processing -42", "processing 3", "processing 666"]
            && counts.iter().sum::<u64>() == 3
            && processed.len() + counts.len() == lines.len();
        if is_whole { Ok(()) } else { Err(format!("a life went otherwise: {lines:?}")) }
    });
    pipeline.run().map(drop)
}

fn empty(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let none = pipeline.apply(Create::<i64>::of([])).apply(each(|n: i64, ctx| {
        ctx.count("processed", 1);
        ctx.output(n)
    }));
    assert_that(&none).is_empty();
    let count = pipeline.run()?.metrics.counter("processed");
    ensure(count == 0, || format!("{count} elements of an empty collection were processed"))
}

fn no_output(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([3i64, -42, 666]));
    let none = numbers.apply(each(|_: i64, _: &mut ProcessContext<'_, (i64, i64)>| Ok(())));
    assert_that(&none).is_empty();
    assert_that(&none.apply(GroupByKey).apply(map(|(key, _)| key))).is_empty();
    pipeline.run().map(drop)
}

/// Doubles within a composite of its own.
struct Doubled;

impl PTransform<PCollection<i64>> for Doubled {
    type Output = PCollection<i64>;

    fn expand(self, input: PCollection<i64>) -> PCollection<i64> {
        input.apply_named("Inner", map(|n: i64| n * 2))
    }
}

fn composite(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let doubled = pipeline.apply(Create::of([3i64, -42, 666])).apply_named("Outer", Doubled);
    assert_that(&doubled).contains_in_any_order([6, -84, 1332]);
    pipeline.run().map(drop)
}

fn large(runner: &dyn Runner) -> Result<()> {
    const LARGE_BYTES: usize = 11 << 20;
    let pipeline = TestPipeline::on(runner);
    let letters = pipeline.apply(Create::of([b'a', b'b'].map(i64::from)));
    let large = letters.apply(map(|letter: i64| vec![letter as u8; LARGE_BYTES]));
    let sizes = large.apply(map(|bytes: Vec<u8>| {
        let is_whole = bytes.iter().all(|byte| *byte == bytes[0]);
        format!("{} bytes of {}, {is_whole}", bytes.len(), bytes[0])
    }));
    let want = [b'a', b'b'].map(|letter| format!("{LARGE_BYTES} bytes of {letter}, true"));
    assert_that(&sizes).contains_in_any_order(want);
    let many = pipeline.apply(Create::of(0..50_000i64)).apply(map(|n: i64| n + 1));
    assert_that(&many).contains_in_any_order(1..=50_000);
    pipeline.run().map(drop)
}

/// Options of a recipe, which a DoFn keeps.
#[derive(Clone)]
struct Greets {
    greeting: String,
}

impl DoFn for Greets {
    type In = String;
    type Out = String;

    fn process(&mut self, name: String, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        ctx.output(format!("{} {name}", self.greeting))
    }
}

fn arguments(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let greets = Greets { greeting: "hello".to_owned() };
    let greeted = pipeline.apply(Create::of(texts(["a", "b"]))).apply(ParDo::of(greets));
    assert_that(&greeted).contains_in_any_order(texts(["hello a", "hello b"]));
    pipeline.run().map(drop)
}

fn captures(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of([1i64, 2]));
    let [by_ten, by_hundred] = [10, 100].map(|more| numbers.apply(map(move |n: i64| n + more)));
    assert_that(&by_ten).contains_in_any_order([11, 12]);
    assert_that(&by_hundred).contains_in_any_order([101, 102]);
    pipeline.run().map(drop)
}

fn consumers(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let lists = pipeline.apply(Create::of([vec![3i64, 1, 2], vec![6, 5]]));
    let lists = lists.apply(map(|list: Vec<i64>| list));
    let cleared = lists.apply_named(
        "Clear",
        map(|mut list: Vec<i64>| {
            list.clear();
            list
        }),
    );
    let sorted = lists.apply_named(
        "Sort",
        map(|mut list: Vec<i64>| {
            list.sort_unstable();
            list
        }),
    );
    let as_they_are = lists.apply_named("Keep", map(|list: Vec<i64>| list));
    assert_that(&cleared).contains_in_any_order([vec![], vec![]]);
    assert_that(&sorted).contains_in_any_order([vec![1, 2, 3], vec![5, 6]]);
    assert_that(&as_they_are).contains_in_any_order([vec![3, 1, 2], vec![6, 5]]);
    pipeline.run().map(drop)
}
