//! Every runner passes the conformance suite, and the docs show what the suite finds.

use std::num::NonZeroUsize;

use levain::dataflow::runner::{Capabilities, CompileOptions, JobObserver, StageGraph};
use levain::dataflow::testing::ReferenceRunner;
use levain::dataflow::testing::conformance::{Outcome, REFUSED, RunnerFindings, cases};
use levain::prelude::*;
use serde_json::Value;

use crate::command::levain;
use crate::examples::custom_runner::ThreadsRunner;

/// Runs the suite: all rows hold but those that are listed as refused.
#[track_caller]
#[expect(clippy::print_stdout, reason = "how many rows hold is asked for with `--nocapture`")]
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

/// One way to run pipelines on the direct runner.
#[derive(Debug, Clone, Copy)]
struct Way {
    fuse: bool,
    lift: bool,
    bundle_elements: Option<NonZeroUsize>,
    partition_count: NonZeroUsize,
    is_scarce: bool,
    threads: NonZeroUsize,
}

/// Eight ways, in which any two choices meet in all four combinations.
///
/// Source: the orthogonal array L8 of G. Taguchi.
fn ways() -> Vec<Way> {
    let number = |n: usize| NonZeroUsize::new(n).expect("ways have no zeroes");
    let way = |bits: u32| {
        let [a, b, c] = [0, 1, 2].map(|bit| bits >> bit & 1 == 1);
        Way {
            fuse: a,
            lift: b,
            bundle_elements: c.then_some(NonZeroUsize::MIN),
            partition_count: number(if a ^ b { 1 } else { 7 }),
            is_scarce: a ^ c,
            threads: number(if b ^ c { 1 } else { 8 }),
        }
    };
    (0..8).map(way).collect()
}

/// Bytes for side inputs, which cannot be spilled, besides the least that a pipeline runs in.
const FOR_VIEWS_BYTES: u64 = 256 << 10;

/// The direct runner, which runs one way whatever the options say.
struct OneWay(Way);

impl OneWay {
    fn direct(&self) -> DirectRunner {
        let Way { fuse, lift, threads, .. } = self.0;
        let compile_options = CompileOptions { fuse, lift };
        DirectRunner::new().with_threads(threads).with_compile_options(compile_options)
    }
}

impl Runner for OneWay {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn capabilities(&self) -> Capabilities {
        self.direct().capabilities()
    }

    fn compile_options(&self) -> CompileOptions {
        self.direct().compile_options()
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        let mut options = options.clone().with_partition_count(self.0.partition_count);
        options.bundle_elements = self.0.bundle_elements;
        let least = DirectRunner::least_memory_bytes(graph);
        options.memory_bytes = self.0.is_scarce.then_some(least + FOR_VIEWS_BYTES);
        self.direct().run(graph, &options, observer)
    }
}

#[test]
fn the_direct_runner_conforms_however_it_runs() {
    check(&DirectRunner::new(), "direct");
    for way in ways() {
        check(&OneWay(way), &format!("{way:?}"));
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
