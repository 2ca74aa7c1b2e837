//! What is run on every real runner: a word count, and the conformance suite.

use std::collections::{BTreeMap, BTreeSet};

use dataflow::capability::Capability;
use dataflow::prelude::*;
use dataflow::testing::conformance::cases;
use dataflow::testing::{beam_rows, each};

use super::Sum;
use super::server::JobServer;
use crate::capabilities::tests::Finalizing;
use crate::{BeamRunner, RunnerKind};

const LINES: [&str; 3] =
    ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer"];

/// Counts words.
#[track_caller]
pub(crate) fn check_words(server: &JobServer) {
    let pipeline = Pipeline::new();
    let lines = pipeline.apply(Create::of(LINES.map(str::to_owned)));
    let words = lines.apply_named(
        "Split",
        each(|line: String, ctx| {
            line.split(' ').try_for_each(|word| ctx.output((word.to_owned(), 1i64)))
        }),
    );
    let counts = words.apply_named("Count", CombinePerKey::of(Sum)).collect();
    let report = pipeline.run(&BeamRunner::at(server.endpoint()));
    let report = report.unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    let counted: BTreeMap<String, i64> = report.get(&counts).expect("asked for").iter().collect();
    let mut wanted = BTreeMap::new();
    for word in LINES.iter().flat_map(|line| line.split(' ')) {
        *wanted.entry(word.to_owned()).or_default() += 1;
    }
    assert_eq!(counted, wanted);
}

/// Rows of the conformance suite that do not hold on a runner, each with why.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exceptions<'a> {
    /// They fail, always.
    pub(crate) not_held: &'a [(&'a str, &'a str)],
    /// They are not run: what the runner does with them is not always the same.
    pub(crate) not_run: &'a [(&'a str, &'a str)],
}

/// Runs the rows of the conformance suite: those that fail are those that are said to.
#[track_caller]
pub(crate) fn check_rows(runner: &BeamRunner, exceptions: Exceptions<'_>) {
    let asked = beam_rows();
    let is_asked = |id: &str| asked.as_ref().is_none_or(|rows| rows.iter().any(|row| row == id));
    let is_run = |id: &str| is_asked(id) && exceptions.not_run.iter().all(|(not, _)| *not != id);
    let rows = cases().filter(|case| is_run(case.id));
    let failed = rows.filter_map(|case| Some((case.id, case.check(runner).err()?)));
    let failed: Vec<_> = failed.collect();
    let ids: BTreeSet<&str> = failed.iter().map(|(id, _)| *id).collect();
    let listed = exceptions.not_held.iter().map(|(id, _)| *id).filter(|id| is_asked(id));
    let listed: BTreeSet<&str> = listed.collect();
    let unexpected = failed.iter().filter(|(id, _)| !listed.contains(id));
    let unexpected: Vec<String> = unexpected.map(|(id, error)| format!("{id}: {error}")).collect();
    assert_eq!(ids, listed, "{}", unexpected.join("\n\n"));
}

/// Checks that what a runner is said to lack is refused by the name of the transform, and that it does
/// fail where nothing is refused.
#[track_caller]
pub(crate) fn check_lacks(server: &JobServer, kind: RunnerKind) {
    let runner = BeamRunner::at(server.endpoint());
    // What is said of a runner holds over what it looks like, and this one lacks nothing.
    let unrefused = runner.clone().with_kind(RunnerKind::Python);
    assert!(RunnerKind::Python.lacks().next().is_none());
    for lack in kind.lacks() {
        let row = cases().find(|case| Some(case.id) == lack.row).expect("a row that shows it");
        let error = row.check(&unrefused).expect_err("it lacks nothing");
        assert_ne!(error.code(), ErrorCode::RUNNER_CANNOT, "{error}");
        assert_eq!(lack.capability, row.needs);
        let pipeline = Pipeline::new();
        let numbers = pipeline.apply(Create::of([1i64]));
        match lack.capability {
            Capability::BundleFinalization => {
                numbers.apply_named("Publish", ParDo::of(Finalizing));
            }
            other => panic!("a pipeline that needs {other}"),
        }
        let error = pipeline.run(&runner).expect_err("it is refused");
        assert_eq!(error.code(), ErrorCode::RUNNER_CANNOT, "{error}");
        assert_eq!(error.place("step"), Some("Publish"), "{error}");
    }
}
