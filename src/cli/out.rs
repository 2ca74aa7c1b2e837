//! Where the command prints: results on stdout, everything else on stderr.

use std::io::{ErrorKind, Write};

use levain::dataflow::error::{Error, ErrorCode, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::args::Output;

/// Prints results in the form that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    output: Output,
}

impl Out {
    pub(crate) fn new(output: Output) -> Self {
        Self { output }
    }

    /// The form that was asked for.
    pub(crate) fn output(self) -> Output {
        self.output
    }

    /// Prints results for people.
    pub(crate) fn text() -> Self {
        Self { output: Output::Text }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        matches!(self.output, Output::Json | Output::Ndjson)
    }

    /// Prints an event as a line of JSON.
    pub(crate) fn event(self, event: &Value) -> Result<()> {
        self.print(&event.to_string())
    }

    /// Prints a result: `text` for people, or `value` as the one JSON document.
    pub(crate) fn result(self, text: &str, value: &impl Serialize) -> Result<()> {
        if self.is_json() {
            let document = match self.output {
                Output::Ndjson => serde_json::to_string(value),
                _ => serde_json::to_string_pretty(value),
            };
            let document = document
                .map_err(|why| Error::internal(format!("the result has no JSON: {why}")))?;
            return self.print(&document);
        }
        self.print(text)
    }

    /// Prints what another process has printed as its result.
    pub(crate) fn verbatim(self, text: &str) -> Result<()> {
        self.print(text)
    }

    /// Prints text for people, where results are text.
    pub(crate) fn line(self, text: &str) -> Result<()> {
        if self.is_json() { Ok(()) } else { self.print(text) }
    }

    /// Prints a warning.
    pub(crate) fn warning(self, text: &str) {
        say(&format!("warning: {text}"));
    }

    /// Prints an error as the report for people.
    pub(crate) fn report(self, error: &Error) {
        say(&error.to_string());
    }

    /// Prints an error that ends the process with the code `exit`: as the report for people, and
    /// as the one JSON document where results are JSON.
    pub(crate) fn error(self, error: &Error, exit: u8) {
        self.report(error);
        if self.is_json() {
            let document = json!({ "v": 1, "error": error_json(error, exit) });
            // The error is the one to report; that it could not be printed twice is not.
            let document = match self.output {
                Output::Ndjson => document.to_string(),
                _ => format!("{document:#}"),
            };
            drop(self.print(&document));
        }
    }

    fn print(self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| {
            let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
            stdout.write_all(end).and_then(|()| stdout.flush())
        }) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Error::new(
                ErrorCode::STORE_FAILED,
                levain::dataflow::error::ErrorKind::ResourceExhausted,
                format!("cannot print: {error}"),
            )),
            Ok(()) => Ok(()),
        }
    }
}

/// An error with which the process ends, as JSON.
pub(crate) fn error_json(error: &Error, exit: u8) -> Value {
    let places: Map<String, Value> =
        error.places().map(|(role, place)| (role.to_owned(), place.into())).collect();
    let causes = std::iter::successors(Some(error), |error| error.cause());
    json!({
        "code": error.code().to_string(),
        "message": error.message(),
        "chain": causes.map(Error::message).collect::<Vec<_>>(),
        "at": places,
        "mend": error.advice(),
        "exit": exit,
    })
}

/// Prints on stderr; that nobody can read it is no reason to stop.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
