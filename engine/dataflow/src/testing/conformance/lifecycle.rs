//! The life of a DoFn, failures, and what runs after them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Case;
use super::case::{ensure, expect_failure};
use super::functions::{Log, user_error};
use crate::capability::Capability::ParDo as Pardo;
use crate::dofn::{DoFn, ProcessContext};
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::primitives::{Create, ParDo};
use crate::runner::Runner;
use crate::testing::{TestPipeline, assert_that, each, map};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "LC1",
        "setup, then bundles of start, process and finish, then teardown",
        Pardo,
        order,
    ),
    Case::new("LC2", "an instance that fails is torn down, and the run fails", Pardo, torn_down),
    Case::new("LC3", "the run fails with what start, process or finish says", Pardo, messages),
    Case::new(
        "LC4",
        "an error names the step that fails, its line, and no other step",
        Pardo,
        one_step,
    ),
    Case::new("LC6", "a bundle that runs again counts once, or the run fails", Pardo, run_again),
    Case::new("LC8", "a panic fails its run, and nothing else", Pardo, panic),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Setup,
    Start,
    Process,
    Finish,
    Teardown,
}

/// Writes down the life of each of its instances, and fails in one phase.
#[derive(Clone)]
struct Probe {
    log: Log,
    instances: Arc<AtomicU64>,
    instance: u64,
    fails_in: Option<Phase>,
}

impl Probe {
    fn new(fails_in: Option<Phase>) -> Self {
        Self { log: Log::default(), instances: Arc::default(), instance: 0, fails_in }
    }

    fn live(&self, phase: Phase) -> Result<()> {
        self.log.write(format!("{} {phase:?}", self.instance));
        match self.fails_in {
            Some(at) if at == phase => Err(user_error(&format!("test error in {phase:?}"))),
            _ => Ok(()),
        }
    }

    /// The phases of each instance, in order.
    fn lives(&self) -> Vec<String> {
        let count = self.instances.load(Ordering::Relaxed);
        let lines = self.log.lines();
        let life = |instance: u64| {
            let phases = lines.iter().filter_map(|line| {
                let (of, phase) = line.split_once(' ')?;
                (of == instance.to_string()).then_some(phase)
            });
            phases.collect::<Vec<_>>().join(" ")
        };
        (1..=count).map(life).collect()
    }
}

impl DoFn for Probe {
    type In = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.instance = self.instances.fetch_add(1, Ordering::Relaxed) + 1;
        self.live(Phase::Setup)
    }

    fn start_bundle(&mut self) -> Result<()> {
        self.live(Phase::Start)
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.live(Phase::Process)?;
        ctx.output(element)
    }

    fn finish_bundle(&mut self, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.live(Phase::Finish)
    }

    fn teardown(&mut self) {
        // A teardown cannot return an error; this probe never fails in it.
        drop(self.live(Phase::Teardown));
    }
}

/// Whether a life is one of setup, bundles, teardown; the last bundle may have been cut short.
fn is_life(life: &str) -> bool {
    let Some(inner) = life.strip_prefix("Setup").and_then(|it| it.strip_suffix(" Teardown")) else {
        return false;
    };
    let mut bundles = inner.split(" Start").peekable();
    if bundles.next() != Some("") {
        return false;
    }
    while let Some(bundle) = bundles.next() {
        let is_last = bundles.peek().is_none();
        let processed = bundle.strip_suffix(" Finish").or(is_last.then_some(bundle));
        if !processed.is_some_and(|it| it.replace(" Process", "").is_empty()) {
            return false;
        }
    }
    true
}

fn order(runner: &dyn Runner) -> Result<()> {
    let probe = Probe::new(None);
    let pipeline = TestPipeline::on(runner);
    let seen = pipeline.apply(Create::of(0..100i64)).apply(ParDo::of(probe.clone()));
    assert_that(&seen).contains_in_any_order(0..100);
    pipeline.run()?;
    let lives = probe.lives();
    let odd = lives.iter().find(|life| !is_life(life));
    ensure(odd.is_none(), || format!("an instance lived otherwise: {}", odd.map_or("", |it| it)))?;
    let has_finished = lives.iter().any(|life| life.contains("Process Finish"));
    ensure(has_finished, || format!("no bundle has finished: {lives:?}"))
}

fn torn_down(runner: &dyn Runner) -> Result<()> {
    for phase in [Phase::Setup, Phase::Start, Phase::Process, Phase::Finish] {
        let probe = Probe::new(Some(phase));
        let pipeline = TestPipeline::on(runner);
        pipeline.apply(Create::of([1i64])).apply_named("Probe", ParDo::of(probe.clone()));
        expect_failure(pipeline.run(), ErrorCode::USER_ERROR, &["Probe"])?;
        let lives = probe.lives();
        let is_torn_down =
            |life: &String| life.ends_with("Teardown") && life.matches("Teardown").count() == 1;
        ensure(!lives.is_empty() && lives.iter().all(is_torn_down), || {
            format!("after a failure in {phase:?} an instance is not torn down: {lives:?}")
        })?;
    }
    Ok(())
}

fn messages(runner: &dyn Runner) -> Result<()> {
    for phase in [Phase::Setup, Phase::Start, Phase::Process, Phase::Finish] {
        let pipeline = TestPipeline::on(runner);
        pipeline.apply(Create::of([1i64])).apply(ParDo::of(Probe::new(Some(phase))));
        let message = format!("test error in {phase:?}");
        expect_failure(pipeline.run(), ErrorCode::USER_ERROR, &[&message])?;
    }
    Ok(())
}

fn one_step(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let start = pipeline.apply(Create::of([1i64]));
    let before =
        start.apply_named("StageA", map(|n: i64| n)).apply_named("StageB", map(|n: i64| n));
    let fails = each(|_: i64, _: &mut ProcessContext<'_, i64>| Err(user_error("it went wrong")));
    let failed = before.apply_named("StageC", fails);
    let line = format!("lifecycle.rs:{}", line!() - 1);
    failed.apply_named("StageD", map(|n: i64| n));
    let words = ["StageC", &line, "it went wrong"];
    let error = expect_failure(pipeline.run(), ErrorCode::USER_ERROR, &words)?;
    let report = error.to_string();
    let other = ["StageA", "StageB", "StageD"].into_iter().find(|name| report.contains(name));
    ensure(other.is_none(), || {
        format!("{} is named, which did not fail: {report}", other.unwrap_or(""))
    })
}

/// Fails once, for the time being, after it has counted and put out.
fn fails_once() -> impl Fn(i64, &mut ProcessContext<'_, i64>) -> Result<()> + Clone + Send + Sync {
    let has_failed = Arc::new(AtomicU64::new(0));
    move |n, ctx| {
        ctx.count("seen", 1);
        ctx.record("value", n);
        ctx.output(n)?;
        if n == 7 && has_failed.fetch_add(1, Ordering::Relaxed) == 0 {
            let kind = ErrorKind::Transient;
            return Err(Error::new(ErrorCode::STORE_FAILED, kind, "busy for a moment"));
        }
        Ok(())
    }
}

fn run_again(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let numbers = pipeline.apply(Create::of(0..20i64)).apply(each(fails_once()));
    assert_that(&numbers).contains_in_any_order(0..20);
    let report = match pipeline.run() {
        Ok(report) => report,
        // A runner that tries nothing again says so with the error itself.
        Err(error) if error.message() == "busy for a moment" => return Ok(()),
        Err(error) => return Err(error),
    };
    let seen = report.metrics.counter("seen");
    ensure(seen == 20, || format!("20 elements have committed, and {seen} were counted"))?;
    let sums: i128 = report.metrics.distributions.values().map(|values| values.sum).sum();
    ensure(sums == 190, || format!("the values that have committed add up to 190, not {sums}"))
}

fn panic(runner: &dyn Runner) -> Result<()> {
    let pipeline = TestPipeline::on(runner);
    let divided = pipeline.apply(Create::of([2i64, 0, 1]));
    divided.apply_named("Divide", map(|n: i64| 12 / n));
    expect_failure(pipeline.run(), ErrorCode::USER_PANIC, &["Divide", "divide by zero"])?;
    let pipeline = TestPipeline::on(runner);
    let divided = pipeline.apply(Create::of([2i64, 1])).apply(map(|n: i64| 12 / n));
    assert_that(&divided).contains_in_any_order([6, 12]);
    pipeline.run().map(drop)
}
