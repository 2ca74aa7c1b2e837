//! One row of the tables, as a function of a runner.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::capability::Capability;
use crate::error::{Error, ErrorCode, ErrorKind, Result};
use crate::runner::{JobReport, Runner};

/// One row of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The id of the row; `GB1` is the first row about GroupByKey.
    pub id: &'static str,
    /// What holds.
    pub title: &'static str,
    /// The part of the model that the row is about.
    pub needs: Capability,
    /// Runs the case; an error says what does not hold.
    pub run: fn(&dyn Runner) -> Result<()>,
}

impl Case {
    pub(super) const fn new(
        id: &'static str,
        title: &'static str,
        needs: Capability,
        run: fn(&dyn Runner) -> Result<()>,
    ) -> Self {
        Self { id, title, needs, run }
    }

    /// Runs the case on a runner; a panic is an error too.
    ///
    /// # Errors
    /// What does not hold, with the id of the case.
    pub fn check(&self, runner: &dyn Runner) -> Result<()> {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(runner)));
        let outcome = outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(broken(format!("the case panicked: {}", text.unwrap_or_default())))
        });
        outcome.map_err(|error| error.at("case", format_args!("{}: {}", self.id, self.title)))
    }
}

/// An error that says what does not hold.
pub(super) fn broken(why: impl AsRef<str>) -> Error {
    let error = Error::new(ErrorCode::ASSERTION, ErrorKind::User, why);
    error.mend("mend the runner: every runner gives what the reference runner gives")
}

/// Fails with `why` unless it holds.
pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(broken(why())) }
}

/// Fails unless the run has failed with this code and with all of these words in its report.
pub(super) fn expect_failure(
    outcome: Result<JobReport>,
    code: ErrorCode,
    words: &[&str],
) -> Result<Error> {
    let Err(error) = outcome else { return Err(broken("the run did not fail")) };
    let report = error.to_string();
    ensure(error.code() == code, || {
        format!("the run failed otherwise than with {code}: {report}")
    })?;
    for word in words {
        ensure(report.contains(word), || format!("`{word}` is missing in: {report}"))?;
    }
    Ok(error)
}
