//! Sorts records that may be more than memory holds: sorted runs in files, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use dataflow::prelude::Result;

/// What is held before a run is written.
const HELD_BYTES: usize = 32 << 20;
/// The buffer of a run that is merged.
const RUN_BUFFER_BYTES: usize = 64 << 10;

/// Runs that are open at once; as many are merged into one.
const RUN_LIMIT: usize = 128;

/// The most memory that sorting takes, records longer than a few megabytes left aside.
pub(crate) const WORKING_BYTES: u64 = 2 * HELD_BYTES as u64;

/// Takes byte strings in any order and gives them sorted.
pub(crate) struct Sorter {
    limit_bytes: usize,
    arena: Vec<u8>,
    /// Where each record begins and ends in the arena.
    places: Vec<(usize, usize)>,
    runs: Vec<File>,
}

impl Sorter {
    pub(crate) fn new() -> Self {
        Self::with_limit(HELD_BYTES)
    }

    fn with_limit(limit_bytes: usize) -> Self {
        Self { limit_bytes, arena: Vec::new(), places: Vec::new(), runs: Vec::new() }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<()> {
        let held = self.arena.len() + self.places.len() * size_of::<(usize, usize)>();
        if !self.places.is_empty() && held + record.len() > self.limit_bytes {
            self.spill()?;
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(record);
        self.places.push((start, self.arena.len()));
        Ok(())
    }

    /// Gives all records to `each`, in the order of their bytes.
    pub(crate) fn drain(mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.sort();
        if self.runs.is_empty() {
            return self.places.iter().try_for_each(|&(start, end)| each(&self.arena[start..end]));
        }
        self.spill()?;
        self.arena = Vec::new();
        self.places = Vec::new();
        merge(self.runs, each)
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        self.places.sort_unstable_by(|a, b| arena[a.0..a.1].cmp(&arena[b.0..b.1]));
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let mut out = RunWriter::new()?;
        self.places.iter().try_for_each(|&(start, end)| out.push(&self.arena[start..end]))?;
        self.runs.push(out.finish()?);
        self.arena.clear();
        self.places.clear();
        if self.runs.len() == RUN_LIMIT {
            let mut out = RunWriter::new()?;
            merge(std::mem::take(&mut self.runs), |record| out.push(record))?;
            self.runs.push(out.finish()?);
        }
        Ok(())
    }
}

/// Gives the records of sorted runs to `each`, sorted.
fn merge(runs: Vec<File>, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut heads = BinaryHeap::with_capacity(runs.len());
    for file in runs {
        let mut run = Run::open(file)?;
        if let Some(record) = run.next()? {
            heads.push(Reverse((record, run)));
        }
    }
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((record, run)) = &mut *head;
        each(record)?;
        match run.next()? {
            Some(next) => *record = next,
            None => drop(PeekMut::pop(head)),
        }
    }
    Ok(())
}

/// A run that is being written: each record after its length.
struct RunWriter(BufWriter<File>);

impl RunWriter {
    fn new() -> Result<Self> {
        Ok(Self(BufWriter::new(tempfile::tempfile()?)))
    }

    fn push(&mut self, record: &[u8]) -> Result<()> {
        self.0.write_all(&(record.len() as u64).to_le_bytes())?;
        Ok(self.0.write_all(record)?)
    }

    fn finish(self) -> Result<File> {
        Ok(self.0.into_inner().map_err(std::io::IntoInnerError::into_error)?)
    }
}

/// A sorted run that is read back. Runs are never equal: records decide their order, and of equal
/// records it does not matter which comes first.
struct Run(BufReader<File>);

impl Run {
    fn open(mut file: File) -> Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self(BufReader::with_capacity(RUN_BUFFER_BYTES, file)))
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut length = [0; 8];
        if std::io::BufRead::fill_buf(&mut self.0)?.is_empty() {
            return Ok(None);
        }
        self.0.read_exact(&mut length)?;
        let mut record = Vec::new();
        let length = u64::from_le_bytes(length);
        let read = self.0.by_ref().take(length).read_to_end(&mut record)? as u64;
        if read != length {
            let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(dataflow::error::Error::from(error).context("cannot read a sorted run"));
        }
        Ok(Some(record))
    }
}

impl PartialEq for Run {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Run {}

impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Run {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_sorted_whatever_is_held(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..300),
            limit in 1usize..400,
        ) {
            let mut sorter = Sorter::with_limit(limit);
            for record in &records {
                sorter.push(record).expect("there is room for files");
            }
            let mut got = Vec::new();
            sorter.drain(|record| { got.push(record.to_vec()); Ok(()) }).expect("reads back");
            let mut want = records;
            want.sort();
            prop_assert_eq!(got, want);
        }
    }
}
