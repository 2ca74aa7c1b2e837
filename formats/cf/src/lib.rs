//! CF conventions as pure functions on arrays: what the numbers of a variable mean.
//!
//! ```text
//!   attributes of a variable ──► TimeEncoding { unit, origin, calendar }     one value, one group:
//!                            └─► Packing { dtype, scale, offset, fills }     never key by key
//!
//!   file 0  days since 2000-01-01   ┐  decode    Instants: integer nanoseconds in one calendar
//!   file 1  hours since 2000-01-02  ┘ ─────────►    │ TimeSpan::of, merge, choose
//!                                        encode     ▼
//!   store   hours since 2000-01-01  ◄───────────  TimeEncoding that holds every instant exactly
//! ```
//!
//! Where the conventions leave room, numbers mean what Python's xarray and cftime take them to
//! mean; what those two read differently, or guess, is an error that names it. Nothing here knows
//! a file format, a store or a runner. Read `calendar.rs` first.

mod ascent;
mod calendar;
mod civil;
mod conformance;
mod coordinates;
#[cfg(test)]
mod golden;
mod instants;
mod numbers;
mod packing;
mod parts;
mod reference;
mod span;
mod time;
mod timedelta;
mod unit;

pub use ascent::{Ascent, AscentBreak};
pub use calendar::Calendar;
pub use civil::CivilTime;
pub use conformance::{Nonconformance, nonconformances};
pub use coordinates::{related_variables, time_encoding};
pub use instants::Instants;
pub use packing::{CommonPacking, PackedRange, Packing, Unpackable};
pub use parts::TimePart;
pub use span::TimeSpan;
pub use time::{
    EncodedTimes, MISSING_TIME, TimeEncoding, TimeNumbers, declares_time, encode_times,
};
pub use timedelta::{Timedeltas, timedelta_unit};
pub use unit::TimeUnit;
