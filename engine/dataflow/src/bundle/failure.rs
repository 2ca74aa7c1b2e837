//! What failed in a run, and how much of it is told.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How many failures a run keeps; more are only counted.
const KEPT_LIMIT: usize = 1000;
/// How many an error lists beside itself.
const LISTED_LIMIT: usize = 100;

/// A failure that no further attempt could mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The error: root cause first, with step, recipe line and element.
    pub error: Error,
    /// The key of the element, where it has one; without secrets.
    pub key: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}

impl Failure {
    /// The failure of something that was tried so often.
    pub fn new(error: Error, attempts: u32) -> Self {
        let key = error.place("key").map(str::to_owned);
        Self { error, key, attempts }
    }

    /// The full name of the step.
    pub fn step(&self) -> Option<&str> {
        self.error.place("step")
    }

    /// The line of the recipe.
    pub fn recipe(&self) -> Option<&str> {
        self.error.place("recipe")
    }

    /// What a user recognises the element by; shortened, without secrets.
    pub fn element(&self) -> Option<&str> {
        self.error.place("element")
    }

    fn rank(&self) -> (Option<&str>, Option<&str>, &str) {
        (self.step(), self.element(), self.error.message())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// Failures of a run, by step, then element, then message: the same list however they came.
///
/// The first thousand are kept, and all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    kept: Vec<Failure>,
    count: u64,
}

impl Failures {
    /// Adds a failure.
    pub fn push(&mut self, failure: Failure) {
        self.count += 1;
        self.keep(failure);
    }

    /// Adds all failures of `other`.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        other.kept.into_iter().for_each(|failure| self.keep(failure));
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those that are kept, in order.
    pub fn kept(&self) -> &[Failure] {
        &self.kept
    }

    /// One error for all of them: the first, which lists the others; `None` if there are none.
    pub fn into_error(mut self) -> Option<Error> {
        if self.kept.is_empty() {
            return None;
        }
        self.count -= 1;
        let first = self.kept.remove(0).error;
        Some(self.beside(first, "others"))
    }

    /// Lists these in an error of something else, as a place of this role.
    #[must_use]
    pub fn beside(&self, error: Error, role: &str) -> Error {
        if self.is_empty() { error } else { error.at(role, self.list()) }
    }

    fn list(&self) -> String {
        let mut list = format!("{} more failed:", self.count);
        for failure in self.kept.iter().take(LISTED_LIMIT) {
            let (code, message) = (failure.error.code(), failure.error.message());
            let (step, element) = (failure.step(), failure.element());
            let of = element.map(|element| format!(" at {element}")).unwrap_or_default();
            let line = write!(list, "\n{code} in {}{of}: {message}", step.unwrap_or("the engine"));
            debug_assert!(line.is_ok(), "appending to a text cannot fail");
        }
        if self.count > LISTED_LIMIT as u64 {
            list.push_str("\n…");
        }
        list
    }

    fn keep(&mut self, failure: Failure) {
        let place = self.kept.partition_point(|known| known.rank() <= failure.rank());
        if place < KEPT_LIMIT {
            self.kept.insert(place, failure);
            self.kept.truncate(KEPT_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, ErrorKind};

    fn failure(element: usize) -> Failure {
        let error = Error::new(ErrorCode::USER_ERROR, ErrorKind::User, "no such luck");
        Failure::new(error.at("step", "Map").at("element", format_args!("{element:05}")), 1)
    }

    #[test]
    fn the_same_are_kept_in_whichever_order_they_come() {
        let (mut forwards, mut backwards) = (Failures::default(), Failures::default());
        (0..2500).for_each(|element| forwards.push(failure(element)));
        for part in [1000..2500, 0..1000] {
            let mut failures = Failures::default();
            part.rev().for_each(|element| failures.push(failure(element)));
            backwards.merge(failures);
        }
        assert_eq!(forwards, backwards);
        assert_eq!((forwards.count(), forwards.kept().len()), (2500, KEPT_LIMIT));
        assert_eq!(forwards.kept().last().and_then(Failure::element), Some("00999"));
    }

    #[test]
    fn one_error_lists_the_others_and_says_how_many_there_are() {
        let mut failures = Failures::default();
        [7, 3, 5].into_iter().for_each(|element| failures.push(failure(element)));
        let error = failures.into_error().expect("three failed");
        assert_eq!(
            error.to_string(),
            "error[E301]: no such luck\n  step     Map\n  element  00003\n  others   2 more failed:\n           \
             E301 in Map at 00005: no such luck\n           E301 in Map at 00007: no such luck"
        );
        assert_eq!(Failures::default().into_error(), None);
    }
}
