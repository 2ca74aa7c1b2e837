//! Reads GRIB, editions 1 and 2, as datasets.
//!
//! ```text
//!   ObjectFile ─► FileBytes ─► message (headers) ─► Field ─► cube ─► dataset ─► GribFile
//!                                 grid, levels, parameters      names, axes
//!   PackedArray: fetch bitmap and values of messages ─► decode ─► rows in a buffer
//! ```
//!
//! Bytes come from `objects` alone. A message is decoded when it is read and not before, and is a
//! chunk of its variable: what decoding takes is known beforehand. Damaged messages are errors or,
//! if that is asked for, listed; never panics, and no length is believed before the file can hold
//! it. What is read and what is refused by name: `README.md`. Nothing here knows a store.

mod bits;
mod fault;
mod octets;

mod calendar;
mod field;
mod grid;
mod levels;
mod parameters;

mod message;
mod sniff;

mod decode;

mod axes;
mod coordinates;
mod cube;
mod dataset;
mod held;
mod names;
mod packed_array;

mod file;

pub use file::{BrokenMessages, GribFile, GribOptions, Hole, SkippedMessage};
pub use sniff::is_grib;
