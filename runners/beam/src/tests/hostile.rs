//! The harness on a runner that does all that runners may do.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow::cancel::CancelToken;
use dataflow::prelude::*;
use dataflow::testing::{each, map};
use tracing::Level;

use super::Sum;
use super::fake::{FakeRunner, Mischief};
use crate::{BeamRunner, log_to_runner};

/// Counts words, looks the counts of fixed windows up by a side input, and joins two branches.
fn run_on(runner: &BeamRunner) -> Result<BTreeMap<String, i64>> {
    let pipeline = Pipeline::new();
    let words = ["to", "be", "or", "not", "to", "be"].map(str::to_owned);
    let words = pipeline.apply(Create::of(words));
    let long = Tag::<String>::new("long");
    let tag = long;
    let split = each(move |word: String, ctx| match word.len() {
        3.. => ctx.output_to(&tag, word),
        _ => ctx.output(word),
    });
    let outputs = words.apply_named("Split", split.with_output(&long));
    let long = outputs.get(&long);
    let joined = PCollectionList::of(&outputs.main, [long]).apply(Flatten);
    let pairs = joined.apply_named("Pair", map(|word: String| (word, 1i64)));
    let counts = pairs.apply_named("Count", CombinePerKey::of(Sum));
    let ten = FixedWindows::of(Duration::from_secs(10));
    let windowed = counts.apply_named("Windows", WindowInto::of(ten));
    let view = windowed.as_map_view();
    let looked = each(move |word: String, ctx| {
        let counts = ctx.side(&view)?;
        let count = counts.get(&word)?.unwrap_or_default();
        ctx.output((word, count))
    });
    let spread = joined.apply(Reshuffle).apply_named("Again", WindowInto::of(ten));
    // Counts stand at the end of time, words at its beginning: they look where counts are.
    let at_the_end = WindowMapping::of(move |_| {
        let mut windows = Vec::new();
        ten.assign(Timestamp::END_OF_GLOBAL_WINDOW, &mut windows);
        windows[0]
    });
    let looked = spread.apply_named("Look", looked.with_side_in(&view, at_the_end));
    let groups = looked.apply(GroupByKey);
    let group = |(word, counts): (String, Iterable<i64>)| (word, counts.iter().sum::<i64>());
    let sums = groups.apply_named("Total", map(group)).collect();
    let report = pipeline.run(runner)?;
    Ok(report.get(&sums)?.iter().collect())
}

#[test]
fn a_runner_may_do_all_that_runners_do() {
    let fake = FakeRunner::start(Mischief::None);
    let counts = run_on(&BeamRunner::at(&fake.endpoint)).expect("it runs");
    let wanted = [("to", 4), ("be", 4), ("or", 1), ("not", 1)];
    assert_eq!(counts, wanted.map(|(word, count)| (word.to_owned(), count)).into());
}

#[test]
fn what_a_bundle_says_is_in_the_log_of_the_runner() {
    let fake = FakeRunner::start(Mischief::None);
    let pipeline = Pipeline::new();
    let says = map(|n: i64| {
        log_to_runner(Level::WARN, "recipe", || format!("{n} is odd"));
        n
    });
    let numbers = pipeline.apply(Create::of([7i64])).apply(Reshuffle).apply_named("Says", says);
    let _kept = numbers.collect();
    log_to_runner(Level::WARN, "recipe", || unreachable!("nobody listens to this thread"));
    pipeline.run(&BeamRunner::at(&fake.endpoint)).expect("it runs");
    let of_recipe = fake.log().into_iter().filter(|[_, _, location, _]| location == "recipe");
    let [[instruction, transform, _, text]] =
        of_recipe.collect::<Vec<_>>().try_into().expect("one line");
    assert_eq!(text, "7 is odd");
    assert!(!instruction.is_empty() && !transform.is_empty(), "{instruction}, {transform}");
}

#[test]
fn groups_have_their_pane_whatever_the_runner_says_of_it() {
    let fake = FakeRunner::start(Mischief::None);
    let pipeline = Pipeline::new();
    let pairs = pipeline.apply(Create::of([(1i64, 2i64), (1, 3)]));
    let groups = pairs.apply(GroupByKey);
    let list = |(key, n): (i64, i64), ctx: &mut ProcessContext<'_, _>| {
        ctx.output((key, Iterable::of(&[n])?))
    };
    let lists = pairs.apply_named("List", each(list));
    let all = PCollectionList::of(&groups, [lists, groups.apply(Reshuffle)]).apply(Flatten);
    let see = each(|(_, values): (i64, Iterable<i64>), ctx: &mut ProcessContext<'_, _>| {
        let seen = format!("{} {:?}", values.len(), ctx.pane());
        ctx.output(seen)
    });
    let seen = all.apply(see).collect();
    let report = pipeline.run(&BeamRunner::at(&fake.endpoint)).expect("it runs");
    let mut seen: Vec<String> = report.get(&seen).expect("asked for").iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, ["1 NoFiring", "1 NoFiring", "2 OnTime", "2 OnTime"]);
    let count = |name: &str| {
        let found = report.metrics.elements.iter().find(|(key, _)| key.step == name);
        found.map(|(_, count)| *count)
    };
    let counts = ["GroupByKey", "List", "Reshuffle", "Flatten"].map(count);
    assert_eq!(counts, [1, 2, 1, 4].map(Some), "each is counted once");
}

#[track_caller]
fn check_failure(mischief: Mischief, code: ErrorCode, words: &str) {
    let fake = FakeRunner::start(mischief);
    let error = run_on(&BeamRunner::at(&fake.endpoint)).expect_err("it fails");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_control_stream_that_ends_is_a_failed_job() {
    check_failure(Mischief::DropsControl, ErrorCode::JOB_FAILED, "the job ended as failed");
}

#[test]
fn a_data_stream_that_ends_fails_its_bundles() {
    check_failure(Mischief::DropsData, ErrorCode::LAUNCHER_FAILED, "closed the data stream");
}

#[test]
fn an_element_that_is_cut_is_an_error_of_the_coder() {
    check_failure(Mischief::CutsElement, ErrorCode::CODER, "cannot decode");
}

#[test]
fn state_that_is_refused_names_what_the_runner_says() {
    check_failure(Mischief::RefusesState, ErrorCode::LAUNCHER_FAILED, "no state today");
}

#[test]
fn elements_of_another_coder_are_refused() {
    check_failure(Mischief::LiesAboutCoder, ErrorCode::CODER, "the runner speaks of double");
}

#[test]
fn a_job_that_is_cancelled_ends_as_cancelled() {
    let fake = FakeRunner::start(Mischief::None);
    let cancel = CancelToken::default();
    let runner = BeamRunner::at(&fake.endpoint).with_cancel(cancel.clone());
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..10i64));
    let stop = cancel.clone();
    numbers.apply_named(
        "Wait",
        map(move |n: i64| {
            stop.cancel();
            std::thread::park_timeout(Duration::from_millis(300));
            n
        }),
    );
    let error = pipeline.run(&runner).expect_err("it was stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

#[test]
fn an_error_of_the_recipe_comes_back_whole() {
    let fake = FakeRunner::start(Mischief::None);
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..10i64));
    numbers.apply_named("Panic", map(|n: i64| if n == 7 { panic!("seven is bad") } else { n }));
    let error = pipeline.run(&BeamRunner::at(&fake.endpoint)).expect_err("it panics");
    assert_eq!((error.code(), error.place("step")), (ErrorCode::USER_PANIC, Some("Panic")));
    assert_eq!(error.message(), "the function panicked: seven is bad");
}

#[test]
fn nobody_at_the_endpoint_is_said_so() {
    let pipeline = Pipeline::new();
    pipeline.apply(Create::of([1i64]));
    // The port was free a moment ago, and nobody listens on it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let error = pipeline.run(&BeamRunner::at(&endpoint)).expect_err("nobody is there");
    assert!(error.message().starts_with("no service of Beam answers: "), "{error}");
    assert_eq!(error.place("endpoint"), Some(endpoint.as_str()));
}
