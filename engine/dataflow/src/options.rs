//! Options that every runner understands. None of them is part of a plan's identity.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// What a run does about bundles and elements that fail.
///
/// Transient errors are tried again before, as [`Retries`] says, but for the same error that came twice at
/// the same element. No policy makes a run go on that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OnError {
    /// The first failure stops what runs, and fails the run.
    #[default]
    Stop,
    /// After the first failure no bundle is started; those that run come to their end; then the run
    /// fails.
    Finish,
    /// Whatever does not need what a failed bundle would have made runs; then the run fails.
    Continue,
    /// Elements that fail are left out and reported, and the run succeeds with holes.
    ///
    /// The unit is the element that a DoFn was given, or the group of a combine: what the step does
    /// for it is left out whole, and what other steps do for it is not. So it is the same elements
    /// whatever is fused and however bundles are cut. Combines are not lifted, because what is
    /// combined before the shuffle is no group.
    ///
    /// What is no single element's fails the run as [`OnError::Stop`] does: a failure in `setup`,
    /// `start_bundle`, `finish_bundle` or `teardown`, in a coder's decoding, or of a disk; a view or
    /// a tag that is not declared. Where it cannot be told which element fails, because what comes
    /// before gives others each time, the run fails too.
    ///
    /// Cost: a bundle with `n` such elements runs `n + 2` times, all but once element by element.
    Quarantine {
        /// The most elements that may be left out in the whole run; one more fails it.
        limit: u64,
    },
}

impl OnError {
    /// The name under which users choose it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Finish => "finish",
            Self::Continue => "continue",
            Self::Quarantine { .. } => "quarantine",
        }
    }
}

/// Whether a step, by its full name, is the one of this name, or one within a composite of this name.
pub fn is_step_of(name: &str, step: &str) -> bool {
    step.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How often a bundle is tried again whose errors are transient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// Attempts after the first one.
    pub count: u32,
    /// The same for errors of these steps, by full name; the name of a composite stands for all steps in
    /// it, and the longest name that fits holds.
    pub steps: BTreeMap<String, u32>,
}

impl Retries {
    /// Attempts after the first one where nothing is said.
    pub const DEFAULT: u32 = 2;

    /// Attempts after the first one for an error of this step, if it is one of a step.
    pub fn of(&self, step: Option<&str>) -> u32 {
        let own = self.steps.iter();
        let own = own.filter(|(name, _)| step.is_some_and(|step| is_step_of(name, step)));
        own.max_by_key(|(name, _)| name.len()).map_or(self.count, |(_, count)| *count)
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { count: Self::DEFAULT, steps: BTreeMap::new() }
    }
}

/// How a run divides its work and bounds its memory.
///
/// Whatever is chosen, the results are the same; but for `on_error`, which decides whether there
/// are results where elements fail.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Bytes that may be held at once: shuffles, tables, side inputs and what DoFns declare.
    ///
    /// `None` sets no limit. It bounds what is accounted, not the process: whoever promises a
    /// resident size takes the runtime's own need off first.
    pub memory_bytes: Option<u64>,
    /// Partitions of each shuffle; `None` lets the runner choose.
    pub partition_count: Option<NonZeroUsize>,
    /// The most elements between `start_bundle` and `finish_bundle`; `None` sets no limit.
    pub bundle_elements: Option<NonZeroUsize>,
    /// The folder under which spilled data goes; `None` is the system's folder for such files.
    pub scratch_folder: Option<PathBuf>,
    /// What is done about bundles and elements that fail.
    pub on_error: OnError,
    /// How often bundles are tried again before.
    pub retries: Retries,
    /// The most bytes of an element that has its payload with it, through the shuffle; `None` puts
    /// payloads aside, into a store that all bundles reach.
    pub element_limit_bytes: Option<u64>,
}

impl RunOptions {
    /// Sets the bytes that may be held at once.
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Sets the number of partitions of each shuffle.
    #[must_use]
    pub fn with_partition_count(mut self, count: NonZeroUsize) -> Self {
        self.partition_count = Some(count);
        self
    }

    /// Sets the most elements of a bundle.
    #[must_use]
    pub fn with_bundle_elements(mut self, count: NonZeroUsize) -> Self {
        self.bundle_elements = Some(count);
        self
    }

    /// Sets the folder under which spilled data goes.
    #[must_use]
    pub fn with_scratch_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scratch_folder = Some(folder.into());
        self
    }

    /// Sets what is done about bundles and elements that fail.
    #[must_use]
    pub fn with_on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Sets how often bundles are tried again whose errors are transient.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Lets payloads go through the shuffle, in elements of so many bytes at the most.
    #[must_use]
    pub fn with_payloads_in_elements(mut self, limit_bytes: u64) -> Self {
        self.element_limit_bytes = Some(limit_bytes);
        self
    }

    /// Refuses every policy but [`OnError::Stop`], in the name of a runner that has no other.
    ///
    /// # Errors
    /// E104, which names the runner and the policy.
    pub fn require_stop(&self, runner: &str) -> Result<()> {
        if self.on_error == OnError::Stop {
            return Ok(());
        }
        let name = self.on_error.name();
        let message = format!("the runner `{runner}` does not offer the error policy `{name}`");
        let error = Error::new(ErrorCode::RUNNER_CANNOT, ErrorKind::Unsupported, message);
        Err(error.mend("use the policy `stop`, or choose a runner that offers it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_fits_says_how_often_a_step_is_tried_again() {
        let steps = [("Open", 5), ("Open/Read", 0), ("Ope", 9)];
        let steps = steps.map(|(name, count)| (name.to_owned(), count)).into();
        let retries = Retries { count: 1, steps };
        for (step, want) in [
            (Some("Open"), 5),
            (Some("Open/Split"), 5),
            (Some("Open/Read"), 0),
            (Some("Open2"), 1),
            (Some("Write"), 1),
            (None, 1),
        ] {
            assert_eq!(retries.of(step), want, "{step:?}");
        }
    }
}
