//! Objects that others name, in a store that may not show them yet.
//!
//! A commit, a plan or an index is written after what it names, and no key is written twice: a store that
//! does not show such an object shows its past, and is asked again.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use dataflow::error::{ErrorKind, Result};
use objects::Pending;
use serde::de::DeserializeOwned;

use crate::store::RunStore;

/// Between two questions, in milliseconds; then the object is believed to be gone.
const PAUSES_MS: [u64; 5] = [50, 200, 800, 2000, 4000];

/// Ranges of an object that somebody has named, on their way.
#[derive(Debug)]
pub(crate) struct Fetched {
    store: RunStore,
    key: String,
    ranges: Vec<Range<u64>>,
    first: Pending<Vec<Bytes>>,
}

impl Fetched {
    /// Waits for the bytes of each range.
    ///
    /// # Errors
    /// A store that fails, an object that is gone.
    pub(crate) fn wait(self) -> Result<Vec<Bytes>> {
        let Self { store, key, ranges, first } = self;
        let mut read = first.wait();
        for pause_ms in PAUSES_MS {
            if !read.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return read;
            }
            crate::pause(Duration::from_millis(pause_ms));
            read = store.start_fetch(&key, ranges.clone()).wait();
        }
        read
    }
}

impl RunStore {
    /// Starts to read ranges of an object that somebody has named.
    pub(crate) fn fetch(&self, key: &str, ranges: Vec<Range<u64>>) -> Fetched {
        let first = self.start_fetch(key, ranges.clone());
        Fetched { store: self.clone(), key: key.to_owned(), ranges, first }
    }

    /// Reads a document that somebody has named; `None` if it is gone.
    pub(crate) fn read_named<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        patiently(|| self.read(key))
    }
}

/// Asks until there is something, or it is believed that there is nothing.
pub(crate) fn patiently<T>(ask: impl Fn() -> Result<Option<T>>) -> Result<Option<T>> {
    for pause_ms in PAUSES_MS {
        let found = ask()?;
        if found.is_some() {
            return Ok(found);
        }
        crate::pause(Duration::from_millis(pause_ms));
    }
    ask()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use dataflow::error::ErrorCode;
    use objects::{Location, StoreOptions};

    use super::*;

    #[test]
    fn what_is_not_shown_yet_is_asked_for_again() {
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            Ok((asked.get() == 3).then_some("there"))
        };
        assert_eq!(patiently(ask).expect("no failure"), Some("there"));
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn what_stays_away_is_gone() {
        let location = Location::parse("memory://patience").expect("a location");
        let store = RunStore::open(&location, &StoreOptions::default()).expect("a store");
        assert_eq!(store.read_named::<u32>("none").expect("no failure"), None);
        let read = store.fetch("none", vec![Range { start: 0, end: 1 }]).wait();
        assert_eq!(read.expect_err("nothing is there").code(), ErrorCode::STORE_NOT_FOUND);
    }
}
