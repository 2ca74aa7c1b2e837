//! The SDK harness: does what a runner asks of a worker.
//!
//! ```text
//! runner ── control ──► instructions ──► descriptor, understood ──► bundle on a thread of its own
//!        ◄── answers ──┘                                             ▲        │
//!        ── data ──► queue of the instruction ── source ─────────────┘        │
//!        ◄── data ──────────────────────────────────────── sink ◄─────────────┘
//!        ── state ──► side inputs
//! ```
//!
//! Messages are moved by the runtime's tasks; bundles run on threads and wait for them. Every bundle
//! that a runner wants runs at once: some runners start bundles that wait for one another.

mod descriptor;

mod incremental;
mod source;

mod sink;
mod store;

mod data;
mod log;
mod state;

mod short_ids;

mod bundle;
mod worker;

pub use log::log_to_runner;
pub(crate) use store::Store;
pub(crate) use worker::{Endpoints, Worker};
