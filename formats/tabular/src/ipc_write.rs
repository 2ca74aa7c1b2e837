//! Arrow IPC: tables, written as files with a footer.

use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use dataflow::prelude::Result;

use crate::fault::arrow_unwritten;
use crate::table::{Table, check_schema};
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// A table on its way into the file.
const ENCODING_BYTES: u64 = 32 << 20;

/// How the buffers of an Arrow IPC file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ArrowCompression {
    /// Not at all, so that readers can map the file.
    #[default]
    Uncompressed,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Writes [`Table`]s as Arrow IPC files, a record batch for each.
///
/// Tables have the declared schema, which an empty shard has too; another one is an error. See
/// [`WriteFiles`] for shards, order and manifest; a table is one element of theirs.
pub type WriteArrow = WriteFiles<ArrowSink>;

impl WriteArrow {
    /// Writes tables of this schema to shards whose names begin so.
    pub fn to(prefix: impl Into<String>, schema: SchemaRef) -> Self {
        Self::of(ArrowSink { schema, compression: ArrowCompression::default() }, prefix)
    }

    /// Sets the compression of buffers.
    #[must_use]
    pub fn with_compression(self, compression: ArrowCompression) -> Self {
        self.map(|sink| sink.compression = compression)
    }
}

/// The format of [`WriteArrow`].
#[derive(Debug, Clone)]
pub struct ArrowSink {
    schema: SchemaRef,
    compression: ArrowCompression,
}

impl FileSink for ArrowSink {
    type In = Table;

    fn name(&self) -> &'static str {
        "WriteArrow"
    }

    fn format(&self) -> String {
        format!("arrow, {:?}", self.compression).to_lowercase()
    }

    fn suffix(&self) -> String {
        ".arrow".to_owned()
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        ENCODING_BYTES
    }

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<Table>>> {
        let compression = match self.compression {
            ArrowCompression::Uncompressed => None,
            ArrowCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
            ArrowCompression::Zstd => Some(CompressionType::ZSTD),
        };
        let options = IpcWriteOptions::default().try_with_compression(compression);
        let options = options.map_err(arrow_unwritten)?;
        let writer = FileWriter::try_new_with_options(file, &self.schema, options);
        let writer = writer.map_err(arrow_unwritten)?;
        Ok(Box::new(ArrowWriter { writer, schema: SchemaRef::clone(&self.schema) }))
    }
}

struct ArrowWriter {
    writer: FileWriter<ShardFile>,
    schema: SchemaRef,
}

impl RecordWriter<Table> for ArrowWriter {
    fn write(&mut self, table: &Table) -> Result<()> {
        check_schema(table, &self.schema)?;
        self.writer.write(table).map_err(arrow_unwritten)
    }

    fn finish(self: Box<Self>) -> Result<ShardFile> {
        self.writer.into_inner().map_err(arrow_unwritten)
    }
}
