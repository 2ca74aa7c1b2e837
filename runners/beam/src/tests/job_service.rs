//! The job server that Beam's Python SDK brings, as a process on loopback.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than the interpreter takes to import Beam on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A server that ends when it is dropped.
pub(crate) struct JobService {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl JobService {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(python: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let log = std::fs::File::create(file("log")).expect("a file");
        let process = Command::new(python)
            .args(["-m", "apache_beam.runners.portability.local_job_service_main", "--port", "0"])
            .arg("--port_file")
            .arg(file("port"))
            .arg("--staging_dir")
            .arg(file("staging"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("Python starts");
        let mut service = Self { process, folder, port: 0 };
        let began = Instant::now();
        while service.port == 0 {
            let port = std::fs::read_to_string(service.folder.path().join("port"));
            service.port = port.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            let ended = service.process.try_wait().expect("its state is known");
            assert!(ended.is_none(), "the job service has ended: {}", service.log());
            assert!(began.elapsed() < START_LIMIT, "it does not start: {}", service.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        service
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for JobService {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
