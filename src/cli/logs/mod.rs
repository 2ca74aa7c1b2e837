//! `levain logs`: what the workers of a run have printed, wherever that lies.
//!
//! `chosen` says whose logs are wanted, `files` and `cloud` read them, `printed` prints lines.

mod chosen;
mod cloud;
mod files;
mod printed;

pub(crate) use printed::{RunLogsArgs, logs};
