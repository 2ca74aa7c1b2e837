//! How the process ends: what is printed last, and the exit code.

use std::process::ExitCode;

use levain::dataflow::error::{Error, ErrorKind, Result};

use crate::cli::out::Out;
use crate::cli::signals::Watched;

/// What came of verifying.
#[derive(Debug)]
pub(crate) enum Verified {
    /// All is right.
    Sound,
    /// All is right, but some elements were filled when they were written, which was allowed.
    Filled,
    /// Something is wrong.
    Failed(Box<Error>),
}

impl Verified {
    /// As far as a failure says it.
    pub(crate) fn of(failure: Option<Error>) -> Self {
        failure.map_or(Self::Sound, |failure| Self::Failed(Box::new(failure)))
    }
}

/// What verifying found wrong is in its result already: only people are told again.
pub(crate) fn verified(outcome: Result<Verified>, out: Out, signals: &Watched) -> ExitCode {
    match outcome {
        Ok(Verified::Failed(failure)) => {
            out.report(&failure);
            ExitCode::from(exit_code(&failure, signals.last()))
        }
        Ok(Verified::Filled) => ended(Ok(Finished::Partly), out, signals),
        other => ended(other.map(|_| Finished::Whole), out, signals),
    }
}

/// How a job has ended that has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    /// With all that was asked for.
    Whole,
    /// Without some of it, as the user allowed.
    Partly,
    /// Well, and with this exit code, which was asked for.
    With(u8),
}

impl Finished {
    /// Without what these errors kept it from.
    pub(crate) fn without(errors: &[Error]) -> Self {
        if errors.is_empty() { Self::Whole } else { Self::Partly }
    }

    /// The exit code of a job that has ended so.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Partly => 3,
            Self::With(code) => code,
        }
    }
}

/// The exit code of a command that came out like this; an error is printed.
pub(crate) fn ended(outcome: Result<Finished>, out: Out, signals: &Watched) -> ExitCode {
    let error = match outcome {
        Ok(finished) => return ExitCode::from(finished.exit_code()),
        Err(error) => error,
    };
    let exit = exit_code(&error, signals.last());
    out.error(&error, exit);
    ExitCode::from(exit)
}

/// The exit code of an error; a run that a signal has stopped ends with that of the signal.
fn exit_code(error: &Error, signal: Option<u8>) -> u8 {
    match (error.kind(), signal) {
        (ErrorKind::Cancelled, Some(signal)) => 128 + signal,
        _ => error.code().exit_code(),
    }
}
