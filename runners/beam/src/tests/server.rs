//! Job servers that nobody here wrote, as processes on loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than an interpreter or a virtual machine takes to load Beam on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(240);

/// What the runners for Java open of the platform: they look into classes that are not theirs.
const OPENED: [&str; 12] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
];

/// A server that ends when it is dropped.
pub(crate) struct JobServer {
    process: Child,
    folder: TempDir,
    port: u16,
}

/// How a server says at which port it listens.
enum Says {
    /// By a file that holds nothing else.
    File(PathBuf),
    /// By a line of its log, after these words.
    Log(&'static str),
}

impl JobServer {
    /// The server that Beam's Python SDK brings.
    pub(crate) fn python(python: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("port");
        let mut command = Command::new(python);
        command
            .args(["-m", "apache_beam.runners.portability.local_job_service_main", "--port", "0"])
            .arg("--port_file")
            .arg(&file)
            .arg("--staging_dir")
            .arg(folder.path().join("staging"));
        Self::start(command, folder, &Says::File(file))
    }

    /// The server for Flink, with a cluster inside.
    pub(crate) fn flink(jars: &Path) -> Self {
        let driver = "org.apache.beam.runners.flink.FlinkJobServerDriver";
        Self::java(jars, driver, "--flink-master=[local]")
    }

    /// The server for Spark, with a cluster inside.
    pub(crate) fn spark(jars: &Path) -> Self {
        let driver = "org.apache.beam.runners.spark.SparkJobServerDriver";
        Self::java(jars, driver, "--spark-master-url=local[2]")
    }

    fn java(jars: &Path, driver: &str, master: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("java");
        command
            // Short jobs end before a second compiler has anything of its work.
            .args(["-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-Dorg.slf4j.simpleLogger.log.org.apache.beam.runners.jobsubmission=info")
            .arg(format!("-Djava.io.tmpdir={}", folder.path().display()))
            .args(OPENED.map(|package| format!("--add-opens={package}=ALL-UNNAMED")))
            .arg("-cp")
            .arg(jars.join("*"))
            .args([driver, master, "--job-host=localhost"])
            .args(["--job-port=0", "--artifact-port=0", "--expansion-port=-1"])
            .arg(format!("--artifacts-dir={}", folder.path().join("staging").display()));
        Self::start(command, folder, &Says::Log("JobService started on localhost:"))
    }

    /// Prism, which is its own server.
    pub(crate) fn prism(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        command.args(["--job_port=0", "--serve_http=false", "--log_kind=text"]);
        Self::start(command, folder, &Says::Log("endpoint=localhost:"))
    }

    /// Starts a server and waits until it listens.
    fn start(mut command: Command, folder: TempDir, says: &Says) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let mut server = Self { process, folder, port: 0 };
        let began = Instant::now();
        while server.port == 0 {
            let ended = server.process.try_wait().expect("its state is known");
            assert!(ended.is_none(), "the job server has ended: {}", server.log());
            assert!(began.elapsed() < START_LIMIT, "it does not start: {}", server.log());
            std::thread::park_timeout(Duration::from_millis(20));
            server.port = server.said(says).unwrap_or(0);
        }
        server
    }

    fn said(&self, says: &Says) -> Option<u16> {
        match says {
            Says::File(file) => std::fs::read_to_string(file).ok()?.trim().parse().ok(),
            Says::Log(words) => {
                let log = self.log();
                let (_, rest) = log.split_once(words)?;
                // A line that has not ended may hold half a number.
                let (line, _) = rest.split_once('\n')?;
                line.trim().parse().ok()
            }
        }
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

impl Drop for JobServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
