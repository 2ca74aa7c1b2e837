use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use crate::coder::{Coder, CoderKind, Context, Preview, VarIntCoder};
use crate::error::{Error, ErrorCode, ErrorKind};
use crate::prelude::*;
use crate::runner::{JobEvent, JobObserver, JobReport, RunOptions, Runner};
use crate::testing::{ChaosRunner, TestPipeline, assert_that, each, map};

const SEEDS: std::ops::Range<u64> = 0..40;

/// Notes every event as a text, but for the reports of bundles.
#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl JobObserver for Events {
    fn observe(&self, event: &JobEvent) {
        let text = match event {
            JobEvent::BundleFinished { stage, report } => format!("{stage} {}", report.read_count),
            other => format!("{other:?}"),
        };
        self.0.lock().expect("no observer panics").push(text);
    }
}

/// Groups three hundred numbers by their last digit, and says in which order things came.
fn run(seed: u64) -> (Vec<String>, Vec<String>, JobReport) {
    let pipeline = Pipeline::new();
    let pairs = pipeline.apply(Create::of(0..300i64)).apply(map(|n: i64| (n % 10, n)));
    let groups = pairs.apply(GroupByKey).apply(map(|(key, values): (i64, Iterable<i64>)| {
        format!("{key}: {:?}", values.iter().collect::<Vec<_>>())
    }));
    let groups = groups.collect();
    let (runner, events) = (ChaosRunner::new(seed), Events::default());
    let report = pipeline.run_with(&runner, &RunOptions::default(), &events).expect("runs");
    let events = events.0.into_inner().expect("no observer panics");
    let groups = report.get(&groups).expect("asked for").iter().collect();
    (events, groups, report)
}

#[test]
fn one_seed_gives_one_run() {
    for seed in SEEDS {
        let ((events, groups, _), (again, groups_again, _)) = (run(seed), run(seed));
        assert_eq!(events, again, "seed {seed}");
        assert_eq!(groups, groups_again, "seed {seed}");
    }
}

#[track_caller]
fn check_varied<T: Ord + Debug>(what: &str, of: impl FnMut(u64) -> T, least: usize) {
    let seen: BTreeSet<T> = SEEDS.map(of).collect();
    assert!(seen.len() >= least, "{what}: only {seen:?}");
}

#[test]
fn seeds_differ_in_everything_that_is_left_to_chance() {
    let options = |seed| ChaosRunner::new(seed).compile_options();
    check_varied("fused and lifted", |seed| (options(seed).fuse, options(seed).lift), 4);
    check_varied("the order of groups and values", |seed| run(seed).1, SEEDS.count());
    let bundles = |events: &[String]| events.iter().filter(|it| it.starts_with('s')).count();
    check_varied("the number of bundles", |seed| bundles(&run(seed).0), 5);
    let retries = |events: &[String]| events.iter().filter(|it| it.contains("Retried")).count();
    check_varied("how many bundles fail", |seed| retries(&run(seed).0), 5);
}

#[test]
fn what_comes_out_is_the_same_and_counted_once() {
    for seed in SEEDS {
        let runner = ChaosRunner::new(seed);
        let pipeline = TestPipeline::on(&runner);
        let numbers = pipeline.apply(Create::of(0..100i64));
        let counted = numbers.apply(each(|n: i64, ctx| {
            ctx.count("seen", 1);
            ctx.output(n * 2)
        }));
        assert_that(&counted).contains_in_any_order((0..100).map(|n| n * 2));
        let report = pipeline.run().expect("runs");
        assert_eq!(report.metrics.counter("seen"), 100, "seed {seed}");
    }
}

/// The error of a pipeline that chance may not excuse; it names the seed.
#[track_caller]
fn fails(seed: u64, recipe: impl Fn(&Pipeline)) -> Error {
    let pipeline = Pipeline::new();
    recipe(&pipeline);
    let error = pipeline.run(&ChaosRunner::new(seed)).expect_err("the recipe is wrong");
    assert_eq!(error.place("seed"), Some(seed.to_string().as_str()), "{error}");
    error
}

#[test]
fn an_error_names_its_element_and_the_seed() {
    for seed in SEEDS {
        let error = fails(seed, |pipeline| {
            pipeline.apply(Create::of([1i64, 0, 2])).apply(map(|n: i64| 10 / n));
        });
        assert_eq!(error.code(), ErrorCode::USER_PANIC);
        assert_eq!(error.place("element"), Some("0"), "{error}");
    }
}

#[test]
fn a_transient_error_that_stays_fails_the_run() {
    let error = fails(3, |pipeline| {
        pipeline.apply(Create::of([1i64])).apply(each(
            |_: i64, _: &mut ProcessContext<'_, i64>| {
                Err(Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, "busy"))
            },
        ));
    });
    assert_eq!(error.message(), "busy");
}

/// A number, of which all that hold it share one place.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<i64>>);

/// A right coder of what can be changed behind its back.
#[derive(Debug, Clone, Copy)]
struct SharedCoder;

impl Coder<Shared> for SharedCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::VarInt
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Shared, context: Context, out: &mut Vec<u8>) -> Result<()> {
        VarIntCoder.encode(&*value.0.lock().expect("no holder panics"), context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Shared> {
        Ok(Shared(Arc::new(Mutex::new(VarIntCoder.decode(context, input)?))))
    }

    fn preview(&self, value: &Shared, out: &mut Preview) {
        out.push_display(&*value.0.lock().expect("no holder panics"));
    }
}

impl Element for Shared {
    type Coder = SharedCoder;

    fn coder() -> SharedCoder {
        SharedCoder
    }
}

#[test]
fn a_step_that_changes_what_others_share_is_found() {
    for seed in SEEDS {
        let error = fails(seed, |pipeline| {
            let start = pipeline.apply(Create::of([1i64]));
            let shared = start.apply(map(|n: i64| Shared(Arc::new(Mutex::new(n)))));
            shared.apply_named(
                "Change",
                map(|shared: Shared| *shared.0.lock().expect("no holder panics") = 5),
            );
        });
        assert_eq!(error.message(), "an element was changed that other steps share", "{error}");
        assert_eq!((error.place("element"), error.place("became")), (Some("1"), Some("5")));
        assert_eq!(error.place("readers"), Some("Change"));
    }
}

/// A number whose coder, in one of several ways, is no coder.
#[derive(Debug, Clone)]
struct Odd<const WAY: u8>(i64);

#[derive(Debug, Clone, Copy)]
struct OddCoder<const WAY: u8>;

const COUNTS: u8 = 0;
const FORGETS: u8 = 1;
const RUNS_ON: u8 = 2;

impl<const WAY: u8> Coder<Odd<WAY>> for OddCoder<WAY> {
    fn kind(&self) -> CoderKind {
        CoderKind::Opaque("odd".to_owned())
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Odd<WAY>, context: Context, out: &mut Vec<u8>) -> Result<()> {
        static COUNT: Mutex<i64> = Mutex::new(0);
        if WAY == COUNTS {
            let mut count = COUNT.lock().expect("no holder panics");
            *count += 1;
            return VarIntCoder.encode(&*count, context, out);
        }
        if WAY == RUNS_ON && context == Context::Nested {
            out.extend([0; 2]);
            return Ok(());
        }
        VarIntCoder.encode(&value.0, context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Odd<WAY>> {
        let value = VarIntCoder.decode(context, input)?;
        Ok(Odd(if WAY == FORGETS { value + 1 } else { value }))
    }

    fn preview(&self, value: &Odd<WAY>, out: &mut Preview) {
        out.push_display(&value.0);
    }
}

impl<const WAY: u8> Element for Odd<WAY> {
    type Coder = OddCoder<WAY>;

    fn coder() -> OddCoder<WAY> {
        OddCoder
    }
}

#[track_caller]
fn check_coder<const WAY: u8>(want: &str) {
    let error = fails(1, |pipeline| {
        pipeline.apply(Create::of([1i64])).apply(map(|n: i64| Odd::<WAY>(n)));
    });
    assert_eq!((error.code(), error.message()), (ErrorCode::CODER, want), "{error}");
    assert!(error.place("step").is_some_and(|step| step.starts_with("ParDo")), "{error}");
}

#[test]
fn coders_that_are_none_are_found() {
    check_coder::<COUNTS>("the coder odd encodes one element in two ways");
    check_coder::<FORGETS>("the coder odd does not decode what was encoded");
    check_coder::<RUNS_ON>("the coder odd does not know where a nested encoding ends");
}
