//! Lines of a check-up: shown as they come, and summed up at the end.

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde_json::{Value, json};

use crate::cli::out::Out;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Skipped,
    Well,
    Warning,
    Failure,
}

impl Found {
    fn shown(self) -> &'static str {
        match self {
            Self::Skipped => "-",
            Self::Well => "ok",
            Self::Warning => "WARN",
            Self::Failure => "FAIL",
        }
    }
}

/// The checks so far.
pub(super) struct Checks {
    out: Out,
    lines: Vec<Value>,
    first: [Option<Error>; 2],
}

impl Checks {
    pub(super) fn new(out: Out) -> Self {
        Self { out, lines: Vec::new(), first: [None, None] }
    }

    pub(super) fn well(&mut self, what: &str, text: &str) {
        self.add(Found::Well, what, text, "", None);
    }

    pub(super) fn skipped(&mut self, what: &str, text: &str) {
        self.add(Found::Skipped, what, text, "", None);
    }

    pub(super) fn warning(&mut self, what: &str, text: &str, mend: &str) {
        let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, text).mend(mend);
        self.add(Found::Warning, what, text, mend, Some(error));
    }

    /// A check that has failed, with its error: what was wrong and how to mend it.
    pub(super) fn failure(&mut self, what: &str, error: Error) {
        let mut text = error.message().to_owned();
        let mut cause = error.cause();
        while let Some(inner) = cause {
            text = format!("{text}: {}", inner.message());
            cause = inner.cause();
        }
        for (role, place) in error.places().filter(|(role, _)| *role != "action") {
            let place = place.replace('\n', "\n                     ");
            text = format!("{text}\n                     {role}: {place}");
        }
        let mend = error.advice().unwrap_or_default().to_owned();
        self.add(Found::Failure, what, &text, &mend, Some(error));
    }

    fn add(&mut self, found: Found, what: &str, text: &str, mend: &str, error: Option<Error>) {
        let mut line = format!(" {:<5} {what:<13} {text}", found.shown());
        if !mend.is_empty() {
            let mend = mend.replace('\n', "\n            ");
            line = format!("{line}\n       fix: {mend}");
        }
        // Checks take time: each is shown when it is made.
        drop(self.out.line(line.trim_end()));
        let code = error.as_ref().map(|error| error.code().to_string());
        let line = json!({ "check": what, "found": found.shown(), "text": text, "fix": mend, "code": code });
        self.lines.push(line);
        let place = match found {
            Found::Failure => &mut self.first[0],
            _ => &mut self.first[1],
        };
        if place.is_none() {
            *place = error;
        }
    }

    /// Prints the document; the error with which the command ends, if one check has failed.
    pub(super) fn end(self, is_strict: bool) -> Result<Option<Error>> {
        let count =
            |found: Found| self.lines.iter().filter(|line| line["found"] == found.shown()).count();
        let (failures, warnings) = (count(Found::Failure), count(Found::Warning));
        let document = json!({
            "v": 1, "checks": self.lines, "failures": failures, "warnings": warnings,
        });
        if self.out.is_json() {
            self.out.result("", &document)?;
        }
        let [failure, warning] = self.first;
        let first = failure.or_else(|| warning.filter(|_| is_strict));
        let wrong = failures + if is_strict { warnings } else { 0 };
        Ok(first.map(|first| {
            let message = format!("{wrong} checks have failed");
            Error::new(first.code(), first.kind(), message)
                .mend("mend them one by one, the first first, and run this again")
        }))
    }
}
