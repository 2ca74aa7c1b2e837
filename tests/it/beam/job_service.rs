//! The job service of Beam's Python SDK, with processes as workers too.

use std::path::Path;
use std::process::{Child, Stdio};
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
    /// Starts a server and waits until it listens.
    pub(super) fn start(python: &Path) -> Self {
        let folder = Folder::new();
        let file = |name: &str| folder.text(name);
        let log = std::fs::File::create(file("log")).expect("a file");
        let words =
            ["--port", "0", "--port_file", &file("port"), "--staging_dir", &file("staging")];
        let process = program(python, &[&[SCRIPT], &words[..]].concat())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("Python starts");
        let mut service = Self { process, folder, port: 0 };
        let began = Instant::now();
        while service.port == 0 {
            let port = std::fs::read_to_string(service.folder.path("port"));
            service.port = port.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
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
