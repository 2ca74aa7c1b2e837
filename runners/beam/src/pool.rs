//! The pool of workers of a process: runners ask it for workers.

use std::sync::Arc;

use crossbeam_channel::Sender;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use http::Request;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::harness::Endpoints;
use crate::proto::fn_api::{
    Nothing, START_WORKER, STOP_WORKER, StartWorkerRequest, StartWorkerResponse, StopWorkerRequest,
};
use crate::rpc::{Answer, Service, serve, unary};

/// A pool that listens on the loopback interface until it is dropped.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    task: JoinHandle<()>,
}

impl Pool {
    /// Opens a pool; workers that are wanted go into `wanted`.
    ///
    /// # Errors
    /// No port on the loopback interface.
    pub(crate) fn open(runtime: &Handle, wanted: Sender<Endpoints>) -> Result<Self> {
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.map_err(|why| cannot_listen(&why))?;
        let address = listener.local_addr().map_err(|why| cannot_listen(&why))?.to_string();
        let task = runtime.spawn(serve(listener, Arc::new(Workers { wanted })));
        Ok(Self { address, task })
    }

    /// Where runners find it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The service of a pool.
struct Workers {
    wanted: Sender<Endpoints>,
}

impl Service for Workers {
    fn call(&self, path: &str, request: Request<Body>) -> Answer {
        let wanted = self.wanted.clone();
        match path {
            START_WORKER => unary(request, |start: StartWorkerRequest| async move {
                let control = start.control_endpoint.map(|it| it.url).unwrap_or_default();
                let logging = start.logging_endpoint.map(|it| it.url).filter(|url| !url.is_empty());
                let endpoints = Endpoints { worker_id: start.worker_id, control, logging };
                let sent = wanted.send(endpoints);
                let error = sent.err().map(|_| "this pool starts no more workers".to_owned());
                Ok(StartWorkerResponse { error: error.unwrap_or_default() })
            }),
            // A worker ends with its control stream.
            STOP_WORKER => unary(request, |_: StopWorkerRequest| async { Ok(Nothing {}) }),
            other => {
                let status =
                    Status::new(Code::Unimplemented, format!("{other} is not served here"));
                unary(request, |_: Nothing| async { Err::<Nothing, _>(status) })
            }
        }
    }
}

fn cannot_listen(why: &std::io::Error) -> Error {
    let message = format!("cannot listen on the loopback interface: {why}");
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::ResourceExhausted, message)
}
