//! The life of a DoFn, failures, and what runs after them.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Case;
use super::case::{ensure, expect_failure};
use super::functions::{Log, user_error};
use crate::capability::Capability::ParDo as Pardo;
use crate::coder::{Coder, CoderKind, Context, Preview, VarIntCoder};
use crate::dofn::{DoFn, ProcessContext};
use crate::element::Element;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::primitives::{Create, ParDo, Reshuffle};
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
    Case::new("LC7", "a worker that dies ends the run, whatever it was doing", Pardo, dies),
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

/// Dies in one phase of its life; of `process` only at the element 13.
#[derive(Clone)]
struct Dies(Phase);

impl Dies {
    fn live(&self, phase: Phase) {
        if self.0 == phase {
            // Without a text, as a worker that is gone leaves none.
            resume_unwind(Box::new(phase));
        }
    }
}

impl DoFn for Dies {
    type In = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.live(Phase::Setup);
        Ok(())
    }

    fn start_bundle(&mut self) -> Result<()> {
        self.live(Phase::Start);
        Ok(())
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        if element == 13 {
            self.live(Phase::Process);
        }
        ctx.output(element)
    }

    fn finish_bundle(&mut self, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.live(Phase::Finish);
        Ok(())
    }

    fn teardown(&mut self) {
        self.live(Phase::Teardown);
    }
}

/// An element whose coder dies where the shuffle writes 13, or reads 14.
#[derive(Debug, Clone)]
struct Fragile(i64);

#[derive(Debug, Clone, Copy)]
struct FragileCoder;

impl Coder<Fragile> for FragileCoder {
    fn kind(&self) -> CoderKind {
        CoderKind::VarInt
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn encode(&self, value: &Fragile, context: Context, out: &mut Vec<u8>) -> Result<()> {
        if value.0 == 13 {
            resume_unwind(Box::new(value.0));
        }
        VarIntCoder.encode(&value.0, context, out)
    }

    fn decode(&self, context: Context, input: &mut &[u8]) -> Result<Fragile> {
        let value = VarIntCoder.decode(context, input)?;
        if value == 14 {
            resume_unwind(Box::new(value));
        }
        Ok(Fragile(value))
    }

    fn preview(&self, value: &Fragile, out: &mut Preview) {
        out.push_display(&value.0);
    }
}

impl Element for Fragile {
    type Coder = FragileCoder;

    fn coder() -> FragileCoder {
        FragileCoder
    }
}

/// Workers are what runs a bundle: here they die of a panic, the only death that this process outlives.
fn dies(runner: &dyn Runner) -> Result<()> {
    let phases = [Phase::Setup, Phase::Start, Phase::Process, Phase::Finish, Phase::Teardown];
    for phase in phases {
        let pipeline = TestPipeline::on(runner);
        let spread = pipeline.apply(Create::of(0..40i64)).apply(Reshuffle);
        let after = spread.apply_named("Dies", ParDo::of(Dies(phase))).apply(Reshuffle);
        after.apply(map(|n: i64| n));
        expect_failure(pipeline.run(), ErrorCode::USER_PANIC, &["Dies", "panicked"])?;
    }
    for deadly in [13, 14] {
        let pipeline = TestPipeline::on(runner);
        let values = pipeline.apply(Create::of((0..40i64).filter(|n| ![13, 14].contains(n))));
        let fragile = values.apply(map(move |n: i64| Fragile(if n == 7 { deadly } else { n })));
        fragile.apply(Reshuffle).apply(map(|Fragile(n)| n));
        expect_failure(pipeline.run(), ErrorCode::USER_PANIC, &["panicked"])?;
    }
    // The runner is as good as new.
    let pipeline = TestPipeline::on(runner);
    let spread = pipeline.apply(Create::of(0..40i64)).apply(Reshuffle);
    assert_that(&spread).contains_in_any_order(0..40);
    pipeline.run().map(drop)
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
