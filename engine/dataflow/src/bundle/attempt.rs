//! The attempts of a bundle: what is tried again, what is left out, and what fails.
//!
//! ```text
//! as fast as can be ── transient error ──► element by element, up to the last attempt
//!        │                                      │
//!        └── an element's error, quarantine ────┤
//!                                               ▼
//!            commit ◄── without the elements that failed, one more each time
//! ```

use std::sync::Arc;

use crate::bundle::finalize::{self, Callbacks};
use crate::bundle::{BundleInput, BundleProcessor, BundleReport, Failure, Failures};
use crate::error::{Error, redact};
use crate::graph::{ElementPlace, LeftOut, Noted, Operation};
use crate::metrics::Metrics;
use crate::options::{OnError, Retries};

/// A bundle on its way to its commit: its input, and what came of the attempts so far.
#[derive(Debug)]
pub struct BundleTask {
    input: BundleInput,
    /// How often what comes next was tried, this time included.
    attempt: u32,
    is_careful: bool,
    left_out: Arc<LeftOut>,
    failures: Failures,
    callbacks: Callbacks,
    last: Option<Transient>,
}

/// A transient error, and the element at which it came, if that is known.
#[derive(Debug)]
struct Transient {
    error: Error,
    place: Option<ElementPlace>,
}

impl Transient {
    /// Whether the same error came at the same element.
    fn is_same(&self, other: &Self) -> bool {
        let (error, last) = (&self.error, &other.error);
        let is_same_step = error.place("step") == last.place("step");
        let is_same_error = error.code() == last.code() && error.message() == last.message();
        self.place.is_some() && self.place == other.place && is_same_step && is_same_error
    }
}

/// Why an attempt has not committed.
#[derive(Debug)]
pub enum Setback {
    /// The same task is to be tried again, because of this transient error.
    Again(Error),
    /// The bundle has failed.
    Failed(Box<Failure>),
}

impl BundleTask {
    /// A bundle that was not tried yet.
    pub fn new(input: BundleInput) -> Self {
        Self {
            input,
            attempt: 1,
            is_careful: false,
            left_out: Arc::default(),
            failures: Failures::default(),
            callbacks: Callbacks::default(),
            last: None,
        }
    }

    /// The main input of the bundle.
    pub fn input(&self) -> BundleInput {
        self.input
    }

    /// How often it was tried in vain, since the last element was left out.
    pub fn tried(&self) -> u32 {
        self.attempt - 1
    }

    /// Whether a transient error is worth another attempt.
    fn is_tried_again(
        &mut self,
        error: &Error,
        place: Option<ElementPlace>,
        retries: &Retries,
    ) -> bool {
        let now = Transient { error: error.clone(), place };
        let is_same = self.last.as_ref().is_some_and(|last| last.is_same(&now));
        self.last = Some(now);
        !is_same && self.attempt <= retries.of(error.place("step"))
    }

    /// Leaves an element out from now on.
    fn leave_out(&mut self, place: ElementPlace, preview: String, failure: Failure) {
        Arc::make_mut(&mut self.left_out).insert(place, preview);
        self.failures.push(failure);
        self.attempt = 1;
        self.last = None;
    }
}

impl BundleProcessor<'_> {
    /// Tries to run a bundle and to commit it, as the error policy of the run says.
    ///
    /// Elements that are put in quarantine are left out, and the bundle runs again at once.
    ///
    /// # Errors
    /// A transient error that is worth another attempt, or the failure of the bundle; nothing of it
    /// is seen then.
    pub fn attempt(&self, task: &mut BundleTask) -> Result<BundleReport, Setback> {
        loop {
            let env = self.env();
            let env = if task.is_careful { env.careful(&task.left_out) } else { env };
            let error = match self.run_within(task.input, &env) {
                Ok(report) => {
                    let failures = std::mem::take(&mut task.failures);
                    task.callbacks = Callbacks::of(&env);
                    return Ok(BundleReport { failures, ..report });
                }
                Err(error) => error,
            };
            let culprit = env.culprit();
            let place = culprit.as_ref().and_then(|element| element.place);
            let place = place.filter(|_| task.is_careful || self.gives_one_order());
            if error.is_transient() && task.is_tried_again(&error, place, &self.setting.retries) {
                task.attempt += 1;
                task.is_careful = true;
                return Err(Setback::Again(error));
            }
            if !self.may_leave_out(&error) {
                let error = self.name_element(task.input, &env, error);
                return Err(failed(error, culprit, task.attempt));
            }
            if !task.is_careful {
                task.is_careful = true;
                continue;
            }
            drop(env);
            self.leave_out(task, culprit, error)?;
        }
    }

    /// Calls what a bundle has asked for that was attempted with success and counts, where the setting
    /// holds callbacks; what failed of them is counted.
    pub fn finalize(&self, task: BundleTask) -> Metrics {
        finalize::call_all(task.callbacks, self.graph.steps())
    }

    /// Puts the element in quarantine for which a careful attempt has failed.
    fn leave_out(
        &self,
        task: &mut BundleTask,
        culprit: Option<Noted>,
        error: Error,
    ) -> Result<(), Setback> {
        let Some(Noted { place: Some(place), shown: Some(shown) }) = culprit else {
            return Err(failed(error, culprit, task.attempt));
        };
        if let Err(limit) = self.setting.count_quarantined() {
            let policy = format!("quarantine, limit {limit}: this is one more");
            let error = error.at("policy", policy).mend("mend the element, or raise the limit");
            let culprit = Noted { place: Some(place), shown: Some(shown) };
            return Err(failed(error, Some(culprit), task.attempt));
        }
        let failure = failure_of(error, shown.key, task.attempt);
        task.leave_out(place, shown.preview, failure);
        Ok(())
    }

    fn may_leave_out(&self, error: &Error) -> bool {
        let is_quarantine = matches!(self.setting.on_error, OnError::Quarantine { .. });
        is_quarantine && error.is_of_element()
    }

    /// Whether the elements of every step come in one order, however they are cut into batches.
    ///
    /// A flatten within the stage takes its inputs in turns, batch by batch.
    fn gives_one_order(&self) -> bool {
        let graph = self.graph.graph();
        let is_flatten = |&&id: &&_| matches!(graph.node(id).operation, Operation::Flatten);
        let entry = self.entry();
        !self
            .stage
            .members
            .iter()
            .filter(is_flatten)
            .any(|&id| !graph.node(id).outputs.contains(&entry))
    }
}

fn failed(error: Error, culprit: Option<Noted>, attempts: u32) -> Setback {
    let key = culprit.and_then(|element| element.shown).and_then(|shown| shown.key);
    Setback::Failed(Box::new(failure_of(error, key, attempts)))
}

fn failure_of(error: Error, key: Option<String>, attempts: u32) -> Failure {
    let failure = Failure::new(error, attempts);
    let key = failure.key.or_else(|| key.map(|key| redact(&key)));
    Failure { key, ..failure }
}
