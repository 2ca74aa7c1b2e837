//! Writes that fail on demand, so that a full disk and a refused access can be tested anywhere.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no space left.
    Full,
    /// The file system is read-only, or access is refused.
    Denied,
    /// The request timed out; a later one may succeed.
    Transient,
}

/// Which writes fail, and how; clones count together.
///
/// ```
/// use objects::{Fault, Faults, Location, Objects, StoreOptions};
/// let options = StoreOptions::default().with_faults(Faults::from_put(2, Fault::Full));
/// let store = Objects::open(&Location::parse("memory://faults-doc")?, &options)?;
/// store.put("a", "1".into()).wait()?;
/// assert!(store.put("b", "2".into()).wait().is_err());
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Faults {
    first: u64,
    last: u64,
    fault: Fault,
    seen_count: Arc<AtomicU64>,
}

impl Faults {
    /// The `n`-th write fails, counted from one, and every later one: a disk stays full.
    pub fn from_put(n: u64, fault: Fault) -> Self {
        Self { first: n, last: u64::MAX, fault, seen_count: Arc::default() }
    }

    /// The `n`-th write fails, counted from one, and no other.
    pub fn at_put(n: u64, fault: Fault) -> Self {
        Self { first: n, last: n, fault, seen_count: Arc::default() }
    }

    /// Counts a write, and fails it if it is its turn.
    pub(crate) fn check(&self) -> std::io::Result<()> {
        let place = self.seen_count.fetch_add(1, Ordering::Relaxed) + 1;
        if !(self.first..=self.last).contains(&place) {
            return Ok(());
        }
        let kind = match self.fault {
            Fault::Full => ErrorKind::StorageFull,
            Fault::Denied => ErrorKind::ReadOnlyFilesystem,
            Fault::Transient => ErrorKind::TimedOut,
        };
        Err(kind.into())
    }
}

/// Two are equal if they count together.
impl PartialEq for Faults {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seen_count, &other.seen_count)
    }
}

impl Eq for Faults {}
