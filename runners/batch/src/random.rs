//! Names that nobody else has chosen. They decide nothing but who is who.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Eight hexadecimal digits.
pub(crate) fn hex() -> String {
    format!("{:08x}", number() as u32)
}

/// A number from the operating system's generator.
pub(crate) fn number() -> u64 {
    // The standard library seeds the hasher of each `RandomState` from the system.
    RandomState::new().build_hasher().finish()
}
