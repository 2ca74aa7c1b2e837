//! Carries the records of edges between processes: out of one shuffle into a file, from bytes of
//! such files into another.
//!
//! The file has the form of a spill file. A *segment* is what it holds of one partition of one edge,
//! whole blocks with their checksums, so that a reader needs nothing but its bytes.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::in_process::InProcessShuffle;
use super::run_file::{RunFile, RunWriter};
use super::{EdgeId, Scratch, ShuffleStore};
use crate::error::{Error, Result};

/// Where the records of one partition of an edge lie in an [`Exported`] file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The edge.
    pub edge: EdgeId,
    /// The partition.
    pub partition: usize,
    /// Its bytes.
    pub range: Range<u64>,
    /// How many records there are.
    pub record_count: u64,
}

/// The records of some edges, in one file of the scratch folder.
#[derive(Debug)]
pub struct Exported {
    file: Option<Arc<File>>,
    scratch: Scratch,
    bytes: u64,
    segments: Vec<Segment>,
}

impl Exported {
    /// The segments: by edge in the order that was asked for, then by partition; none is empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The length of the file; 0 if there are no records at all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads a range of the file.
    ///
    /// # Errors
    /// A disk that fails, or a range beyond the end.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let Some(file) = &self.file else { return Ok(Bytes::new()) };
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        file.read_exact_at(&mut bytes, range.start).map_err(|error| {
            self.scratch.locate(Error::from(error).context("cannot read spilled data back"))
        })?;
        Ok(bytes.into())
    }
}

impl InProcessShuffle {
    /// Writes all records of these edges into one file, each partition in the order in which it
    /// would be read here. The edges are forgotten.
    ///
    /// Cost: every byte is written once, in addition to what was spilled.
    ///
    /// # Errors
    /// A disk that fails, or an edge that was not declared.
    pub fn export(&self, edges: &[EdgeId]) -> Result<Exported> {
        let scratch = self.scratch().clone();
        let mut exported = Exported { file: None, scratch, bytes: 0, segments: Vec::new() };
        let mut writer: Option<RunWriter> = None;
        for &edge in edges {
            for partition in self.filled_partitions(edge) {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    none => none.insert(RunWriter::new(&exported.scratch)?),
                };
                let mut records = self.records(edge, partition)?;
                writer.put_all(partition, records.as_mut())?;
                let run = writer.cut()?;
                let (range, record_count) = (run.start()..run.end(), run.record_count());
                exported.bytes = range.end;
                exported.segments.push(Segment { edge, partition, range, record_count });
                exported.file.get_or_insert_with(|| Arc::clone(run.file()));
            }
            self.release(edge);
        }
        Ok(exported)
    }

    /// Begins to take in segments for an edge that was declared here.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn importer(&self, edge: EdgeId) -> Result<Importer> {
        let file = Arc::new(self.scratch().file()?);
        Ok(Importer { store: self.clone(), edge, file, bytes: 0, runs: Vec::new() })
    }
}

/// Takes in segments that were exported elsewhere.
///
/// Memory: none that grows with the input. A segment that is damaged is found when it is read.
#[derive(Debug)]
pub struct Importer {
    store: InProcessShuffle,
    edge: EdgeId,
    file: Arc<File>,
    bytes: u64,
    runs: Vec<(usize, Range<u64>, u64)>,
}

impl Importer {
    /// Begins a segment of this partition that holds so many records.
    pub fn begin(&mut self, partition: usize, record_count: u64) {
        self.runs.push((partition, self.bytes..self.bytes, record_count));
    }

    /// Appends bytes to the segment that was begun last.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, self.bytes);
        written.map_err(|error| self.store.scratch().cannot_spill(error))?;
        self.bytes += bytes.len() as u64;
        if let Some((_, range, _)) = self.runs.last_mut() {
            range.end = self.bytes;
        }
        Ok(())
    }

    /// Makes all segments visible on the edge.
    pub fn finish(self) {
        let scratch = self.store.scratch();
        scratch.count(self.bytes);
        let runs = self.runs.into_iter().map(|(partition, range, record_count)| {
            let file = Arc::clone(&self.file);
            Arc::new(RunFile::of_segment(file, scratch.clone(), partition, range, record_count))
        });
        self.store.commit(self.edge, None, runs.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EdgeOrder, Record, partition_of};
    use super::*;
    use crate::memory::MemoryBudget;

    const EDGE: EdgeId = EdgeId(3);
    const PARTITIONS: usize = 5;

    fn shuffle(limit_bytes: u64) -> InProcessShuffle {
        let store = InProcessShuffle::new(MemoryBudget::new(limit_bytes, 0), Scratch::default());
        store.declare(EDGE, EdgeOrder::ByKey, PARTITIONS);
        store
    }

    fn filled(limit_bytes: u64, task: u32) -> InProcessShuffle {
        let store = shuffle(limit_bytes);
        let mut sink = store.sink(EDGE).expect("declared");
        for index in 0..2000u32 {
            let (key, head) = ((index % 97).to_be_bytes(), (task * 10_000 + index).to_be_bytes());
            let tail = Bytes::from(vec![index as u8; (index % 50) as usize * 200]);
            sink.put(Record { key: &key, head: &head, tail: &tail }).expect("disk works");
        }
        sink.finish().and_then(|done| done.commit()).expect("disk works");
        store
    }

    type Row = (Vec<u8>, Vec<u8>, Bytes);

    fn rows(store: &InProcessShuffle, partition: usize) -> Vec<Row> {
        let mut records = store.records(EDGE, partition).expect("declared");
        let mut rows = Vec::new();
        while records.advance().expect("readable") {
            let Record { key, head, tail } = records.record();
            rows.push((key.to_vec(), head.to_vec(), tail.clone()));
        }
        rows
    }

    fn carry(exported: &Exported, importer: &mut Importer, piece_bytes: u64) {
        for segment in exported.segments() {
            importer.begin(segment.partition, segment.record_count);
            let mut at = segment.range.start;
            while at < segment.range.end {
                let end = segment.range.end.min(at + piece_bytes);
                importer.push(&exported.read(at..end).expect("readable")).expect("disk works");
                at = end;
            }
        }
    }

    #[track_caller]
    fn check(limit_bytes: u64, piece_bytes: u64) {
        let want: Vec<Vec<Row>> = (0..PARTITIONS).map(|p| rows(&filled(u64::MAX, 1), p)).collect();
        let exported = filled(limit_bytes, 1).export(&[EDGE]).expect("disk works");
        let other = shuffle(u64::MAX);
        let mut importer = other.importer(EDGE).expect("disk works");
        carry(&exported, &mut importer, piece_bytes);
        importer.finish();
        for (partition, want) in want.iter().enumerate() {
            assert!(rows(&other, partition) == *want, "partition {partition} is another");
        }
        assert_eq!(other.contents(EDGE).expect("declared").record_count(), 2000);
    }

    #[test]
    fn what_was_exported_is_what_is_read_elsewhere() {
        check(u64::MAX, 1 << 30);
        check(u64::MAX, 7);
    }

    #[test]
    fn what_was_spilled_before_is_exported_too() {
        check(1 << 20, 1 << 20);
    }

    #[test]
    fn segments_of_more_tasks_than_are_read_at_once_come_by_key() {
        let other = shuffle(u64::MAX);
        let mut importer = other.importer(EDGE).expect("disk works");
        for task in 0..40 {
            let exported = filled(u64::MAX, task).export(&[EDGE]).expect("disk works");
            carry(&exported, &mut importer, 1 << 30);
        }
        importer.finish();
        let key = 5u32.to_be_bytes();
        let rows = rows(&other, partition_of(&key, PARTITIONS));
        assert!(rows.is_sorted_by_key(|(key, ..)| key.clone()));
        assert_eq!(rows.iter().filter(|(of, ..)| *of == key).count(), 40 * 21);
    }

    #[test]
    fn an_edge_without_records_takes_no_bytes() {
        let exported = shuffle(u64::MAX).export(&[EDGE]).expect("nothing to do");
        assert_eq!((exported.bytes(), exported.segments().len()), (0, 0));
    }
}
