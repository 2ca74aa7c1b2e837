//! Commands: each parses its arguments, runs a job of the library and prints what came of it.

mod again;
mod args;
mod bake;
mod batch;
mod beam;
mod cancel;
mod codes;
mod completions;
mod config;
mod demo;
mod detach;
mod dispatch;
mod doctor;
mod exit;
mod explain;
mod fetch;
mod gc;
mod infra;
mod inspect;
mod launch;
mod logging;
mod logs;
mod out;
mod progress;
mod records;
mod references;
mod resume;
#[cfg(feature = "conformance")]
mod runners;
mod settled;
mod signals;
mod table;
mod tasks;
mod validation;
mod verify;
mod watch;
mod ways;
mod worker;
mod workers;

pub use dispatch::command;
pub use launch::{launch, launch_with};
