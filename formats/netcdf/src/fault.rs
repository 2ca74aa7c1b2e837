//! The two ways in which a file can fail this reader, as errors of the house.
//!
//! It knows no format: callers say what is wrong, and add the file, the variable and the chunk.

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

/// Sets damage and missing features, which cost what they are found in, apart from failures of a
/// store, which cost the file: what could not be fetched must not seem to be absent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_fault_of_the_file_is_set_apart() {
        assert_eq!(of_the_file(Ok(1)), Ok(Ok(1)));
        assert_eq!(of_the_file::<()>(Err(corrupt("bits"))), Ok(Err(corrupt("bits"))));
        assert_eq!(of_the_file::<()>(Err(unsupported("this"))), Ok(Err(unsupported("this"))));
        let passing = corrupt("no answer").with_kind(ErrorKind::Transient);
        assert_eq!(of_the_file::<()>(Err(passing.clone())), Err(passing));
    }

    #[test]
    fn a_sentence_names_the_cause() {
        assert_eq!(sentence(&corrupt("no index").caused_by(corrupt("bits"))), "no index: bits");
    }
}
