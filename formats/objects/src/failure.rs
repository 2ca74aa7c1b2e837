//! What an error of a store means to us: its code, what a caller can do, and a text without
//! secrets.
//!
//! Bodies of answers are never shown: those of S3 quote the access key and the signature.

use std::error::Error as StdError;
use std::fmt::Display;

use dataflow::error::{Error, ErrorCode, ErrorKind};
use object_store::client::{HttpError, HttpErrorKind};

use crate::polite::Rejected;

/// Codes of S3 and Azure that say that the credentials are wrong, not the permissions.
const CREDENTIAL_CODES: [&str; 9] = [
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "ExpiredTokenException",
];

const CREDENTIALS_MEND: &str = "give credentials by the environment (AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY) or an \
     AWS_PROFILE, or ask for anonymous access if the data is public";

/// What went wrong, before it is put into words.
struct Cause {
    code: ErrorCode,
    kind: ErrorKind,
    reason: String,
    mend: Option<&'static str>,
}

/// The error of an `action` (`read`, `write`, `list`, `delete`, `open`) on an object.
pub(crate) fn failed(action: &str, object: impl Display, error: &object_store::Error) -> Error {
    if let Some(own) = own_error(error) {
        return own.clone().context(format!("cannot {action}")).at("object", object);
    }
    let cause = cause_of(error);
    let message = format!("cannot {action}: {}", cause.reason);
    let mut failed = Error::new(cause.code, cause.kind, message).at("object", object);
    if let Some(of_key) = key_in(error) {
        failed = failed.at("credentials", of_key);
    }
    match cause.mend {
        Some(mend) => failed.mend(mend),
        None => failed,
    }
}

/// Whether a code of S3 or Azure says that the credentials are wrong.
pub(crate) fn is_of_credentials(code: &str) -> bool {
    CREDENTIAL_CODES.contains(&code)
}

/// Why a server is not believed to be who it says, if that is why there is no connection.
pub(crate) fn distrust(error: &HttpError) -> Option<String> {
    let reason = innermost(error);
    let is_distrust = error.kind() == HttpErrorKind::Connect && reason.contains("certificate");
    is_distrust.then_some(reason)
}

/// What mends a certificate that is not believed.
pub(crate) const CERTIFICATE_MEND: &str = "if an authority of your own has signed the certificate, name \
     its file in SSL_CERT_FILE; nothing switches the check off";

/// Whose credentials were refused, where that is known.
fn key_in(error: &object_store::Error) -> Option<&str> {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = link {
        if let Some(Rejected::Credentials { of_key, .. }) = current.downcast_ref::<Rejected>() {
            return Some(of_key.as_str()).filter(|it| !it.is_empty());
        }
        link = current.source();
    }
    None
}

/// An error of the house that went through `object_store`: that of the chain of credentials.
fn own_error(error: &object_store::Error) -> Option<&Error> {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = link {
        if let Some(own) = current.downcast_ref::<Error>() {
            return Some(own);
        }
        link = current.source();
    }
    None
}

/// The error of an operation of the file system itself.
pub(crate) fn io_failed(action: &str, object: impl Display, error: &std::io::Error) -> Error {
    let cause = cause_of_io(error);
    Error::new(cause.code, cause.kind, format!("cannot {action}: {}", cause.reason))
        .at("object", object)
}

/// A range that the object does not have.
pub(crate) fn out_of_range(object: impl Display, end: u64, size_bytes: u64) -> Error {
    let message = format!("bytes up to {end} were asked for, but there are {size_bytes}");
    Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
        .at("object", object)
        .mend("the object may be cut short; compare its size with that at its origin")
}

/// An object that is another one than when it was opened.
pub(crate) fn changed(object: impl Display, how: &str) -> Error {
    let message = format!("the file has changed while it was read: {how}");
    Error::new(ErrorCode::CANNOT_READ, ErrorKind::Conflict, message)
        .at("object", object)
        .mend("run again, from the start, when nobody writes the file")
}

/// Whether the connection broke while an answer was read.
pub(crate) fn has_broken_off(error: &object_store::Error) -> bool {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = link {
        if let Some(http) = current.downcast_ref::<HttpError>() {
            return matches!(http.kind(), HttpErrorKind::Request | HttpErrorKind::Interrupted);
        }
        link = current.source();
    }
    false
}

fn cause_of(error: &object_store::Error) -> Cause {
    use object_store::Error as Store;
    let status = status_of(error);
    let service_code = service_code_of(error);
    if service_code.as_deref().is_some_and(|code| CREDENTIAL_CODES.contains(&code)) {
        return refused(&service_code.unwrap_or_default());
    }
    match error {
        // Whoever looks for an object shall not take a missing bucket for a missing object.
        Store::NotFound { .. } if service_code.as_deref() == Some("NoSuchBucket") => {
            answered(404, service_code.as_deref())
        }
        Store::NotFound { .. } => not_found(),
        Store::Unauthenticated { source, .. } => match status {
            Some(status) => credentials(format!("the store answered {status}")),
            None => credentials(innermost(&**source)),
        },
        Store::PermissionDenied { .. } => denied(service_code.as_deref()),
        Store::NotSupported { .. } | Store::NotImplemented { .. } => Cause {
            code: ErrorCode::STORE_FAILED,
            kind: ErrorKind::Unsupported,
            reason: error.to_string(),
            mend: None,
        },
        _ => match status {
            // Lists are refused in other words than objects.
            Some(403) => denied(service_code.as_deref()),
            Some(status) => answered(status, service_code.as_deref()),
            None => cause_in_chain(error),
        },
    }
}

fn not_found() -> Cause {
    Cause {
        code: ErrorCode::STORE_NOT_FOUND,
        kind: ErrorKind::NotFound,
        reason: "there is no such object".to_owned(),
        mend: None,
    }
}

fn denied(service_code: Option<&str>) -> Cause {
    Cause {
        code: ErrorCode::STORE_DENIED,
        kind: ErrorKind::PermissionDenied,
        reason: format!("the store refused access ({})", service_code.unwrap_or("403")),
        mend: Some("ask for the permission, or use other credentials"),
    }
}

fn credentials(reason: String) -> Cause {
    Cause {
        code: ErrorCode::CREDENTIALS,
        kind: ErrorKind::PermissionDenied,
        reason,
        mend: Some(CREDENTIALS_MEND),
    }
}

/// Credentials that the store does not take, each with its own way out.
fn refused(service_code: &str) -> Cause {
    let mend = match service_code {
        "InvalidAccessKeyId" => {
            "the store does not know this access key: correct or renew it where it is read from \
             (`levain doctor` names the place), and look whether it is for this endpoint"
        }
        "SignatureDoesNotMatch" => {
            "the secret does not belong to the access key: copy both again, without spaces, to where \
             they are read from (`levain doctor` names the place)"
        }
        "RequestTimeTooSkewed" => "set the clock of this machine: it is wrong by many minutes",
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            "the credentials have ended: log in again (`aws sso login`), or write new keys to where \
             they are read from (`levain doctor` names the place)"
        }
        _ => CREDENTIALS_MEND,
    };
    Cause { mend: Some(mend), ..credentials(format!("the store answered {service_code}")) }
}

fn answered(status: u16, service_code: Option<&str>) -> Cause {
    let kind = match status {
        408 | 429 | 500 | 502..=504 => ErrorKind::Transient,
        _ => ErrorKind::InvalidInput,
    };
    let mend = match service_code {
        Some("NoSuchBucket") => Some("check the name of the bucket: nothing creates one for you"),
        _ => (300..400).contains(&status).then_some(REGION_MEND),
    };
    let reason = match service_code {
        Some(code) => format!("the store answered {status} ({code})"),
        None => format!("the store answered {status}"),
    };
    Cause { code: ErrorCode::STORE_FAILED, kind, reason, mend }
}

const REGION_SETTINGS_MEND: &str = "set store.region, AWS_REGION or the region of the profile to that \
     of the bucket";

const REGION_MEND: &str = "set the region of the bucket (AWS_REGION), or the endpoint";

fn cause_in_chain(error: &(dyn StdError + 'static)) -> Cause {
    let (mut link, mut is_outermost) = (Some(error), true);
    while let Some(current) = link {
        // An answer to a repetition in the middle of a body.
        if let Some(inner) = current.downcast_ref::<object_store::Error>()
            && !is_outermost
        {
            return cause_of(inner);
        }
        if let Some(http) = current.downcast_ref::<HttpError>() {
            return cause_of_http(http);
        }
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return cause_of_io(io);
        }
        (link, is_outermost) = (current.source(), false);
    }
    let reason = innermost(error);
    let mend = reason.contains("redirect").then_some(REGION_MEND);
    Cause { code: ErrorCode::STORE_FAILED, kind: ErrorKind::InvalidInput, reason, mend }
}

fn cause_of_http(error: &HttpError) -> Cause {
    if let Some(rejected) = error.source().and_then(|it| it.downcast_ref::<Rejected>()) {
        return cause_of_rejected(rejected);
    }
    let (kind, what) = match error.kind() {
        HttpErrorKind::Connect => (ErrorKind::Transient, "no connection"),
        HttpErrorKind::Timeout => (ErrorKind::Transient, "the request timed out"),
        HttpErrorKind::Request | HttpErrorKind::Interrupted => {
            (ErrorKind::Transient, "the connection broke")
        }
        _ => (ErrorKind::InvalidInput, "the answer is not understood"),
    };
    let reason = format!("{what}: {}", innermost(error));
    Cause { code: ErrorCode::STORE_FAILED, kind, reason, mend: None }
}

fn cause_of_rejected(rejected: &Rejected) -> Cause {
    let (code, kind, mend) = match rejected {
        Rejected::Credentials { code, .. } => return refused(code),
        Rejected::Distrusted(_) => {
            (ErrorCode::STORE_FAILED, ErrorKind::PermissionDenied, CERTIFICATE_MEND)
        }
        Rejected::Region { .. } => {
            (ErrorCode::STORE_FAILED, ErrorKind::InvalidInput, REGION_SETTINGS_MEND)
        }
        Rejected::Throttled(_) => (
            ErrorCode::STORE_FAILED,
            ErrorKind::ResourceExhausted,
            "ask for less at once (--max-requests-per-host, --requests-per-second), or wait longer \
             (--max-throttle-wait)",
        ),
        Rejected::Redirect(_) => (
            ErrorCode::STORE_DENIED,
            ErrorKind::InvalidInput,
            "name the place that the server redirects to, if you trust it",
        ),
        Rejected::Secret(_) => (
            ErrorCode::CREDENTIALS,
            ErrorKind::PermissionDenied,
            "give the secret where the recipe or the flag says that it is, and reach its host by \
             https",
        ),
    };
    Cause { code, kind, reason: rejected.to_string(), mend: Some(mend) }
}

fn cause_of_io(error: &std::io::Error) -> Cause {
    use std::io::ErrorKind as Io;
    let absent = [Io::NotFound, Io::NotADirectory, Io::IsADirectory];
    if absent.contains(&error.kind()) {
        return not_found();
    }
    let converted = Error::from(std::io::Error::from(error.kind()));
    let mend = match converted.code() {
        ErrorCode::STORE_FULL => Some("free some space, or choose another place"),
        ErrorCode::STORE_DENIED => Some("choose a place that can be written, or ask for access"),
        _ => None,
    };
    Cause { code: converted.code(), kind: converted.kind(), reason: error.to_string(), mend }
}

/// The text of the last error in the chain; those before it repeat it, with URLs and bodies.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The HTTP status in a chain. `object_store` keeps the type that has it to itself, so its text is
/// read, in this one place.
fn status_of(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, after) = text.split_once("non-2xx status code: ")?;
    after.get(..3)?.parse().ok()
}

/// The code in the XML body of an answer, if it looks like one.
fn service_code_of(error: &object_store::Error) -> Option<String> {
    let text = error.to_string();
    let (_, after) = text.split_once("<Code>")?;
    let (code, _) = after.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Answer(&'static str);

    impl Display for Answer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Answer {}

    fn generic(source: impl StdError + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(source) }
    }

    #[track_caller]
    fn check(error: &object_store::Error, code: ErrorCode, kind: ErrorKind, says: &str) {
        let error = failed("write", "s3://b/k", error);
        assert_eq!((error.code(), error.kind()), (code, kind));
        assert!(error.message().contains(says) && !error.to_string().contains("AKIA"), "{error}");
    }

    #[test]
    fn file_systems_fill_up_and_refuse() {
        let io = |kind| generic(std::io::Error::from(kind));
        let full = io(std::io::ErrorKind::StorageFull);
        check(&full, ErrorCode::STORE_FULL, ErrorKind::ResourceExhausted, "no storage space");
        let read_only = io(std::io::ErrorKind::ReadOnlyFilesystem);
        check(&read_only, ErrorCode::STORE_DENIED, ErrorKind::PermissionDenied, "read-only");
    }

    #[test]
    fn answers_are_told_apart() {
        let busy =
            "Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>";
        check(&generic(Answer(busy)), ErrorCode::STORE_FAILED, ErrorKind::Transient, "SlowDown");
        let late = "non-2xx status code: 400 Bad Request: <Code>ExpiredToken</Code><Key>AKIA</Key>";
        check(
            &generic(Answer(late)),
            ErrorCode::CREDENTIALS,
            ErrorKind::PermissionDenied,
            "Expired",
        );
        let denied = object_store::Error::PermissionDenied {
            path: "k".to_owned(),
            source: "non-2xx status code: 403 Forbidden: <Code>AccessDenied</Code>".into(),
        };
        check(&denied, ErrorCode::STORE_DENIED, ErrorKind::PermissionDenied, "AccessDenied");
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        let missing = |code: &'static str| object_store::Error::NotFound {
            path: "k".to_owned(),
            source: format!("non-2xx status code: 404 Not Found: <Code>{code}</Code>").into(),
        };
        let bucket = missing("NoSuchBucket");
        check(&bucket, ErrorCode::STORE_FAILED, ErrorKind::InvalidInput, "NoSuchBucket");
        let object = missing("NoSuchKey");
        check(&object, ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, "no such object");
    }

    #[test]
    fn broken_connections_may_heal() {
        let broken = HttpError::new(HttpErrorKind::Timeout, Answer("deadline has elapsed"));
        check(&generic(broken), ErrorCode::STORE_FAILED, ErrorKind::Transient, "timed out");
    }
}
