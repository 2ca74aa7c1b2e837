//! A pool that lives long: it starts a program for every worker that a runner wants.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow::cancel::CancelToken;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use tokio::runtime::Runtime;

use crate::boot::WorkerFlags;
use crate::harness::Endpoints;
use crate::pool::Pool;
use crate::runner::start_runtime;

/// Between two looks whether workers have ended, or the pool is to.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A pool of workers for the environment `external`, each a process of its own.
#[derive(Debug)]
pub struct WorkerPool {
    pool: Pool,
    children: Arc<Mutex<Vec<Started>>>,
    runtime: Runtime,
}

/// What is run for a worker.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program and its words, before the flags of the worker.
    pub words: Vec<String>,
    /// Variables that it is given besides.
    pub variables: BTreeMap<String, String>,
}

/// A worker that was started.
#[derive(Debug)]
struct Started {
    id: String,
    child: Child,
}

impl WorkerPool {
    /// Listens at `HOST:PORT`, where port 0 is any that is free, and starts workers as they are wanted.
    ///
    /// A worker ends by itself when its runner wants nothing more of it. Its input is held for as long
    /// as the pool lives.
    ///
    /// # Errors
    /// An address that is taken, or that is none of this machine. A program that cannot be started is
    /// told to the runner.
    pub fn open(address: &str, command: WorkerCommand) -> Result<Self> {
        let runtime = start_runtime()?;
        let children = Arc::<Mutex<Vec<Started>>>::default();
        let started = Arc::clone(&children);
        let start = move |endpoints| {
            let child = start(&command, endpoints);
            let child =
                child.inspect_err(|error| tracing::error!(%error, "a worker is missing"))?;
            lock(&started).push(child);
            Ok(())
        };
        let pool = Pool::open(runtime.handle(), address, start)?;
        Ok(Self { pool, children, runtime })
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.pool.address()
    }

    /// Waits until `cancel` is cancelled, then ends the workers that still run.
    pub fn serve(self, cancel: &CancelToken) {
        while !cancel.is_cancelled() {
            lock(&self.children).retain_mut(|started| !started.has_ended());
            std::thread::park_timeout(LOOK_PERIOD);
        }
        let Self { pool, children, runtime } = self;
        drop(pool);
        for Started { mut child, .. } in lock(&children).drain(..) {
            // One that has ended just now cannot be killed, which is as well.
            drop(child.kill());
            drop(child.wait());
        }
        runtime.shutdown_background();
    }
}

fn lock(children: &Mutex<Vec<Started>>) -> MutexGuard<'_, Vec<Started>> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(command: &WorkerCommand, endpoints: Endpoints) -> Result<Started> {
    let id = endpoints.worker_id.clone();
    let flags = WorkerFlags::of(endpoints)?;
    let (program, words) =
        command.words.split_first().ok_or_else(|| Error::internal("a worker without a program"))?;
    let child = Command::new(program)
        .args(words)
        .args(flags.words())
        .envs(&command.variables)
        .stdin(Stdio::piped())
        .spawn();
    let child = child.map_err(|why| {
        let message = format!("cannot start a worker: {why}");
        Error::new(ErrorCode::LAUNCHER_FAILED, ErrorKind::NotFound, message)
            .at("program", program)
            .mend("name a program of this machine that takes the flags of a worker of Beam")
    })?;
    tracing::info!(worker = %id, process = child.id(), "a worker was started");
    Ok(Started { id, child })
}

impl Started {
    fn has_ended(&mut self) -> bool {
        let Self { id, child } = self;
        match child.try_wait() {
            Ok(None) => return false,
            Ok(Some(status)) if status.success() => {
                tracing::info!(worker = %id, "a worker has ended");
            }
            Ok(Some(status)) => tracing::warn!(worker = %id, %status, "a worker has ended badly"),
            Err(error) => {
                tracing::warn!(worker = %id, %error, "it is not known what became of a worker");
            }
        }
        true
    }
}
