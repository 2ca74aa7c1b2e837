//! Sorted runs in spill files.
//!
//! A file is a header of eight bytes and then, partition after partition, blocks:
//!
//! ```text
//! raw length, 4 bytes LE | stored length, 4 bytes LE; top bit: lz4 | checksum, 4 bytes LE | bytes
//! ```
//!
//! The checksum is the lower half of the XXH3 of the stored bytes. The raw bytes of a block are
//! whole records: varints of the lengths of key, head and tail, then these. Where the partitions
//! lie is kept in memory; a spill file does not outlive its process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{Record, Records};
use crate::coder::{decode_varint, encode_varint};
use crate::error::{Error, ErrorCode, ErrorKind, Result};

/// Names the format and its version.
pub(super) const HEADER: &[u8; 8] = b"LVNSPIL1";
const BLOCK_HEADER_BYTES: usize = 12;
/// Raw bytes after which a block is written; a larger record is a block of its own.
pub(super) const BLOCK_BYTES: usize = 32 << 10;
/// Payloads of this size are arrays: compressing them costs more than it saves.
const STORED_TAIL_BYTES: usize = 4 << 10;
const IS_LZ4: u32 = 1 << 31;

/// A finished spill file; it is deleted when it is dropped.
#[derive(Debug)]
pub(super) struct RunFile {
    file: File,
    /// Partition, where its blocks begin and where they end; ascending.
    sections: Vec<(usize, u64, u64)>,
    bytes: u64,
}

impl RunFile {
    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The partitions that hold records, ascending.
    pub(super) fn filled_partitions(&self) -> impl Iterator<Item = usize> + '_ {
        self.sections.iter().map(|(partition, ..)| *partition)
    }

    /// The records of one partition.
    pub(super) fn cursor(run: &Arc<Self>, partition: usize) -> FileCursor {
        let found = run.sections.binary_search_by_key(&partition, |section| section.0);
        let (next, end) = found.map_or((0, 0), |i| (run.sections[i].1, run.sections[i].2));
        FileCursor { run: Arc::clone(run), next, end, ..FileCursor::empty(Arc::clone(run)) }
    }
}

/// Writes a spill file, partition after partition.
#[derive(Debug)]
pub(super) struct RunWriter {
    out: BufWriter<File>,
    sections: Vec<(usize, u64, u64)>,
    block: Vec<u8>,
    position: u64,
}

impl RunWriter {
    /// Begins a run in an empty file.
    pub(super) fn new(file: File) -> Result<Self> {
        let mut out = BufWriter::with_capacity(4 * BLOCK_BYTES, file);
        out.write_all(HEADER).map_err(cannot_spill)?;
        let position = HEADER.len() as u64;
        Ok(Self { out, sections: Vec::new(), block: Vec::new(), position })
    }

    /// Appends a record; partitions ascend, and within one the caller keeps the order.
    pub(super) fn put(&mut self, partition: usize, record: Record<'_>) -> Result<()> {
        if self.sections.last().is_none_or(|section| section.0 != partition) {
            self.end_section()?;
            self.sections.push((partition, self.position, self.position));
        }
        if record.tail.len() >= STORED_TAIL_BYTES {
            self.flush(true)?;
            self.push(record);
            return self.flush(false);
        }
        self.push(record);
        if self.block.len() >= BLOCK_BYTES { self.flush(true) } else { Ok(()) }
    }

    /// Ends the run.
    pub(super) fn finish(mut self) -> Result<RunFile> {
        self.end_section()?;
        let file = self.out.into_inner().map_err(|error| cannot_spill(error.into_error()))?;
        Ok(RunFile { file, sections: self.sections, bytes: self.position })
    }

    fn push(&mut self, record: Record<'_>) {
        for length in [record.key.len(), record.head.len(), record.tail.len()] {
            encode_varint(length as u64, &mut self.block);
        }
        self.block.extend_from_slice(record.key);
        self.block.extend_from_slice(record.head);
        self.block.extend_from_slice(record.tail);
    }

    fn end_section(&mut self) -> Result<()> {
        self.flush(true)?;
        if let Some(section) = self.sections.last_mut() {
            section.2 = self.position;
        }
        Ok(())
    }

    fn flush(&mut self, may_compress: bool) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let packed = may_compress.then(|| lz4_flex::block::compress(&self.block));
        let packed = packed.filter(|packed| packed.len() < self.block.len());
        let (stored, flag) = packed.as_ref().map_or((&self.block, 0), |packed| (packed, IS_LZ4));
        let lengths = u32::try_from(self.block.len()).ok().zip(u32::try_from(stored.len()).ok());
        let Some((raw, length)) = lengths.filter(|(_, length)| length & IS_LZ4 == 0) else {
            let message = format!("an element of {} bytes is too large to spill", stored.len());
            return Err(Error::new(ErrorCode::CODER, ErrorKind::Unsupported, message));
        };
        for word in [raw, length | flag, checksum(stored)] {
            self.out.write_all(&word.to_le_bytes()).map_err(cannot_spill)?;
        }
        self.out.write_all(stored).map_err(cannot_spill)?;
        self.position += (BLOCK_HEADER_BYTES + stored.len()) as u64;
        self.block.clear();
        Ok(())
    }
}

fn checksum(stored: &[u8]) -> u32 {
    xxh3_64(stored) as u32
}

fn cannot_spill(error: std::io::Error) -> Error {
    Error::from(error)
        .context("cannot spill to disk")
        .mend("free disk space, name another scratch folder, or allow more memory")
}

/// Walks over one partition of a spill file, one block in memory at a time.
#[derive(Debug)]
pub(super) struct FileCursor {
    run: Arc<RunFile>,
    next: u64,
    end: u64,
    stored: Vec<u8>,
    block: Bytes,
    read: usize,
    key: Bytes,
    head: Bytes,
    tail: Bytes,
}

impl FileCursor {
    fn empty(run: Arc<RunFile>) -> Self {
        let none = Bytes::new;
        let (block, key, head, tail) = (none(), none(), none(), none());
        Self { run, next: 0, end: 0, stored: Vec::new(), block, read: 0, key, head, tail }
    }

    fn read_block(&mut self) -> Result<()> {
        let mut header = [0u8; BLOCK_HEADER_BYTES];
        self.run.file.read_exact_at(&mut header, self.next).map_err(cannot_read)?;
        let word = |i: usize| u32::from_le_bytes(header[i..i + 4].try_into().expect("four bytes"));
        let (raw_length, length, sum) = (word(0) as usize, word(4), word(8));
        let stored_length = (length & !IS_LZ4) as usize;
        let start = self.next + BLOCK_HEADER_BYTES as u64;
        if start + stored_length as u64 > self.end {
            return Err(damaged("a block reaches beyond its partition"));
        }
        self.stored.resize(stored_length, 0);
        self.run.file.read_exact_at(&mut self.stored, start).map_err(cannot_read)?;
        if checksum(&self.stored) != sum {
            return Err(damaged("a checksum does not match"));
        }
        self.block = if length & IS_LZ4 == 0 {
            std::mem::take(&mut self.stored).into()
        } else {
            let raw = lz4_flex::block::decompress(&self.stored, raw_length);
            raw.map_err(|why| damaged(&why.to_string()))?.into()
        };
        self.next = start + stored_length as u64;
        self.read = 0;
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<Bytes> {
        let end = self.read.checked_add(length).filter(|&end| end <= self.block.len());
        let end = end.ok_or_else(|| damaged("a record reaches beyond its block"))?;
        let bytes = self.block.slice(self.read..end);
        self.read = end;
        Ok(bytes)
    }
}

impl Records for FileCursor {
    fn advance(&mut self) -> Result<bool> {
        if self.read == self.block.len() {
            if self.next == self.end {
                return Ok(false);
            }
            self.read_block()?;
        }
        let mut rest = &self.block[self.read..];
        let mut length = || decode_varint(&mut rest).map(|length| length as usize);
        let (key, head, tail) = (length()?, length()?, length()?);
        self.read = self.block.len() - rest.len();
        self.key = self.take(key)?;
        self.head = self.take(head)?;
        self.tail = self.take(tail)?;
        Ok(true)
    }

    fn record(&self) -> Record<'_> {
        Record { key: &self.key, head: &self.head, tail: &self.tail }
    }
}

fn cannot_read(error: std::io::Error) -> Error {
    Error::from(error).context("cannot read spilled data back")
}

fn damaged(why: &str) -> Error {
    let message = format!("spilled data is damaged: {why}");
    Error::new(ErrorCode::STORE_FAILED, ErrorKind::Corrupt, message)
        .mend("run again; if it happens again, check the disk of the scratch folder")
}
