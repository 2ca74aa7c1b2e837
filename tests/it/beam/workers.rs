//! Workers of a runner: pools and scripts, whose files are told from those of a driver.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use dataflow::testing::beam_python;

use super::job_service::JobService;
use crate::command::program;

/// The job service of Python, with processes as workers too.
pub(super) fn service() -> Option<JobService> {
    Some(JobService::start(&beam_python()?))
}

/// Files of a worker are those that everybody may write: a driver lets nobody, whoever runs the tests.
const UMASK_OF_WORKERS: &str = "umask 0000";
const OTHERS_MAY_WRITE: u32 = 0o002;

/// Who has written a file: whether it was a worker.
pub(super) fn is_of_worker(file: &Path) -> bool {
    let facts = std::fs::metadata(file).expect("a file");
    facts.permissions().mode() & OTHERS_MAY_WRITE != 0
}

/// A script that becomes `program`, with the mask of workers.
pub(super) fn worker_script(folder: &Path, program: &Path) -> PathBuf {
    let path = folder.join("worker.sh");
    let text = format!("#!/bin/sh\n{UMASK_OF_WORKERS}\nexec {} \"$@\"\n", program.display());
    std::fs::write(&path, text).expect("the folder is writable");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("it is ours");
    path
}

/// A pool of workers; they end with it.
pub(super) struct WorkerPool {
    process: Child,
    /// What it says further, which must not fill up.
    _said: BufReader<ChildStderr>,
    pub(super) address: String,
}

impl WorkerPool {
    /// `beam-pool` of a program, on a free port.
    pub(super) fn start(of: &Path) -> Self {
        let script = format!("{UMASK_OF_WORKERS}; exec \"$0\" beam-pool --port 0");
        let mut shell = program("sh".as_ref(), &["-c", &script]);
        let mut process = shell
            .arg(of)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut said = BufReader::new(process.stderr.take().expect("is piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it listens");
        let address = line.split_whitespace().nth(1).map(str::to_owned);
        let address = address.expect("a line with the address of the pool");
        Self { process, _said: said, address }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        // The pool ends its workers when it is asked to end.
        let id = self.process.id().to_string();
        drop(Command::new("kill").args(["-TERM", &id]).status());
        drop(self.process.wait());
    }
}
