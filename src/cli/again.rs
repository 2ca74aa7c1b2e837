//! The command of a run, as it was given, for whoever goes on with the run or asks after its jobs.

use std::path::Path;

use clap::{Parser as _, ValueEnum as _};
use levain::batch::aws::BatchSettings;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Again, Run};
use levain::objects::Location;

use crate::cli::args::{Cli, Command, RunArgs};
use crate::cli::config::ConfigArgs;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::workers::RunnerName;

/// A command that writes, and the settings that hold for it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) command: Command,
    pub(crate) settled: Settled,
    folder: String,
}

impl Given {
    /// The command of a run; settings of this command line hold over those that held then, files and
    /// variables of this machine do not hold.
    ///
    /// # Errors
    /// A run that keeps no arguments, or those of another version.
    pub(crate) fn of(run: &Run, own: &ConfigArgs, signals: &Watched) -> Result<Self> {
        let again = run.again().ok_or_else(|| untold(run))?;
        let words = std::iter::once("levain").chain(again.words.iter().map(String::as_str));
        let unknown = |why: &str| {
            let message = format!("the command of the run is not understood: {why}");
            Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
                .at("run", &run.summary.folder)
                .mend("use the version that began the run, or give its command again with --resume")
        };
        let cli = Cli::try_parse_from(words).map_err(|why| unknown(&why.to_string()))?;
        let runner = RunnerName::from_str(&again.runner, false).map_err(|why| unknown(&why))?;
        let config = ConfigArgs {
            config: None,
            profile: None,
            store: own.store.clone(),
            set: [cli.global.config.set, again.settings.clone(), own.set.clone()].concat(),
        };
        let settled = Settled::of_words(&config, &again.words, signals)?;
        let mut given = Self { command: cli.command, settled, folder: again.folder.clone() };
        let args = given.run_args().ok_or_else(|| {
            let message = "a run of this command cannot be gone on with";
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::Unsupported, message)
                .at("run", &run.summary.folder)
                .mend("give the command again; runs of bake and rechunk are gone on with")
        })?;
        set_workers(args, again, runner);
        Ok(given)
    }

    /// Where and how its workers run on AWS Batch.
    ///
    /// # Errors
    /// Settings that AWS Batch does not take.
    pub(crate) fn batch(&self) -> Result<BatchSettings> {
        let place = match &self.command {
            Command::Bake(args) => &args.run.workers.place,
            Command::Rechunk(args) => &args.run.workers.place,
            _ => return self.settled.batch(),
        };
        Ok(place.over(self.settled.batch()?))
    }

    /// How the command was to run.
    pub(crate) fn run_args(&mut self) -> Option<&mut RunArgs> {
        match &mut self.command {
            Command::Bake(args) => Some(&mut args.run),
            Command::Rechunk(args) => Some(&mut args.run),
            _ => None,
        }
    }

    /// Goes to the folder from which its paths are meant.
    ///
    /// # Errors
    /// A folder that is not here, of a command that names something in it.
    pub(crate) fn enter(&self) -> Result<()> {
        if Path::new(&self.folder).is_dir() {
            return std::env::set_current_dir(&self.folder)
                .map_err(|error| Error::from(error).at("folder", &self.folder));
        }
        let paths: Vec<&String> = match &self.command {
            Command::Bake(args) => args.paths.iter().collect(),
            Command::Rechunk(args) => vec![&args.source, &args.destination],
            _ => Vec::new(),
        };
        let is_meant_there = |path: &&&String| {
            let location = Location::parse(path).ok();
            location.as_ref().and_then(Location::is_local_path).is_some_and(Path::is_relative)
                && Path::new(path.as_str()).is_relative()
        };
        let Some(path) = paths.iter().find(is_meant_there) else { return Ok(()) };
        let message =
            "the folder is not here from which the command of the run has named its files";
        Err(Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
            .at("folder", &self.folder)
            .at("path", path)
            .mend("go on with the run where it was begun; paths from the root and URLs are the same everywhere"))
    }
}

fn set_workers(args: &mut RunArgs, again: &Again, runner: RunnerName) {
    args.workers.runner = runner;
    args.workers.workers = again.workers.and_then(std::num::NonZeroU32::new);
}

fn untold(run: &Run) -> Error {
    let message = "the records of the run do not keep how its command is given again";
    Error::new(ErrorCode::CONFIGURATION, ErrorKind::Unsupported, message)
        .at("run", &run.summary.folder)
        .at("because", "one of its arguments was a secret, or an earlier version began it")
        .mend("give the same command again, with --resume")
}
