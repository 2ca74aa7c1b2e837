//! Lines for the log of the runner.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::proto::fn_api::{LOGGING, LogEntries, LogEntry, Nothing};
use crate::proto::known::timestamp_of_millis;
use crate::rpc::{Rpc, queue};

/// Lines that wait; more are dropped: no work waits for its log.
const ROOM: usize = 256;
const INFO: i32 = 3;
const ERROR: i32 = 6;

/// The log stream of a worker; without one, lines go nowhere.
#[derive(Debug, Default)]
pub(super) struct Log(Option<(mpsc::Sender<LogEntries>, JoinHandle<()>)>);

impl Log {
    /// Opens the stream, where the runner has a place for it, without waiting for an answer: some
    /// runners never give one.
    pub(super) fn open(url: Option<&str>, worker_id: &str, runtime: &Handle) -> Self {
        let Some(url) = url.map(str::to_owned) else { return Self(None) };
        let (sender, entries) = queue(ROOM);
        let worker_id = worker_id.to_owned();
        let task = runtime.spawn(async move {
            let log = async {
                let rpc = Rpc::connect(&url).await?.for_worker(&worker_id)?;
                let mut answers = rpc.stream::<LogEntries, Nothing>(LOGGING, entries).await?;
                while rpc.next(LOGGING, &mut answers).await?.is_some() {}
                Ok::<(), dataflow::error::Error>(())
            };
            if let Err(error) = log.await {
                tracing::debug!(%error, "the runner takes no log");
            }
        });
        Self(Some((sender, task)))
    }

    /// Says what an operator may want to know.
    pub(super) fn info(&self, message: String) {
        self.put(INFO, "", message);
    }

    /// Says why an instruction has failed.
    pub(super) fn error(&self, instruction_id: &str, message: String) {
        self.put(ERROR, instruction_id, message);
    }

    fn put(&self, severity: i32, instruction_id: &str, message: String) {
        let Some((sender, _)) = &self.0 else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let entry = LogEntry {
            severity,
            timestamp: Some(timestamp_of_millis(i64::try_from(now).unwrap_or(i64::MAX))),
            message,
            instruction_id: instruction_id.to_owned(),
            log_location: "levain".to_owned(),
            thread: std::thread::current().name().unwrap_or("bundle").to_owned(),
        };
        // A full queue drops the line.
        drop(sender.try_send(LogEntries { log_entries: vec![entry] }));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0 {
            task.abort();
        }
    }
}
