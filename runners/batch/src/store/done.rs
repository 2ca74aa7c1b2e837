//! What a stage has left, by partition: the winners of its tasks and where their segments lie.
//!
//! ```text
//! "LVNDONE1" | length of the header, 4 bytes LE | header, JSON | entries of 28 bytes, by column
//! entry: task, 4 bytes LE | first byte, 8 | length, 8 | records, 8
//! ```
//!
//! A column is one partition of one edge. A reader fetches the header and the columns that it needs.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use dataflow::bundle::Failures;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use dataflow::plan::StageId;
use dataflow::shuffle::EdgeId;
use serde::{Deserialize, Serialize};

use crate::store::numbers::Numbers;
use crate::store::patience::patiently;
use crate::store::{Placed, RunStore, keys};

const MAGIC: &[u8; 8] = b"LVNDONE1";
const LENGTH_BYTES: usize = 4;
const ENTRY_BYTES: usize = 28;
/// What is read first: most indexes are no longer.
const FIRST_READ_BYTES: u64 = 64 << 10;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Header {
    /// Where the records of each task lie that has left some.
    objects: BTreeMap<u32, String>,
    /// Edge, partition, entries, bytes of its segments; the entries follow in this order.
    columns: Vec<(u32, usize, u64, u64)>,
    numbers: Numbers,
    failures: Failures,
    read_count: u64,
}

/// A segment of one partition, and the object that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) task: u32,
    pub(crate) range: Range<u64>,
    pub(crate) record_count: u64,
}

/// The index of a stage.
#[derive(Debug, Clone)]
pub(crate) struct DoneIndex {
    key: String,
    header: Header,
    entries_at: u64,
    /// All of the object, where it was read at once.
    whole: Option<Bytes>,
}

impl DoneIndex {
    /// The bytes of an index.
    pub(crate) fn encoded(
        tasks: impl IntoIterator<Item = (u32, Option<String>, Vec<Placed>)>,
        numbers: Numbers,
        failures: Failures,
        read_count: u64,
    ) -> Result<Bytes> {
        let mut header = Header { numbers, failures, read_count, ..Header::default() };
        let mut columns: BTreeMap<(EdgeId, usize), Vec<(u32, Placed)>> = BTreeMap::new();
        for (task, key, segments) in tasks {
            header.objects.extend(key.map(|key| (task, key)));
            for placed in segments {
                columns
                    .entry((placed.edge(), placed.partition()))
                    .or_default()
                    .push((task, placed));
            }
        }
        let mut entries = Vec::new();
        for ((edge, partition), pieces) in columns {
            let bytes = pieces.iter().map(|(_, it)| it.range().end - it.range().start).sum();
            header.columns.push((edge.0, partition, pieces.len() as u64, bytes));
            for (task, placed) in pieces {
                let Range { start, end } = placed.range();
                entries.extend_from_slice(&task.to_le_bytes());
                for number in [start, end - start, placed.record_count()] {
                    entries.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        let text = serde_json::to_vec(&header);
        let text = text.map_err(|why| Error::internal(format!("an index has no form: {why}")))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(&entries);
        Ok(bytes.into())
    }

    /// Reads the index of a stage.
    ///
    /// # Errors
    /// No such index, a store that fails, a damaged index.
    pub(crate) fn read(store: &RunStore, stage: StageId) -> Result<Self> {
        let key = keys::done(stage);
        let missing = || {
            let message = "the index of what a stage has left is gone";
            Error::new(ErrorCode::STORE_NOT_FOUND, ErrorKind::NotFound, message)
                .at("object", store.root().join(&key))
                .mend("begin a new run")
        };
        let damaged = |why: &str| damaged(store, &key, why);
        let first = patiently(|| store.first(&key, FIRST_READ_BYTES))?;
        let first = first.ok_or_else(missing)?;
        let head = first.bytes.strip_prefix(MAGIC.as_slice());
        let head = head.and_then(|rest| rest.first_chunk::<LENGTH_BYTES>());
        let length = u32::from_le_bytes(*head.ok_or_else(|| damaged("it has no header"))?);
        let start = MAGIC.len() + LENGTH_BYTES;
        let entries_at = start + length as usize;
        let is_whole = first.size_bytes == first.bytes.len() as u64;
        let text = if entries_at <= first.bytes.len() {
            first.bytes.slice(start..entries_at)
        } else {
            let range = start as u64..entries_at as u64;
            let mut read = store.fetch(&key, vec![range]).wait()?;
            read.pop().ok_or_else(|| damaged("its header is cut short"))?
        };
        let header = serde_json::from_slice(&text).map_err(|why| damaged(&why.to_string()))?;
        let whole = is_whole.then_some(first.bytes);
        Ok(Self { key, header, entries_at: entries_at as u64, whole })
    }

    /// The partitions of an edge that hold records, ascending.
    pub(crate) fn filled_partitions(&self, edge: EdgeId) -> Vec<usize> {
        self.partition_bytes(edge).into_iter().map(|(partition, _)| partition).collect()
    }

    /// The same, with the bytes of each.
    pub(crate) fn partition_bytes(&self, edge: EdgeId) -> Vec<(usize, u64)> {
        let of_edge = self.header.columns.iter().filter(|column| column.0 == edge.0);
        of_edge.map(|&(_, partition, _, bytes)| (partition, bytes)).collect()
    }

    /// Where the records of a task lie.
    pub(crate) fn object(&self, task: u32) -> Option<&str> {
        self.header.objects.get(&task).map(String::as_str)
    }

    /// The objects of all tasks.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &str> {
        self.header.objects.values().map(String::as_str)
    }

    /// The numbers of all tasks.
    ///
    /// # Errors
    /// Numbers that are none.
    pub(crate) fn metrics(&self) -> Result<dataflow::metrics::Metrics> {
        self.header.numbers.clone().metrics()
    }

    /// The elements that tasks have left out.
    pub(crate) fn failures(&self) -> &Failures {
        &self.header.failures
    }

    /// The segments of these partitions of an edge, by partition, then by task.
    ///
    /// Cost: one request, none where the index is short.
    ///
    /// # Errors
    /// A store that fails, a damaged index.
    pub(crate) fn pieces(
        &self,
        store: &RunStore,
        edge: EdgeId,
        partitions: &[usize],
    ) -> Result<Vec<(usize, Vec<Piece>)>> {
        let (mut ranges, mut at) = (Vec::new(), self.entries_at);
        for &(of, partition, count, _) in &self.header.columns {
            let end = at + count * ENTRY_BYTES as u64;
            if of == edge.0 && partitions.contains(&partition) {
                ranges.push((partition, at..end));
            }
            at = end;
        }
        let read = match &self.whole {
            Some(whole) if whole.len() as u64 >= at => {
                let slice =
                    |range: &Range<u64>| whole.slice(range.start as usize..range.end as usize);
                ranges.iter().map(|(_, range)| slice(range)).collect()
            }
            Some(_) => return Err(damaged(store, &self.key, "it is cut short")),
            None => {
                let wanted = ranges.iter().map(|(_, range)| range.clone()).collect();
                store.fetch(&self.key, wanted).wait()?
            }
        };
        let columns = ranges.into_iter().zip(read);
        Ok(columns.map(|((partition, _), bytes)| (partition, pieces_of(&bytes))).collect())
    }
}

fn pieces_of(bytes: &[u8]) -> Vec<Piece> {
    let number = |entry: &[u8], at: usize| {
        u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"))
    };
    let piece = |entry: &[u8]| {
        let (start, length) = (number(entry, 4), number(entry, 12));
        Piece {
            task: u32::from_le_bytes(entry[..4].try_into().expect("four bytes")),
            range: start..start + length,
            record_count: number(entry, 20),
        }
    };
    bytes.chunks_exact(ENTRY_BYTES).map(piece).collect()
}

fn damaged(store: &RunStore, key: &str, why: &str) -> Error {
    let message = format!("the index of what a stage has left is damaged: {why}");
    Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
        .at("object", store.root().join(key))
        .mend("begin a new run")
}
