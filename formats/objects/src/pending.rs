//! The one runtime that waits for stores, and the handle of what is under way there.
//!
//! Its threads never compute, and threads that compute never enter it: they start work and wait
//! for the result on a channel.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use dataflow::error::{Error, Result};
use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::requests::Object;

/// Threads that drive requests.
const DRIVER_THREADS: usize = 2;
/// Threads that read and write local files.
const FILE_THREADS: usize = 16;

static RUNTIME: LazyLock<Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(DRIVER_THREADS)
        .max_blocking_threads(FILE_THREADS)
        .thread_name("levain-io")
        .enable_all()
        .build()
        .map_err(|error| {
            Error::from(error).context("cannot start the threads that wait for stores")
        })
});

/// Something that was started and whose result can be waited for.
///
/// Dropping it does not stop the work: a write that was started is finished.
pub struct Pending<T>(State<T>);

enum State<T> {
    Ready(Result<T>),
    Started(Receiver<Result<T>>),
}

impl<T> Pending<T> {
    /// Waits until the work is done. Never call this in async code.
    ///
    /// # Errors
    /// What the work failed with.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Ready(result) => result,
            State::Started(receiver) => receiver
                .recv()
                .unwrap_or_else(|_| Err(Error::internal("a request ended without a result"))),
        }
    }

    /// Work that was done at once.
    pub fn ready(value: T) -> Self {
        Self(State::Ready(Ok(value)))
    }

    /// Work that failed before it was started.
    pub fn failed(error: Error) -> Self {
        Self(State::Ready(Err(error)))
    }
}

impl<T: Send + 'static> Pending<T> {
    /// Starts `work` on the runtime.
    pub(crate) fn start(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let runtime = match &*RUNTIME {
            Ok(runtime) => runtime,
            Err(error) => return Self::failed(error.clone()),
        };
        let (sender, receiver) = sync_channel(1);
        runtime.spawn(async move {
            // Nobody waits for a result that was dropped.
            drop(sender.send(work.await));
        });
        Self(State::Started(receiver))
    }
}

/// Pieces of an object that wait to be taken; more are not read meanwhile.
const PIECES_WAITING: usize = 4;

/// The bytes of an object, piece by piece, as they come.
pub(crate) struct Pulling(tokio::sync::mpsc::Receiver<Result<Bytes>>);

impl Pulling {
    /// Starts to read an object from a byte on.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub(crate) fn start(object: Object, from: u64) -> Result<Self> {
        let runtime = RUNTIME.as_ref().map_err(Clone::clone)?;
        let (sender, receiver) = tokio::sync::mpsc::channel(PIECES_WAITING);
        runtime.spawn(async move {
            let mut pieces = match object.stream(from).await {
                Ok(Some(pieces)) => pieces,
                Ok(None) => return drop(sender.send(Err(object.missing())).await),
                Err(error) => return drop(sender.send(Err(error)).await),
            };
            while let Some(piece) = pieces.next().await {
                // Nobody takes the rest of what was dropped.
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// The next piece, waiting for it; nothing after the last. Never call this in async code.
    pub(crate) fn next(&mut self) -> Option<Result<Bytes>> {
        self.0.blocking_recv()
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            State::Ready(_) => f.write_str("Pending(ready)"),
            State::Started(_) => f.write_str("Pending(started)"),
        }
    }
}
