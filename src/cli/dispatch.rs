//! Runs the command that the arguments ask for.

use std::process::ExitCode;

use clap::Parser as _;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};

use crate::cli::args::{Cli, Command, ConfigCommand, Output};
use crate::cli::config::ConfigArgs;
use crate::cli::exit::Finished;
use crate::cli::out::Out;
#[cfg(feature = "conformance")]
use crate::cli::runners;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::{
    bake, batch, beam, cancel, completions, config, demo, detach, doctor, exit, explain, gc, infra,
    inspect, logging, logs, records, resume, signals, tasks, verify, watch, worker,
};

/// Runs the command `levain` with the arguments of this process; its exit code.
pub fn command() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(flags) = beam::worker_words(&words) {
        logging::start(0, false);
        return beam::worker(flags, Out::text(), &signals::watch());
    }
    let cli = Cli::parse();
    logging::start(cli.global.verbose, cli.command.is_suite());
    let out = Out::new(cli.global.output);
    let signals = signals::watch();
    if let Command::Worker = &cli.command {
        return worker::worker(out, &signals);
    }
    detach::settle();
    if let Err(error) = check_output(&cli) {
        return exit::ended(Err(error), out, &signals);
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
        Command::BeamPool(args) => beam::pool(args, &signals),
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
        Command::Config(ConfigCommand::Show(args)) => {
            config::show(*args, settled.config(), &out).map(|()| Finished::Whole)
        }
        Command::Config(ConfigCommand::Explain { key }) => {
            config::explain(key.as_deref(), settled.config(), &out).map(|()| Finished::Whole)
        }
        of_runs => follow(of_runs, &cli.global.config, &settled, &out, &signals),
    };
    exit::ended(outcome.map_err(|error| settled.explained(error)), out, &signals)
}

/// Runs a command that follows a run.
fn follow(
    command: &Command,
    config: &ConfigArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    match command {
        Command::Runs(args) => records::runs(args, settled, out).map(|()| Finished::Whole),
        Command::Status(args) => records::status(args, settled, out),
        Command::Resume(args) => resume::resume(args, config, settled, out, signals),
        Command::Cancel(args) => cancel::cancel(args, config, settled, out, signals),
        Command::Logs(args) => logs::logs(args, config, settled, out, signals),
        Command::Tasks(args) => tasks::tasks(args, settled, out).map(|()| Finished::Whole),
        Command::Gc(args) => gc::gc(args, settled, out),
        Command::Watch(args) => watch::watch(args, settled, out, signals),
        Command::Failures(args) => records::failures(args, settled, out).map(|()| Finished::Whole),
        Command::Report(args) => records::report(args, settled, out).map(|()| Finished::Whole),
        // All others were run before.
        _ => Ok(Finished::Whole),
    }
}

/// Tables are what lists are printed as, and one command has such.
fn check_output(cli: &Cli) -> Result<()> {
    if cli.global.output != Output::Csv || matches!(cli.command, Command::Tasks(_)) {
        return Ok(());
    }
    let message = "the result of this command is no CSV";
    let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
    Err(error.at("flag", "--output").mend("ask for text, json or ndjson; levain tasks has CSV"))
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
