//! The commit of a task: which attempt counts, and where its records lie.

use std::ops::Range;

use bytes::Bytes;
use dataflow::bundle::Failures;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::metrics::Metrics;
use dataflow::shuffle::{EdgeId, Segment};
use serde::{Deserialize, Serialize};

use crate::store::RunStore;
use crate::store::documents::VERSION;
use crate::store::numbers::Numbers;

/// The longest index that a commit holds itself; a longer one is an object beside the records.
const INLINE_INDEX_BYTES: usize = 64 << 10;

/// An attempt that counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) v: u32,
    pub(crate) attempt: String,
    pub(crate) worker: String,
    /// The job and the index of the worker, `JOB:INDEX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// Where the records lie; nothing where there are none.
    pub(crate) key: Option<String>,
    pub(crate) bytes: u64,
    /// The segments of the records, if they are few.
    #[serde(default)]
    pub(crate) index: Vec<Placed>,
    /// Where the segments are listed, if they are many.
    #[serde(default)]
    pub(crate) index_key: Option<String>,
    pub(crate) numbers: Numbers,
    pub(crate) read_count: u64,
    pub(crate) failures: Failures,
    pub(crate) started_ms: i64,
    pub(crate) wall_ms: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) rung: u32,
    /// The commit itself, where its index is not held here.
    #[serde(skip)]
    pub(crate) left_at: Option<String>,
}

/// A segment: edge, partition, first byte, byte after the last, records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Placed(u32, usize, u64, u64, u64);

impl Placed {
    pub(crate) fn of(segment: &Segment) -> Self {
        let Range { start, end } = segment.range;
        Self(segment.edge.0, segment.partition, start, end, segment.record_count)
    }

    pub(crate) fn edge(&self) -> EdgeId {
        EdgeId(self.0)
    }

    pub(crate) fn partition(&self) -> usize {
        self.1
    }

    pub(crate) fn range(&self) -> Range<u64> {
        self.2..self.3
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.4
    }
}

fn gone(store: &RunStore, key: &str) -> Error {
    let message = "the index of the records of a task is gone";
    Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
        .at("object", store.root().join(key))
        .mend("begin a new run")
}

impl Commit {
    /// A commit without records yet.
    pub(crate) fn new(attempt: &str, worker: &str, rung: u32) -> Self {
        Self {
            v: VERSION,
            attempt: attempt.to_owned(),
            worker: worker.to_owned(),
            place: None,
            key: None,
            bytes: 0,
            index: Vec::new(),
            index_key: None,
            numbers: Numbers::default(),
            read_count: 0,
            failures: Failures::default(),
            started_ms: objects::now_ms(),
            wall_ms: 0,
            peak_bytes: 0,
            rung,
            left_at: None,
        }
    }

    /// Says what the bundles have counted.
    pub(crate) fn count(&mut self, metrics: &Metrics) {
        self.numbers = Numbers::of(metrics);
    }

    /// Says where the records lie; a long index is written beside them.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn place(
        &mut self,
        store: &RunStore,
        key: String,
        bytes: u64,
        segments: &[Segment],
    ) -> Result<()> {
        let index: Vec<Placed> = segments.iter().map(Placed::of).collect();
        let text = serde_json::to_vec(&index);
        let text = text.map_err(|why| Error::internal(format!("an index has no form: {why}")))?;
        if text.len() > INLINE_INDEX_BYTES {
            let index_key = format!("{key}.index");
            store.put_pieces(&index_key, vec![Bytes::from(text)])?;
            self.index_key = Some(index_key);
        } else {
            self.index = index;
        }
        self.key = Some(key);
        self.bytes = bytes;
        Ok(())
    }

    /// The segments of the records.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn segments(&self, store: &RunStore) -> Result<Vec<Placed>> {
        if let Some(key) = &self.left_at {
            let whole: Option<Self> = store.read_named(key)?;
            return Ok(whole.ok_or_else(|| gone(store, key))?.index);
        }
        let Some(key) = &self.index_key else { return Ok(self.index.clone()) };
        store.read_named(key)?.ok_or_else(|| gone(store, key))
    }

    /// Leaves the index in the commit of this key, from where it is read again when it is needed.
    pub(crate) fn leave_index(&mut self, key: &str) {
        if !self.index.is_empty() {
            self.index = Vec::new();
            self.left_at = Some(key.to_owned());
        }
    }
}
