//! The edge to `hdf5-reader`: its errors become ours, and so do its panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use array::error::{Error, Result};
use hdf5_reader::error::Error as LibraryError;

use crate::fault::{corrupt, unsupported};

/// Calls the library.
///
/// The library is young and reads files that nobody has checked: an index out of bounds or an
/// arithmetic overflow in it is damage of one file, not the end of a job that reads thousands.
/// Nothing that `call` touches is used after a panic but caches of whole blocks of the file.
///
/// # Errors
/// What the library returns, or that it panicked.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, LibraryError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(translate),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(corrupt(format!(
                "HDF5 structures contradict each other: {}",
                text.unwrap_or_default()
            )))
        }
    }
}

/// Wraps an error of ours for its way through the library; [`guarded`] takes it out again, so
/// that one that may pass is still retried.
pub(super) fn smuggle(error: Error) -> LibraryError {
    LibraryError::Io(std::io::Error::other(error))
}

fn translate(error: LibraryError) -> Error {
    match error {
        LibraryError::Context { source, .. } => translate(*source),
        LibraryError::Io(error) => match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(error) => Error::from(error),
        },
        LibraryError::UnsupportedFilter(_)
        | LibraryError::UnsupportedEncoding(_)
        | LibraryError::UnsupportedLayoutClass(_)
        | LibraryError::UnsupportedLayoutVersion(_)
        | LibraryError::UnsupportedSuperblockVersion(_) => unsupported(error.to_string()),
        error => corrupt(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use array::error::ErrorCode;

    use super::*;

    #[test]
    fn an_error_of_a_store_comes_back_as_it_was() {
        let ours = Error::internal("lost");
        let back = guarded(|| -> Result<(), _> { Err(smuggle(ours.clone())) });
        assert_eq!(back, Err(ours));
    }

    #[test]
    fn a_panic_is_damage() {
        let none: [u8; 0] = [];
        let at = none.len();
        let error = guarded(|| Ok([1u8, 2][at + 2..][..1][0])).expect_err("out of bounds");
        assert_eq!(error.code(), ErrorCode::CORRUPT);
    }
}
