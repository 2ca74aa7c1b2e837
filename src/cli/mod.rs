//! Commands: each parses its arguments, runs a job of the library and prints what came of it.

mod args;
mod bake;
mod batch;
mod demo;
mod doctor;
mod exit;
mod fetch;
mod infra;
mod inspect;
mod out;
mod progress;
mod references;
#[cfg(feature = "conformance")]
mod runners;
mod signals;
mod table;
mod validation;
mod verify;
mod ways;
mod worker;
mod workers;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use exit::Finished;
use out::Out;

/// Runs the command that the arguments ask for; its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose, &cli.command);
    let out = Out::new(cli.output);
    let signals = signals::watch();
    let outcome = match &cli.command {
        Command::Demo(args) => demo::demo(args, &out, &signals).map(|()| Finished::Whole),
        Command::Bake(args) => bake::bake(args, &out, &signals),
        Command::Rechunk(args) => bake::rechunk(args, &out, &signals),
        Command::Plan(args) => bake::plan(args, &out, &signals),
        Command::Batch(command) => batch::batch(command, out, &signals),
        Command::Image(command) => batch::image(command, out).map(|()| Finished::Whole),
        Command::Infra(command) => infra::infra(command, out).map(|()| Finished::Whole),
        Command::Doctor(args) => {
            let failed = doctor::doctor(args, out, &signals);
            return exit::verified(failed.map(exit::Verified::of), out, &signals);
        }
        Command::Inspect(args) => inspect::inspect(args, &out).map(|()| Finished::Whole),
        #[cfg(feature = "conformance")]
        Command::Runners(args) => {
            let failed = runners::runners(*args, out);
            return exit::verified(failed.map(exit::Verified::of), out, &signals);
        }
        Command::Worker => return worker::worker(out, &signals),
        Command::Verify(args) => {
            return exit::verified(verify::verify(args, &out, &signals), out, &signals);
        }
    };
    exit::ended(outcome, out, &signals)
}

fn start_logging(verbose: u8, command: &Command) {
    let level = match verbose {
        // The suite makes things go wrong to see what comes of it.
        0 if command.is_suite() => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LEVAIN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Somebody who has set a subscriber before knows what they want.
    drop(logging.try_init());
}
