//! A pipeline that must be run.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;

use crate::error::Result;
use crate::options::RunOptions;
use crate::pipeline::Pipeline;
use crate::runner::{JobReport, NoObserver, Runner};
use crate::testing::ReferenceRunner;
use crate::testing::assertion;

/// A [`Pipeline`] of a test: it runs on one runner, and fails the test when it never ran.
///
/// Its [`run`](Self::run) also fails where an [assertion](crate::testing::assert_that) was not
/// checked.
///
/// # Panics
/// When it is dropped without having run, unless the test panics already: what such a test asserts
/// was never looked at.
pub struct TestPipeline<'r> {
    pipeline: Pipeline,
    runner: &'r dyn Runner,
    options: RunOptions,
    has_run: Cell<bool>,
}

impl TestPipeline<'static> {
    /// An empty pipeline that runs on the [`ReferenceRunner`].
    pub fn new() -> Self {
        Self::on(&ReferenceRunner)
    }
}

impl Default for TestPipeline<'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'r> TestPipeline<'r> {
    /// An empty pipeline that runs on this runner.
    pub fn on(runner: &'r dyn Runner) -> Self {
        let (pipeline, options) = (Pipeline::new(), RunOptions::default());
        Self { pipeline, runner, options, has_run: Cell::new(false) }
    }

    /// Runs with these options.
    #[must_use]
    pub fn with_options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Runs the pipeline.
    ///
    /// # Errors
    /// A mistake of the recipe, whatever makes the run fail, an assertion that does not hold, and
    /// one that was not checked.
    pub fn run(&self) -> Result<JobReport> {
        self.has_run.set(true);
        let report = self.pipeline.run_with(self.runner, &self.options, &NoObserver)?;
        assertion::check_all_held(&self.pipeline, &report.metrics)?;
        Ok(report)
    }
}

impl Deref for TestPipeline<'_> {
    type Target = Pipeline;

    fn deref(&self) -> &Pipeline {
        &self.pipeline
    }
}

impl Drop for TestPipeline<'_> {
    fn drop(&mut self) {
        let is_looked_at = self.has_run.get() || std::thread::panicking();
        assert!(is_looked_at, "a test pipeline was never run: call `run` on it");
    }
}

impl fmt::Debug for TestPipeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPipeline")
            .field("pipeline", &self.pipeline)
            .field("runner", &self.runner.name())
            .field("has_run", &self.has_run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
