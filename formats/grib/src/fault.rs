//! The two ways in which a file can fail this reader, as errors of the house.
//!
//! It knows no section: callers say what is wrong, and add the file and the message.

use array::error::{Error, ErrorCode, ErrorKind, Result};

/// Bytes that do not mean what they should.
pub(crate) fn corrupt(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
        .mend("the file is damaged or was cut short; copy it again from where it came from")
}

/// A feature of the format that this reader does not offer.
pub(crate) fn unsupported(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}

/// Sets damage and missing features, which cost the message they are found in, apart from failures
/// of a store, which cost the file: what could not be fetched must not seem to be absent.
///
/// # Errors
/// Anything that is not the fault of the file.
pub(crate) fn of_the_file<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            Err(error)
        }
        result => Ok(result),
    }
}

/// Names the message that an error is about, by the byte at which it begins.
pub(crate) fn at_message(error: Error, offset: u64) -> Error {
    error.at("message", format!("at byte {offset}"))
}
