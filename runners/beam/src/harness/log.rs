//! Lines for the log of the runner.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow::metrics::step_name;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Level;

use crate::proto::fn_api::{LOGGING, LogEntries, LogEntry, Nothing};
use crate::proto::known::timestamp_of_millis;
use crate::rpc::{Rpc, queue};

/// Which code speaks where the harness itself does.
const LOCATION: &str = "levain";
/// Lines that wait; more are dropped: no work waits for its log.
const ROOM: usize = 256;
/// How long the end of a worker waits for a runner that takes its log.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// What a thread runs for the runner.
#[derive(Debug)]
struct Instruction {
    sender: mpsc::Sender<LogEntries>,
    id: String,
    /// What the runner calls the transform of each step.
    transforms: Arc<BTreeMap<String, String>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Instruction>> = const { RefCell::new(None) };
}

/// Sends a line to the log of the runner for which this thread runs a bundle, with the instruction and the
/// transform whose code runs; on other threads nothing happens, and no message is made. `location` says
/// which code speaks.
///
/// Never waits: a line is dropped where too many are on their way. The text must hold no secret.
pub fn log_to_runner(level: Level, location: &str, message: impl FnOnce() -> String) {
    CURRENT.with_borrow(|current| {
        let Some(Instruction { sender, id, transforms }) = current else { return };
        let transform = step_name().and_then(|step| transforms.get(&step));
        let transform_id = transform.map_or("", String::as_str);
        send(sender, entry(level, location, message()).of(id, transform_id));
    });
}

/// Sets back what this thread runs when it is dropped.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

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

    /// Runs `work`, an instruction: what its thread logs goes to the runner, of these transforms.
    pub(super) fn within<R>(
        &self,
        instruction_id: &str,
        transforms: &Arc<BTreeMap<String, String>>,
        work: impl FnOnce() -> R,
    ) -> R {
        let _ended = Ended;
        CURRENT.set(self.0.as_ref().map(|(sender, _)| Instruction {
            sender: sender.clone(),
            id: instruction_id.to_owned(),
            transforms: Arc::clone(transforms),
        }));
        work()
    }

    /// Says what an operator may want to know.
    pub(super) fn info(&self, message: String) {
        self.put(entry(Level::INFO, LOCATION, message));
    }

    /// Says why an instruction has failed, in this transform.
    pub(super) fn error(&self, instruction_id: &str, transform_id: &str, message: String) {
        self.put(entry(Level::ERROR, LOCATION, message).of(instruction_id, transform_id));
    }

    /// Ends the stream, once the runner has what was said, or some seconds have passed.
    pub(super) fn close(self, runtime: &Handle) {
        let Some((sender, mut task)) = self.0 else { return };
        drop(sender);
        let ended = runtime.block_on(async { timeout(CLOSE_PATIENCE, &mut task).await });
        if ended.is_err() {
            task.abort();
        }
    }

    fn put(&self, entry: LogEntry) {
        if let Some((sender, _)) = &self.0 {
            send(sender, entry);
        }
    }
}

fn send(sender: &mpsc::Sender<LogEntries>, entry: LogEntry) {
    // A full queue drops the line.
    drop(sender.try_send(LogEntries { log_entries: vec![entry] }));
}

fn entry(level: Level, location: &str, message: String) -> LogEntry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    LogEntry {
        severity: severity(level),
        timestamp: Some(timestamp_of_millis(i64::try_from(now).unwrap_or(i64::MAX))),
        message,
        log_location: location.to_owned(),
        thread: std::thread::current().name().unwrap_or("bundle").to_owned(),
        ..LogEntry::default()
    }
}

/// `LogEntry.Severity.Enum` of Beam, which has more than there are levels.
fn severity(level: Level) -> i32 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 2,
        Level::INFO => 3,
        Level::WARN => 5,
        Level::ERROR => 6,
    }
}

impl LogEntry {
    fn of(mut self, instruction_id: &str, transform_id: &str) -> Self {
        instruction_id.clone_into(&mut self.instruction_id);
        transform_id.clone_into(&mut self.transform_id);
        self
    }
}
