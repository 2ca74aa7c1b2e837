//! Commands: each parses its arguments, runs a job of the library and prints what came of it.

mod args;
mod bake;
mod demo;
mod exit;
mod fetch;
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
        Command::Inspect(args) => inspect::inspect(args, &out).map(|()| Finished::Whole),
        #[cfg(feature = "conformance")]
        Command::Runners(args) => {
            let failed = runners::runners(*args, out);
            return exit::verified(failed.map(exit::Verified::of), out, &signals);
        }
        Command::Verify(args) => {
            return exit::verified(verify::verify(args, &out, &signals), out, &signals);
        }
    };
    exit::ended(outcome, out, &signals)
}

fn start_logging(verbose: u8, command: &Command) {
    let level = match verbose {
        // The suite makes things go wrong to see what comes of it.
        #[cfg(feature = "conformance")]
        0 if matches!(command, Command::Runners(_)) => "off",
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
