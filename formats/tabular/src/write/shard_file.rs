//! One object that is being written, counted and summed.

use std::fmt;
use std::io::{self, Write};

use dataflow::prelude::Result;
use objects::{ObjectWriter, Objects};

/// The bytes of a shard on their way to the store.
///
/// It is visible when it was finished, and not at all if it is dropped before.
pub struct ShardFile {
    writer: ObjectWriter,
    size_bytes: u64,
    crc32c: u32,
}

impl ShardFile {
    /// The most memory that one holds.
    pub(crate) const WORKING_BYTES: u64 = ObjectWriter::WORKING_BYTES;

    pub(crate) fn create(folder: &Objects, name: &str) -> Result<Self> {
        Ok(Self { writer: folder.writer(name)?, size_bytes: 0, crc32c: 0 })
    }

    /// Makes it visible; its length and its checksum.
    pub(crate) fn finish(self) -> Result<(u64, u32)> {
        self.writer.finish()?;
        Ok((self.size_bytes, self.crc32c))
    }
}

impl Write for ShardFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.size_bytes += count as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for ShardFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ShardFile").field(&self.writer).field(&self.size_bytes).finish()
    }
}
