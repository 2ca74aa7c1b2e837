//! Pipelines on the runner that Beam's Python SDK brings.

use std::collections::BTreeMap;

use dataflow::prelude::*;
use dataflow::testing::conformance::cases;
use dataflow::testing::{beam_python, each};

use super::Sum;
use super::job_service::JobService;
use crate::BeamRunner;

const LINES: [&str; 3] =
    ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer"];

#[test]
fn words_are_counted() {
    let Some(python) = beam_python() else { return };
    let service = JobService::start(&python);
    let pipeline = Pipeline::new();
    let lines = pipeline.apply(Create::of(LINES.map(str::to_owned)));
    let words = lines.apply_named(
        "Split",
        each(|line: String, ctx| {
            line.split(' ').try_for_each(|word| ctx.output((word.to_owned(), 1i64)))
        }),
    );
    let counts = words.apply_named("Count", CombinePerKey::of(Sum)).collect();
    let report = pipeline.run(&BeamRunner::at(service.endpoint()));
    let report = report.unwrap_or_else(|error| panic!("{error}\n{}", service.log()));
    let counted: BTreeMap<String, i64> = report.get(&counts).expect("asked for").iter().collect();
    let mut wanted = BTreeMap::new();
    for word in LINES.iter().flat_map(|line| line.split(' ')) {
        *wanted.entry(word.to_owned()).or_default() += 1;
    }
    assert_eq!(counted, wanted);
}

#[test]
fn rows_of_the_conformance_suite_hold() {
    let Some(python) = beam_python() else { return };
    let service = JobService::start(&python);
    let runner = BeamRunner::at(service.endpoint());
    let mut failed = Vec::new();
    for case in cases() {
        if let Err(error) = case.check(&runner) {
            failed.push(format!("{} {}\n{error}", case.id, case.title));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} fail:\n{}",
        failed.len(),
        cases().count(),
        failed.join("\n\n")
    );
}
