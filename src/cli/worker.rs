//! `levain worker`: works on a run that a driver has begun, as its environment says.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use levain::batch::launch::STAY_VARIABLE;
use levain::batch::{INDEX_VARIABLE, RunStore, WorkEnd, WorkerSettings};
use levain::chunks::ByteSize;
use levain::dataflow::cancel::CancelToken;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Bake, MemoryLimit, WriteJob, patient_worker};
use levain::objects::{Location, StoreOptions};

use crate::cli::args::{Cli, Command};
use crate::cli::bake::{bake_jobs, rechunk_job};
use crate::cli::out::Out;
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::workers::RunnerName;

/// What a worker ends with; see `spec/batch.md` 3.4.
const FAILED_EXIT: u8 = 10;
const OTHER_BINARY_EXIT: u8 = 13;
const MEMORY_EXIT: u8 = 14;
const TRANSIENT_EXIT: u8 = 201;
const SIGNAL_EXIT: u8 = 202;

/// Works until there is nothing left to do; the exit code tells the launcher what to do next.
pub(crate) fn worker(out: Out, signals: &Watched) -> ExitCode {
    ended(work(signals), out)
}

/// The exit code of a worker that has come to this end.
pub(crate) fn ended(end: Result<WorkEnd>, out: Out) -> ExitCode {
    let code = match end {
        Ok(WorkEnd::Over | WorkEnd::Idle | WorkEnd::Retired) => 0,
        Ok(WorkEnd::Stopped) => SIGNAL_EXIT,
        Err(error) => {
            out.report(&error);
            exit_code(&error)
        }
    };
    ExitCode::from(code)
}

/// What a worker ends with that has come to this error.
pub(crate) fn exit_code(error: &Error) -> u8 {
    match error.code() {
        ErrorCode::FINGERPRINT => OTHER_BINARY_EXIT,
        ErrorCode::MEMORY_TOO_SMALL => MEMORY_EXIT,
        // Another start may find other keys.
        ErrorCode::CREDENTIALS => TRANSIENT_EXIT,
        _ if error.is_transient() => TRANSIENT_EXIT,
        _ => FAILED_EXIT,
    }
}

fn work(signals: &Watched) -> Result<WorkEnd> {
    let post = Post::of_environment(signals)?;
    let job = WriteJob::from_value(post.job)?;
    let mut bake = bake_of(&job, signals)?.with_threads(post.settings.threads);
    if let Some(memory) = post.memory {
        bake = bake.with_memory(memory);
    }
    job.work(&bake, &post.root, &post.settings)
}

/// What a worker is told by its environment: where it works, on what, and with what.
#[derive(Debug)]
pub(crate) struct Post {
    /// Where driver and workers meet.
    pub(crate) root: Location,
    /// From what it builds the pipeline.
    pub(crate) job: serde_json::Value,
    pub(crate) settings: WorkerSettings,
    pub(crate) memory: Option<MemoryLimit>,
}

impl Post {
    /// Reads the environment, and the record of the run that it names.
    ///
    /// # Errors
    /// Variables that are missing or wrong, a store that fails.
    pub(crate) fn of_environment(signals: &Watched) -> Result<Self> {
        stay_if_told(signals.token());
        let root = Location::parse(&needed("LEVAIN_RUN_URI")?)?;
        let run = RunStore::open(&root, &patient_worker(StoreOptions::default()))?.run_record()?;
        let threads = number("LEVAIN_THREADS")?.and_then(|it| NonZeroUsize::new(it as usize));
        let settings = WorkerSettings {
            index: number(INDEX_VARIABLE)?.unwrap_or(0),
            attempt: number("AWS_BATCH_JOB_ATTEMPT")?.unwrap_or(1),
            slots: number("LEVAIN_SLOTS")?.unwrap_or(1),
            rung: number("LEVAIN_RUNG")?.unwrap_or(0),
            timeout: number("LEVAIN_TIMEOUT_S")?.map(|it| Duration::from_secs(it.into())),
            stop: signals.token(),
            ..WorkerSettings::new(needed("LEVAIN_JOB")?, threads.unwrap_or(NonZeroUsize::MIN))
        };
        let memory = number("LEVAIN_MEM_MIB")?;
        let memory = memory.map(|it| MemoryLimit::of(ByteSize(u64::from(it) << 20)));
        Ok(Self { root, job: run.job, settings, memory })
    }
}

/// Stops the worker when the process is gone that has started it, and holds its input, where it was told
/// to.
pub(crate) fn stay_if_told(stop: CancelToken) {
    if told(STAY_VARIABLE).is_none() {
        return;
    }
    std::thread::spawn(move || {
        // An input that cannot be read is as good as one that has ended.
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        stop.cancel();
    });
}

/// The bake that the driver was asked for.
pub(crate) fn bake_of(job: &WriteJob, signals: &Watched) -> Result<Bake> {
    let arguments = std::iter::once("levain").chain(job.arguments.iter().map(String::as_str));
    let mut cli = Cli::try_parse_from(arguments).map_err(|why| other_binary(&why.to_string()))?;
    // The settings are those of the driver: a worker may run where there are others.
    let settled = Settled::of_driver(&cli.global.config, signals)?;
    // A worker has no workers of its own.
    let mut bakes = match &mut cli.command {
        Command::Bake(args) => {
            args.run.workers.runner = RunnerName::Direct;
            bake_jobs(args, &settled, signals)?
        }
        Command::Rechunk(args) => {
            args.run.workers.runner = RunnerName::Direct;
            vec![rechunk_job(args, &settled, signals)?]
        }
        _ => return Err(other_binary("this command has no workers")),
    };
    if job.place >= bakes.len() {
        return Err(other_binary("there are fewer bakes than the driver has"));
    }
    Ok(bakes.swap_remove(job.place))
}

fn other_binary(why: &str) -> Error {
    let message = format!("the job of the run is not understood: {why}");
    Error::new(ErrorCode::FINGERPRINT, ErrorKind::Unsupported, message)
        .mend("give the workers the binary that the driver runs")
}

#[expect(clippy::disallowed_methods, reason = "a worker is told by its environment what to do")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn needed(name: &str) -> Result<String> {
    told(name).ok_or_else(|| {
        let message = format!("a worker needs the variable {name}");
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
            .mend("workers are started by a driver: levain bake ... --runner procs")
    })
}

fn number(name: &str) -> Result<Option<u32>> {
    let Some(text) = told(name) else { return Ok(None) };
    let parsed = text.parse().map_err(|_| {
        let message = format!("the variable {name} is no number: `{text}`");
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
    });
    parsed.map(Some)
}
