//! One file as a stream, fetched block by block.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use dataflow::error::Result;
use objects::{ObjectFile, Pending};

/// A block: long enough that a request to a far store is worth it.
const BLOCK_BYTES: u64 = 2 << 20;
/// A block beyond the end of what was asked for: the rest of one record.
const TAIL_BYTES: u64 = 64 << 10;

/// Reads a file from some place to its end, one block ahead.
///
/// Up to `want_end` blocks are fetched before they are asked for, beyond it small ones and only
/// then. Errors carry ours.
pub(crate) struct BlockReader {
    file: ObjectFile,
    block: Bytes,
    ahead: Option<Pending<Vec<Bytes>>>,
    /// Where the next request begins.
    next: u64,
    want_end: u64,
}

impl BlockReader {
    /// The most memory that a reader holds.
    pub(crate) const WORKING_BYTES: u64 = 2 * BLOCK_BYTES;

    pub(crate) fn new(file: &ObjectFile, start: u64, want_end: u64) -> Self {
        let want_end = want_end.min(file.size_bytes());
        let mut reader =
            Self { file: file.clone(), block: Bytes::new(), ahead: None, next: start, want_end };
        reader.ahead = reader.request(reader.want_end);
        reader
    }

    /// All of a file.
    pub(crate) fn whole(file: &ObjectFile) -> Self {
        Self::new(file, 0, file.size_bytes())
    }

    /// Starts to fetch the next block before `end`; none if there is none.
    fn request(&mut self, end: u64) -> Option<Pending<Vec<Bytes>>> {
        let block_bytes = if self.next < self.want_end { BLOCK_BYTES } else { TAIL_BYTES };
        let range = self.next..end.min(self.next + block_bytes);
        if range.is_empty() {
            return None;
        }
        self.next = range.end;
        Some(self.file.fetch(vec![range]))
    }

    fn next_block(&mut self) -> Result<Bytes> {
        let ahead = self.ahead.take();
        let Some(block) = ahead.or_else(|| self.request(self.file.size_bytes())) else {
            return Ok(Bytes::new());
        };
        let block = block.wait()?.into_iter().next().unwrap_or_default();
        self.ahead = self.request(self.want_end);
        Ok(block)
    }
}

impl BufRead for BlockReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.block.is_empty() {
            self.block = self.next_block().map_err(io::Error::other)?;
        }
        Ok(&self.block)
    }

    fn consume(&mut self, count: usize) {
        // Splitting off is a count in the handle; the block itself stays where it is.
        drop(self.block.split_to(count));
    }
}

impl Read for BlockReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let block = self.fill_buf()?;
        let count = block.len().min(out.len());
        out[..count].copy_from_slice(&block[..count]);
        self.consume(count);
        Ok(count)
    }
}
