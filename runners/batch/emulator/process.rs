//! The process of an attempt, with all that it starts.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::group::{self, Signal};
use crate::logs::Stream;

/// A process in a group of its own, and in a folder of its own.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    has_ended: bool,
    /// Deleted with what lies in it.
    _folder: TempDir,
}

impl Process {
    /// Starts a command with this environment alone; what it prints goes to `log`.
    pub(crate) fn start(
        command: &[String],
        environment: &BTreeMap<String, String>,
        log: &Stream,
    ) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command specified"));
        };
        let folder = tempfile::Builder::new().prefix("batch-emulator-").tempdir()?;
        let (reader, writer) = io::pipe()?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        log.follow(reader);
        Ok(Self { child, has_ended: false, _folder: folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        group::signal(self.child.id(), signal);
    }

    /// The exit code, if the process has ended; 128 and the signal if one ended it.
    ///
    /// Whatever it has started ends with it, as with a container.
    pub(crate) fn exit_code(&mut self) -> io::Result<Option<i32>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        self.signal(Signal::Kill);
        self.has_ended = true;
        let by_signal = status.signal().map_or(0, |signal| 128 + signal);
        Ok(Some(status.code().unwrap_or(by_signal)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The number of a group that is gone may be somebody else's by now.
        if self.has_ended {
            return;
        }
        self.signal(Signal::Kill);
        // It ends at once; without this it would stay a zombie.
        drop(self.child.wait());
    }
}
