//! Sets of records that are a part of what an edge holds.

use std::fmt;
use std::sync::Arc;

use super::{EdgeId, Record, RecordSet, Records, ShuffleStore};
use crate::coder::malformed;
use crate::error::Result;

/// No record at all.
#[derive(Debug, Clone, Copy)]
pub struct NoRecords;

impl RecordSet for NoRecords {
    fn record_count(&self) -> u64 {
        0
    }

    fn records(&self) -> Box<dyn Records> {
        Box::new(Self)
    }
}

impl Records for NoRecords {
    fn advance(&mut self) -> Result<bool> {
        Ok(false)
    }

    fn record(&self) -> Record<'_> {
        Record { key: &[], head: &[], tail: &super::EMPTY }
    }
}

/// The same records without the first bytes of their heads.
#[derive(Debug)]
pub struct Trimmed {
    /// The records.
    pub records: Arc<dyn RecordSet>,
    /// How many bytes are left out.
    pub head_bytes: usize,
}

impl RecordSet for Trimmed {
    fn record_count(&self) -> u64 {
        self.records.record_count()
    }

    fn records(&self) -> Box<dyn Records> {
        Box::new(TrimmedRecords { records: self.records.records(), head_bytes: self.head_bytes })
    }
}

struct TrimmedRecords {
    records: Box<dyn Records>,
    head_bytes: usize,
}

impl Records for TrimmedRecords {
    fn advance(&mut self) -> Result<bool> {
        let has_more = self.records.advance()?;
        if has_more && self.records.record().head.len() < self.head_bytes {
            return Err(malformed("record", "it is shorter than the stamp before it"));
        }
        Ok(has_more)
    }

    fn record(&self) -> Record<'_> {
        let record = self.records.record();
        Record { head: &record.head[self.head_bytes..], ..record }
    }
}

/// The records of one key on an edge that is ordered by key.
///
/// Cost: reading passes over the records of lesser keys in the same partition.
pub struct OfKey {
    /// The store.
    pub store: Arc<dyn ShuffleStore>,
    /// The edge.
    pub edge: EdgeId,
    /// The partition of the key.
    pub partition: usize,
    /// The key.
    pub key: Arc<[u8]>,
    /// How many records there are.
    pub record_count: u64,
}

impl fmt::Debug for OfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfKey").field("record_count", &self.record_count).finish_non_exhaustive()
    }
}

impl RecordSet for OfKey {
    fn record_count(&self) -> u64 {
        self.record_count
    }

    fn records(&self) -> Box<dyn Records> {
        let (store, edge, partition) = (Arc::clone(&self.store), self.edge, self.partition);
        Box::new(OfKeyRecords { store, edge, partition, key: Arc::clone(&self.key), opened: None })
    }
}

struct OfKeyRecords {
    store: Arc<dyn ShuffleStore>,
    edge: EdgeId,
    partition: usize,
    key: Arc<[u8]>,
    /// Opened when the first record is asked for, so that a failure can be told.
    opened: Option<Box<dyn Records>>,
}

impl Records for OfKeyRecords {
    fn advance(&mut self) -> Result<bool> {
        if self.opened.is_none() {
            self.opened = Some(self.store.records(self.edge, self.partition)?);
        }
        let Some(records) = &mut self.opened else { return Ok(false) };
        while records.advance()? {
            match records.record().key.cmp(&*self.key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Greater => return Ok(false),
            }
        }
        Ok(false)
    }

    fn record(&self) -> Record<'_> {
        let opened = self.opened.as_ref();
        opened.expect("a record is asked for after `advance` gave true").record()
    }
}
