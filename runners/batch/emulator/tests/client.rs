//! A client that speaks to an emulator of its own over its socket.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Parser as _;
use serde_json::{Value, json};

use crate::loopback::message::{Head, read_body};
use crate::options::Options;
use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(30);

/// An emulator with the queue `q` and the definition `jd`, which ends with the test.
pub(crate) struct Emulator {
    service: Service,
    pub(crate) address: SocketAddr,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.service.end();
    }
}

/// A status and a body; nothing if the connection was closed.
pub(crate) type Got = Option<(u16, Value)>;

impl Emulator {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let all =
            ["batch-emulator", "--fast", "--create-queue", "q", "--rate", "1000", "--tick-ms", "5"];
        let options = Options::try_parse_from(all.iter().chain(flags)).expect("valid flags");
        let (service, address) = Service::start(options).expect("a port");
        let emulator = Self { service, address };
        emulator.must("RegisterJobDefinition", &definition());
        emulator
    }

    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Got {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let length = body.len().to_string();
        let framing = [("content-length", length.as_str())];
        let headers = headers.iter().chain(&framing);
        let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let head =
            Head { start: format!("{method} {target} HTTP/1.1"), headers: headers.collect() };
        head.write(&mut stream).expect("a socket");
        stream.write_all(body.as_bytes()).expect("a socket");
        let mut reader = BufReader::new(stream);
        let head = Head::read(&mut reader).ok()??;
        let mut body = Vec::new();
        let framing = head.framing().expect("a length");
        read_body(&mut reader, framing, |piece| body.write_all(piece)).expect("a body");
        let status = head.start.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let text = String::from_utf8_lossy(&body).into_owned();
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// An operation of Batch.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> Got {
        let path = format!("/v1/{}", operation.to_ascii_lowercase());
        self.send("POST", &path, &[], &body.to_string())
    }

    /// The body of an operation that must be done.
    #[track_caller]
    pub(crate) fn must(&self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(operation, body).expect("an answer");
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// Sets the rules of faults.
    pub(crate) fn faults(&self, rules: &Value) {
        let body = json!({"rules": rules}).to_string();
        let (status, answer) = self.send("POST", "/_emu/faults", &[], &body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) fn state(&self) -> Value {
        self.send("GET", "/_emu/state", &[], "").expect("an answer").1
    }

    /// Submits a job of the definition with more fields; its id.
    #[track_caller]
    pub(crate) fn submit(&self, name: &str, more: &Value) -> String {
        let answer = self.must("SubmitJob", &submission(name, more));
        answer["jobId"].as_str().expect("an id").to_owned()
    }

    /// Submits a job that runs a script of the shell.
    #[track_caller]
    pub(crate) fn script(&self, name: &str, script: &str, more: &Value) -> String {
        let mut more = more.clone();
        more["containerOverrides"]["command"] = json!(["sh", "-c", script]);
        self.submit(name, &more)
    }

    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        let answer = self.must("DescribeJobs", &json!({"jobs": [id]}));
        answer["jobs"][0].clone()
    }

    /// The job as soon as `is_so`.
    #[track_caller]
    pub(crate) fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let job = self.job(id);
            if is_so(&job) {
                return job;
            }
            assert!(Instant::now() < end, "it stays as it is: {job}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The job as soon as it has this status.
    #[track_caller]
    pub(crate) fn status(&self, id: &str, status: &str) -> Value {
        self.until(id, |job| job["status"] == status)
    }

    /// The job as soon as it has ended.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        self.until(id, |job| job["status"] == "SUCCEEDED" || job["status"] == "FAILED")
    }

    /// The job as soon as it runs and has printed a line.
    #[track_caller]
    pub(crate) fn printed(&self, id: &str, line: &str) -> Value {
        self.until(id, |job| {
            job["status"] == "RUNNING" && self.lines(job).iter().any(|it| it == line)
        })
    }

    /// What a job has printed in the attempt that its container shows.
    pub(crate) fn lines(&self, job: &Value) -> Vec<String> {
        let stream = &job["container"]["logStreamName"];
        let body = json!({"logStreamName": stream, "startFromHead": true});
        let (status, answer) = self.logs(&body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        let events = answer["events"].as_array().expect("events");
        events.iter().map(|it| it["message"].as_str().expect("a text").to_owned()).collect()
    }

    pub(crate) fn logs(&self, body: &Value) -> Got {
        let mut body = body.clone();
        body["logGroupName"] = "/aws/batch/job".into();
        let aim = [("x-amz-target", "Logs_20140328.GetLogEvents")];
        self.send("POST", "/", &aim, &body.to_string())
    }
}

pub(crate) fn submission(name: &str, more: &Value) -> Value {
    let mut body = json!({"jobName": name, "jobQueue": "q", "jobDefinition": "jd"});
    for (field, value) in more.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    body
}

pub(crate) fn definition() -> Value {
    json!({
        "jobDefinitionName": "jd", "type": "container",
        "containerProperties": {
            "image": "none",
            "command": ["sh", "-c", "echo index=$AWS_BATCH_JOB_ARRAY_INDEX attempt=$AWS_BATCH_JOB_ATTEMPT; exit ${CODE:-0}"],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
        },
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "CannotPullContainerError*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ]},
    })
}

/// How the attempts of a job have ended: why, with what code, and what the container said.
pub(crate) fn endings(job: &Value) -> Vec<(String, Option<i64>, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let attempts = job["attempts"].as_array().expect("attempts").iter();
    let ending = |it: &Value| {
        let container = &it["container"];
        (text(&it["statusReason"]), container["exitCode"].as_i64(), text(&container["reason"]))
    };
    attempts.map(ending).collect()
}
