//! The emulator as tests start it, and the command as it asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use dataflow::testing::batch_program;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Ran, command, ran};

/// The queue that tests use.
pub(crate) const QUEUE: &str = "bakery";

/// An emulator, and a home without anything for the commands that ask it.
pub(crate) struct Emulator {
    child: Child,
    host: String,
    pub(crate) home: TempDir,
}

impl Emulator {
    /// Starts one with these flags besides a queue; nothing, and a line that says so, if it was not
    /// built.
    pub(crate) fn start(flags: &[&str]) -> Option<Self> {
        Self::start_with(flags, &[])
    }

    /// The same, whose jobs have these variables as well.
    pub(crate) fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let program = batch_program("batch-emulator")?;
        let mut child = Command::new(program)
            .args(["--create-queue", QUEUE, "--rate", "1000"])
            .args(if flags.contains(&"--slots") { &[][..] } else { &["--slots", "16"] })
            .args(flags)
            .args(variables.iter().flat_map(|(name, _)| ["--pass-env", name]))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulator can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let host = line.trim().rsplit('/').next().expect("a host").to_owned();
        Some(Self::at(child, &host))
    }

    /// One that was started, and is reached there.
    pub(crate) fn at(child: Child, host: &str) -> Self {
        Self { child, host: host.to_owned(), home: tempfile::tempdir().expect("a folder") }
    }

    /// Its address, as clients want it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Sends a request of the service, or of control.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.host).expect("the emulator listens");
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Sets the rules of faults.
    pub(crate) fn faults(&self, rules: &Value) {
        self.post("/_emu/faults", &json!({ "rules": rules }));
    }

    /// What it knows of calls, jobs and faults.
    pub(crate) fn state(&self) -> Value {
        let mut stream = TcpStream::connect(&self.host).expect("the emulator listens");
        write!(stream, "GET /_emu/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let body = answer.split_once("\r\n\r\n").expect("a head").1;
        serde_json::from_str(body).expect("JSON")
    }

    /// How often each operation was asked for.
    pub(crate) fn calls(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let calls = state["calls"].as_object().expect("calls").iter();
        calls.map(|(name, it)| (name.clone(), it["calls"].as_u64().unwrap_or(0))).collect()
    }

    /// How often an operation was asked for.
    pub(crate) fn called(&self, operation: &str) -> u64 {
        let calls = self.calls();
        calls.iter().filter(|(name, _)| name.eq_ignore_ascii_case(operation)).map(|it| it.1).sum()
    }

    /// Registers the definition that tests use.
    pub(crate) fn define(&self) {
        self.levain(&["batch", "jobdef", "register", "tests", "--image", "alpine"]).check_done();
    }

    /// The command with these arguments, in surroundings where only the emulator is known.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.surround(command(arguments))
    }

    /// Any command, in such surroundings.
    pub(crate) fn surround(&self, mut command: Command) -> Command {
        let own = std::env::vars_os().map(|(name, _)| name);
        for variable in own.filter(|it| it.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(variable);
        }
        command
            .env("HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE123")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret")
            .env("LEVAIN_BATCH__ENDPOINT", format!("http://{}", self.host))
            .env("LEVAIN_BATCH__REGION", "eu-west-1")
            .env("LEVAIN_BATCH__QUEUE", QUEUE);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn levain(&self, arguments: &[&str]) -> Ran {
        Self::run(self.command(arguments))
    }

    /// Runs a command to its end; no secret may be shown.
    pub(crate) fn run(mut command: Command) -> Ran {
        let ran = ran(command.output().expect("the command can be started"));
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("canary"), "a secret is shown");
        ran
    }

    /// Runs the command to its good end; its document.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.levain(&[&["--output", "json"], arguments].concat());
        ran.check_done();
        serde_json::from_str(&ran.stdout).expect("one document")
    }

    /// Submits a job without waiting; its id.
    pub(crate) fn submit(&self, name: &str, flags: &[&str], script: &str) -> String {
        let head = ["batch", "submit", "--name", name, "--job-definition", "tests"];
        let tail = ["--vcpus", "1", "--memory", "64MiB", "--", "sh", "-c", script];
        let submitted = self.json(&[&head[..], flags, &tail].concat());
        submitted["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a job is in a state.
    pub(crate) fn wait_for(&self, id: &str, state: &str) {
        let is_there = || {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
            let jobs = self.post("/v1/describejobs", &json!({ "jobs": [id] }));
            jobs["jobs"][0]["status"] == state
        };
        assert!((0..2000).any(|_| is_there()), "{id} does not become {state}");
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Its jobs end with it.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
