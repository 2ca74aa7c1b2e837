//! Every runner passes the conformance suite, and the docs show what the suite finds.

use std::num::NonZeroUsize;

use levain::dataflow::plan::CompileOptions;
use levain::dataflow::testing::conformance::{Outcome, REFUSED, RunnerFindings, cases};
use levain::dataflow::testing::{ChaosRunner, ReferenceRunner};
use levain::prelude::*;
use serde_json::Value;

use crate::command::levain;
use crate::examples::custom_runner::ThreadsRunner;

/// Runs the suite: all rows hold but those that are listed as refused.
#[track_caller]
fn check(runner: &dyn Runner, what: &str) {
    let findings = RunnerFindings::of(runner);
    let failures: Vec<String> =
        findings.failures().map(|(id, error)| format!("{id} on {what}: {error}")).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    let refused = findings.outcomes.iter().filter(|(_, _, outcome)| is_refused(outcome));
    let refused: Vec<&str> = refused.map(|(id, _, _)| *id).collect();
    let listed: Vec<&str> = REFUSED.iter().map(|row| row.id).collect();
    assert_eq!(refused, listed, "{what}");
    let (passed, refused) = (findings.outcomes.len() - refused.len(), refused.len());
    println!("{what}: {passed} rows hold, {refused} are refused by name");
}

#[test]
fn the_reference_runner_conforms() {
    check(&ReferenceRunner, "reference");
}

#[test]
fn the_direct_runner_conforms_however_it_runs() {
    check(&DirectRunner::new(), "direct");
    let one = DirectRunner::new().with_threads(NonZeroUsize::MIN);
    check(&one.with_compile_options(CompileOptions { fuse: false, lift: true }), "direct, unfused");
    let eight = NonZeroUsize::new(8).expect("eight is not zero");
    let unlifted = CompileOptions { fuse: true, lift: false };
    let many = DirectRunner::new().with_threads(eight).with_compile_options(unlifted);
    check(&many, "direct, unlifted, on eight threads");
}

#[test]
fn whatever_chance_does_conforms() {
    for seed in [1, 23, 456, 7890, 12_345] {
        check(&ChaosRunner::new(seed), &format!("seed {seed}"));
    }
}

#[test]
fn a_runner_of_ones_own_conforms() {
    check(&ThreadsRunner, "the runner of the examples");
}

/// The first block of text in a page.
fn block(page: &str) -> &str {
    let block = page.split_once("```text\n").and_then(|(_, rest)| rest.split_once("```"));
    block.expect("a page with a block").0
}

#[test]
fn the_docs_show_what_the_command_finds() {
    let ran = levain(&["runners", "--matrix"]);
    ran.check_done();
    assert_eq!(ran.stderr, "");
    let page = include_str!("../../docs/conformance.md");
    assert!(block(page) == ran.stdout, "docs/conformance.md is not:\n{}", ran.stdout);
}

#[test]
fn the_matrix_is_also_one_document() {
    let ran = levain(&["runners", "--matrix", "--output", "json"]);
    ran.check_done();
    let document: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
    assert_eq!(document["v"], 1);
    let rows = document["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), cases().count() + REFUSED.len());
    let grouped = rows.iter().find(|row| row["id"] == "GB1").expect("a row about grouping");
    assert_eq!(grouped["runners"]["direct"]["outcome"], "passed");
    let split = rows.iter().find(|row| row["id"] == "SD1").expect("a row that is refused");
    assert_eq!(split["runners"]["reference"]["why"], "splittable DoFns");
}

#[test]
fn the_command_lists_runners_and_what_they_offer() {
    let ran = levain(&["runners"]);
    ran.check_done();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("direct: impulse, ParDo"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("splittable"));
}
