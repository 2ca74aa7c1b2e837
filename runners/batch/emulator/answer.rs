//! What a request comes to: a JSON body, or an error of the service.

use serde_json::Value;

/// The body of an answer, or why there is none.
pub(crate) type Answer<T = Value> = Result<T, Refusal>;

/// An error as the service tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The name of the error, which goes into the header `x-amzn-ErrorType`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// A mistake of the client.
    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new(400, "ClientException", message)
    }
}
