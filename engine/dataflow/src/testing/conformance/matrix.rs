//! What the suite has found: runner by case.

use std::collections::BTreeMap;

use super::{Case, REFUSED, cases};
use crate::capability::Capability;
use crate::error::Error;
use crate::runner::Runner;

/// What came of one case on one runner.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed(Error),
    /// The runner does not offer what the row is about, and refuses it by name.
    Refused(Capability),
}

impl Outcome {
    /// `passed`, `failed` or `refused`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        }
    }
}

/// What the suite has found on one runner.
#[derive(Debug, Clone)]
pub struct RunnerFindings {
    /// The name of the runner.
    pub runner: String,
    /// The outcome of every row, by its id, in the order of the tables.
    pub outcomes: Vec<(&'static str, Capability, Outcome)>,
}

impl RunnerFindings {
    /// Runs the whole suite on a runner.
    pub fn of(runner: &dyn Runner) -> Self {
        let ran = cases().map(|case| (case.id, case.needs, run_case(case, runner)));
        let refused = REFUSED.iter().map(|row| {
            let outcome = match row.check(runner) {
                Ok(()) => Outcome::Refused(row.capability),
                Err(error) => Outcome::Failed(error),
            };
            (row.id, row.capability, outcome)
        });
        Self { runner: runner.name().to_owned(), outcomes: ran.chain(refused).collect() }
    }

    /// The rows that do not hold, with why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        self.outcomes.iter().filter_map(|(id, _, outcome)| match outcome {
            Outcome::Failed(error) => Some((*id, error)),
            _ => None,
        })
    }

    /// For each capability that any row is about: how many rows passed, failed and were refused.
    pub fn by_capability(&self) -> BTreeMap<Capability, Tally> {
        let mut tallies = BTreeMap::<Capability, Tally>::new();
        for (_, capability, outcome) in &self.outcomes {
            let tally = tallies.entry(*capability).or_default();
            match outcome {
                Outcome::Passed => tally.passed += 1,
                Outcome::Failed(_) => tally.failed += 1,
                Outcome::Refused(_) => tally.refused += 1,
            }
        }
        tallies
    }
}

fn run_case(case: &Case, runner: &dyn Runner) -> Outcome {
    if !runner.capabilities().offers(case.needs) {
        return Outcome::Refused(case.needs);
    }
    match case.check(runner) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(error),
    }
}

/// How many rows came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that hold.
    pub passed: usize,
    /// Rows that do not.
    pub failed: usize,
    /// Rows that the runner refuses.
    pub refused: usize,
}

/// What the suite has found on several runners.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Runner by runner.
    pub runners: Vec<RunnerFindings>,
}

impl Matrix {
    /// Runs the whole suite on each of these.
    pub fn of(runners: &[&dyn Runner]) -> Self {
        Self { runners: runners.iter().map(|runner| RunnerFindings::of(*runner)).collect() }
    }

    /// How many rows do not hold, on all runners together.
    pub fn failed_count(&self) -> usize {
        self.runners.iter().map(|findings| findings.failures().count()).sum()
    }
}
