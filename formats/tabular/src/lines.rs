//! Lines of a file, read by ranges: a line belongs to the range in which it begins.

use std::io::{BufRead, BufReader, Read};

use dataflow::error::Result;
use objects::ObjectFile;

use crate::compression::{Compression, MAGIC_BYTES};
use crate::fault::{corrupt, read_failed};
use crate::read::{BlockReader, FileSplit};

/// The mark that some editors put before UTF-8; it is no part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The buffer behind a decompressor.
const DECODED_BYTES: usize = 256 << 10;
/// Memory of the decoders besides: most takes Zstandard, whose window is 128 MiB at most and
/// rarely more than 8.
const DECODER_BYTES: u64 = 8 << 20;

/// How lines are read, whatever becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineRules {
    pub(crate) skip_header_lines: u64,
    pub(crate) max_line_bytes: usize,
}

impl Default for LineRules {
    fn default() -> Self {
        Self { skip_header_lines: 0, max_line_bytes: 8 << 20 }
    }
}

/// A line without its end, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    /// Its first byte, counted in what was decompressed.
    pub(crate) offset: u64,
    /// Counted from one, where the split begins with the file.
    pub(crate) number: Option<u64>,
}

impl LineRules {
    pub(crate) fn working_bytes(&self) -> u64 {
        // A line grows by doubling.
        BlockReader::WORKING_BYTES + DECODER_BYTES + 2 * self.max_line_bytes as u64
    }

    /// Ranges of an uncompressed file; a compressed one whole.
    pub(crate) fn split(&self, file: &ObjectFile, split_bytes: u64) -> Result<Vec<FileSplit>> {
        let size_bytes = file.size_bytes();
        if compression_of(file)? != Compression::Uncompressed {
            return Ok(vec![FileSplit::whole(size_bytes)]);
        }
        let start = self.end_of_header(file)?;
        let mut splits = Vec::new();
        let mut at = start;
        while at < size_bytes {
            let end = size_bytes.min(at.saturating_add(split_bytes));
            splits.push(FileSplit::part(at, end));
            at = end;
        }
        Ok(splits)
    }

    /// Where the first line begins that is no header.
    fn end_of_header(&self, file: &ObjectFile) -> Result<u64> {
        if self.skip_header_lines == 0 {
            return Ok(0);
        }
        let mut lines = Lines::new(BlockReader::new(file, 0, 0), 0, *self);
        for _ in 0..self.skip_header_lines {
            if lines.next()?.is_none() {
                break;
            }
        }
        Ok(lines.offset)
    }

    /// Gives the lines of a split to `each`.
    pub(crate) fn read(
        &self,
        file: &ObjectFile,
        split: FileSplit,
        each: &mut dyn FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        if split.is_whole {
            return self.read_whole(file, each);
        }
        // The line that is under way at the start belongs to the split before; whether one begins
        // there, the byte before says.
        let from = split.start.saturating_sub(1);
        let mut lines = Lines::new(BlockReader::new(file, from, split.end), from, *self);
        if split.start > 0 {
            lines.skip_rest()?;
        }
        while lines.offset < split.end {
            let Some(line) = lines.next()? else { break };
            each(line)?;
        }
        Ok(())
    }

    fn read_whole(
        &self,
        file: &ObjectFile,
        each: &mut dyn FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut lines = Lines::new(decoded(file)?, 0, *self);
        while let Some(line) = lines.next()? {
            if line.number.is_none_or(|number| number > self.skip_header_lines) {
                each(line)?;
            }
        }
        Ok(())
    }
}

/// The compression of a file, by how it begins; costs one request.
pub(crate) fn compression_of(file: &ObjectFile) -> Result<Compression> {
    Ok(Compression::of(&file.read(0..MAGIC_BYTES.min(file.size_bytes()))?))
}

/// All that a file says, decompressed where it is compressed.
pub(crate) fn decoded(file: &ObjectFile) -> Result<BufReader<Box<dyn Read>>> {
    let compression = compression_of(file)?;
    let decoder = compression
        .decoder(BlockReader::whole(file))
        .map_err(|error| read_failed(&format!("cannot read {compression}"), error))?;
    Ok(BufReader::with_capacity(DECODED_BYTES, decoder))
}

/// Cuts a stream into lines.
struct Lines<R> {
    stream: R,
    line: Vec<u8>,
    /// The first byte that was not read yet.
    offset: u64,
    /// The lines that were read, if the first of the file is among them.
    line_count: Option<u64>,
    rules: LineRules,
}

impl<R: BufRead> Lines<R> {
    fn new(stream: R, offset: u64, rules: LineRules) -> Self {
        let line_count = (offset == 0).then_some(0);
        Self { stream, line: Vec::new(), offset, line_count, rules }
    }

    /// The next line; the last one needs no end.
    fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.line.clear();
        let start = self.offset;
        // One byte more than allowed tells a line that is too long from one that just fits.
        let limit = self.rules.max_line_bytes as u64 + 2;
        let read = self.stream.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let length = read.map_err(|error| self.failed(error))?;
        if length == 0 {
            return Ok(None);
        }
        self.offset += length as u64;
        let number = self.line_count.map(|count| count + 1);
        self.line_count = number;
        let mut bytes = self.line.as_slice();
        if let Some(text) = bytes.strip_suffix(b"\n") {
            bytes = text.strip_suffix(b"\r").unwrap_or(text);
        }
        if bytes.len() > self.rules.max_line_bytes {
            let message = format!("a line is longer than {} bytes", self.rules.max_line_bytes);
            return Err(corrupt(message)
                .at("byte", start)
                .mend("raise the limit with `with_max_line_bytes`, if this file is one of lines"));
        }
        if start == 0 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        Ok(Some(Line { bytes, offset: start, number }))
    }

    /// Reads to the end of the line that is under way, however long, and keeps nothing.
    fn skip_rest(&mut self) -> Result<()> {
        self.line_count = None;
        let skipped = self.stream.skip_until(b'\n');
        self.offset += skipped.map_err(|error| self.failed(error))? as u64;
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> dataflow::error::Error {
        let at = self.offset + self.line.len() as u64;
        read_failed("cannot read on", error).at("byte", at)
    }
}

#[cfg(test)]
mod tests;
