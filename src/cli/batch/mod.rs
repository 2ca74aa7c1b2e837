//! `levain batch`: looks at jobs of AWS Batch, ends them, reads their logs, submits tests, and keeps
//! job definitions.
//!
//! Everything works without the driver that has submitted the jobs, from any machine.

mod args;
mod image;
mod job;
mod jobdef;
mod jobs;
mod logs;
mod stop;
mod submit;
mod times;

pub(crate) use args::{BatchCommand, DefinitionArgs, ImageCommand, PlaceArgs, SizeArgs};
pub(crate) use image::image;
pub(crate) use times::{duration, json_time, local_time};

use levain::batch::aws::{BatchApi, BatchSettings, CallOptions};
use levain::dataflow::error::Result;

use crate::cli::exit::Finished;
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// Runs one of the commands.
pub(crate) fn batch(
    command: &BatchCommand,
    settled: &Settled,
    out: Out,
    signals: &Watched,
) -> Result<Finished> {
    match command {
        BatchCommand::Jobs(args) => jobs::jobs(args, settled, out, signals),
        BatchCommand::Job(args) => job::job(args, settled, out, signals),
        BatchCommand::Stop(args) => stop::stop(args, settled, out, signals),
        BatchCommand::Logs(args) => logs::logs(args, settled, out, signals),
        BatchCommand::Submit(args) => submit::submit(args, settled, out, signals),
        BatchCommand::Jobdef(command) => jobdef::jobdef(command, settled, out, signals),
    }
}

/// The service of these settings.
pub(crate) fn open(settings: &BatchSettings, signals: &Watched) -> Result<BatchApi> {
    settings.check()?;
    let options = CallOptions { cancel: signals.token(), ..CallOptions::default() };
    BatchApi::open(settings, options)
}
