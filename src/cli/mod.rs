//! Commands: each parses its arguments, runs a job of the library and prints what came of it.

mod args;
mod bake;
mod batch;
mod codes;
mod completions;
mod config;
mod demo;
mod dispatch;
mod doctor;
mod exit;
mod explain;
mod fetch;
mod infra;
mod inspect;
mod launch;
mod logging;
mod out;
mod progress;
mod records;
mod references;
#[cfg(feature = "conformance")]
mod runners;
mod settled;
mod signals;
mod table;
mod validation;
mod verify;
mod ways;
mod worker;
mod workers;

pub use dispatch::command;
pub use launch::{launch, launch_with};
