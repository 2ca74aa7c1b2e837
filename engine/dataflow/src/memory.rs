//! The byte budget of a run.
//!
//! One budget has two accounts. *Working* memory is what a bundle declares before it starts; it
//! is granted at once or the bundle does not start yet. *Held* memory is what grows with the
//! input: shuffle runs, combine tables, groups and side inputs. A refused holder spills; nothing
//! waits while it holds. Held memory never takes the last `floor` bytes, so that the next bundle
//! can always start and drain what is held.

use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes may be in use, shared by all threads of a run. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Accounts>);

#[derive(Debug)]
struct Accounts {
    limit: u64,
    floor: u64,
    used: Mutex<Used>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Used {
    held: u64,
    working: u64,
    peak: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    Held,
    Working,
}

impl MemoryBudget {
    /// A budget of `limit` bytes, of which held memory leaves `floor` free.
    pub fn new(limit: u64, floor: u64) -> Self {
        Self(Arc::new(Accounts { limit, floor, used: Mutex::default() }))
    }

    /// A budget that refuses nothing.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, 0)
    }

    /// The bytes of the budget.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit
    }

    /// The most bytes that were in use at once.
    pub fn peak_bytes(&self) -> u64 {
        self.lock().peak
    }

    /// An empty reservation of held memory, to grow with what is held.
    pub fn hold(&self) -> Reservation {
        Reservation { budget: self.clone(), account: Account::Held, bytes: 0 }
    }

    /// Reserves working memory for a bundle, or refuses.
    pub fn try_start(&self, bytes: u64) -> Option<Reservation> {
        let mut reservation =
            Reservation { budget: self.clone(), account: Account::Working, bytes: 0 };
        reservation.try_grow(bytes).then_some(reservation)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Used> {
        // The counts are changed in one step, so a panic elsewhere cannot leave them half done.
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that were granted; they are given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    account: Account,
    bytes: u64,
}

impl Reservation {
    /// Asks for `more` bytes; false means that nothing has changed.
    pub fn try_grow(&mut self, more: u64) -> bool {
        let Accounts { limit, floor, .. } = *self.budget.0;
        let mut used = self.budget.lock();
        let account_limit = match self.account {
            Account::Held => limit.saturating_sub(floor),
            Account::Working => limit,
        };
        let own = match self.account {
            Account::Held => used.held,
            Account::Working => used.working,
        };
        let total = used.held.saturating_add(used.working);
        let is_granted =
            own.saturating_add(more) <= account_limit && total.saturating_add(more) <= limit;
        if is_granted {
            match self.account {
                Account::Held => used.held += more,
                Account::Working => used.working += more,
            }
            used.peak = used.peak.max(total + more);
            self.bytes += more;
        }
        is_granted
    }

    /// Gives `less` bytes back.
    ///
    /// # Panics
    /// If more is given back than was granted.
    pub fn shrink(&mut self, less: u64) {
        assert!(less <= self.bytes, "{less} of {} reserved bytes given back", self.bytes);
        let mut used = self.budget.lock();
        match self.account {
            Account::Held => used.held -= less,
            Account::Working => used.working -= less,
        }
        self.bytes -= less;
    }

    /// Grows or shrinks to `bytes`; false means that growing was refused.
    pub fn try_resize(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            self.shrink(self.bytes - bytes);
            return true;
        }
        self.try_grow(bytes - self.bytes)
    }

    /// The bytes that are granted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves all bytes of `other`, which is of the same budget, into this reservation.
    pub fn absorb(&mut self, mut other: Self) {
        debug_assert_eq!(self.account, other.account, "bytes stay in their account");
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_memory_leaves_the_floor_to_bundles() {
        let budget = MemoryBudget::new(100, 40);
        let mut held = budget.hold();
        assert!(held.try_grow(60));
        assert!(!held.try_grow(1));
        let bundle = budget.try_start(40).expect("the floor is free");
        assert!(budget.try_start(1).is_none());
        drop(bundle);
        held.shrink(30);
        assert!(budget.try_start(70).is_some());
        assert_eq!(budget.peak_bytes(), 100);
    }

    #[test]
    fn everything_comes_back() {
        let budget = MemoryBudget::new(10, 0);
        let mut first = budget.hold();
        let mut second = budget.hold();
        assert!(first.try_grow(4) && second.try_resize(6) && !second.try_resize(7));
        first.absorb(second);
        assert_eq!(first.bytes(), 10);
        drop(first);
        assert!(budget.try_start(10).is_some());
    }
}
