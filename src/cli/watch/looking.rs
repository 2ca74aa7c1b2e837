//! Looks at a run again and again, until it has ended or nobody works on it any more.

use std::time::{Duration, Instant};

use clap::Args;
use levain::batch::RunView;
use levain::dataflow::error::Result;
use levain::job::Run;
use levain::objects::StoreOptions;

use super::display::Display;
use super::events::Events;
use crate::cli::args::Output;
use crate::cli::exit::Finished;
use crate::cli::out::{Out, say};
use crate::cli::records::{self, RunArg, StatusArgs, found};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::workers::host;

/// Between two looks at what a run of one process has committed, which are dearer.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// A run at which nobody has worked for so long is left alone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a run that has ended may take to write its report.
const REPORT_PATIENCE: Duration = Duration::from_secs(10);
/// Between two lines of a run that goes on, where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// The exit code of a command that Ctrl-C ends.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,

    /// Between two looks at the run, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, hide = true)]
    pub(crate) look_ms: u64,
}

/// A run as it was seen at a moment.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) run: Run,
    /// Its stages and workers; nothing for a run of one process.
    pub(super) view: Option<RunView>,
    /// The part of the run that these are of; empty for the write itself.
    pub(super) part: String,
    /// Objects that a run of one process has committed.
    pub(super) committed: Option<u64>,
}

/// Who shows a run.
pub(super) trait Screen {
    /// Shows a look.
    fn show(&mut self, look: &Look) -> Result<()>;
    /// Says how it ended: its exit code, or nothing if nobody knows.
    fn end(&mut self, look: &Look, exit: Option<u8>) -> Result<()>;
}

/// Shows a run until it ends; ends with its exit code.
pub(crate) fn watch(
    args: &WatchArgs,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let (run, store) = (found(&args.run, settled)?, settled.store()?);
    let mut screen: Box<dyn Screen> = match out.output() {
        Output::Ndjson => Box::new(Events::new(*out, HEARTBEAT)),
        _ => Box::new(Display::new(HEARTBEAT)),
    };
    let mut looking = Looking { store, counted: None, alone_since: None };
    let mut look = looking.look(run)?;
    loop {
        screen.show(&look)?;
        if look.run.summary.state.is_some() {
            break;
        }
        if looking.is_abandoned(&look) {
            screen.end(&look, None)?;
            say("nobody works on the run any more, and it has no end: `levain resume RUN` goes on");
            return Ok(Finished::With(records::STILL_RUNNING));
        }
        if signals.wait(Duration::from_millis(args.look_ms)).is_err() {
            say("the run goes on; `levain cancel RUN` stops it");
            return Ok(Finished::With(INTERRUPTED));
        }
        look = looking.look(look.run)?;
    }
    let began = Instant::now();
    while look.run.report()?.is_none() && began.elapsed() < REPORT_PATIENCE {
        if signals.wait(Duration::from_millis(args.look_ms)).is_err() {
            break;
        }
    }
    let exit = records::exit_of(&look.run)?;
    screen.end(&look, exit)?;
    if out.output() == Output::Ndjson {
        return Ok(Finished::With(exit.unwrap_or(records::STILL_RUNNING)));
    }
    let run = RunArg { run: look.run.summary.folder.to_string() };
    records::status(&StatusArgs { run, exit_status: true }, settled, out)
}

struct Looking {
    store: StoreOptions,
    /// When objects were counted last, and how many there were.
    counted: Option<(Instant, u64)>,
    /// Since when nobody was seen.
    alone_since: Option<Instant>,
}

impl Looking {
    fn look(&mut self, run: Run) -> Result<Look> {
        let run = Run::open(&run.summary.folder, &self.store)?.unwrap_or(run);
        let (part, view) = match run.current_place(&self.store)? {
            Some((part, place)) => (part, Some(place.view()?)),
            None => (String::new(), None),
        };
        let is_due = self.counted.is_none_or(|(at, _)| at.elapsed() >= COUNT_EVERY);
        if view.is_none() && is_due {
            self.counted = Some((Instant::now(), run.committed_count()?));
        }
        Ok(Look { run, view, part, committed: self.counted.map(|(_, count)| count) })
    }

    /// Whether nobody has worked on the run for a while.
    fn is_abandoned(&mut self, look: &Look) -> bool {
        let is_alone = match &look.view {
            // After its last stage a driver says nothing more; its process tells whether it lives.
            Some(view) if view.end.is_some() => {
                view.driver.as_ref().is_some_and(|it| is_gone(&it.host, it.process))
            }
            Some(view) => view.driver.is_some() && !view.is_living(),
            None => look.run.process().is_some_and(|(host, process)| is_gone(host, process)),
        };
        if !is_alone {
            self.alone_since = None;
            return false;
        }
        self.alone_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
    }
}

/// Whether a process of this machine has ended; of another machine nobody knows.
pub(crate) fn is_gone(on: &str, process: u32) -> bool {
    on == host() && !std::path::Path::new(&format!("/proc/{process}")).exists()
}
