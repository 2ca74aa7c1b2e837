//! The pool of workers of a process: runners ask it for workers.

use std::sync::Arc;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use http::Request;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::fault;
use crate::harness::Endpoints;
use crate::proto::fn_api::{
    Nothing, START_WORKER, STOP_WORKER, StartWorkerRequest, StartWorkerResponse, StopWorkerRequest,
};
use crate::proto::pipeline::ApiServiceDescriptor;
use crate::rpc::{Answer, Service, serve, unary};

/// A pool that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Pool {
    address: String,
    task: JoinHandle<()>,
}

impl Pool {
    /// Opens a pool at `HOST:PORT`, where port 0 is any that is free; `start` is asked for every worker
    /// that is wanted.
    ///
    /// # Errors
    /// An address that is taken, or that is none of this machine.
    pub(crate) fn open(
        runtime: &Handle,
        address: &str,
        start: impl Fn(Endpoints) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = runtime.block_on(TcpListener::bind(address));
        let listener = listener.map_err(|why| cannot_listen(address, &why))?;
        let local = listener.local_addr().map_err(|why| cannot_listen(address, &why))?;
        let address = local.to_string();
        let task = runtime.spawn(serve(listener, Arc::new(Workers { start: Arc::new(start) })));
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
    start: Arc<dyn Fn(Endpoints) -> Result<()> + Send + Sync>,
}

impl Service for Workers {
    fn call(&self, path: &str, request: Request<Body>) -> Answer {
        let starts = Arc::clone(&self.start);
        match path {
            START_WORKER => unary(request, |start: StartWorkerRequest| async move {
                let control = start.control_endpoint.map(|it| it.url).unwrap_or_default();
                let given = |it: Option<ApiServiceDescriptor>| {
                    it.map(|it| it.url).filter(|url| !url.is_empty())
                };
                let endpoints = Endpoints {
                    worker_id: start.worker_id,
                    control,
                    logging: given(start.logging_endpoint),
                    provision: given(start.provision_endpoint),
                };
                let error = starts(endpoints).err().map(|error| fault::to_text(&error));
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

fn cannot_listen(address: &str, why: &std::io::Error) -> Error {
    let message = format!("cannot listen for runners that want workers: {why}");
    Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::ResourceExhausted, message)
        .at("address", address)
        .mend("name an address of this machine with a port that is free")
}
