//! Beam's coders as messages name them, and bytes between them and ours.
//!
//! A runner says with which coder it sends elements, and may put a length before any part of one. So
//! what travels is never taken for granted: [`WireCoder`] is read from the message, and [`convert`]
//! makes our encoding of what comes, and theirs of what goes. [`Value`] holds any value of a standard
//! coder; Beam's published examples are checked with it.

mod wire;

mod header;

mod convert;

mod value;

pub use convert::{Form, convert};
pub use header::{Header, Pane, Timing, decode_header, encode_header, encode_window};
pub use value::{Fetch, Firing, Value};
pub use wire::{WireCoder, coder_urn};

#[cfg(test)]
mod tests;
