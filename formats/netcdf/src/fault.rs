//! The two ways in which a file can fail this reader, as errors of the house.
//!
//! It knows no format: callers say what is wrong, and add the file, the variable and the chunk.

use array::error::{Error, ErrorCode, ErrorKind};

/// Bytes that do not mean what they should.
pub(crate) fn corrupt(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
        .mend("the file is damaged or was cut short; copy it again from where it came from")
}

/// A feature of the format that this reader does not offer.
pub(crate) fn unsupported(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::UNSUPPORTED_FEATURE, ErrorKind::Unsupported, message)
}

/// The sentence of an error and of what it follows from, without places and advice.
pub(crate) fn sentence(error: &Error) -> String {
    let mut text = error.message().to_owned();
    let mut cause = error.cause();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(error.message());
        cause = error.cause();
    }
    text
}
