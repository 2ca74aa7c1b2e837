//! Who writes: this process, processes of this machine, or workers of AWS Batch.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use levain::batch::BatchOptions;
use levain::batch::launch::ProcessLauncher;
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Bake, MemoryLimit, Workers, log_folder};

use crate::cli::args::RunArgs;

/// What the driver keeps of the memory for itself.
const DRIVER_BYTES: u64 = 64 << 20;

/// Where a run is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunnerName {
    /// Threads of this process
    Direct,
    /// Processes of this machine
    Procs,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Workers")]
pub(crate) struct WorkerArgs {
    /// Where it runs: threads of this process, or processes of this machine
    #[arg(long, value_enum, default_value_t = RunnerName::Direct, env = "LEVAIN_RUNNER")]
    pub(crate) runner: RunnerName,

    /// The most workers at once, which share memory and threads [default: all cores]
    #[arg(long, value_name = "N", env = "LEVAIN_WORKERS")]
    pub(crate) workers: Option<NonZeroU32>,
}

/// Writes a bake with the workers that were asked for.
pub(crate) fn with_workers(bake: Bake, run: &RunArgs, destination: &str) -> Result<Bake> {
    match run.workers.runner {
        RunnerName::Direct => Ok(bake),
        RunnerName::Procs => with_processes(bake, run, destination),
    }
}

fn with_processes(bake: Bake, run: &RunArgs, destination: &str) -> Result<Bake> {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = run.threads.unwrap_or(cores).get();
    let all = u32::try_from(threads).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let workers = run.workers.workers.unwrap_or(all);
    let each = NonZeroUsize::new(threads / workers.get() as usize).unwrap_or(NonZeroUsize::MIN);
    let limit = match &run.mem {
        Some(mem) => MemoryLimit::of(mem.parse()?),
        None => MemoryLimit::of_machine(),
    };
    let bytes = limit.size().0.saturating_sub(DRIVER_BYTES) / u64::from(workers.get());
    let mut options = BatchOptions::nearby();
    options.max_workers = workers;
    options.memory_ladder_mib = vec![(bytes >> 20).max(1)];
    options.command = vec![this_binary()?, "worker".to_owned()];
    let launcher = Arc::new(ProcessLauncher::new(log_folder(destination)));
    let workers = Workers::new(launcher, options, std::env::args().skip(1).collect())?;
    let limit = MemoryLimit::of(ByteSize(bytes >> 20 << 20));
    Ok(bake.with_threads(each).with_memory(limit).with_workers(workers))
}

fn this_binary() -> Result<String> {
    let path = std::env::current_exe().map_err(Error::from)?;
    path.into_os_string().into_string().map_err(|path| {
        let message = format!("the path of this program is no text: {}", path.display());
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::Unsupported, message)
            .mend("move it to a folder with a plain name")
    })
}
