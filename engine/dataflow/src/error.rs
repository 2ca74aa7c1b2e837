//! The one error type of the house.
//!
//! An [`Error`] says **what** happened, **where**, and **how to mend it**, and carries a stable
//! [`ErrorCode`]. Texts are redacted when they enter, so that no later reader has to think of
//! secrets. An error can be cloned and encoded: a worker's error reaches the driver whole.
//!
//! This module knows nothing of the rest of the crate. Read [`crate::element`] next.

mod code;
mod redact;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use code::ErrorCode;
pub use redact::redact;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The recipe, the arguments or the plan are wrong; running again changes nothing.
    InvalidInput,
    /// Something named by the user does not exist.
    NotFound,
    /// Something that must be new exists already.
    AlreadyExists,
    /// A well-formed request for something that is not offered.
    Unsupported,
    /// Bytes that were read do not mean what they should.
    Corrupt,
    /// Inputs that are right one by one contradict each other.
    Conflict,
    /// Memory, disk or another limit does not suffice.
    ResourceExhausted,
    /// The operating system or the store refused access.
    PermissionDenied,
    /// A later attempt may succeed; only this kind is retried.
    Transient,
    /// The run was asked to stop.
    Cancelled,
    /// Code of the recipe returned an error or panicked.
    User,
    /// A bug in Levain.
    Internal,
}

/// The result of everything that can fail in the house.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened, where, why, and how to mend it.
///
/// `Display` prints the whole report, root cause first, as users see it. `Debug` prints the same.
///
/// ```
/// use dataflow::error::{Error, ErrorCode, ErrorKind};
///
/// let error = Error::new(ErrorCode::UNKNOWN_DIMENSION, ErrorKind::InvalidInput, "no dimension `tme`")
///     .at("file", "a.nc")
///     .mend("the dimensions are: time, lat, lon");
/// assert_eq!(
///     error.to_string(),
///     "error[E107]: no dimension `tme`\n  file     a.nc\n  mend     the dimensions are: time, lat, lon"
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error(Box<Report>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    code: ErrorCode,
    kind: ErrorKind,
    message: String,
    at: Vec<(String, String)>,
    mend: Option<String>,
    source: Option<Error>,
}

impl Error {
    /// Makes an error from a code, a kind and a sentence without capital or final stop.
    pub fn new(code: ErrorCode, kind: ErrorKind, message: impl AsRef<str>) -> Self {
        let message = redact(message.as_ref());
        Self(Box::new(Report { code, kind, message, at: Vec::new(), mend: None, source: None }))
    }

    /// A bug of ours that was met where returning it is kinder than stopping the process.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(ErrorCode::ENGINE_BUG, ErrorKind::Internal, message)
            .mend("this is a bug in Levain; please report it with the command that led here")
    }

    /// Adds a place: the role it plays (`file`, `variable`, `chunk`, `step`) and its name.
    ///
    /// A role that is there already keeps its first, innermost, value.
    #[must_use]
    pub fn at(mut self, role: &str, place: impl fmt::Display) -> Self {
        if self.place(role).is_none() {
            self.0.at.push((role.to_owned(), redact(&place.to_string())));
        }
        self
    }

    /// Says what the user can do about it; the innermost advice stays.
    #[must_use]
    pub fn mend(mut self, advice: impl AsRef<str>) -> Self {
        self.0.mend.get_or_insert_with(|| redact(advice.as_ref()));
        self
    }

    /// Names the error that this one follows from.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Self>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts this error under a sentence that says what was being done: `cannot open input`.
    #[must_use]
    pub fn context(mut self, doing: impl AsRef<str>) -> Self {
        self.0.message = format!("{}: {}", redact(doing.as_ref()), self.0.message);
        self
    }

    /// Changes what a caller can do about it, keeping the text.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What a caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence that says what happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The name that was given for a role, if any.
    pub fn place(&self, role: &str) -> Option<&str> {
        self.0.at.iter().find(|(known, _)| known == role).map(|(_, place)| place.as_str())
    }

    /// All places, in the order in which they were added.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.at.iter().map(|(role, place)| (role.as_str(), place.as_str()))
    }

    /// The advice, if there is one.
    pub fn advice(&self) -> Option<&str> {
        self.0.mend.as_deref()
    }

    /// The error that this one follows from.
    pub fn cause(&self) -> Option<&Self> {
        self.0.source.as_ref()
    }

    /// Whether a later attempt may succeed. Nothing else decides about a retry.
    pub fn is_transient(&self) -> bool {
        self.0.kind == ErrorKind::Transient
    }

    /// Whether this may be the error of one element: not of the run, of what it stands on, or of what
    /// every element of the step would meet.
    pub fn is_of_element(&self) -> bool {
        let kinds = [ErrorKind::Cancelled, ErrorKind::Internal];
        let codes = [
            ErrorCode::NOT_DECLARED,
            ErrorCode::MEMORY_TOO_SMALL,
            ErrorCode::VIEW_MISMATCH,
            ErrorCode::ASSERTION,
            ErrorCode::STORE_FULL,
            ErrorCode::CONFIGURATION,
            ErrorCode::CREDENTIALS,
        ];
        let is_of_run = kinds.contains(&self.kind()) || codes.contains(&self.code());
        // Spilled data names the folder that it is in.
        !is_of_run && self.place("scratch").is_none()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.0.code, self.0.message)?;
        let mut cause = self.cause();
        while let Some(error) = cause {
            write!(f, ": {}", error.message())?;
            cause = error.cause();
        }
        for (role, place) in &self.0.at {
            write!(f, "\n  {role:<8} {}", place.replace('\n', "\n           "))?;
        }
        match &self.0.mend {
            Some(advice) => write!(f, "\n  mend     {}", advice.replace('\n', "\n           ")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Turns an error of the operating system into ours: a full disk, a missing file and a refused
/// access are different things to a user.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let (code, kind) = match error.kind() {
            Io::NotFound => (ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => {
                (ErrorCode::STORE_DENIED, ErrorKind::PermissionDenied)
            }
            // A file that may not get longer is a disk that is full, for whoever writes it.
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
                (ErrorCode::STORE_FULL, ErrorKind::ResourceExhausted)
            }
            Io::Interrupted | Io::TimedOut | Io::WouldBlock => {
                (ErrorCode::STORE_FAILED, ErrorKind::Transient)
            }
            _ => (ErrorCode::STORE_FAILED, ErrorKind::ResourceExhausted),
        };
        Self::new(code, kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Error {
        let root = Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, "chunk is cut short");
        Error::new(ErrorCode::CANNOT_READ, ErrorKind::Corrupt, "cannot read input")
            .at("source", "https://user:secret@data.example.org/a.nc?token=hidden")
            .at("source", "an outer place that must not replace the inner one")
            .mend("download the file again")
            .caused_by(root)
    }

    #[test]
    fn a_report_names_cause_place_and_mend_and_no_secret() {
        assert_eq!(
            sample().to_string(),
            "error[E201]: cannot read input: chunk is cut short\n  \
             source   https://***@data.example.org/a.nc?token=***\n  \
             mend     download the file again"
        );
    }

    #[test]
    fn an_error_travels_whole() {
        let mut bytes = Vec::new();
        ciborium::into_writer(&sample(), &mut bytes).expect("a vector takes every byte");
        let arrived: Error = ciborium::from_reader(&bytes[..]).expect("just written");
        assert_eq!(arrived, sample());
    }

    #[test]
    fn only_transient_errors_are_retried() {
        assert!(!sample().is_transient());
        assert!(sample().with_kind(ErrorKind::Transient).is_transient());
    }
}
