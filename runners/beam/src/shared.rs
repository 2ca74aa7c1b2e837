//! What the processes of a job share besides what its runner carries: results, and payloads.
//!
//! ```text
//! results/COLLECTION/KEY/ATTEMPT/0, 1, …    values of one group, in pieces
//! results/COLLECTION/KEY/ATTEMPT/end        how many pieces: the attempt is whole
//! late/ATTEMPT                              what was counted when a bundle was durable
//! workers/ATTEMPT                           a worker that has not ended
//! bundles/ATTEMPT                           a worker in which bundles run
//! stopped/now                               the job is over, whatever its runner says to workers
//! ```
//!
//! A group is handed over by every attempt of the bundle that has it; all hold the same, and one that is
//! whole is taken.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow::blob::BlobStore;
use dataflow::bundle::Setting;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::graph::CollectionId;
use dataflow::metrics::Metrics;
use dataflow::shuffle::{RawValues, Record, RecordSet as _};
use prost::Message as _;

use crate::metrics;
use crate::proto::pipeline::MonitoringInfo;

/// Bytes of a piece before the next one begins.
const PIECE_BYTES: usize = 8 << 20;
const RESULTS: &str = "results";
const LATE: &str = "late";
const END: &str = "end";
const WORKERS: &str = "workers";
const BUNDLES: &str = "bundles";
const STOPPED: &str = "stopped";
/// Between two looks whether workers have ended.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A place that all processes of a job reach.
///
/// What was put is there for whoever asks later, from any process. A name is put once, or again with the
/// same bytes.
pub trait SharedStore: fmt::Debug + Send + Sync {
    /// Keeps these bytes under a name, whose parts stand between slashes.
    ///
    /// # Errors
    /// A store that is full or fails.
    fn put(&self, name: &str, body: Bytes) -> Result<()>;

    /// All names that begin with this folder, ascending.
    ///
    /// # Errors
    /// A store that fails.
    fn names(&self, folder: &str) -> Result<Vec<String>>;

    /// The bytes of a name.
    ///
    /// # Errors
    /// No such name, a store that fails.
    fn get(&self, name: &str) -> Result<Bytes>;

    /// Forgets a name, whether it is there or not.
    ///
    /// # Errors
    /// A store that fails.
    fn remove(&self, name: &str) -> Result<()>;

    /// Payloads that go around the shuffle, which every process of the job may read.
    fn blobs(&self) -> Arc<dyn BlobStore>;

    /// Removes all, once the job has ended.
    ///
    /// # Errors
    /// A store that fails.
    fn clear(&self) -> Result<()>;
}

/// Says to the workers of a job that it is over, and waits until they have ended: some runners let them
/// go on with bundles of a job that was cancelled. What was shared is removed.
///
/// # Errors
/// A store that fails.
pub fn dismiss(store: &Arc<dyn SharedStore>, patience: Duration) -> Result<()> {
    tell_stop(store)?;
    wait_for(WORKERS, store, patience)?;
    store.clear()?;
    // One that comes late must not begin.
    tell_stop(store)
}

/// Ends the bundles that run on when a job is done: those of a machine that its runner has lost may know
/// nothing of it, and would write into what others take for finished. What was shared is removed.
///
/// Workers that are idle are not waited for: some runners kill them, so that they never say that they end.
///
/// # Errors
/// A store that fails.
pub(crate) fn release(store: &Arc<dyn SharedStore>, patience: Duration) -> Result<()> {
    if !store.names(BUNDLES)?.is_empty() {
        tell_stop(store)?;
        wait_for(BUNDLES, store, patience)?;
    }
    store.clear()
}

fn tell_stop(store: &Arc<dyn SharedStore>) -> Result<()> {
    store.put(&format!("{STOPPED}/now"), Bytes::new())
}

fn wait_for(folder: &str, store: &Arc<dyn SharedStore>, patience: Duration) -> Result<()> {
    let began = Instant::now();
    while let Some(left) = store.names(folder)?.first() {
        if began.elapsed() > patience {
            tracing::warn!(worker = left, "a worker of the job may still be at work");
            break;
        }
        std::thread::park_timeout(LOOK_PERIOD);
    }
    Ok(())
}

/// Some values of a group.
#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    values: Vec<Bytes>,
}

/// Numbers that no runner carries.
#[derive(Clone, PartialEq, prost::Message)]
struct Late {
    #[prost(message, repeated, tag = "1")]
    infos: Vec<MonitoringInfo>,
}

/// How a worker hands results over, and how the driver takes them.
#[derive(Debug, Clone)]
pub(crate) struct Handover {
    store: Arc<dyn SharedStore>,
    /// Differs from that of every other process.
    own: u64,
    count: Arc<AtomicU64>,
    bundles: Arc<Mutex<Bundles>>,
}

/// The bundles that run in this process, and under which name that is said.
#[derive(Debug, Default)]
struct Bundles {
    count: usize,
    name: String,
}

/// A bundle that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct RunningBundle(Handover);

impl Drop for RunningBundle {
    fn drop(&mut self) {
        let Self(handover) = self;
        let mut bundles = handover.bundles();
        bundles.count -= 1;
        if bundles.count == 0
            && let Err(error) = handover.store.remove(&bundles.name)
        {
            // The driver waits for its whole patience.
            tracing::warn!(%error, "it cannot be said that a bundle has ended");
        }
    }
}

impl Handover {
    pub(crate) fn new(store: &Arc<dyn SharedStore>) -> Self {
        let own = RandomState::new().build_hasher().finish();
        Self { store: Arc::clone(store), own, count: Arc::default(), bundles: Arc::default() }
    }

    /// A name that no other attempt has.
    fn attempt(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count}", self.own)
    }

    /// Says that a worker is at work; the name of what says so.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn enter(&self) -> Result<String> {
        let name = format!("{WORKERS}/{}", self.attempt());
        self.store.put(&name, Bytes::new())?;
        Ok(name)
    }

    /// Says that it is no more.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn leave(&self, name: &str) -> Result<()> {
        self.store.remove(name)
    }

    /// Says that a bundle runs in this process: of several at once it is said once.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn begin_bundle(&self) -> Result<RunningBundle> {
        let mut bundles = self.bundles();
        if bundles.count == 0 {
            bundles.name = format!("{BUNDLES}/{}", self.attempt());
            self.store.put(&bundles.name, Bytes::new())?;
        }
        bundles.count += 1;
        Ok(RunningBundle(self.clone()))
    }

    fn bundles(&self) -> MutexGuard<'_, Bundles> {
        self.bundles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the job is over.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn is_stopped(&self) -> Result<bool> {
        Ok(!self.store.names(STOPPED)?.is_empty())
    }

    /// Hands a group over.
    ///
    /// # Errors
    /// A store or a disk that fails.
    pub(crate) fn put_group(
        &self,
        collection: CollectionId,
        key: i64,
        values: &RawValues,
    ) -> Result<()> {
        let folder = format!("{RESULTS}/{}/{key}/{}", collection.0, self.attempt());
        let (mut piece, mut bytes, mut count) = (Piece::default(), 0, 0_u32);
        let mut send = |piece: &mut Piece| {
            let name = format!("{folder}/{count}");
            count += 1;
            self.store.put(&name, std::mem::take(piece).encode_to_vec().into())
        };
        let mut records = values.records();
        while records.advance()? {
            let Record { head, tail, .. } = records.record();
            piece.values.push([head, tail].concat().into());
            bytes += head.len() + tail.len();
            if bytes >= PIECE_BYTES {
                send(&mut piece)?;
                bytes = 0;
            }
        }
        if !piece.values.is_empty() {
            send(&mut piece)?;
        }
        self.store.put(&format!("{folder}/{END}"), count.to_string().into())
    }

    /// Hands over what was counted when a bundle was durable.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn put_late(&self, metrics: &Metrics) -> Result<()> {
        let infos = metrics::to_infos(metrics, &BTreeMap::new());
        if infos.is_empty() {
            return Ok(());
        }
        let name = format!("{LATE}/{}", self.attempt());
        self.store.put(&name, Late { infos }.encode_to_vec().into())
    }

    /// The values of every collection, of one whole attempt each.
    ///
    /// # Errors
    /// A store or a disk that fails, results that are damaged.
    pub(crate) fn take(&self, setting: &Setting) -> Result<BTreeMap<CollectionId, RawValues>> {
        let names = self.store.names(RESULTS)?;
        let mut attempts = BTreeMap::new();
        for name in &names {
            if let Some((collection, key, folder)) = whole_attempt(name) {
                attempts.entry((collection, key)).or_insert(folder);
            }
        }
        let mut builders = BTreeMap::new();
        for ((id, _), folder) in attempts {
            let builder = builders.entry(id).or_insert_with(|| setting.group_builder());
            let end = self.store.get(&format!("{folder}/{END}"))?;
            let count = std::str::from_utf8(&end).ok().and_then(|text| text.parse::<u32>().ok());
            for place in 0..count.ok_or_else(|| damaged(folder, "its number of pieces"))? {
                let body = self.store.get(&format!("{folder}/{place}"))?;
                let piece = Piece::decode(body).map_err(|why| damaged(folder, &why.to_string()))?;
                piece.values.iter().try_for_each(|value| builder.push(value, &Bytes::new()))?;
            }
        }
        builders.into_iter().map(|(id, builder)| Ok((id, builder.finish()?))).collect()
    }

    /// All that was counted late.
    ///
    /// # Errors
    /// A store that fails, numbers that are damaged.
    pub(crate) fn late(&self) -> Result<Metrics> {
        let mut metrics = Metrics::default();
        for name in self.store.names(LATE)? {
            let late = Late::decode(self.store.get(&name)?);
            let late = late.map_err(|why| damaged(&name, &why.to_string()))?;
            metrics.merge(&metrics::of_infos(&late.infos));
        }
        Ok(metrics)
    }
}

/// The group whose attempt has the end with this name, and the folder of the attempt.
fn whole_attempt(name: &str) -> Option<(CollectionId, i64, &str)> {
    let folder = name.strip_suffix(END)?.strip_suffix('/')?;
    let mut parts = folder.strip_prefix(RESULTS)?.strip_prefix('/')?.split('/');
    let collection = CollectionId(parts.next()?.parse().ok()?);
    Some((collection, parts.next()?.parse().ok()?, folder))
}

fn damaged(name: &str, why: &str) -> Error {
    let message = format!("results that a worker has left cannot be read: {why}");
    Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
        .at("result", name)
        .mend("run again; if it happens again, check the store of runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_attempts_count() {
        let whole = "results/3/-7/00ff-0/end";
        assert_eq!(whole_attempt(whole), Some((CollectionId(3), -7, "results/3/-7/00ff-0")));
        for name in ["results/3/-7/00ff-0/0", "late/00ff-0", "results/x/0/a/end", "end"] {
            assert_eq!(whole_attempt(name), None, "{name}");
        }
    }
}
