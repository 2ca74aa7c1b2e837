//! Job services: that of Beam's Python SDK, with processes as workers too, and Prism.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::program;
use crate::made::Folder;

/// Longer than the interpreter takes to import Beam on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(300);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/beam/process_service.py");

/// A server that ends when it is dropped.
pub(super) struct JobService {
    process: Child,
    folder: Folder,
    port: u16,
}

impl JobService {
    /// Starts that of Python.
    pub(super) fn start(python: &Path) -> Self {
        let folder = Folder::new();
        let (port, staging) = (folder.text("port"), folder.text("staging"));
        let words = ["--port", "0", "--port_file", &port, "--staging_dir", &staging];
        let command = program(python, &[&[SCRIPT], &words[..]].concat());
        Self::wait(command, folder, |folder| {
            std::fs::read_to_string(folder.path("port")).ok()?.trim().parse().ok()
        })
    }

    /// Starts Prism, which is its own server.
    pub(super) fn prism(path: &Path) -> Self {
        let words = ["--job_port=0", "--serve_http=false", "--log_kind=text"];
        Self::wait(program(path, &words), Folder::new(), |folder| {
            let log = std::fs::read_to_string(folder.path("log")).ok()?;
            let (_, rest) = log.split_once("endpoint=localhost:")?;
            // A line that has not ended may hold half a number.
            rest.split_once('\n')?.0.trim().parse().ok()
        })
    }

    /// Starts a server and waits until it has said at which port it listens.
    fn wait(mut command: Command, folder: Folder, port: fn(&Folder) -> Option<u16>) -> Self {
        let log = std::fs::File::create(folder.path("log")).expect("a file");
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("it starts");
        let mut service = Self { process, folder, port: 0 };
        let began = Instant::now();
        while service.port == 0 {
            service.port = port(&service.folder).unwrap_or(0);
            let ended = service.process.try_wait().expect("its state is known");
            assert!(ended.is_none(), "the job service has ended: {}", service.log());
            assert!(began.elapsed() < START_LIMIT, "it does not start: {}", service.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        service
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What it has said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path("log")).unwrap_or_default()
    }
}

impl Drop for JobService {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
