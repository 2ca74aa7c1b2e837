//! What goes wrong in files: the errors of libraries become ours, and ours come back through them.

use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::error::ArrowError;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use parquet::errors::ParquetError;

const DAMAGED: &str = "the file may be damaged or cut short: compare its size with that at its origin, or copy it again";

/// Bytes that do not mean what they should.
pub(crate) fn corrupt(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::CORRUPT, ErrorKind::Corrupt, message)
}

/// A recipe that asks for what cannot be.
pub(crate) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

/// The error of a stream that was being read: ours as it was, else damage of the file.
pub(crate) fn read_failed(doing: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => corrupt(format!("{doing}: {error}")).mend(DAMAGED),
    }
}

/// The error of a stream that was being written: ours as it was.
pub(crate) fn write_failed(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(Error::from)
}

/// The error of Arrow while it read.
pub(crate) fn arrow_failed(doing: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => read_failed(doing, error),
        ArrowError::ExternalError(error) => foreign(doing, error),
        error => corrupt(format!("{doing}: {error}")).mend(DAMAGED),
    }
}

/// The error of Parquet while it read.
pub(crate) fn parquet_failed(doing: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(error) => foreign(doing, error),
        error => corrupt(format!("{doing}: {error}")).mend(DAMAGED),
    }
}

/// The error of Arrow while it wrote: ours as it was, else of the elements.
pub(crate) fn arrow_unwritten(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => write_failed(error),
        ArrowError::ExternalError(error) => match own(error) {
            Ok(ours) => ours,
            Err(error) => unwritten(&error.to_string()),
        },
        error => unwritten(&error.to_string()),
    }
}

/// The error of Parquet while it wrote.
pub(crate) fn parquet_unwritten(error: ParquetError) -> Error {
    match error {
        ParquetError::External(error) => match own(error) {
            Ok(ours) => ours,
            Err(error) => unwritten(&error.to_string()),
        },
        error => unwritten(&error.to_string()),
    }
}

/// An element that the format cannot hold.
pub(crate) fn unwritten(why: &str) -> Error {
    let message = format!("cannot write this element: {why}");
    Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
        .mend("change the element before it is written, or choose a format that can hold it")
}

fn foreign(doing: &str, error: Box<dyn StdError + Send + Sync>) -> Error {
    match own(error) {
        Ok(ours) => ours,
        Err(error) => corrupt(format!("{doing}: {error}")).mend(DAMAGED),
    }
}

/// The error of ours that a library has wrapped, however often.
fn own(error: Box<dyn StdError + Send + Sync>) -> Result<Error, Box<dyn StdError + Send + Sync>> {
    let error = match error.downcast::<Error>() {
        Ok(ours) => return Ok(*ours),
        Err(error) => error,
    };
    match error.downcast::<io::Error>() {
        Ok(error) => match error.downcast::<Error>() {
            Ok(ours) => Ok(ours),
            Err(error) => Err(Box::new(error)),
        },
        Err(error) => Err(error),
    }
}

/// Calls a library that decodes a file that nobody has checked.
///
/// An index out of bounds in it is damage of one file, not a mistake of the recipe. Nothing that
/// `call` touches is used after a panic.
pub(crate) fn guarded<T>(doing: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "its structures contradict each other".to_owned());
            Err(corrupt(format!("{doing}: {text}")).mend(DAMAGED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Error {
        Error::new(ErrorCode::STORE_FAILED, ErrorKind::Transient, "busy")
    }

    #[test]
    fn an_error_of_a_store_comes_back_as_it_was() {
        assert_eq!(read_failed("reading", io::Error::other(busy())), busy());
        let wrapped = || io::Error::other(busy());
        assert_eq!(arrow_failed("reading", ArrowError::from(wrapped())), busy());
        assert_eq!(parquet_failed("reading", ParquetError::from(wrapped())), busy());
        assert_eq!(arrow_unwritten(ArrowError::from(wrapped())), busy());
        assert_eq!(parquet_unwritten(ParquetError::from(wrapped())), busy());
    }

    #[test]
    fn a_panic_is_damage() {
        let none: [u8; 0] = [];
        let at = none.len();
        let error = guarded("reading", || Ok([1u8, 2][at + 2..][..1][0])).expect_err("panics");
        assert_eq!(error.code(), ErrorCode::CORRUPT);
    }
}
