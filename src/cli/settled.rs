//! What settings and flags together come to, for the commands that run jobs.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use levain::batch::aws::BatchSettings;
use levain::batch::{Account, CostLimit};
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use levain::dataflow::options::OnError;
use levain::job::{Again, Bake, MemoryLimit, OnBegin, PipelineRun, RunAbout};
use levain::objects::{Location, StoreOptions};

use crate::cli::args::RunArgs;
use crate::cli::config::{Config, ConfigArgs, Value, config_json, load, path_text};
use crate::cli::detach::begun;
use crate::cli::signals::Watched;
use crate::cli::workers::{RunnerName, host};

/// Settings that hold, and what this process says of itself in the records of runs.
#[derive(Debug)]
pub(crate) struct Settled {
    config: Config,
    /// The words of the command line after the program.
    words: Vec<String>,
    run_store: Option<Location>,
    about: RunAbout,
    signals: Watched,
    limit: Option<WallLimit>,
    /// Whether this process counts what a run costs, and when one of its own will have cost too much.
    counts_cost: bool,
    cost_limit: OnceLock<WallLimit>,
    /// What workers of this command have cost, in all its parts.
    account: Account,
}

impl Settled {
    /// Reads all settings, and begins to count the time that the command may take.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn new(args: &ConfigArgs, signals: &Watched) -> Result<Self> {
        Self::of(load(args)?, ("levain", own_words()), signals)
    }

    /// Those of a recipe, which was started with these words, its own name first.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn of_recipe(
        args: &ConfigArgs,
        words: &[String],
        signals: &Watched,
    ) -> Result<Self> {
        let (program, words) = words.split_first().map_or(("", &[][..]), |(p, w)| (p.as_str(), w));
        Self::of(load(args)?, (program, words.to_vec()), signals)
    }

    /// Those that a driver has told a worker: flags alone.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn of_driver(args: &ConfigArgs, signals: &Watched) -> Result<Self> {
        let flags = ConfigArgs { config: None, profile: None, ..args.clone() };
        let settled = Self::of(Config::of_flags(&flags)?, ("levain", own_words()), signals)?;
        // It is the driver who counts what workers cost.
        Ok(Self { counts_cost: false, ..settled })
    }

    /// Those of a command that is given again in these words: flags alone.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn of_words(args: &ConfigArgs, words: &[String], signals: &Watched) -> Result<Self> {
        Self::of(Config::of_flags(args)?, ("levain", words.to_vec()), signals)
    }

    /// The arguments from which a worker builds what this command builds: its own, then every
    /// setting as it holds here.
    pub(crate) fn worker_arguments(&self) -> Vec<String> {
        let set = self.set().into_iter().flat_map(|set| ["--set".to_owned(), set]);
        self.words.iter().cloned().chain(set).collect()
    }

    /// Every setting that somebody has set, as `KEY=VALUE`.
    pub(crate) fn set(&self) -> Vec<String> {
        let set = self.config.settings().filter(|setting| setting.origin.layer != "built-in");
        let text = set.map(|setting| {
            let value = setting.value.as_ref().map(Value::text).unwrap_or_default();
            format!("{}={value}", path_text(&setting.path))
        });
        text.collect()
    }

    /// The words of the command line after the program.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// How the command is given again, unless that would tell a secret.
    fn again(&self, run: &RunArgs) -> Option<Again> {
        let (words, settings) = (self.words.clone(), self.set());
        if words.iter().chain(&settings).any(|word| redact(word) != **word) {
            return None;
        }
        let folder = std::env::current_dir().ok()?.into_os_string().into_string().ok()?;
        let runner = run.workers.runner.name().to_owned();
        let workers = run.workers.workers.map(u32::from);
        Some(Again { words, settings, folder, runner, workers })
    }

    fn of(
        config: Config,
        (program, words): (&str, Vec<String>),
        signals: &Watched,
    ) -> Result<Self> {
        // What is wrong is said before anything is done.
        config.set_store(&mut StoreOptions::default())?;
        let run_store = config.run_store()?;
        let about = RunAbout {
            kind: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary: None,
            command: command_line(program, &words),
            config: config_json(&config),
            again: None,
            host: host(),
            process: std::process::id(),
            prices: config.prices(),
            signal: signals.number(),
            leave: signals.leave(),
            on_begin: OnBegin::default(),
        };
        let limit =
            config.duration("limits.max_wall").map(|limit| WallLimit::begin(limit, signals));
        let (counts_cost, cost_limit, signals) = (true, OnceLock::new(), signals.clone());
        let account = Account::default();
        Ok(Self {
            config,
            words,
            run_store,
            about,
            signals,
            limit,
            counts_cost,
            cost_limit,
            account,
        })
    }

    /// Where and how workers run on AWS Batch.
    ///
    /// # Errors
    /// A number or a name that AWS Batch does not take.
    pub(crate) fn batch(&self) -> Result<BatchSettings> {
        serde_json::from_value(self.config.table_json("batch")).map_err(|why| {
            let message = format!("the settings of batch are wrong: {why}");
            let error = Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message);
            error.mend("`levain config show --origin` says where each was set")
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Where runs are kept, if it is not beside destinations.
    pub(crate) fn run_store(&self) -> Option<&Location> {
        self.run_store.as_ref()
    }

    /// How stores are reached.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn store(&self) -> Result<StoreOptions> {
        let mut store = StoreOptions::default();
        self.config.set_store(&mut store)?;
        Ok(store)
    }

    /// The threads of a command: those of its flag, else of the settings, else all.
    pub(crate) fn threads(&self, flag: Option<NonZeroUsize>) -> NonZeroUsize {
        let all = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        flag.or_else(|| self.config.threads()).unwrap_or_else(all)
    }

    /// The memory of a command: that of its flag, else of the settings, else what is free.
    ///
    /// # Errors
    /// A flag that is no size.
    pub(crate) fn memory(&self, flag: Option<&str>) -> Result<MemoryLimit> {
        let flag = flag.map(str::parse).transpose()?;
        let limit = flag.or_else(|| self.config.size("limits.mem"));
        Ok(limit.map_or_else(MemoryLimit::of_machine, MemoryLimit::of))
    }

    /// Sets how a job runs: neither what it reads nor what it writes.
    ///
    /// # Errors
    /// Flags that make no sense.
    pub(crate) fn apply(&self, bake: Bake, run: &RunArgs, kind: &str) -> Result<Bake> {
        let (kind, again) = (kind.to_owned(), self.again(run));
        let about =
            RunAbout { kind, again, on_begin: begun(run, &self.signals), ..self.about.clone() };
        let mut bake = bake
            .with_memory(self.memory(run.mem.as_deref())?)
            .with_threads(self.threads(run.threads))
            .with_on_error(self.config.on_error())
            .with_retries(self.config.retries())
            .with_about(about);
        self.count_cost(run)?;
        if let Some(folder) = self.config.scratch() {
            bake = bake.with_scratch_folder(folder);
        }
        if let Some(place) = &self.run_store {
            bake = bake.with_run_store(place.clone());
        }
        Ok(bake)
    }

    /// The same for a pipeline of one's own.
    ///
    /// # Errors
    /// Flags that make no sense.
    pub(crate) fn apply_to(&self, pipeline: PipelineRun, run: &RunArgs) -> Result<PipelineRun> {
        let about = RunAbout { kind: "recipe".to_owned(), ..self.about.clone() };
        let pipeline = pipeline
            .with_memory(self.memory(run.mem.as_deref())?)
            .with_threads(self.threads(run.threads))
            .with_on_error(self.config.on_error())
            .with_retries(self.config.retries())
            .with_about(about);
        self.count_cost(run)?;
        Ok(match self.config.scratch() {
            Some(folder) => pipeline.with_scratch_folder(folder),
            None => pipeline,
        })
    }

    /// Whether files that cannot be read are left out, by the flag or by the settings.
    pub(crate) fn leaves_out(&self, flag: bool, is_into_store: bool) -> bool {
        let is_policy = matches!(self.config.on_error(), OnError::Quarantine { .. });
        flag || is_policy && !is_into_store
    }

    /// What a run may cost, where there is a limit.
    ///
    /// # Errors
    /// A limit without a price.
    pub(crate) fn cost(&self) -> Result<Option<CostLimit>> {
        if self.counts_cost { self.config.cost_limit() } else { Ok(None) }
    }

    /// Where workers of this command are to be counted together.
    pub(crate) fn account(&self) -> Account {
        self.account.clone()
    }

    /// Stops a run of this process when its threads and its memory will have cost what it may cost;
    /// those of workers are counted by their driver.
    fn count_cost(&self, run: &RunArgs) -> Result<()> {
        let (Some(cost), RunnerName::Direct) = (self.cost()?, run.workers.runner) else {
            return Ok(());
        };
        let threads = self.threads(run.threads).get() as f64;
        let gib = self.memory(run.mem.as_deref())?.size().0 as f64 / (1_u64 << 30) as f64;
        let per_hour = threads * cost.vcpu_hour + gib * cost.gib_hour;
        if per_hour > 0.0 {
            let hours = (cost.most / per_hour).min(LONGEST_HOURS);
            let limit = Duration::from_secs_f64(3600.0 * hours);
            self.cost_limit.get_or_init(|| WallLimit::begin(limit, &self.signals));
        }
        Ok(())
    }

    /// Says of an error that a limit of time or of cost was reached, if that is why it came.
    pub(crate) fn explained(&self, error: Error) -> Error {
        let is_over = |limit: Option<&WallLimit>| limit.is_some_and(WallLimit::is_over);
        if error.kind() != ErrorKind::Cancelled {
            return error;
        }
        if is_over(self.limit.as_ref()) {
            return error
                .at("because", "the time of limits.max_wall is over")
                .mend("allow more time, and use --resume");
        }
        if is_over(self.cost_limit.get()) {
            return error
                .at(
                    "because",
                    "what limits.max_cost allows is spent, by the prices of the settings",
                )
                .mend("allow more, and use --resume");
        }
        error
    }
}

/// Longer runs have no limit.
const LONGEST_HOURS: f64 = 24.0 * 366.0;

/// The words of this command line after the program.
fn own_words() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The words of a command line, without secrets.
fn command_line(program: &str, words: &[String]) -> Vec<String> {
    std::iter::once(redact(program)).chain(words.iter().map(|word| redact(word))).collect()
}

/// Stops a run when its time is over.
#[derive(Debug)]
struct WallLimit {
    begun: Instant,
    limit: Duration,
}

impl WallLimit {
    fn begin(limit: Duration, signals: &Watched) -> Self {
        signals.token().cancel_after(limit);
        Self { begun: Instant::now(), limit }
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.limit
    }
}
