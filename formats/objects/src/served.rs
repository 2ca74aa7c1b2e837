//! Servers of our own that tests start: AWS Batch, and a store that fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use dataflow::testing::batch_program;
use serde_json::Value;

/// A server that ends with the test.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    /// It ends when this is closed, however the test ends.
    stdin: Option<ChildStdin>,
    address: String,
}

impl Served {
    /// Starts the server; `None` if it was not built, after saying so.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Option<Self> {
        Some(Self::run(&batch_program(name)?, arguments))
    }

    fn run(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server can be started");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("an address");
        Self { child, stdin, address: address.to_owned() }
    }

    /// Its address, as clients want it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the control plane answers.
    #[track_caller]
    pub(crate) fn control(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}",
            self.address
        )
        .expect("a socket");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.child.wait());
    }
}
