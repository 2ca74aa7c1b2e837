//! Commands: each parses its arguments, runs a job of the library and prints what came of it.

mod args;
mod bake;
mod demo;
mod inspect;
mod out;
mod progress;
mod signals;
mod table;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;
use dataflow_error::{Error, ErrorKind};
use levain::dataflow::error as dataflow_error;

use args::{Cli, Command, PlanCommand};
use out::Out;

/// Runs the command that the arguments ask for; its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose);
    let out = Out::new(cli.output);
    let signals = signals::watch();
    let outcome = match &cli.command {
        Command::Demo(args) => demo::demo(args, &out, &signals),
        Command::Bake(args) => bake::bake(args, &out, &signals),
        Command::Rechunk(args) => bake::rechunk(args, &out, &signals),
        Command::Plan { job: PlanCommand::Bake(args) } => bake::plan_bake(args, &out, &signals),
        Command::Plan { job: PlanCommand::Rechunk(args) } => {
            bake::plan_rechunk(args, &out, &signals)
        }
        Command::Inspect(args) => inspect::inspect(args, &out),
        Command::Verify(args) => verify::verify(args, &out),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            ExitCode::from(exit_code(&error, signals.last()))
        }
    }
}

/// The exit code of an error; a run that a signal has stopped ends with that of the signal.
fn exit_code(error: &Error, signal: Option<u8>) -> u8 {
    match (error.kind(), signal) {
        (ErrorKind::Cancelled, Some(signal)) => 128 + signal,
        _ => error.code().exit_code(),
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
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
