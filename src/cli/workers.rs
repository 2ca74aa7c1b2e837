//! Who writes: this process, processes of this machine, or workers of AWS Batch.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use levain::batch::aws::launcher_of_run;
use levain::batch::launch::ProcessLauncher;
use levain::batch::{BatchOptions, StepFilter};
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{Bake, MemoryLimit, Workers, log_folder};
use levain::objects::StoreOptions;

use crate::cli::args::RunArgs;
use crate::cli::batch::{PlaceArgs, SizeArgs};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;

/// What a worker may use of the memory of its container: the rest is the kernel's and the agent's.
const USABLE_PERCENT: u64 = 93;
/// How long a driver waits for new credentials: a night and a day.
const CREDENTIAL_GRACE_MS: u64 = 36 * 3600 * 1000;
/// What the driver keeps of the memory for itself.
const DRIVER_BYTES: u64 = 64 << 20;

/// Where a run is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunnerName {
    /// Threads of this process
    Direct,
    /// Processes of this machine
    Procs,
    /// Workers of AWS Batch, which meet in the store beside the destination
    Batch,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Workers")]
pub(crate) struct WorkerArgs {
    /// Where it runs: threads of this process, processes of this machine, or AWS Batch
    #[arg(long, value_enum, default_value_t = RunnerName::Direct, env = "LEVAIN_RUNNER")]
    pub(crate) runner: RunnerName,

    /// The most workers at once. Processes of this machine share --mem and --threads; on AWS Batch
    /// each has them [default: all cores, or 16]
    #[arg(long, value_name = "N", env = "LEVAIN_WORKERS")]
    pub(crate) workers: Option<NonZeroU32>,

    /// Steps, by name with *, whose stages run on the workers; all others stay with the driver
    /// [default: all run on the workers]
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    pub(crate) remote: Vec<String>,

    /// What the image runs as a worker of AWS Batch
    #[arg(long, value_name = "COMMAND", default_value = "levain worker")]
    pub(crate) worker_command: String,

    /// A run of AWS Batch of which nothing starts for so long is ended, to be resumed [default: 15m]
    #[arg(long, value_name = "TIME", env = "LEVAIN_BATCH__RUNNABLE_FAIL")]
    pub(crate) runnable_fail: Option<String>,

    /// Between two looks of driver and workers at the run store, while something changes
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500, hide = true)]
    pub(crate) look_ms: u64,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    #[command(flatten)]
    pub(crate) size: SizeArgs,
}

/// A driver of workers elsewhere waits for new credentials when its own have ended: the workers, which
/// have their own, go on meanwhile.
pub(crate) fn patient(store: StoreOptions, run: &RunArgs) -> StoreOptions {
    match run.workers.runner {
        RunnerName::Procs | RunnerName::Batch => {
            store.with_credential_grace_ms(CREDENTIAL_GRACE_MS)
        }
        RunnerName::Direct => store,
    }
}

/// Writes a bake with the workers that were asked for.
pub(crate) fn with_workers(
    bake: Bake,
    run: &RunArgs,
    settled: &Settled,
    destination: &str,
    signals: &Watched,
) -> Result<Bake> {
    match run.workers.runner {
        RunnerName::Direct => Ok(bake),
        RunnerName::Procs => with_processes(bake, run, settled, destination),
        RunnerName::Batch => with_batch(bake, run, settled, signals),
    }
}

fn with_batch(bake: Bake, run: &RunArgs, settled: &Settled, signals: &Watched) -> Result<Bake> {
    let args = &run.workers;
    let mut settings = args.size.over(args.place.over(settled.batch()?))?;
    if let Some(mem) = &run.mem {
        settings.memory_ladder = vec![mem.parse()?];
    }
    if let Some(time) = &args.runnable_fail {
        settings.runnable_fail =
            time.parse().map_err(|error: Error| error.at("flag", "--runnable-fail"))?;
        settings.runnable_warn = settings.runnable_warn.min(settings.runnable_fail);
    }
    settings.workers = args.workers.map_or(settings.workers, NonZeroU32::get);
    let cores = NonZeroUsize::new(settings.vcpus as usize).unwrap_or(NonZeroUsize::MIN);
    let threads = run.threads.unwrap_or(cores);
    let mut options = BatchOptions::default();
    options.max_workers = NonZeroU32::new(settings.workers).unwrap_or(NonZeroU32::MIN);
    options.memory_ladder_mib = settings.memory_ladder.iter().map(|rung| rung.0).collect();
    options.usable_percent = USABLE_PERCENT;
    options.vcpus = settings.vcpus;
    options.gpus = settings.gpus;
    options.attempts = NonZeroU32::new(settings.attempts).unwrap_or(NonZeroU32::MIN);
    options.timeout_s = Some(settings.timeout.0);
    options.tasks_max = NonZeroU64::new(u64::from(settings.tasks_max));
    options.idle_ms = settings.idle.0 * 1000;
    options.runnable_warn_ms = settings.runnable_warn.0 * 1000;
    options.runnable_fail_ms = settings.runnable_fail.0 * 1000;
    options.with_look_ms(args.look_ms);
    options.command = args.worker_command.split_whitespace().map(str::to_owned).collect();
    let memory_mib = options.usable_mib(0);
    let launcher = launcher_of_run(&settings, signals.token())?;
    let workers = Workers::new(launcher, options, settled.worker_arguments())?;
    let workers = with_remote(workers.with_origin(None, host()), args)?.elsewhere();
    let limit = MemoryLimit::of(ByteSize(memory_mib << 20));
    Ok(bake.with_threads(threads).with_memory(limit).with_workers(workers))
}

fn with_processes(bake: Bake, run: &RunArgs, settled: &Settled, destination: &str) -> Result<Bake> {
    let threads = settled.threads(run.threads).get();
    let all = u32::try_from(threads).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let workers = run.workers.workers.unwrap_or(all);
    let each = NonZeroUsize::new(threads / workers.get() as usize).unwrap_or(NonZeroUsize::MIN);
    let limit = settled.memory(run.mem.as_deref())?;
    let bytes = limit.size().0.saturating_sub(DRIVER_BYTES) / u64::from(workers.get());
    let mut options = BatchOptions::nearby();
    options.max_workers = workers;
    options.memory_ladder_mib = vec![(bytes >> 20).max(1)];
    options.command = vec![this_binary()?, "worker".to_owned()];
    let launcher = Arc::new(ProcessLauncher::new(log_folder(destination)));
    let workers = Workers::new(launcher, options, settled.worker_arguments())?;
    let workers = with_remote(workers.with_origin(None, host()), &run.workers)?;
    let limit = MemoryLimit::of(ByteSize(bytes >> 20 << 20));
    Ok(bake.with_threads(each).with_memory(limit).with_workers(workers))
}

/// The steps that run on workers, by name.
#[derive(Debug)]
struct Globs(Vec<glob::Pattern>);

impl StepFilter for Globs {
    fn has(&self, step: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(step))
    }
}

fn with_remote(workers: Workers, args: &WorkerArgs) -> Result<Workers> {
    if args.remote.is_empty() {
        return Ok(workers);
    }
    let globs = args.remote.iter().map(|text| {
        glob::Pattern::new(text).map_err(|why| {
            let message = format!("`{text}` is no pattern: {why}");
            Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
                .at("flag", "--remote")
                .mend("write for example --remote '*Write*'")
        })
    });
    Ok(workers.with_remote(Arc::new(Globs(globs.collect::<Result<_>>()?))))
}

/// What this machine calls itself.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

fn this_binary() -> Result<String> {
    let path = std::env::current_exe().map_err(Error::from)?;
    path.into_os_string().into_string().map_err(|path| {
        let message = format!("the path of this program is no text: {}", path.display());
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::Unsupported, message)
            .mend("move it to a folder with a plain name")
    })
}
