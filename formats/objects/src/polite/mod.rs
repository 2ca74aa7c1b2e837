//! Asks servers as gently as they want to be asked: limits for each host, shared by the process.
//!
//! ```text
//!   request ─► Service ─► Authoriser ─► Gate of the host ─► server
//!                 ▲                        │ in flight, per second, paused
//!                 └─ 429, 503: wait ◄──────┘ as long as Retry-After says
//! ```
//!
//! `Pace` decides and knows no clock; everything else tells it the time. Nothing here
//! knows what is asked for. Modules stand in reading order.

mod limits;
mod pace;
mod retry_after;

mod gate;

mod judged;
mod redirect;
mod renew;
mod service;

pub use limits::HostLimits;

pub(crate) use renew::Renewal;
pub(crate) use service::{Connector, Rejected};

#[cfg(test)]
mod tests;
