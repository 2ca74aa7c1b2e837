//! Metrics, and callbacks after commits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Case;
use super::case::{broken, ensure};
use super::functions::{Sum, pairs, user_error};
use crate::capability::Capability::{BundleFinalization, Metrics as Counts};
use crate::combine::CombineFn;
use crate::dofn::{DoFn, ProcessContext, Tag};
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::metrics::{self, Distribution, MetricKey, Metrics};
use crate::options::RunOptions;
use crate::pcollection::PCollectionList;
use crate::pipeline::Pipeline;
use crate::plan::StageId;
use crate::primitives::{CombinePerKey, Create, Flatten, GroupByKey, ParDo, Reshuffle};
use crate::runner::{JobEvent, JobObserver, Runner};
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new("ME1", "counters of two steps are apart", Counts, counters),
    Case::new("ME2", "distributions, of elements and of bundles", Counts, distributions),
    Case::new("ME3", "gauges and sets of texts", Counts, gauges_and_sets),
    Case::new(
        "ME4",
        "what start, finish, teardown and combine functions count",
        Counts,
        everywhere,
    ),
    Case::new(
        "ME5",
        "the elements of every collection are counted, and progress only grows",
        Counts,
        progress,
    ),
    Case::new("ME6", "attempts that fail count nothing", Counts, attempts),
    Case::new(
        "LC5",
        "callbacks come after the commit, and their failures change nothing",
        BundleFinalization,
        callbacks,
    ),
];

fn key(step: &str, name: &str) -> MetricKey {
    MetricKey { step: step.to_owned(), name: name.to_owned() }
}

fn check_counter(metrics: &Metrics, step: &str, name: &str, want: u64) -> Result<()> {
    let found = metrics.counters.get(&key(step, name)).copied();
    ensure(found == Some(want), || format!("{step}/{name} is {found:?}, not {want}"))
}

/// Counts and records everything in two steps, the second of which sees every element twice.
#[derive(Clone)]
struct Counting {
    copies: usize,
    gauge: i64,
    texts: &'static [&'static str],
}

impl DoFn for Counting {
    type In = i64;
    type Out = i64;

    fn start_bundle(&mut self) -> Result<()> {
        metrics::record("bundle", 10);
        Ok(())
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.count("count", 1);
        ctx.record("input", element);
        ctx.gauge("level", self.gauge.min(element));
        self.texts.iter().for_each(|text| ctx.add_string("sources", text));
        (0..self.copies).try_for_each(|_| ctx.output(element))
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.record("bundle", 40);
        Ok(())
    }
}

fn two_steps(runner: &dyn Runner) -> Result<Metrics> {
    let pipeline = TestPipeline::on(runner);
    let first = Counting { copies: 2, gauge: 12, texts: &["gcs"] };
    let second = Counting { copies: 0, gauge: 100, texts: &["kafka", "bq", "kafka"] };
    let numbers = pipeline.apply(Create::of([5i64, 8, 13]));
    let twice = numbers.apply_named("MyStep1", ParDo::of(first));
    twice.apply_named("MyStep2", ParDo::of(second));
    Ok(pipeline.run()?.metrics)
}

fn counters(runner: &dyn Runner) -> Result<()> {
    let metrics = two_steps(runner)?;
    check_counter(&metrics, "MyStep1", "count", 3)?;
    check_counter(&metrics, "MyStep2", "count", 6)
}

fn distributions(runner: &dyn Runner) -> Result<()> {
    let metrics = two_steps(runner)?;
    for (step, sum, count) in [("MyStep1", 26, 3), ("MyStep2", 52, 6)] {
        let want = Distribution { count, sum, min: 5, max: 13 };
        let found = metrics.distributions.get(&key(step, "input")).copied();
        ensure(found == Some(want), || format!("{step}/input is {found:?}, not {want:?}"))?;
        let Some(bundle) = metrics.distributions.get(&key(step, "bundle")) else {
            return Err(broken(format!("{step}/bundle was not recorded")));
        };
        let is_right = (bundle.min, bundle.max) == (10, 40)
            && bundle.count % 2 == 0
            && bundle.sum == i128::from(bundle.count / 2) * 50;
        ensure(is_right, || format!("{step}/bundle is {bundle:?}"))?;
    }
    Ok(())
}

fn gauges_and_sets(runner: &dyn Runner) -> Result<()> {
    let metrics = two_steps(runner)?;
    for (step, want, texts) in [("MyStep1", 12, &["gcs"][..]), ("MyStep2", 13, &["bq", "kafka"])] {
        let found = metrics.gauges.get(&key(step, "level")).map(|gauge| gauge.value);
        ensure(found == Some(want), || format!("{step}/level is {found:?}, not {want}"))?;
        let found: Vec<&str> = metrics
            .string_sets
            .get(&key(step, "sources"))
            .iter()
            .flat_map(|it| it.iter())
            .collect();
        ensure(found == texts, || format!("{step}/sources is {found:?}, not {texts:?}"))?;
    }
    Ok(())
}

/// Counts in every part of its life but `process`.
#[derive(Clone)]
struct Around;

impl DoFn for Around {
    type In = i64;
    type Out = i64;

    fn start_bundle(&mut self) -> Result<()> {
        metrics::count("started", 1);
        Ok(())
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.output(element)
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.count("finished", 1);
        Ok(())
    }

    fn teardown(&mut self) {
        metrics::count("torn down", 1);
    }
}

/// Sums, and counts what it adds and extracts.
#[derive(Clone)]
struct CountingSum;

impl CombineFn for CountingSum {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        metrics::count("set up", 1);
        Ok(())
    }

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        metrics::count("added", 1);
        Sum.add(sum, value);
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        Sum.merge(sum, other);
    }

    fn extract(&self, sum: i64) -> i64 {
        metrics::count("extracted", 1);
        sum
    }

    fn teardown(&mut self) {
        metrics::count("closed", 1);
    }
}

fn everywhere(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    pipeline.apply(Create::of([5i64, 8, 13])).apply_named("Around", ParDo::of(Around));
    let sums = pairs(&pipeline).apply_named("Combine", CombinePerKey::of(CountingSum));
    assert_that(&sums).contains_in_any_order([("a".to_owned(), 6), ("b".to_owned(), 14)]);
    let metrics = pipeline.run()?.metrics;
    let [started, finished, torn_down] =
        ["started", "finished", "torn down"].map(|name| metrics.counter(name));
    ensure(started > 0 && started == finished && started == torn_down, || {
        format!("{started} bundles started, {finished} finished, {torn_down} were torn down")
    })?;
    let of_combine = |name: &str| metrics.counters.get(&key("Combine", name)).copied();
    let lives = ["set up", "closed"].map(of_combine);
    ensure(lives[0].is_some() && lives[0] == lives[1], || {
        format!("{:?} combine functions were set up, {:?} were torn down", lives[0], lives[1])
    })?;
    check_counter(&metrics, "Combine", "added", 5)?;
    check_counter(&metrics, "Combine", "extracted", 2)
}

/// How far the stages of a run have come, and what of it cannot be.
#[derive(Default)]
struct Progress {
    stages: BTreeMap<StageId, StageProgress>,
    broken: Vec<String>,
}

#[derive(Default)]
struct StageProgress {
    bundle_count: usize,
    done_count: usize,
    is_finished: bool,
}

impl Progress {
    fn take(&mut self, event: &JobEvent) {
        let (stages, broken) = (&mut self.stages, &mut self.broken);
        match event {
            JobEvent::StageStarted { stage, bundle_count } => {
                let new = StageProgress { bundle_count: *bundle_count, ..StageProgress::default() };
                if stages.insert(*stage, new).is_some() {
                    broken.push(format!("{stage} began twice"));
                }
            }
            JobEvent::BundleFinished { stage, .. } => match stages.get_mut(stage) {
                Some(known) if known.done_count < known.bundle_count => known.done_count += 1,
                _ => broken.push(format!("{stage} has done more than all")),
            },
            JobEvent::StageFinished { stage } => match stages.get_mut(stage) {
                Some(known) if known.done_count == known.bundle_count && !known.is_finished => {
                    known.is_finished = true;
                }
                _ => broken.push(format!("{stage} was finished without being done")),
            },
            _ => {}
        }
    }
}

struct Watch(Mutex<Progress>);

impl JobObserver for Watch {
    fn observe(&self, event: &JobEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(event);
    }
}

fn progress(runner: &dyn Runner) -> Result<()> {
    const ODD: Tag<i64> = Tag::new("odd");
    let pipeline = Pipeline::new();
    let split = each(
        |n: i64, ctx: &mut ProcessContext<'_, i64>| {
            if n % 2 == 0 { ctx.output(n) } else { ctx.output_to(&ODD, n) }
        },
    );
    let numbers = pipeline.apply(Create::of(0..51i64));
    let split = numbers.apply_named("Split", split.with_output(&ODD));
    let pairs = split.main.apply_named("Pairs", map(|n: i64| (n % 5, n)));
    pairs.apply_named("Group", GroupByKey);
    pairs.apply_named("Combine", CombinePerKey::of(Sum));
    split.get(&ODD).apply_named("Nothing", each(|_: i64, _: &mut ProcessContext<'_, i64>| Ok(())));
    let all = PCollectionList::of(&split.main, [split.main.clone(), split.get(&ODD)]);
    all.apply(Flatten).apply_named("Spread", Reshuffle);
    let watch = Watch(Mutex::default());
    let metrics = pipeline.run_with(runner, &RunOptions::default(), &watch)?.metrics;
    let want = [
        ("Split", "", 26),
        ("Split", "odd", 25),
        ("Pairs", "", 26),
        ("Group", "", 5),
        ("Combine", "", 5),
        ("Nothing", "", 0),
        ("Flatten", "", 77),
        ("Spread", "", 77),
    ];
    for (step, tag, want) in want {
        let found = metrics.elements.get(&key(step, tag)).copied().unwrap_or(0);
        ensure(found == want, || format!("{step} {tag} has {found} elements, not {want}"))?;
    }
    let Progress { stages, broken } = watch.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure(broken.is_empty(), || broken.join(", "))?;
    let is_whole = !stages.is_empty() && stages.values().all(|stage| stage.is_finished);
    ensure(is_whole, || "a stage is not finished, or nothing was told".to_owned())
}

fn attempts(runner: &dyn Runner) -> Result<()> {
    let attempted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&attempted);
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..30i64)).apply_named(
        "Attempt",
        each(move |n, ctx| {
            metrics::count("without context", 1);
            ctx.count("with context", 1);
            ctx.output(n)?;
            match counter.fetch_add(1, Ordering::Relaxed) {
                11 => {
                    let kind = ErrorKind::Transient;
                    Err(Error::new(ErrorCode::STORE_FAILED, kind, "busy for a moment"))
                }
                _ => Ok(()),
            }
        }),
    );
    assert_that(&numbers).contains_in_any_order(0..30);
    let metrics = match pipeline.run() {
        Ok(report) => report.metrics,
        // A runner that tries nothing again says so with the error itself.
        Err(error) if error.message() == "busy for a moment" => return Ok(()),
        Err(error) => return Err(error),
    };
    let attempted = attempted.load(Ordering::Relaxed);
    ensure(attempted > 30, || format!("{attempted} elements were attempted"))?;
    check_counter(&metrics, "Attempt", "with context", 30)?;
    check_counter(&metrics, "Attempt", "without context", 30)
}

fn callbacks(runner: &dyn Runner) -> Result<()> {
    let called = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&called);
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..20i64)).apply_named(
        "Call",
        each(move |n, ctx| {
            let counter = Arc::clone(&counter);
            ctx.on_commit(move || {
                counter.fetch_add(1, Ordering::Relaxed);
                if n % 2 == 0 { Ok(()) } else { Err(user_error("cannot acknowledge")) }
            });
            ctx.output(n)
        }),
    );
    assert_that(&numbers).contains_in_any_order(0..20);
    let metrics = pipeline.run()?.metrics;
    let called = called.load(Ordering::Relaxed);
    ensure(called == 20, || format!("20 callbacks were asked for, {called} came"))?;
    check_counter(&metrics, "Call", "finalization_failures", 10)?;
    // A bundle that fails calls nothing back.
    let called = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&called);
    let pipeline = TestPipeline::on(runner);
    pipeline.apply(Create::of([1i64])).apply(each(
        move |_: i64, ctx: &mut ProcessContext<'_, i64>| {
            let counter = Arc::clone(&counter);
            ctx.on_commit(move || {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            Err(user_error("fails after it has asked"))
        },
    ));
    let outcome = pipeline.run();
    ensure(outcome.is_err(), || "the run did not fail".to_owned())?;
    let called = called.load(Ordering::Relaxed);
    ensure(called == 0, || format!("{called} callbacks came of a bundle that has failed"))
}
