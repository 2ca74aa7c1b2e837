//! What settings and flags together come to, for the commands that run jobs.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use levain::batch::aws::BatchSettings;
use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result, redact};
use levain::dataflow::options::OnError;
use levain::job::{Again, Bake, MemoryLimit, OnBegin, RunAbout};
use levain::objects::{Location, StoreOptions};

use crate::cli::args::RunArgs;
use crate::cli::config::{Config, ConfigArgs, ReadBy, Value, config_json, load, path_text};
use crate::cli::detach::begun;
use crate::cli::out::say;
use crate::cli::signals::Watched;
use crate::cli::workers::host;

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
}

impl Settled {
    /// Reads all settings, and begins to count the time that the command may take.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn new(args: &ConfigArgs, signals: &Watched) -> Result<Self> {
        Self::of(load(args)?, own_words(), signals)
    }

    /// Those that a driver has told a worker: flags alone.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn of_driver(args: &ConfigArgs, signals: &Watched) -> Result<Self> {
        let flags = ConfigArgs { config: None, profile: None, ..args.clone() };
        Self::of(Config::of_flags(&flags)?, own_words(), signals)
    }

    /// Those of a command that is given again in these words: flags alone.
    ///
    /// # Errors
    /// Settings that are wrong.
    pub(crate) fn of_words(args: &ConfigArgs, words: &[String], signals: &Watched) -> Result<Self> {
        Self::of(Config::of_flags(args)?, words.to_vec(), signals)
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

    fn of(config: Config, words: Vec<String>, signals: &Watched) -> Result<Self> {
        for setting in config.settings() {
            if setting.key.read_by == ReadBy::Nobody && setting.origin.layer != "built-in" {
                say(&format!("warning: {} is not followed yet", path_text(&setting.path)));
            }
        }
        // What is wrong is said before anything is done.
        config.set_store(&mut StoreOptions::default())?;
        let run_store = config.run_store()?;
        let about = RunAbout {
            kind: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command_line(&words),
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
        Ok(Self { config, words, run_store, about, signals: signals.clone(), limit })
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
            .with_about(about);
        if let Some(folder) = self.config.scratch() {
            bake = bake.with_scratch_folder(folder);
        }
        if let Some(place) = &self.run_store {
            bake = bake.with_run_store(place.clone());
        }
        Ok(bake)
    }

    /// Whether files that cannot be read are left out, by the flag or by the settings.
    pub(crate) fn leaves_out(&self, flag: bool, is_into_store: bool) -> bool {
        let is_policy = matches!(self.config.on_error(), OnError::Quarantine { .. });
        flag || is_policy && !is_into_store
    }

    /// Says of an error that the time was over, if that is why it came.
    pub(crate) fn explained(&self, error: Error) -> Error {
        let is_over = self.limit.as_ref().is_some_and(WallLimit::is_over);
        if error.kind() != ErrorKind::Cancelled || !is_over {
            return error;
        }
        error
            .at("because", "the time of limits.max_wall is over")
            .mend("allow more time, and use --resume")
    }
}

/// The words of this command line after the program.
fn own_words() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The words of a command line, without secrets.
fn command_line(words: &[String]) -> Vec<String> {
    std::iter::once("levain".to_owned()).chain(words.iter().map(|word| redact(word))).collect()
}

/// Stops a run when its time is over.
#[derive(Debug)]
struct WallLimit {
    is_over: Arc<AtomicBool>,
    /// Dropped with this, which ends the thread that waits.
    _ends: mpsc::Sender<()>,
}

impl WallLimit {
    fn begin(limit: Duration, signals: &Watched) -> Self {
        let (ends, ended) = mpsc::channel();
        let (is_over, cancel) = (Arc::new(AtomicBool::new(false)), signals.token());
        let shared = Arc::clone(&is_over);
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                shared.store(true, Ordering::Relaxed);
                cancel.cancel();
            }
        });
        Self { is_over, _ends: ends }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
