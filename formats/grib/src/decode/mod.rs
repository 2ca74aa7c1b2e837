//! Values out of the bytes of a message.
//!
//! Integers are scaled in double precision, as the C library does, and rounded once.

mod complex;
mod field;
mod guard;
mod order;
mod pictures;
mod plain;
mod second_order;
mod sink;

pub(crate) use field::{Encoded, decode};
pub(crate) use sink::Real;
