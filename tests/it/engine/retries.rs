//! What is tried again, what is counted, and how a run is stopped.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use levain::dataflow::cancel::CancelToken;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind};
use levain::dataflow::runner::{JobEvent, JobObserver, NoObserver};
use levain::prelude::*;

use super::{in_order, sorted};

/// Counts elements, and fails so many times at one of them as if a service were busy.
#[derive(Clone)]
struct Busy {
    failures_left: Arc<AtomicU32>,
    /// Whether the service says each time that something else is wrong with it.
    has_many_words: bool,
}

impl DoFn for Busy {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.count("seen", 1);
        ctx.record("value", element);
        let take_one = |left: u32| left.checked_sub(1);
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if element == 700
            && let Ok(left) = self.failures_left.fetch_update(success, failure, take_one)
        {
            let code = ErrorCode::STORE_FAILED;
            let why = if self.has_many_words { format!(" ({left})") } else { String::new() };
            return Err(Error::new(code, ErrorKind::Transient, format!("the store is busy{why}")));
        }
        ctx.output(element)
    }
}

#[derive(Default)]
struct CountRetries(Mutex<Vec<String>>);

impl JobObserver for CountRetries {
    fn observe(&self, event: &JobEvent) {
        if let JobEvent::BundleRetried { error, .. } = event {
            self.0.lock().expect("no observer panics").push(error.message().to_owned());
        }
    }
}

fn run_busy(failures: u32, has_many_words: bool) -> (Result<(JobReport, Vec<i64>)>, usize) {
    let pipeline = Pipeline::new();
    let busy = Busy { failures_left: Arc::new(AtomicU32::new(failures)), has_many_words };
    let collected = pipeline.apply(Create::of(0..1000i64)).apply(ParDo::of(busy)).collect();
    let observer = CountRetries::default();
    let (runner, options) = in_order();
    let outcome = pipeline.run_with(&runner, &options, &observer);
    let retries = observer.0.lock().expect("no observer panics").len();
    (outcome.map(|report| (report.clone(), sorted(&report, &collected))), retries)
}

#[test]
fn a_transient_error_is_tried_again_and_every_element_counts_once() {
    let (outcome, retries) = run_busy(2, true);
    let (report, elements) = outcome.expect("the third attempt succeeds");
    assert_eq!(retries, 2);
    assert_eq!(elements, (0..1000).collect::<Vec<_>>());
    assert_eq!(report.metrics.counter("seen"), 1000);
    let value = report.metrics.distributions.values().next().expect("recorded");
    assert_eq!((value.count, value.min, value.max, value.sum), (1000, 0, 999, 499_500));
}

#[test]
fn transient_errors_are_tried_three_times() {
    let (outcome, retries) = run_busy(u32::MAX, true);
    let error = outcome.expect_err("every attempt fails");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.message(), format!("the store is busy ({})", u32::MAX - 2));
    assert_eq!(retries, 2);
}

#[test]
fn the_same_transient_error_at_the_same_element_is_not_tried_a_third_time() {
    let (outcome, retries) = run_busy(u32::MAX, false);
    let error = outcome.expect_err("both attempts fail");
    assert_eq!((error.message(), error.kind()), ("the store is busy", ErrorKind::Transient));
    assert_eq!(error.place("element"), Some("700"), "the second attempt has found it");
    assert_eq!(retries, 1);
    run_busy(1, false).0.expect("the second attempt succeeds");
}

/// Fails at one element the first time, and at another one the second time, in the same words.
#[derive(Clone)]
struct Wandering(Arc<AtomicU32>);

impl DoFn for Wandering {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        let failures = self.0.load(Ordering::Relaxed);
        if (failures, element) == (0, 300) || (failures, element) == (1, 700) {
            self.0.store(failures + 1, Ordering::Relaxed);
            let code = ErrorCode::STORE_FAILED;
            return Err(Error::new(code, ErrorKind::Transient, "the store is busy"));
        }
        ctx.output(element)
    }
}

#[test]
fn the_same_transient_error_at_another_element_is_tried_a_third_time() {
    let pipeline = Pipeline::new();
    pipeline.apply(Create::of(0..1000i64)).apply(ParDo::of(Wandering(Arc::default())));
    let observer = CountRetries::default();
    let (runner, options) = in_order();
    pipeline.run_with(&runner, &options, &observer).expect("the third attempt succeeds");
    assert_eq!(observer.0.lock().expect("no observer panics").len(), 2);
}

/// Asks the run to stop, and counts what it sees.
#[derive(Clone)]
struct Stop {
    cancel: CancelToken,
    seen: Arc<AtomicU32>,
}

impl DoFn for Stop {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.cancel.cancel();
        assert!(ctx.is_cancelled());
        ctx.output(element)
    }
}

#[test]
fn a_cancelled_run_stops_between_two_batches() {
    let (cancel, seen) = (CancelToken::default(), Arc::new(AtomicU32::new(0)));
    let pipeline = Pipeline::new();
    let stop = Stop { cancel: cancel.clone(), seen: Arc::clone(&seen) };
    pipeline.apply(Create::of(0..100_000i64)).apply(ParDo::of(stop));
    let (runner, options) = in_order();
    let runner = runner.with_cancel(cancel.child());
    let error = pipeline.run_with(&runner, &options, &NoObserver).expect_err("stopped");
    assert_eq!((error.code(), error.kind()), (ErrorCode::CANCELLED, ErrorKind::Cancelled));
    assert_eq!(error.place("step"), None, "nobody's fault");
    assert!(seen.load(Ordering::Relaxed) <= 1024, "one batch");
}

#[test]
fn a_failed_run_does_not_cancel_the_callers_token() {
    let cancel = CancelToken::default();
    let pipeline = Pipeline::new();
    pipeline.apply(Create::of([1i64])).apply(Map::of(|n: i64| assert!(n == 0)));
    let runner = DirectRunner::new().with_cancel(cancel.clone());
    pipeline.run(&runner).expect_err("fails");
    assert!(!cancel.is_cancelled());
}
