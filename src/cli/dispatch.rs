//! Runs the command that the arguments ask for.

use std::process::ExitCode;

use clap::Parser as _;
use levain::dataflow::error::Result;

use crate::cli::args::{Cli, Command, ConfigCommand};
use crate::cli::exit::Finished;
use crate::cli::out::Out;
#[cfg(feature = "conformance")]
use crate::cli::runners;
use crate::cli::settled::Settled;
use crate::cli::{
    bake, batch, completions, config, demo, doctor, exit, explain, infra, inspect, logging,
    records, signals, verify, worker,
};

/// Runs the command `levain` with the arguments of this process; its exit code.
pub fn command() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.global.verbose, cli.command.is_suite());
    let out = Out::new(cli.global.output);
    let signals = signals::watch();
    if let Command::Worker = &cli.command {
        return worker::worker(out, &signals);
    }
    if let Some(outcome) = without_settings(&cli, &out) {
        return exit::ended(outcome.map(|()| Finished::Whole), out, &signals);
    }
    let settled = match Settled::new(&cli.global.config, &signals) {
        Ok(settled) => settled,
        Err(error) => return exit::ended(Err(error), out, &signals),
    };
    let outcome = match &cli.command {
        Command::Demo(args) => demo::demo(args, &settled, &out, &signals).map(|()| Finished::Whole),
        Command::Bake(args) => bake::bake(args, &settled, &out, &signals),
        Command::Rechunk(args) => bake::rechunk(args, &settled, &out, &signals),
        Command::Plan(args) => bake::plan(args, &settled, &out, &signals),
        Command::Batch(command) => batch::batch(command, &settled, out, &signals),
        Command::Infra(command) => infra::infra(command, &settled, out).map(|()| Finished::Whole),
        Command::Doctor(args) => {
            let failed = doctor::doctor(args, &settled, out, &signals);
            return exit::verified(failed.map(exit::Verified::of), out, &signals);
        }
        Command::Inspect(args) => inspect::inspect(args, &settled, &out).map(|()| Finished::Whole),
        #[cfg(feature = "conformance")]
        Command::Runners(args) => {
            let failed = runners::runners(*args, out);
            return exit::verified(failed.map(exit::Verified::of), out, &signals);
        }
        Command::Verify(args) => {
            let outcome = verify::verify(args, &settled, &out, &signals);
            return exit::verified(
                outcome.map_err(|error| settled.explained(error)),
                out,
                &signals,
            );
        }
        Command::Runs(args) => records::runs(args, &settled, &out).map(|()| Finished::Whole),
        Command::Status(args) => records::status(args, &settled, &out),
        Command::Failures(args) => {
            records::failures(args, &settled, &out).map(|()| Finished::Whole)
        }
        Command::Report(args) => records::report(args, &settled, &out).map(|()| Finished::Whole),
        Command::Config(ConfigCommand::Show(args)) => {
            config::show(*args, settled.config(), &out).map(|()| Finished::Whole)
        }
        Command::Config(ConfigCommand::Explain { key }) => {
            config::explain(key.as_deref(), settled.config(), &out).map(|()| Finished::Whole)
        }
        // These were run without settings.
        Command::Config(ConfigCommand::Init(_))
        | Command::Explain(_)
        | Command::Completions(_)
        | Command::Image(_)
        | Command::Worker => Ok(Finished::Whole),
    };
    exit::ended(outcome.map_err(|error| settled.explained(error)), out, &signals)
}

/// Runs a command that needs no settings, which may be what is wrong.
fn without_settings(cli: &Cli, out: &Out) -> Option<Result<()>> {
    Some(match &cli.command {
        Command::Explain(args) => explain::explain(args, out),
        Command::Image(command) => batch::image(command, *out),
        Command::Completions(args) => completions::completions(args, out),
        Command::Config(ConfigCommand::Init(args)) => {
            config::init(args, &cli.global.config, &mut std::io::stdin().lock(), out)
        }
        _ => return None,
    })
}
