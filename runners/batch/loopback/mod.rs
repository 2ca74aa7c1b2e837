//! What the two programs of this folder's parent share: HTTP/1.1 on loopback, chance by a seed,
//! patterns of names, and an end together with whoever started them.
//!
//! Threads and blocking reads: a fault is then what it says, a socket that is closed or a body that
//! stops, and no library mends it on the way.

pub(crate) mod lifetime;
pub(crate) mod listen;
pub(crate) mod message;
pub(crate) mod pattern;
pub(crate) mod random;
