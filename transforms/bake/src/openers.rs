//! Threads that open files, so that threads that compute need not wait for headers.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dataflow::error::{Error, Result};

/// Files that are opened at once.
const THREADS: usize = 4;
/// Jobs that wait for a thread; whoever adds one more waits, so that work cannot pile up.
const QUEUE_LIMIT: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that take jobs in order; they end with the last clone.
#[derive(Clone)]
pub(crate) struct Openers(SyncSender<Job>);

impl Openers {
    pub(crate) fn start() -> Result<Self> {
        let (sender, receiver) = sync_channel::<Job>(QUEUE_LIMIT);
        let receiver = Arc::new(Mutex::new(receiver));
        for index in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("levain-open-{index}"))
                .spawn(move || {
                    while let Some(job) = next(&receiver) {
                        job();
                    }
                })
                .map_err(|error| Error::from(error).context("cannot start threads"))?;
        }
        Ok(Self(sender))
    }

    /// Jobs that run at once.
    pub(crate) fn thread_count(&self) -> usize {
        THREADS
    }

    /// Begins a job; its result is taken with [`Opening::wait`].
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Opening<T> {
        let (sender, receiver) = sync_channel(1);
        let job: Job = Box::new(move || {
            // Nobody waits for a result that was dropped.
            drop(sender.send(job()));
        });
        // The threads live as long as this sender.
        let sent = self.0.send(job);
        debug_assert!(sent.is_ok(), "openers end with the last sender");
        Opening(receiver)
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl fmt::Debug for Openers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Openers")
    }
}

/// The result of a job, once it is there.
pub(crate) struct Opening<T>(Receiver<Result<T>>);

impl<T> Opening<T> {
    pub(crate) fn wait(self) -> Result<T> {
        let ended = |_| Err(Error::internal("a file was opened without a result"));
        self.0.recv().unwrap_or_else(ended)
    }
}
