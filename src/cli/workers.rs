//! Who writes: this process, processes of this machine, or workers of AWS Batch.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use levain::batch::aws::launcher_of_run;
use levain::batch::launch::ProcessLauncher;
use levain::batch::{BatchOptions, StepFilter};
use levain::chunks::ByteSize;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::dataflow::options::is_step_of;
use levain::job::{Bake, MemoryLimit, Workers, check_reachable, log_folder, this_binary};
use levain::objects::{Location, StoreOptions};

use crate::cli::args::RunArgs;
use crate::cli::batch::{PlaceArgs, SizeArgs};
use crate::cli::beam::{BeamArgs, beam_of};
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
    /// A runner of Apache Beam, as Flink, Spark or Dataflow, by its job server
    Beam,
}

impl RunnerName {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Procs => "procs",
            Self::Batch => "batch",
            Self::Beam => "beam",
        }
    }
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "Workers")]
pub(crate) struct WorkerArgs {
    /// Where it runs: threads of this process, processes of this machine, AWS Batch, or a runner of Apache
    /// Beam
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

    /// What is run as a worker [default: this program on this machine, on AWS Batch that of its name in
    /// the image, with the word `worker`]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) worker_command: Option<String>,

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

    #[command(flatten)]
    pub(crate) beam: BeamArgs,
}

/// A driver of workers elsewhere waits for new credentials when its own have ended: the workers, which
/// have their own, go on meanwhile.
pub(crate) fn patient(store: StoreOptions, run: &RunArgs) -> StoreOptions {
    match run.workers.runner {
        RunnerName::Procs | RunnerName::Batch => {
            store.with_credential_grace_ms(CREDENTIAL_GRACE_MS)
        }
        RunnerName::Direct | RunnerName::Beam => store,
    }
}

/// Workers, and what each of them has.
#[derive(Debug)]
pub(crate) struct Staff {
    pub(crate) workers: Workers,
    pub(crate) threads: NonZeroUsize,
    pub(crate) memory: MemoryLimit,
}

/// What the workers of a job are told, and where they write.
#[derive(Debug)]
pub(crate) struct Briefing {
    /// From what they build the job.
    pub(crate) arguments: Vec<String>,
    /// What an image calls this program.
    pub(crate) program: String,
    /// What they write, and must reach.
    pub(crate) place: Location,
    /// The folder of the logs of workers of this machine.
    pub(crate) logs: PathBuf,
    /// Whether another binary that builds the same pipeline is refused.
    pub(crate) needs_same_binary: bool,
}

/// Writes a bake with the workers that were asked for.
pub(crate) fn with_workers(
    bake: Bake,
    run: &RunArgs,
    settled: &Settled,
    destination: &str,
    signals: &Watched,
) -> Result<Bake> {
    if run.workers.runner == RunnerName::Beam {
        return Ok(bake.with_beam(beam_of(run, settled, settled.worker_arguments())?));
    }
    let place = Location::parse(destination)?;
    let briefing = || Briefing {
        arguments: settled.worker_arguments(),
        place,
        program: "levain".to_owned(),
        logs: log_folder(destination),
        needs_same_binary: false,
    };
    Ok(match staff(run, settled, briefing, signals)? {
        None => bake,
        Some(Staff { workers, threads, memory }) => {
            bake.with_threads(threads).with_memory(memory).with_workers(workers)
        }
    })
}

/// The workers that were asked for, if any were.
///
/// # Errors
/// Settings or flags that make no sense, arguments with secrets.
pub(crate) fn staff(
    run: &RunArgs,
    settled: &Settled,
    briefing: impl FnOnce() -> Briefing,
    signals: &Watched,
) -> Result<Option<Staff>> {
    match run.workers.runner {
        RunnerName::Direct | RunnerName::Beam => Ok(None),
        RunnerName::Procs => processes(run, settled, briefing()).map(Some),
        RunnerName::Batch => jobs(run, settled, briefing(), signals).map(Some),
    }
}

fn jobs(run: &RunArgs, settled: &Settled, briefing: Briefing, signals: &Watched) -> Result<Staff> {
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
    options.startup_ms = settings.startup.0 * 1000;
    options.leader_lost_ms = settings.lease.0 * 1000;
    options.fail_fast_launch = settings.fail_fast_launch;
    (options.max_cost, options.account) = (settled.cost()?, settled.account());
    options.with_look_ms(args.look_ms);
    let command = || vec![briefing.program, "worker".to_owned()];
    options.command = args.command().unwrap_or_else(command);
    options.needs_same_binary = briefing.needs_same_binary;
    let memory_mib = options.usable_mib(0);
    let launcher = launcher_of_run(&settings, signals.token())?;
    check_reachable([&briefing.place])?;
    // Before anything is read: a scan of a thousand files is not done for a name that is misspelled.
    launcher.check_queues()?;
    let workers = Workers::new(launcher, options, briefing.arguments)?;
    let workers = with_remote(workers.with_origin(this_binary(), host()), args, settled)?;
    let workers = workers.elsewhere();
    let memory = MemoryLimit::of(ByteSize(memory_mib << 20));
    Ok(Staff { workers, threads, memory })
}

fn processes(run: &RunArgs, settled: &Settled, briefing: Briefing) -> Result<Staff> {
    let threads = settled.threads(run.threads).get();
    let all = u32::try_from(threads).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let workers = run.workers.workers.unwrap_or(all);
    let each = NonZeroUsize::new(threads / workers.get() as usize).unwrap_or(NonZeroUsize::MIN);
    let limit = settled.memory(run.mem.as_deref())?;
    let bytes = limit.size().0.saturating_sub(DRIVER_BYTES) / u64::from(workers.get());
    let mut options = BatchOptions::nearby();
    options.max_workers = workers;
    options.memory_ladder_mib = vec![(bytes >> 20).max(1)];
    options.command = match run.workers.command() {
        Some(command) => command,
        None => vec![program_path()?, "worker".to_owned()],
    };
    options.needs_same_binary = briefing.needs_same_binary;
    options.vcpus = each.get() as f64;
    (options.max_cost, options.account) = (settled.cost()?, settled.account());
    options.fail_fast_launch = settled.config().is_on("batch.fail_fast_launch");
    let launcher = Arc::new(ProcessLauncher::new(briefing.logs));
    let workers = Workers::new(launcher, options, briefing.arguments)?;
    let workers = with_remote(workers.with_origin(this_binary(), host()), &run.workers, settled)?;
    let memory = MemoryLimit::of(ByteSize(bytes >> 20 << 20));
    Ok(Staff { workers, threads: each, memory })
}

impl WorkerArgs {
    /// What was asked to be run as a worker.
    fn command(&self) -> Option<Vec<String>> {
        let command = self.worker_command.as_ref()?;
        Some(command.split_whitespace().map(str::to_owned).collect())
    }
}

/// The steps that run on workers, and those that stay with the driver.
#[derive(Debug)]
struct Places {
    globs: Vec<glob::Pattern>,
    remote: Vec<String>,
    local: Vec<String>,
}

impl StepFilter for Places {
    fn has(&self, step: &str) -> bool {
        let is_any = self.globs.is_empty() && self.remote.is_empty();
        is_any
            || self.globs.iter().any(|glob| glob.matches(step))
            || self.remote.iter().any(|name| is_step_of(name, step))
    }

    fn keeps(&self, step: &str) -> bool {
        self.local.iter().any(|name| is_step_of(name, step))
    }
}

fn with_remote(workers: Workers, args: &WorkerArgs, settled: &Settled) -> Result<Workers> {
    let named = |place: &str| {
        let places = settled.config().places().filter(|(_, own)| *own == place);
        places.map(|(step, _)| step.to_owned()).collect::<Vec<_>>()
    };
    let (remote, local) = (named("remote"), named("local"));
    if args.remote.is_empty() && remote.is_empty() && local.is_empty() {
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
    let globs = globs.collect::<Result<_>>()?;
    Ok(workers.with_remote(Arc::new(Places { globs, remote, local })))
}

/// What this machine calls itself.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Where this program lies.
pub(crate) fn program_path() -> Result<String> {
    let path = std::env::current_exe().map_err(Error::from)?;
    path.into_os_string().into_string().map_err(|path| {
        let message = format!("the path of this program is no text: {}", path.display());
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::Unsupported, message)
            .mend("move it to a folder with a plain name")
    })
}
