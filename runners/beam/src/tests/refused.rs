//! Endpoints where something else answers, and runners that end before their job.

use std::io::{Read as _, Write as _};
use std::net::TcpListener as Listener;
use std::sync::Arc;
use std::time::Duration;

use dataflow::prelude::*;
use dataflow::testing::map;
use http::Request;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::{Code, Status};

use super::fake::{FakeRunner, Mischief};
use crate::proto::fn_api::Nothing;
use crate::proto::job::{DESCRIBE, DescribePipelineOptionsResponse, PipelineOptionDescriptor};
use crate::rpc::{Answer, Service, serve, unary};
use crate::{BeamRunner, RunnerKind};

/// Answers every call with one status; `options` are those that it lists.
struct Always {
    code: Code,
    message: &'static str,
    options: Vec<&'static str>,
}

impl Service for Always {
    fn call(&self, path: &str, request: Request<Body>) -> Answer {
        let (code, message) = (self.code, self.message);
        if path != DESCRIBE || self.options.is_empty() {
            return unary(request, move |_: Nothing| async move {
                Err::<Nothing, _>(Status::new(code, message))
            });
        }
        let named = |name: &&str| PipelineOptionDescriptor { name: (*name).to_owned() };
        let options = self.options.iter().map(named).collect();
        unary(request, |_: Nothing| async { Ok(DescribePipelineOptionsResponse { options }) })
    }
}

impl Always {
    /// Serves on a free port for as long as the runtime lives.
    fn start(self) -> (Runtime, String) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let endpoint = listener.local_addr().expect("bound").to_string();
        runtime.spawn(serve(listener, Arc::new(self)));
        (runtime, endpoint)
    }
}

/// A pipeline of one step, which does this.
fn submit(runner: &BeamRunner, step: impl Fn(i64) + Clone + Send + Sync + 'static) -> Error {
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..10i64));
    let step = map(move |n: i64| {
        step(n);
        n
    });
    numbers.apply_named("Step", step);
    pipeline.run(runner).expect_err("it cannot run")
}

#[test]
fn a_web_server_is_said_to_be_none_of_beam() {
    let listener = Listener::bind("127.0.0.1:0").expect("a port");
    let endpoint = listener.local_addr().expect("bound").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let mut asked = [0; 16];
        stream.read_exact(&mut asked).expect("it says something");
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).expect("it listens");
    });
    let error = submit(&BeamRunner::at(&endpoint), |_| {});
    server.join().expect("it has answered");
    assert_eq!(error.code(), ErrorCode::LAUNCHER_FAILED, "{error}");
    assert!(error.message().starts_with("what answers is no job server of Beam"), "{error}");
    assert_eq!(error.place("endpoint"), Some(endpoint.as_str()));
    assert!(error.to_string().contains("HOST:PORT"), "{error}");
}

#[test]
fn another_service_of_grpc_is_said_to_be_none_of_beam() {
    let other = Always { code: Code::Unimplemented, message: "unknown service", options: vec![] };
    let (_server, endpoint) = other.start();
    let error = submit(&BeamRunner::at(&endpoint), |_| {});
    assert_eq!((error.code(), error.kind()), (ErrorCode::LAUNCHER_FAILED, ErrorKind::Unsupported));
    assert!(error.to_string().contains("name the endpoint of a job server of Beam"), "{error}");
    assert_eq!(error.place("endpoint"), Some(endpoint.as_str()));
}

#[test]
fn a_pipeline_above_the_limit_of_messages_is_said_to_be_so() {
    let small = Always {
        code: Code::ResourceExhausted,
        message: "gRPC message exceeds maximum size 4194304: 5000000",
        options: vec!["job_name"],
    };
    let (_server, endpoint) = small.start();
    let error = submit(&BeamRunner::at(&endpoint), |_| {});
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    let text = error.to_string();
    assert!(text.contains("exceeds maximum size 4194304"), "{text}");
    assert!(text.contains("larger than the messages that the runner takes"), "{text}");
}

#[test]
fn what_the_runner_behind_a_job_server_cannot_do_is_refused_before_it_is_submitted() {
    // Whatever is submitted to it is refused in other words.
    let flink = Always {
        code: Code::Internal,
        message: "it was submitted",
        options: vec!["job_name", "flink_master"],
    };
    let (_server, endpoint) = flink.start();
    let pipeline = Pipeline::new();
    let numbers = pipeline.apply(Create::of(0..10i64));
    numbers.apply_named("Publish", ParDo::of(crate::capabilities::tests::Finalizing));
    let error = pipeline.run(&BeamRunner::at(&endpoint)).expect_err("Flink has none");
    assert_eq!(error.code(), ErrorCode::RUNNER_CANNOT, "{error}");
    assert_eq!(error.place("step"), Some("Publish"));
    let python = BeamRunner::at(&endpoint).with_kind(RunnerKind::Python);
    let error = pipeline.run(&python).expect_err("the server takes nothing");
    assert!(error.message().contains("it was submitted"), "what is said of it counts: {error}");
}

#[test]
fn a_runner_that_dies_ends_the_run() {
    let fake = FakeRunner::start(Mischief::None);
    let runner = BeamRunner::at(&fake.endpoint);
    let endpoint = fake.endpoint.clone();
    let (dies, dead) = crossbeam_channel::bounded::<()>(0);
    let killer = std::thread::spawn(move || {
        dead.recv().expect("a bundle runs");
        drop(fake);
    });
    let error = submit(&runner, move |_| {
        // Only the first element finds somebody who waits.
        dies.send_timeout((), Duration::from_millis(200)).unwrap_or_default();
    });
    killer.join().expect("it was ended");
    assert_eq!(error.code(), ErrorCode::LAUNCHER_FAILED, "{error}");
    assert!(error.message().starts_with("the runner was lost while the job ran"), "{error}");
    assert_eq!(error.place("endpoint"), Some(endpoint.as_str()));
    assert_eq!(error.place("job"), Some("job"));
}
