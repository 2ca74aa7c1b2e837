//! What an answer that is no success means, and what to do about it.

use dataflow::error::{Error, ErrorCode, ErrorKind};
use objects::AwsAnswer;
use serde_json::Value;

use crate::aws::operations::Operation;

/// Why a call did not do what it was for.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) class: Class,
    /// What AWS calls it; may be empty.
    pub(super) code: String,
    pub(super) error: Error,
}

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Ask later, and less often.
    Throttled,
    /// Ask with other credentials.
    Expired,
    /// Credentials that nobody knows: they have ended, if they were good before.
    Unrecognized,
    /// Not allowed.
    Denied,
    /// The service has a problem of its own.
    Server,
    /// Nothing was asked: no connection.
    NotReached,
    /// No answer, or half of one: it may have been done.
    Lost,
    /// The service does not know this operation.
    UnknownOperation,
    /// The request is wrong.
    Client,
}

const THROTTLED: [&str; 6] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"];
const UNRECOGNIZED: [&str; 5] = [
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
const DENIED: [&str; 4] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"];

/// What a refusal means.
pub(super) fn refused(operation: &Operation, answer: &AwsAnswer) -> Failed {
    let (code, message) = said(answer);
    let class = class_of(answer.status, &code);
    let error = match class {
        Class::Denied => denied(operation, &message),
        Class::Expired | Class::Unrecognized => unknown_keys(&code, &message),
        _ => {
            let shown = if code.is_empty() { answer.status.to_string() } else { code.clone() };
            let what = if message.is_empty() { shown } else { format!("{message} ({shown})") };
            let kind = match class {
                Class::Throttled | Class::Server => ErrorKind::Transient,
                Class::UnknownOperation => ErrorKind::Unsupported,
                _ => ErrorKind::InvalidInput,
            };
            let text = format!("{} was refused: {what}", operation.action);
            Error::new(ErrorCode::LAUNCHER_FAILED, kind, text)
        }
    };
    Failed { class, code, error }
}

/// The code and the message of an answer.
fn said(answer: &AwsAnswer) -> (String, String) {
    let text = String::from_utf8_lossy(&answer.body);
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let tag = |name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        Some(after.split_once('<')?.0.to_owned())
    };
    let field = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = answer.error_type.clone().or_else(|| field("__type")).or_else(|| field("code"));
    let code = code.or_else(|| tag("Code")).unwrap_or_default();
    // `namespace#Code:uri` is allowed.
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default().to_owned();
    let message = field("message").or_else(|| field("Message")).or_else(|| tag("Message"));
    (code, message.unwrap_or_default().trim_end_matches('.').to_owned())
}

fn class_of(status: u16, code: &str) -> Class {
    match (status, code) {
        (429, _) => Class::Throttled,
        (_, code) if THROTTLED.contains(&code) => Class::Throttled,
        (_, code) if EXPIRED.contains(&code) => Class::Expired,
        (_, code) if UNRECOGNIZED.contains(&code) => Class::Unrecognized,
        (_, code) if DENIED.contains(&code) => Class::Denied,
        (401 | 403, _) => Class::Denied,
        (404, _) | (_, "UnknownOperationException") => Class::UnknownOperation,
        (500.., _) => Class::Server,
        _ => Class::Client,
    }
}

fn denied(operation: &Operation, message: &str) -> Error {
    let action = operation.action;
    let error = Error::new(
        ErrorCode::LAUNCHER_DENIED,
        ErrorKind::PermissionDenied,
        format!("{action} is denied"),
    );
    let error = error.at("action", action);
    let error = if message.is_empty() { error } else { error.at("aws", message) };
    error.mend(format!(
        "allow {action} to these credentials; `levain infra policy --for driver` prints all that is needed"
    ))
}

fn unknown_keys(code: &str, message: &str) -> Error {
    let is_clock = code == "InvalidSignatureException" && message.contains("expired");
    let mend = match code {
        _ if is_clock => "set the clock of this machine: it is wrong by many minutes",
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "the secret does not belong to the access key: copy both again, without spaces, to where \
             they are read from (`levain doctor` names the place)"
        }
        code if EXPIRED.contains(&code) => {
            "log in again (`aws sso login`), or write new keys to where they are read from (`levain \
             doctor` names the place)"
        }
        _ => {
            "AWS does not know this access key: correct it where it is read from (`levain doctor` \
             names the place)"
        }
    };
    let text = format!("the credentials were refused: {code}");
    Error::new(ErrorCode::CREDENTIALS, ErrorKind::PermissionDenied, text).mend(mend)
}

/// A service that was not reached, or whose answer was lost.
pub(super) fn broken(operation: &Operation, class: Class, why: &str, url: &str) -> Failed {
    let what = match class {
        Class::NotReached => "cannot be reached",
        _ => "gave no whole answer",
    };
    let text = format!("AWS ({}) {what}: {why}", operation.service);
    let error = Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::Transient, text)
        .at("url", url)
        .at("action", operation.action)
        .mend("look at the network, the region and the endpoint");
    Failed { class, code: String::new(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let check = |status: u16, code: &str, want: Class| {
            assert_eq!(class_of(status, code), want, "{status} {code}");
        };
        check(429, "", Class::Throttled);
        check(400, "ThrottlingException", Class::Throttled);
        check(403, "ExpiredTokenException", Class::Expired);
        check(403, "UnrecognizedClientException", Class::Unrecognized);
        check(403, "AccessDeniedException", Class::Denied);
        check(403, "", Class::Denied);
        check(404, "", Class::UnknownOperation);
        check(500, "ServerException", Class::Server);
        check(503, "", Class::Server);
        check(400, "ClientException", Class::Client);
    }
}
