//! Sorted runs in spill files.
//!
//! A file is a header of eight bytes and then, partition after partition, blocks:
//!
//! ```text
//! raw length, 4 bytes LE | stored length, 4 bytes LE; top bit: lz4 | checksum, 4 bytes LE | bytes
//! ```
//!
//! The checksum is the lower half of the XXH3 of the stored bytes, seeded with the raw length. The raw bytes of a block are
//! records: varints of the lengths of key, head and tail, then these. A head or a tail of
//! [`OUTLINED_BYTES`] and more is left out there and is a block of its own behind the block of its
//! record, so that a merge can pass over it. Where the partitions lie is kept in memory; a spill
//! file does not outlive its process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::merge::{Chained, Cursor};
use super::{EMPTY, Record, RecordSet, Records, Scratch};
use crate::coder::{decode_varint, encode_varint};
use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// Names the format and its version.
pub(super) const HEADER: &[u8; 8] = b"LVNSPIL2";
const BLOCK_HEADER_BYTES: usize = 12;
/// Raw bytes after which a block is written.
pub(super) const BLOCK_BYTES: usize = 32 << 10;
/// Heads and tails of this size lie in blocks of their own.
const OUTLINED_BYTES: usize = 4 << 10;
const IS_LZ4: u32 = 1 << 31;

/// A finished run in a spill file; the file is deleted when the last run in it is dropped.
#[derive(Debug)]
pub(super) struct RunFile {
    /// Runs that were cut from one another share it.
    file: Arc<File>,
    scratch: Scratch,
    /// Partition, where its blocks begin and where they end; ascending.
    sections: Vec<(usize, u64, u64)>,
    bytes: u64,
    record_count: u64,
}

impl RunFile {
    /// A run of one partition, whose blocks were written elsewhere and lie in this range of a file.
    pub(super) fn of_segment(
        file: Arc<File>,
        scratch: Scratch,
        partition: usize,
        range: Range<u64>,
        record_count: u64,
    ) -> Self {
        let sections = vec![(partition, range.start, range.end)];
        Self { file, scratch, sections, bytes: range.end - range.start, record_count }
    }

    /// The file.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of records.
    pub(super) fn record_count(&self) -> u64 {
        self.record_count
    }

    /// The partitions that hold records, ascending.
    pub(super) fn filled_partitions(&self) -> impl Iterator<Item = usize> + '_ {
        self.sections.iter().map(|(partition, ..)| *partition)
    }

    /// Whether there are records of this partition.
    pub(super) fn has(&self, partition: usize) -> bool {
        self.sections.binary_search_by_key(&partition, |section| section.0).is_ok()
    }

    /// The records of one partition.
    pub(super) fn cursor(run: &Arc<Self>, partition: usize) -> Box<dyn Cursor> {
        let found = run.sections.binary_search_by_key(&partition, |section| section.0);
        let (start, end) = found.map_or((0, 0), |i| (run.sections[i].1, run.sections[i].2));
        Box::new(FileCursor::new(Arc::clone(run), start, end))
    }

    /// The records of all partitions, one after the other.
    pub(super) fn whole(run: &Arc<Self>) -> Box<dyn Cursor> {
        Box::new(FileCursor::new(Arc::clone(run), run.start(), run.end()))
    }

    /// The records of this block, and of those after it that begin before `end`.
    pub(super) fn cursor_from(run: &Arc<Self>, block: Block, end: u64) -> Box<dyn Cursor> {
        let mut cursor = FileCursor::new(Arc::clone(run), block.next, end);
        cursor.block = block.bytes;
        Box::new(cursor)
    }

    /// Where the first block begins.
    pub(super) fn start(&self) -> u64 {
        self.sections.first().map_or(0, |section| section.1)
    }

    /// Where the blocks end.
    pub(super) fn end(&self) -> u64 {
        self.sections.last().map_or(0, |section| section.2)
    }

    /// The block at `offset`, which must end before `end`.
    pub(super) fn block(&self, offset: u64, end: u64) -> Result<Block> {
        let mut header = [0u8; BLOCK_HEADER_BYTES];
        self.read_at(&mut header, offset)?;
        let word = |i: usize| u32::from_le_bytes(header[i..i + 4].try_into().expect("four bytes"));
        let (raw_length, length, sum) = (word(0), word(4), word(8));
        let stored_length = (length & !IS_LZ4) as usize;
        let start = offset + BLOCK_HEADER_BYTES as u64;
        let next = start + stored_length as u64;
        if next > end {
            return Err(self.damaged("a block reaches beyond its partition"));
        }
        let mut stored = vec![0; stored_length];
        self.read_at(&mut stored, start)?;
        if checksum(&stored, raw_length) != sum {
            return Err(self.damaged("a checksum does not match"));
        }
        if length & IS_LZ4 == 0 {
            return Ok(Block { bytes: stored.into(), next });
        }
        match lz4_flex::block::decompress(&stored, raw_length as usize) {
            Ok(raw) => Ok(Block { bytes: raw.into(), next }),
            Err(why) => Err(self.damaged(&why.to_string())),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| {
            self.scratch.locate(Error::from(error).context("cannot read spilled data back"))
        })
    }

    fn damaged(&self, why: &str) -> Error {
        let message = format!("spilled data is damaged: {why}");
        let error = Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
            .mend("run again; if it happens again, check the disk of the scratch folder");
        self.scratch.locate(error)
    }
}

/// A block that was read. Clones share its bytes.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Its raw bytes.
    pub(super) bytes: Bytes,
    /// Where the next block begins.
    next: u64,
}

/// A spill file alone, as a set of records.
#[derive(Debug)]
pub(super) struct FileSet(pub(super) Arc<RunFile>);

impl RecordSet for FileSet {
    fn record_count(&self) -> u64 {
        self.0.record_count
    }

    fn records(&self) -> Box<dyn Records> {
        Box::new(Chained::new(std::iter::once(RunFile::whole(&self.0))))
    }
}

/// Writes a spill file, partition after partition.
#[derive(Debug)]
pub(super) struct RunWriter {
    out: BufWriter<Arc<File>>,
    scratch: Scratch,
    sections: Vec<(usize, u64, u64)>,
    block: Vec<u8>,
    position: u64,
    /// Bytes of the runs before this one in the file.
    cut_bytes: u64,
    record_count: u64,
}

impl RunWriter {
    /// Begins a run in a new file.
    pub(super) fn new(scratch: &Scratch) -> Result<Self> {
        let mut out = BufWriter::with_capacity(2 * BLOCK_BYTES, Arc::new(scratch.file()?));
        out.write_all(HEADER).map_err(|error| scratch.cannot_spill(error))?;
        Ok(Self {
            out,
            scratch: scratch.clone(),
            sections: Vec::new(),
            block: Vec::new(),
            position: HEADER.len() as u64,
            cut_bytes: 0,
            record_count: 0,
        })
    }

    /// Appends a record; partitions ascend, and within one the caller keeps the order.
    pub(super) fn put(&mut self, partition: usize, record: Record<'_>) -> Result<()> {
        if self.sections.last().is_none_or(|section| section.0 != partition) {
            self.end_section()?;
            self.sections.push((partition, self.position, self.position));
        }
        self.record_count += 1;
        let Record { key, head, tail } = record;
        for length in [key.len(), head.len(), tail.len()] {
            encode_varint(length as u64, &mut self.block);
        }
        self.block.extend_from_slice(key);
        let (has_long_head, has_long_tail) = (is_outlined(head.len()), is_outlined(tail.len()));
        if !has_long_head {
            self.block.extend_from_slice(head);
        }
        if !has_long_tail {
            self.block.extend_from_slice(tail);
        }
        if has_long_head || has_long_tail || self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        if has_long_head {
            self.write_block(head, true)?;
        }
        // Long tails are arrays: compressing them costs more than it saves.
        if has_long_tail { self.write_block(tail, false) } else { Ok(()) }
    }

    /// Where the next record begins a block, if it does.
    pub(super) fn next_block(&self) -> Option<u64> {
        self.block.is_empty().then_some(self.position)
    }

    /// Appends all that are left of these records.
    pub(super) fn put_all(&mut self, partition: usize, records: &mut dyn Records) -> Result<()> {
        while records.advance()? {
            self.put(partition, records.record())?;
        }
        Ok(())
    }

    /// Ends the run.
    pub(super) fn finish(mut self) -> Result<RunFile> {
        self.cut()
    }

    /// Ends the run, and begins another one behind it in the same file.
    pub(super) fn cut(&mut self) -> Result<RunFile> {
        self.end_section()?;
        self.out.flush().map_err(|error| self.scratch.cannot_spill(error))?;
        let bytes = self.position - std::mem::replace(&mut self.cut_bytes, self.position);
        self.scratch.count(bytes);
        Ok(RunFile {
            file: Arc::clone(self.out.get_ref()),
            scratch: self.scratch.clone(),
            sections: std::mem::take(&mut self.sections),
            bytes,
            record_count: std::mem::take(&mut self.record_count),
        })
    }

    fn end_section(&mut self) -> Result<()> {
        self.flush()?;
        if let Some(section) = self.sections.last_mut() {
            section.2 = self.position;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        self.write_block(&block, true)?;
        block.clear();
        self.block = block;
        Ok(())
    }

    fn write_block(&mut self, raw: &[u8], may_compress: bool) -> Result<()> {
        let packed = may_compress.then(|| lz4_flex::block::compress(raw));
        let packed = packed.filter(|packed| packed.len() < raw.len());
        let (stored, flag) = packed.as_ref().map_or((raw, 0), |packed| (&packed[..], IS_LZ4));
        // No part of a record is longer: the sink has checked.
        let (raw_length, length) = (raw.len() as u32, stored.len() as u32);
        let words = [raw_length, length | flag, checksum(stored, raw_length)];
        let header = words.map(u32::to_le_bytes).concat();
        let written = self.out.write_all(&header).and_then(|()| self.out.write_all(stored));
        written.map_err(|error| self.scratch.cannot_spill(error))?;
        self.position += (BLOCK_HEADER_BYTES + stored.len()) as u64;
        Ok(())
    }
}

fn is_outlined(length: usize) -> bool {
    length >= OUTLINED_BYTES
}

/// Covers the raw length too, so that a damaged one is found before it is allocated.
fn checksum(stored: &[u8], raw_length: u32) -> u32 {
    xxh3_64_with_seed(stored, u64::from(raw_length)) as u32
}

/// Walks over a range of a spill file, one block in memory at a time.
#[derive(Debug)]
struct FileCursor {
    run: Arc<RunFile>,
    next: u64,
    end: u64,
    block: Bytes,
    read: usize,
    key: Range<usize>,
    head: Part,
    tail: Part,
}

/// Head or tail of the current record.
#[derive(Debug)]
enum Part {
    Inline(Range<usize>),
    /// In a block of its own; so many bytes, not read yet.
    Outlined(usize),
    Loaded(Bytes),
}

impl FileCursor {
    fn new(run: Arc<RunFile>, next: u64, end: u64) -> Self {
        let (block, read, key) = (Bytes::new(), 0, 0..0);
        let (head, tail) = (Part::Inline(0..0), Part::Inline(0..0));
        Self { run, next, end, block, read, key, head, tail }
    }

    fn read_block(&mut self) -> Result<Bytes> {
        let block = self.run.block(self.next, self.end)?;
        self.next = block.next;
        Ok(block.bytes)
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>> {
        let end = self.read.checked_add(length).filter(|&end| end <= self.block.len());
        let end = end.ok_or_else(|| self.run.damaged("a record reaches beyond its block"))?;
        Ok(std::mem::replace(&mut self.read, end)..end)
    }

    fn take_part(&mut self, length: usize) -> Result<Part> {
        if is_outlined(length) {
            return Ok(Part::Outlined(length));
        }
        self.take(length).map(Part::Inline)
    }

    /// Reads what is still missing; tails are kept as [`Bytes`] to be shared.
    fn loaded(&mut self, part: Part, is_shared: bool) -> Result<Part> {
        Ok(match part {
            Part::Outlined(length) => {
                let bytes = self.read_block()?;
                if bytes.len() != length {
                    return Err(self.run.damaged("a value does not have its length"));
                }
                Part::Loaded(bytes)
            }
            // A copy: a slice would keep the whole block in memory for as long as the value lives.
            Part::Inline(range) if is_shared && !range.is_empty() => {
                Part::Loaded(Bytes::copy_from_slice(&self.block[range]))
            }
            part => part,
        })
    }
}

impl Cursor for FileCursor {
    fn advance(&mut self) -> Result<bool> {
        // What was passed over without being looked at lies before the next record.
        self.load()?;
        if self.read == self.block.len() {
            if self.next == self.end {
                return Ok(false);
            }
            self.block = self.read_block()?;
            self.read = 0;
        }
        let mut rest = &self.block[self.read..];
        let mut length = || decode_varint(&mut rest).map(|length| length as usize);
        let (key, head, tail) = (length()?, length()?, length()?);
        self.read = self.block.len() - rest.len();
        self.key = self.take(key)?;
        self.head = self.take_part(head)?;
        self.tail = self.take_part(tail)?;
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        &self.block[self.key.clone()]
    }

    fn load(&mut self) -> Result<()> {
        let head = std::mem::replace(&mut self.head, Part::Inline(0..0));
        self.head = self.loaded(head, false)?;
        let tail = std::mem::replace(&mut self.tail, Part::Inline(0..0));
        self.tail = self.loaded(tail, true)?;
        Ok(())
    }

    fn record(&self) -> Record<'_> {
        let head = match &self.head {
            Part::Inline(range) => &self.block[range.clone()],
            Part::Loaded(bytes) => bytes,
            Part::Outlined(_) => &[],
        };
        let tail = if let Part::Loaded(bytes) = &self.tail { bytes } else { &EMPTY };
        Record { key: self.key(), head, tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (Vec<u8>, Vec<u8>, Bytes);

    /// Two partitions with short and long values.
    fn write() -> Arc<RunFile> {
        let mut writer = RunWriter::new(&Scratch::default()).expect("disk works");
        for index in 0..40usize {
            let length = if index % 10 == 7 { OUTLINED_BYTES + index } else { index };
            let (head, tail) = (vec![index as u8; length], vec![index as u8; length / 2 * 3]);
            let (key, tail) = ([index as u8], Bytes::from(tail));
            let record = Record { key: &key, head: &head, tail: &tail };
            writer.put(index / 20, record).expect("disk works");
        }
        Arc::new(writer.finish().expect("disk works"))
    }

    fn read(run: &Arc<RunFile>) -> Result<Vec<Row>> {
        let mut cursor = RunFile::whole(run);
        let mut rows = Vec::new();
        while cursor.advance()? {
            cursor.load()?;
            let Record { key, head, tail } = cursor.record();
            rows.push((key.to_vec(), head.to_vec(), tail.clone()));
        }
        Ok(rows)
    }

    #[test]
    fn values_that_were_passed_over_are_skipped() {
        let run = write();
        let mut cursor = RunFile::cursor(&run, 1);
        let mut keys = Vec::new();
        while cursor.advance().expect("readable") {
            keys.extend_from_slice(cursor.key());
        }
        assert_eq!(keys, (20..40).collect::<Vec<u8>>());
    }

    #[test]
    fn a_flipped_bit_is_found_or_changes_nothing() {
        let run = write();
        let whole = read(&run).expect("readable");
        for offset in (HEADER.len() as u64..run.bytes()).step_by(13) {
            let mut byte = [0];
            run.file.read_exact_at(&mut byte, offset).expect("readable");
            run.file.write_all_at(&[byte[0] ^ 0x10], offset).expect("writable");
            assert!(read(&run).is_err_and(|error| error.to_string().contains("damaged")));
            run.file.write_all_at(&byte, offset).expect("writable");
        }
        assert_eq!(read(&run).expect("as before"), whole);
    }
}
