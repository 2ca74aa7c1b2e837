//! Runs that go on without the terminal: their driver is a process of this machine in a session of its
//! own, which no closing terminal ends.
//!
//! The process that is asked for starts it, and ends once the run has begun, or once it has failed to.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use levain::dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use levain::job::{OnBegin, log_folder};
use levain::objects::{Location, now_ms};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cli::args::{Progress, RunArgs};
use crate::cli::exit::Finished;
use crate::cli::out::{Out, say};
use crate::cli::settled::Settled;
use crate::cli::signals::Watched;
use crate::cli::workers::RunnerName;

/// Is set for a driver that was started so: the file in which it says that its run has begun.
const DETACHED_VARIABLE: &str = "LEVAIN_DETACHED";
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a driver without a terminal says that its run has begun; nothing for all others.
fn note_of_begin() -> Option<PathBuf> {
    std::env::var_os(DETACHED_VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from)
}

/// Leaves the session of the terminal, if this process was started to go on without it.
pub(crate) fn settle() {
    // The leader of a group of processes has no terminal to leave either.
    if note_of_begin().is_some() && rustix::process::setsid().is_err() {
        say("warning: this process stays in the session of its terminal");
    }
}

/// Whether a command that asks for it is to be started without the terminal, and not to run here.
pub(crate) fn is_asked(detach: bool) -> bool {
    detach && note_of_begin().is_none()
}

/// What a driver does when its run begins: says so, and lets Ctrl-C ask what is meant.
pub(crate) fn begun(run: &RunArgs, signals: &Watched) -> OnBegin {
    let (note, signals) = (note_of_begin(), signals.clone());
    let has_workers = run.workers.runner != RunnerName::Direct;
    let is_shown = has_workers && !matches!(run.progress, Progress::None);
    // A runner of Beam takes its driver for gone with the terminal.
    let is_asking = matches!(run.workers.runner, RunnerName::Procs | RunnerName::Batch)
        && note.is_none()
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal();
    let runner = run.workers.runner.name();
    OnBegin::new(move |folder| {
        if let Some(note) = &note
            && let Err(error) = write_note(note, folder)
        {
            say(&format!("warning: nobody learns that the run has begun: {error}"));
        }
        if is_asking {
            signals.offer_choice(folder);
        }
        if is_shown {
            let hint = if is_asking { "   Ctrl-C: detach or stop" } else { "" };
            say(&format!("run {}   {runner}   {folder}{hint}", folder.file_name()));
        }
    })
}

/// Written whole or not at all: somebody waits for it.
fn write_note(note: &Path, folder: &Location) -> std::io::Result<()> {
    // Of several runs of one command the first one counts.
    if note.exists() {
        return Ok(());
    }
    let beside = note.with_extension("part");
    let body = json!({ "run": folder.file_name(), "folder": folder.to_string() });
    std::fs::write(&beside, body.to_string())?;
    std::fs::rename(&beside, note)
}

/// Starts a command with these words without the terminal, and waits until its run has begun.
///
/// # Errors
/// A process that cannot be started; a signal, which ends it again. How it ends before its run has
/// begun is the outcome, and what it has printed is printed.
pub(crate) fn detach(
    words: &[String],
    destination: &str,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let mut driver = Driver::start(words, &log_folder(destination))?;
    loop {
        if let Some(begun) = driver.begun()? {
            let log = driver.keep_log(&begun)?;
            return tell(&begun, &driver.child, &log, out);
        }
        if let Some(status) = driver.child.try_wait().map_err(Error::from)? {
            // It may have said so with its last breath.
            if driver.begun()?.is_none() {
                return driver.ended(status.code(), out);
            }
            continue;
        }
        if let Err(stopped) = signals.wait(LOOK_EVERY) {
            driver.stop()?;
            return Err(stopped);
        }
    }
}

/// Goes on with a run whose driver was asked to leave it, by a driver without the terminal.
///
/// # Errors
/// As [`detach`].
pub(crate) fn hand_over(
    run: &Location,
    destination: &str,
    settled: &Settled,
    out: &Out,
    signals: &Watched,
) -> Result<Finished> {
    let set = settled.set().into_iter().flat_map(|set| ["--set".to_owned(), set]);
    let words = ["resume".to_owned(), run.to_string()].into_iter().chain(set);
    detach(&words.collect::<Vec<_>>(), destination, out, signals)
}

/// A driver that was started without the terminal.
struct Driver {
    child: Child,
    folder: PathBuf,
    /// What its files are called, before their ends.
    name: String,
}

impl Driver {
    fn start(words: &[String], folder: &Path) -> Result<Self> {
        let cannot = |error: std::io::Error| {
            let error = Error::from(error).context("cannot start a driver without the terminal");
            error.at("folder", folder.display())
        };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let name = format!("driver-{}-{}", std::process::id(), now_ms());
        let path = |end: &str| folder.join(format!("{name}.{end}"));
        // Relative, it would be another folder for a command that goes to that of its run.
        let note = std::path::absolute(path("begun")).map_err(cannot)?;
        let program = std::env::current_exe().map_err(cannot)?;
        let child = Command::new(program)
            .args(words)
            .env(DETACHED_VARIABLE, note)
            .stdin(Stdio::null())
            .stdout(File::create(path("out")).map_err(cannot)?)
            .stderr(File::create(path("log")).map_err(cannot)?)
            .spawn()
            .map_err(cannot)?;
        Ok(Self { child, folder: folder.to_owned(), name })
    }

    fn path(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.name))
    }

    /// What it has said of its run, once that has begun.
    fn begun(&self) -> Result<Option<Value>> {
        match std::fs::read(self.path("begun")) {
            Ok(body) => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|why| Error::internal(format!("a note of our own is no JSON: {why}"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::from(error)),
        }
    }

    /// Calls what it prints by the name of its run; where that is.
    fn keep_log(&mut self, begun: &Value) -> Result<PathBuf> {
        let note = self.path("begun");
        let before = [self.path("log"), self.path("out")];
        let run = begun["run"].as_str().unwrap_or_default();
        self.name = format!("driver-{run}-{}", std::process::id());
        for (before, end) in before.iter().zip(["log", "out"]) {
            std::fs::rename(before, self.path(end)).map_err(Error::from)?;
        }
        std::fs::remove_file(note).map_err(Error::from)?;
        Ok(self.path("log"))
    }

    /// Prints what it has printed, as if it had been run here.
    fn ended(self, code: Option<i32>, out: &Out) -> Result<Finished> {
        let read = |end: &str| {
            let bytes = std::fs::read(self.path(end)).map_err(Error::from)?;
            Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (printed, log) = (read("out")?, read("log")?);
        if !log.trim_end().is_empty() {
            say(log.trim_end());
        }
        if !printed.is_empty() {
            out.verbatim(&printed)?;
        }
        for end in ["out", "log"] {
            std::fs::remove_file(self.path(end)).map_err(Error::from)?;
        }
        // Folders that hold something stay.
        for folder in self.folder.ancestors().take(2) {
            drop(std::fs::remove_dir(folder));
        }
        let code = code.and_then(|code| u8::try_from(code).ok());
        code.map(Finished::With).ok_or_else(|| {
            let message = "the driver was killed before its run has begun";
            Error::new(ErrorCode::CANCELLED, ErrorKind::Cancelled, message)
                .mend("start it again; nothing was written")
        })
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // One that has ended just now cannot be asked, which is as well.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        self.child.wait().map(drop).map_err(Error::from)
    }
}

fn tell(begun: &Value, child: &Child, log: &Path, out: &Out) -> Result<Finished> {
    let text = |name: &str| begun[name].as_str().unwrap_or_default();
    let (run, folder, process) = (text("run"), text("folder"), child.id());
    let shown = format!(
        "detached   {run}   process {process} of this machine goes on when this terminal is closed\n  \
         records  {folder}\n  log      {}\n  next     levain watch {folder}\n           levain cancel {folder}",
        log.display(),
    );
    let log = log.display().to_string();
    let document = json!({
        "v": 1, "run": run, "folder": folder, "process": process, "log": log, "detached": true,
    });
    out.result(&shown, &document)?;
    Ok(Finished::Whole)
}
