//! The life of a DoFn: in which order its methods run, and what runs after a failure.

use std::num::NonZeroUsize;

use levain::dataflow::error::{Error, ErrorCode, ErrorKind};
use levain::dataflow::runner::NoObserver;
use levain::prelude::*;

use super::{Log, in_order};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Setup,
    StartBundle,
    Process,
    FinishBundle,
    Teardown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Error,
    Panic,
}

/// Writes down its life, and fails in one phase.
#[derive(Clone)]
struct Probe {
    log: Log,
    name: &'static str,
    fails: Option<(Phase, Failure)>,
}

impl Probe {
    #[expect(clippy::panic, reason = "the panic is what is tested")]
    fn live(&self, phase: Phase) -> Result<()> {
        self.log.write(format!("{} {phase:?}", self.name));
        match self.fails.filter(|(at, _)| *at == phase) {
            Some((_, Failure::Error)) => {
                let (code, kind) = (ErrorCode::USER_ERROR, ErrorKind::User);
                Err(Error::new(code, kind, format!("{phase:?} fails")))
            }
            Some((_, Failure::Panic)) => panic!("{phase:?} panics"),
            None => Ok(()),
        }
    }
}

impl DoFn for Probe {
    type In = i64;
    type Out = i64;

    fn setup(&mut self) -> Result<()> {
        self.live(Phase::Setup)
    }

    fn start_bundle(&mut self) -> Result<()> {
        self.live(Phase::StartBundle)
    }

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.live(Phase::Process)?;
        ctx.output(element)
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.live(Phase::FinishBundle)?;
        ctx.output(-1)
    }

    fn teardown(&mut self) {
        // A teardown has no way to return an error.
        let torn_down = self.live(Phase::Teardown);
        assert!(torn_down.is_ok() || self.fails == Some((Phase::Teardown, Failure::Error)));
    }
}

/// Two elements through two probes in one bundle, of which the second may fail.
fn run(
    fails: Option<(Phase, Failure)>,
    options: impl FnOnce(RunOptions) -> RunOptions,
) -> (Vec<String>, Result<JobReport>) {
    let log = Log::default();
    let pipeline = Pipeline::new();
    let first = Probe { log: log.clone(), name: "a", fails: None };
    let second = Probe { log: log.clone(), name: "b", fails };
    let start = pipeline.apply(Create::of([1i64, 2]));
    start.apply_named("A", ParDo::of(first)).apply_named("B", ParDo::of(second));
    let (runner, in_order) = in_order();
    let outcome = pipeline.run_with(&runner, &options(in_order), &NoObserver);
    (log.take(), outcome)
}

const LINKED: &str = "b Setup, b StartBundle, a Setup, a StartBundle";
const FINISHED: &str = "a FinishBundle, a Teardown, b Process, b FinishBundle, b Teardown";

#[test]
fn every_method_runs_in_its_place() {
    let (log, outcome) = run(None, |options| options);
    outcome.expect("runs");
    let elements = "a Process, b Process, a Process, b Process";
    assert_eq!(log.join(", "), format!("{LINKED}, {elements}, {FINISHED}"));
}

#[test]
fn every_bundle_has_a_life_of_its_own() {
    let one = |options: RunOptions| options.with_bundle_elements(NonZeroUsize::MIN);
    let (log, outcome) = run(None, one);
    outcome.expect("runs");
    // The reader learns that a bundle was the last one by asking for another.
    let bundle = format!("{LINKED}, a Process, b Process, {FINISHED}");
    let empty = format!("{LINKED}, {FINISHED}");
    assert_eq!(log.join(", "), format!("{bundle}, {bundle}, {empty}"));
}

/// Which probes are set up and torn down, in order.
fn lives(log: &[String]) -> Vec<&str> {
    log.iter()
        .filter(|line| line.ends_with("Setup") || line.ends_with("Teardown"))
        .map(|line| line.as_str())
        .collect()
}

#[track_caller]
fn check(phase: Phase, failure: Failure, want_message: &str, want_lives: &str) {
    let (log, outcome) = run(Some((phase, failure)), |options| options);
    let error = outcome.expect_err("a phase fails");
    assert_eq!(error.message(), want_message);
    assert_eq!(error.place("step"), Some("B"));
    assert_eq!(lives(&log).join(", "), want_lives);
    let after = log.iter().rposition(|line| line.starts_with("b") && !line.ends_with("Teardown"));
    let torn_down = log.iter().rposition(|line| line == "b Teardown");
    assert!(torn_down > after, "nothing of a DoFn runs after its teardown: {log:?}");
}

const BOTH: &str = "b Setup, a Setup, a Teardown, b Teardown";

#[test]
fn a_failed_setup_is_torn_down() {
    check(Phase::Setup, Failure::Error, "Setup fails", "b Setup, b Teardown");
    let panicked = "the function panicked: Setup panics";
    check(Phase::Setup, Failure::Panic, panicked, "b Setup, b Teardown");
}

#[test]
fn a_failed_start_of_a_bundle_is_torn_down() {
    check(Phase::StartBundle, Failure::Error, "StartBundle fails", "b Setup, b Teardown");
    let panicked = "the function panicked: StartBundle panics";
    check(Phase::StartBundle, Failure::Panic, panicked, "b Setup, b Teardown");
}

#[test]
fn a_failed_element_tears_the_whole_chain_down() {
    // Twice: the element that fails is looked for.
    let twice = format!("{BOTH}, {BOTH}");
    check(Phase::Process, Failure::Error, "Process fails", &twice);
    check(Phase::Process, Failure::Panic, "the function panicked: Process panics", &twice);
}

#[test]
fn a_failed_end_of_a_bundle_is_torn_down_and_not_tried_again() {
    check(Phase::FinishBundle, Failure::Error, "FinishBundle fails", BOTH);
    let panicked = "the function panicked: FinishBundle panics";
    check(Phase::FinishBundle, Failure::Panic, panicked, BOTH);
}

#[test]
fn a_panic_in_teardown_fails_the_bundle() {
    let panicked = "the function panicked: Teardown panics";
    check(Phase::Teardown, Failure::Panic, panicked, BOTH);
}

/// Fails in `process`, and then in `teardown` too.
#[derive(Clone)]
struct FailsTwice;

impl DoFn for FailsTwice {
    type In = i64;
    type Out = i64;

    fn process(&mut self, _: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        Err(Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "the cause"))
    }

    #[expect(clippy::panic, reason = "the panic is what is tested")]
    fn teardown(&mut self) {
        panic!("what follows from it");
    }
}

#[test]
fn the_first_failure_is_reported() {
    let pipeline = Pipeline::new();
    pipeline.apply(Create::of([1i64])).apply(ParDo::of(FailsTwice));
    for outcome in super::run_everywhere(&pipeline) {
        assert_eq!(outcome.expect_err("fails").message(), "the cause");
    }
}
