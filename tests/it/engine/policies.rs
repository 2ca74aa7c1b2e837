//! What a run does about failures: it stops, finishes, continues, or leaves elements out.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use levain::dataflow::error::{Error, ErrorCode, ErrorKind};
use levain::dataflow::plan::CompileOptions;
use levain::dataflow::runner::{Failure, JobEvent, JobObserver, JobOutcome, NoObserver};
use levain::dataflow::testing::{ChaosRunner, ReferenceRunner};
use levain::prelude::*;

use super::{Log, in_order, sorted};

/// A runner and the options that go with it.
type Way = (String, Box<dyn Runner>, RunOptions);

/// On one and on eight threads, fused and not, with bundles of one and of all; and the reference.
fn ways(policy: OnError) -> Vec<Way> {
    let mut ways = Vec::<Way>::new();
    for bundle in [None, NonZeroUsize::new(1)] {
        let mut options = RunOptions::default().with_on_error(policy);
        options.bundle_elements = bundle;
        for (threads, fuse) in [(1, true), (1, false), (8, true), (8, false)] {
            let runner = DirectRunner::new()
                .with_threads(NonZeroUsize::new(threads).expect("positive"))
                .with_compile_options(CompileOptions { fuse, lift: true });
            let name = format!("{threads} threads, fuse {fuse}, bundles of {bundle:?}");
            ways.push((name, Box::new(runner), options.clone()));
        }
        ways.push((format!("reference, {bundle:?}"), Box::new(ReferenceRunner), options));
    }
    ways
}

const QUARANTINE: OnError = OnError::Quarantine { limit: 100 };

/// What a test says of a failure.
fn told(failure: &Failure) -> [String; 4] {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let message = failure.error.message().to_owned();
    [text(failure.step()), text(failure.element()), text(failure.key.as_deref()), message]
}

#[derive(Default)]
struct Events(Mutex<Vec<[String; 4]>>);

impl JobObserver for Events {
    fn observe(&self, event: &JobEvent) {
        if let JobEvent::ElementQuarantined { failure, .. } = event {
            self.0.lock().expect("no observer panics").push(told(failure));
        }
    }
}

/// Runs in every way under quarantine: what is left, and step, element, key and message of what is
/// not, in the order of the report.
#[track_caller]
fn check<T: Element + Ord + std::fmt::Debug>(
    pipeline: &Pipeline,
    collected: &Collected<T>,
    want: &[T],
    failures: &[[&str; 4]],
) {
    for (way, runner, options) in ways(QUARANTINE) {
        let events = Events::default();
        let report = pipeline.run_with(runner.as_ref(), &options, &events);
        assert!(report.is_ok(), "{way}: {report:?}");
        let report = report.expect("just seen");
        assert_eq!(sorted(&report, collected), want, "{way}");
        let kept: Vec<_> = report.failures.kept().iter().map(told).collect();
        assert_eq!(kept, failures, "{way}");
        let mut seen = events.0.into_inner().expect("no observer panics");
        seen.sort();
        assert_eq!(seen, failures, "{way}");
        let quarantined = failures.len() as u64;
        assert_eq!(report.failures.count(), quarantined, "{way}");
        assert_eq!(report.outcome(), JobOutcome::WithHoles { quarantined }, "{way}");
        assert_eq!(report.outcome().exit_code(), 3, "{way}");
    }
}

fn refused(kind: ErrorKind) -> Error {
    Error::new(ErrorCode::USER_ERROR, kind, "no such luck")
}

/// Counts every element, puts it out, and then refuses some.
#[derive(Clone)]
struct Refuse {
    bad: &'static [i64],
    kind: ErrorKind,
}

impl Refuse {
    const fn all_of(bad: &'static [i64]) -> Self {
        Self { bad, kind: ErrorKind::User }
    }
}

impl DoFn for Refuse {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        ctx.count("seen", 1);
        ctx.record("value", element);
        ctx.output(element)?;
        if self.bad.contains(&element) { Err(refused(self.kind)) } else { Ok(()) }
    }
}

fn numbers(pipeline: &Pipeline, count: i64) -> PCollection<i64> {
    pipeline.apply(Create::of(0..count))
}

/// The numbers below `count` but those of `bad`.
fn without(count: i64, bad: &[i64]) -> Vec<i64> {
    (0..count).filter(|n| !bad.contains(n)).collect()
}

#[test]
fn the_same_elements_are_left_out_in_every_way() {
    // More values than pieces, so that these two come of one element of their stage.
    const BAD: [i64; 3] = [300, 301, 2999];
    let pipeline = Pipeline::new();
    let same = numbers(&pipeline, 3000).apply(Map::of(|n: i64| n));
    let kept = same.apply_named("Refuse", ParDo::of(Refuse::all_of(&BAD)));
    let kept = kept.apply(Map::of(|n: i64| n)).collect();
    let failures = ["2999", "300", "301"].map(|bad| ["Refuse", bad, "", "no such luck"]);
    check(&pipeline, &kept, &without(3000, &BAD), &failures);
}

#[test]
fn what_was_counted_of_a_failed_attempt_does_not_count() {
    let pipeline = Pipeline::new();
    numbers(&pipeline, 1000).apply(ParDo::of(Refuse::all_of(&[0, 500])));
    for (way, runner, options) in ways(QUARANTINE) {
        let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
        assert_eq!(report.metrics.counter("seen"), 998, "{way}");
        let value = report.metrics.distributions.values().next().expect("recorded");
        assert_eq!((value.count, value.min, value.sum), (998, 1, 499_000), "{way}");
    }
}

#[test]
fn a_failure_says_where_and_how_often_it_was_tried() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, 10);
    let line = line!() + 1;
    all.apply_named("Refuse", ParDo::of(Refuse::all_of(&[7])));
    for (way, runner, options) in ways(QUARANTINE) {
        let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
        let [failure] = report.failures.kept() else { panic!("{way}: one element fails") };
        assert_eq!(failure.recipe(), Some(format!("{}:{line}", file!()).as_str()), "{way}");
        assert_eq!((failure.error.code(), failure.attempts), (ErrorCode::USER_ERROR, 1), "{way}");
    }
}

#[test]
fn an_element_that_stays_busy_is_left_out_after_its_attempts() {
    let pipeline = Pipeline::new();
    let busy = Refuse { bad: &[3, 5], kind: ErrorKind::Transient };
    let kept = numbers(&pipeline, 10).apply_named("Busy", ParDo::of(busy)).collect();
    for (way, runner, options) in ways(QUARANTINE) {
        let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
        assert_eq!(sorted(&report, &kept), without(10, &[3, 5]), "{way}");
        let attempts: Vec<u32> = report.failures.kept().iter().map(|it| it.attempts).collect();
        assert_eq!(attempts, [2, 2], "{way}");
    }
}

#[test]
fn as_many_as_the_limit_are_left_out_and_one_more_fails_the_run() {
    let pipeline = Pipeline::new();
    numbers(&pipeline, 3000).apply_named("Refuse", ParDo::of(Refuse::all_of(&[1, 2, 2000])));
    for (way, runner, options) in ways(OnError::Quarantine { limit: 3 }) {
        let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
        assert_eq!(report.failures.count(), 3, "{way}");
    }
    for (way, runner, options) in ways(OnError::Quarantine { limit: 2 }) {
        let error = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect_err("fails");
        assert_eq!(
            (error.code(), error.message()),
            (ErrorCode::USER_ERROR, "no such luck"),
            "{way}"
        );
        assert_eq!(error.place("step"), Some("Refuse"), "{way}");
        let policy = "quarantine, limit 2: this is one more";
        assert_eq!(error.place("policy"), Some(policy), "{way}");
        assert!(error.advice().is_some(), "{error}");
    }
}

#[expect(clippy::panic, reason = "the panic is what is tested")]
fn panic_at(bad: i64) -> impl Fn(i64) -> i64 + Clone + Send + Sync {
    move |n| if n == bad { panic!("cannot be") } else { n }
}

const PANIC: &str = "the function panicked: cannot be";

#[test]
fn an_element_at_which_a_function_panics_is_left_out() {
    let pipeline = Pipeline::new();
    let kept = numbers(&pipeline, 3000).apply(Map::of(panic_at(1500))).collect();
    check(&pipeline, &kept, &without(3000, &[1500]), &[["Map/ParDo", "1500", "", PANIC]]);
}

#[test]
fn only_what_a_failing_step_does_for_an_element_is_left_out() {
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, 100);
    let refused = all.apply_named("Refuse", ParDo::of(Refuse::all_of(&[5])));
    let doubled = all.apply(Map::of(|n: i64| 1000 + n));
    // Both ways meet again in one stage, where elements come by batches.
    let both = PCollectionList::of(&refused, [doubled]).apply(Flatten);
    let kept = both.apply_named("Later", ParDo::of(Refuse::all_of(&[7, 1050]))).collect();
    let mut want = without(100, &[5, 7]);
    want.extend(without(100, &[50]).iter().map(|n| 1000 + n));
    let failures = [("Later", "1050"), ("Later", "7"), ("Refuse", "5")]
        .map(|(step, element)| [step, element, "", "no such luck"]);
    check(&pipeline, &kept, &want, &failures);
}

#[test]
fn a_group_is_left_out_whole() {
    let pipeline = Pipeline::new();
    let groups = numbers(&pipeline, 1000).apply(Map::of(|n: i64| (n % 10, n))).apply(GroupByKey);
    let check_key = panic_at(4);
    let keys = groups.apply(Map::of(move |(key, _): (i64, Iterable<i64>)| check_key(key)));
    let failures = [["Map2/ParDo", "(4, 100 values)", "4", PANIC]];
    check(&pipeline, &keys.collect(), &without(10, &[4]), &failures);
}

/// Adds numbers up, and panics in one phase when the sum is large.
#[derive(Clone)]
struct PanicIn(&'static str);

impl PanicIn {
    fn check(&self, phase: &str, sum: i64) {
        assert!(phase != self.0 || sum < 50_300, "{phase} panics");
    }
}

impl CombineFn for PanicIn {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, value: i64) {
        *sum += value;
        self.check("add", *sum);
    }

    fn merge(&self, sum: &mut i64, other: i64) {
        *sum += other;
    }

    fn extract(&self, sum: i64) -> i64 {
        self.check("extract", sum);
        sum
    }
}

#[test]
fn a_group_that_cannot_be_combined_is_left_out_whole() {
    for phase in ["add", "extract"] {
        let pipeline = Pipeline::new();
        let keyed = numbers(&pipeline, 1000).apply(Map::of(|n: i64| (format!("k{}", n % 10), n)));
        let sums = keyed.apply_named("Sum", CombinePerKey::of(PanicIn(phase))).collect();
        // The sum of each key is 49500 and 100 times its last digit.
        let bad = ["\"k8\"", "\"k9\""];
        let message = format!("the function panicked: {phase} panics");
        let want: Vec<_> = (0..8).map(|key| (format!("k{key}"), 49_500 + 100 * key)).collect();
        check(&pipeline, &sums, &want, &bad.map(|key| ["Sum", key, key, &message]));
    }
}

/// Refuses one value of one key.
#[derive(Clone)]
struct RefuseValue;

impl StatefulDoFn for RefuseValue {
    type Key = String;
    type Value = i64;
    type Out = i64;

    fn process(
        &mut self,
        _: &String,
        value: i64,
        ctx: &mut StatefulContext<'_, '_, i64>,
    ) -> Result<()> {
        if value == 13 { Err(refused(ErrorKind::User)) } else { ctx.output(value) }
    }
}

#[test]
fn a_key_with_state_is_left_out_whole_and_named() {
    let pipeline = Pipeline::new();
    let keyed = numbers(&pipeline, 30).apply(Map::of(|n: i64| (format!("k{}", n % 10), n)));
    let kept = keyed.apply_named("State", StatefulParDo::of(RefuseValue)).collect();
    let want = without(30, &[3, 13, 23]);
    for (way, runner, options) in ways(QUARANTINE) {
        let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
        assert_eq!(sorted(&report, &kept), want, "{way}");
        let [failure] = report.failures.kept() else { panic!("{way}: one key fails") };
        assert_eq!(failure.key.as_deref(), Some("\"k3\""), "{way}");
        assert!(failure.step().is_some_and(|step| step.starts_with("State")), "{way}: {failure}");
    }
}

/// Keeps its elements until its bundle ends, then puts them out or fails.
#[derive(Clone, Default)]
struct Late {
    kept: Vec<i64>,
    fails: bool,
}

impl DoFn for Late {
    type In = i64;
    type Out = i64;

    fn process(&mut self, element: i64, _: &mut ProcessContext<'_, i64>) -> Result<()> {
        self.kept.push(element);
        Ok(())
    }

    fn finish_bundle(&mut self, ctx: &mut ProcessContext<'_, i64>) -> Result<()> {
        if self.fails && !self.kept.is_empty() {
            return Err(refused(ErrorKind::User));
        }
        self.kept.drain(..).try_for_each(|element| ctx.output(element))
    }
}

#[test]
fn an_element_that_comes_when_a_bundle_ends_is_one_as_any_other() {
    let pipeline = Pipeline::new();
    let late = numbers(&pipeline, 100).apply(ParDo::of(Late::default()));
    let kept = late.apply_named("Refuse", ParDo::of(Refuse::all_of(&[8, 9]))).collect();
    let failures = ["8", "9"].map(|bad| ["Refuse", bad, "", "no such luck"]);
    check(&pipeline, &kept, &without(100, &[8, 9]), &failures);
}

#[test]
fn a_failure_at_the_end_of_a_bundle_is_no_elements() {
    let pipeline = Pipeline::new();
    let late = Late { fails: true, ..Late::default() };
    numbers(&pipeline, 100).apply_named("Late", ParDo::of(late));
    for (way, runner, options) in ways(QUARANTINE) {
        let error = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect_err("fails");
        assert_eq!(error.place("step"), Some("Late"), "{way}");
        assert_eq!((error.place("element"), error.place("policy")), (None, None), "{way}");
    }
}

#[test]
fn a_failure_lists_what_is_in_quarantine_already() {
    let pipeline = Pipeline::new();
    let kept = numbers(&pipeline, 10).apply_named("Refuse", ParDo::of(Refuse::all_of(&[3])));
    kept.apply(Reshuffle).apply(ParDo::of(Late { fails: true, ..Late::default() }));
    for (way, runner, options) in ways(QUARANTINE) {
        let error = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect_err("fails");
        let listed = "1 more failed:\nE301 in Refuse at 3: no such luck";
        assert_eq!(error.place("quarantine"), Some(listed), "{way}");
    }
}

#[test]
fn an_element_that_is_another_one_each_time_is_not_left_out() {
    let calls = Arc::new(AtomicI64::new(0));
    let pipeline = Pipeline::new();
    let numbered = numbers(&pipeline, 10)
        .apply(Map::of(move |n: i64| (n, calls.fetch_add(1, Ordering::Relaxed))));
    numbered.apply_named("Refuse", Map::of(|(n, _): (i64, i64)| panic_at(7)(n)));
    let (runner, options) = in_order();
    let options = options.with_on_error(QUARANTINE);
    let error = pipeline.run_with(&runner, &options, &NoObserver).expect_err("fails");
    assert!(error.message().contains("another one stands in its place"), "{error}");
    assert_eq!(error.place("step"), Some("Refuse/ParDo"));
    assert!(error.advice().is_some_and(|advice| advice.contains("deterministic")), "{error}");
}

#[test]
fn a_disk_that_fails_is_no_elements() {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let pipeline = Pipeline::new();
    let large = numbers(&pipeline, 200).apply(Map::of(|n: i64| (n, vec![n; 10_000])));
    large.apply(GroupByKey);
    let runner = DirectRunner::new().with_threads(NonZeroUsize::MIN);
    let plan = pipeline.compile_for(&runner).expect("compiles");
    for policy in [OnError::Stop, QUARANTINE] {
        let options = RunOptions::default()
            .with_memory_bytes(DirectRunner::least_memory_bytes(&plan) + 100_000)
            .with_scratch_folder(folder.path().join("missing"))
            .with_on_error(policy);
        let error = pipeline.run_with(&runner, &options, &NoObserver).expect_err("cannot spill");
        assert!(error.message().starts_with("cannot spill to disk"), "{error}");
        assert_eq!(error.place("policy"), None, "{error}");
    }
}

/// Eight bundles on one thread; each of them fails at its first element, after it was written down.
fn run_failing(policy: OnError) -> (Error, Vec<String>) {
    let log = Log::default();
    let (spread, beside) = (log.clone(), log.clone());
    let pipeline = Pipeline::new();
    let all = numbers(&pipeline, 800).apply(Reshuffle);
    let failing = all.apply_named(
        "Fail",
        Map::of(move |n: i64| {
            spread.write("fail");
            panic_at(n)(n)
        }),
    );
    let later = log.clone();
    failing.apply(Reshuffle).apply(Map::of(move |_: i64| later.write("later")));
    let lone = numbers(&pipeline, 1).apply(Reshuffle);
    lone.apply(Map::of(move |_: i64| beside.write("beside")));
    let options = RunOptions::default()
        .with_on_error(policy)
        .with_partition_count(NonZeroUsize::new(8).expect("positive"));
    let runner = DirectRunner::new().with_threads(NonZeroUsize::MIN);
    let error = pipeline.run_with(&runner, &options, &NoObserver).expect_err("fails");
    (error, log.take())
}

fn count(log: &[String], line: &str) -> usize {
    log.iter().filter(|known| *known == line).count()
}

#[test]
fn a_run_stops_or_starts_no_more_bundles_after_the_first_failure() {
    for policy in [OnError::Stop, OnError::Finish] {
        let (error, log) = run_failing(policy);
        assert_eq!((error.message(), error.place("others")), (PANIC, None));
        // The element is looked for, which runs the function another time.
        assert_eq!((count(&log, "fail"), count(&log, "later")), (2, 0), "{policy:?}");
    }
}

#[test]
fn a_run_that_continues_runs_what_does_not_need_what_failed() {
    let (error, log) = run_failing(OnError::Continue);
    assert_eq!((count(&log, "fail"), count(&log, "later"), count(&log, "beside")), (16, 0, 1));
    assert_eq!((error.message(), error.place("step")), (PANIC, Some("Fail/ParDo")));
    let others = error.place("others").expect("seven more failed");
    assert!(others.starts_with("7 more failed:\nE302 in Fail/ParDo at "), "{error}");
    assert_eq!(others.lines().count(), 8);
}

#[test]
fn a_run_that_finishes_keeps_running_what_runs() {
    let (started, waits) = (Arc::new(AtomicI64::new(0)), Log::default());
    let pipeline = Pipeline::new();
    let log = waits.clone();
    numbers(&pipeline, 2).apply(Reshuffle).apply(Map::of(move |n: i64| {
        // Both run before one fails, so the other one is under way then.
        started.fetch_add(1, Ordering::SeqCst);
        while started.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        panic_at(0)(n);
        log.write("ended");
    }));
    let two = NonZeroUsize::new(2).expect("positive");
    let options = RunOptions::default().with_on_error(OnError::Finish).with_partition_count(two);
    let runner = DirectRunner::new().with_threads(two);
    let error = pipeline.run_with(&runner, &options, &NoObserver).expect_err("fails");
    assert_eq!((error.message(), waits.take().len()), (PANIC, 1));
}

#[test]
fn every_policy_gives_a_run_without_failures_whole() {
    let pipeline = Pipeline::new();
    let kept = numbers(&pipeline, 50).apply(Map::of(|n: i64| n)).collect();
    for policy in [OnError::Stop, OnError::Finish, OnError::Continue, QUARANTINE] {
        for (way, runner, options) in ways(policy) {
            let report = pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect("runs");
            assert_eq!(sorted(&report, &kept), without(50, &[]), "{way}");
            assert_eq!(report.outcome(), JobOutcome::Done, "{way}");
            assert_eq!(report.outcome().exit_code(), 0, "{way}");
        }
    }
}

#[test]
fn without_quarantine_a_failing_element_fails_the_run_everywhere() {
    let pipeline = Pipeline::new();
    numbers(&pipeline, 50).apply_named("Refuse", ParDo::of(Refuse::all_of(&[20])));
    for policy in [OnError::Stop, OnError::Finish, OnError::Continue] {
        for (way, runner, options) in ways(policy) {
            let error =
                pipeline.run_with(runner.as_ref(), &options, &NoObserver).expect_err("fails");
            assert_eq!(error.message(), "no such luck", "{way}");
            assert_eq!(error.place("element"), Some("20"), "{way}");
        }
    }
}

#[test]
fn a_runner_without_a_policy_refuses_it_by_name() {
    let log = Log::default();
    let inner = log.clone();
    let pipeline = Pipeline::new();
    numbers(&pipeline, 3).apply(Map::of(move |_: i64| inner.write("ran")));
    for policy in [OnError::Finish, OnError::Continue, QUARANTINE] {
        let options = RunOptions::default().with_on_error(policy);
        let refused = pipeline.run_with(&ChaosRunner::new(1), &options, &NoObserver);
        let error = refused.expect_err("has only one policy");
        assert_eq!(error.code(), ErrorCode::RUNNER_CANNOT);
        let want =
            format!("the runner `chaos` does not offer the error policy `{}`", policy.name());
        assert_eq!(error.message(), want);
    }
    assert!(log.take().is_empty(), "nothing ran");
}
