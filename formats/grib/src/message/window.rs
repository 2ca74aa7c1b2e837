//! Reads headers of messages that lie far apart: one block a request, which serves what is near.

use std::ops::Range;

use array::error::Result;
use bytes::Bytes;

use crate::fault::corrupt;
use objects::FileBytes;

/// What is read where messages are large: headers are shorter, but for lists of rows.
const SMALL_BLOCK: u64 = 16 << 10;
/// What is read where messages are small, many of which fit.
const LARGE_BLOCK: u64 = 1 << 20;
/// Messages up to this length are small.
const SMALL_MESSAGE: u64 = 128 << 10;

/// A file through a block of it.
pub(super) struct Window<'a> {
    bytes: &'a FileBytes,
    start: u64,
    held: Bytes,
    block: u64,
}

impl<'a> Window<'a> {
    /// Nothing is read yet.
    pub(super) fn new(bytes: &'a FileBytes) -> Self {
        Self { bytes, start: 0, held: Bytes::new(), block: SMALL_BLOCK }
    }

    /// The length of the file.
    pub(super) fn file_length(&self) -> u64 {
        self.bytes.length()
    }

    /// Chooses how much is read at once by the length of a message.
    pub(super) fn expect_messages_of(&mut self, length: u64) {
        self.block = if length > SMALL_MESSAGE { SMALL_BLOCK } else { LARGE_BLOCK };
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// A range that the file does not hold, or a store that fails.
    pub(super) fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        self.bytes.check(&range)?;
        if let Some(kept) = self.bytes.kept(&range) {
            return Ok(kept);
        }
        let held = self.start..self.start + self.held.len() as u64;
        if range.start < held.start || range.end > held.end {
            let wanted = range.end.max(range.start.saturating_add(self.block));
            let end = wanted.min(self.bytes.length());
            self.held = self.bytes.read(range.start..end)?;
            self.start = range.start;
        }
        let at = |place: u64| (place - self.start) as usize;
        let found = self.held.slice(at(range.start)..at(range.end));
        // What was asked for, not what was read along: that may be all of the file.
        self.bytes.keep(range.start, &found);
        Ok(found)
    }

    /// The bytes of a section that must end before `limit`.
    ///
    /// # Errors
    /// A section that does not.
    pub(super) fn section(&mut self, start: u64, length: u64, limit: u64) -> Result<Bytes> {
        match start.checked_add(length).filter(|end| *end <= limit) {
            Some(end) => self.read(start..end),
            None => {
                let message =
                    format!("a section of {length} bytes at byte {start} leaves the message");
                Err(corrupt(message))
            }
        }
    }
}
