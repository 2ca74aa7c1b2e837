//! Hash functions for the programs written by hand: the fast one of hashbrown, and that of `std`.

/// The one that is compared with.
pub(crate) type Fast = foldhash::fast::RandomState;
/// The one of whoever does not ask for another.
pub(crate) type Std = std::hash::RandomState;
