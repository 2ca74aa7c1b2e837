use std::collections::BTreeSet;

use super::*;
use crate::bundle::{BundleProcessor, Results, Setting};
use crate::error::Result;
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::options::RunOptions;
use crate::plan::{CompileOptions, StageGraph};
use crate::runner::{Capabilities, Capability, JobObserver, JobReport, Runner};
use crate::testing::{ChaosRunner, ReferenceRunner};

#[track_caller]
fn check_all(runner: &dyn Runner, what: &str) {
    let findings = RunnerFindings::of(runner);
    let failures: Vec<String> =
        findings.failures().map(|(id, error)| format!("{id}: {error}")).collect();
    assert!(failures.is_empty(), "{what}\n{}", failures.join("\n"));
}

#[test]
fn the_reference_runner_conforms() {
    check_all(&ReferenceRunner, "reference");
}

fn check_chance(seeds: [u64; 2]) {
    for seed in seeds {
        check_all(&ChaosRunner::new(seed), &format!("seed {seed}"));
    }
}

#[test]
fn whatever_chance_does_conforms() {
    check_chance([0, 23]);
}

#[test]
fn whatever_else_chance_does_conforms() {
    check_chance([456, 7890]);
}

#[test]
fn every_row_has_an_id_of_its_own() {
    let ids: Vec<&str> =
        cases().map(|case| case.id).chain(REFUSED.iter().map(|it| it.id)).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn nothing_that_runners_for_bounded_input_offer_is_refused() {
    for row in REFUSED {
        assert!(!Capabilities::BOUNDED.offers(row.capability), "{}", row.id);
    }
}

/// How a runner is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// It runs every bundle and commits it twice.
    Twice,
    /// It forgets the last bundle of a stage that has several.
    Forgets,
    /// It counts what is not there.
    Miscounts,
    /// It runs what it does not offer.
    OffersTooMuch,
}

struct Flawed(Flaw);

impl Runner for Flawed {
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn capabilities(&self) -> Capabilities {
        match self.0 {
            Flaw::OffersTooMuch => Capabilities::BOUNDED.with(Capability::SplittableDoFn),
            _ => Capabilities::BOUNDED,
        }
    }

    fn compile_options(&self) -> CompileOptions {
        CompileOptions { fuse: true, lift: true }
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        _: &dyn JobObserver,
    ) -> Result<JobReport> {
        let (setting, shuffle) = Setting::in_process(options, MemoryBudget::unlimited(), 4);
        let mut metrics = Metrics::default();
        for stage in graph.stages() {
            let processor = BundleProcessor::new(graph, stage, &setting);
            let mut inputs = processor.prepare()?;
            if self.0 == Flaw::Forgets && inputs.len() > 1 {
                inputs.pop();
            }
            for input in inputs {
                let report = processor.run(input)?;
                metrics.merge(&report.metrics);
                match self.0 {
                    Flaw::Twice => drop(processor.run(input)?),
                    Flaw::Miscounts => metrics.merge(&report.metrics),
                    _ => {}
                }
            }
        }
        let results = Results::gather(graph, &setting)?;
        Ok(JobReport::new(metrics, shuffle.counts(), 0, results))
    }
}

#[track_caller]
fn check_found(flaw: Flaw, rows: &[&str]) {
    let findings = RunnerFindings::of(&Flawed(flaw));
    let failed: BTreeSet<&str> = findings.failures().map(|(id, _)| id).collect();
    for row in rows {
        assert!(failed.contains(row), "{flaw:?} is not found by {row}, but by {failed:?}");
    }
}

#[test]
fn a_runner_that_is_wrong_is_found() {
    check_found(Flaw::Twice, &["CR1", "PD1", "GB1", "CO1", "FL2", "SI1", "MO1", "RE1"]);
    check_found(Flaw::Forgets, &["CR1", "GB1", "CO1", "FL1"]);
    check_found(Flaw::Miscounts, &["CR6", "CR1"]);
    check_found(Flaw::OffersTooMuch, &["SD1"]);
}

/// Offers no side inputs; it never gets to run anything.
struct NoSides;

impl Runner for NoSides {
    fn name(&self) -> &'static str {
        "no sides"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::BOUNDED.without(Capability::SideInputs)
    }

    fn compile_options(&self) -> CompileOptions {
        ReferenceRunner.compile_options()
    }

    fn run(
        &self,
        graph: &StageGraph,
        options: &RunOptions,
        observer: &dyn JobObserver,
    ) -> Result<JobReport> {
        ReferenceRunner.run(graph, options, observer)
    }
}

#[test]
fn what_is_not_offered_is_no_failure_of_its_row() {
    let findings = RunnerFindings::of(&NoSides);
    let tally = findings.by_capability()[&Capability::SideInputs];
    assert_eq!((tally.passed, tally.failed), (0, 0));
    assert!(tally.refused > 5);
}
