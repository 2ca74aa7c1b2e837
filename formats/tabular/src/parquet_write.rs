//! Parquet: tables, written.

use arrow::datatypes::SchemaRef;
use dataflow::prelude::Result;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::fault::parquet_unwritten;
use crate::table::{Table, check_schema};
use crate::write::{FileSink, RecordWriter, ShardFile, WriteFiles};

/// A row group ends when it has so many encoded bytes; until then it is held.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// What is held besides, and while the last table of a row group is encoded.
const ENCODING_BYTES: u64 = 32 << 20;

/// How the pages of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ParquetCompression {
    /// Not at all.
    Uncompressed,
    /// Snappy.
    Snappy,
    /// gzip.
    Gzip,
    /// Zstandard at its fastest level.
    #[default]
    Zstd,
    /// LZ4 without frames, `LZ4_RAW`.
    Lz4,
}

impl ParquetCompression {
    fn codec(self) -> Compression {
        match self {
            Self::Uncompressed => Compression::UNCOMPRESSED,
            Self::Snappy => Compression::SNAPPY,
            Self::Gzip => Compression::GZIP(GzipLevel::default()),
            Self::Zstd => Compression::ZSTD(ZstdLevel::default()),
            Self::Lz4 => Compression::LZ4_RAW,
        }
    }
}

/// Writes [`Table`]s as Parquet, compressed with Zstandard unless it is said otherwise.
///
/// Tables have the declared schema, which an empty shard has too; another one is an error. A row
/// group has some 32 MiB, whatever the tables. See [`WriteFiles`] for shards, order and manifest;
/// a table is one element of theirs.
///
/// Memory: a row group, besides what all writes take.
pub type WriteParquet = WriteFiles<ParquetSink>;

impl WriteParquet {
    /// Writes tables of this schema to shards whose names begin so.
    pub fn to(prefix: impl Into<String>, schema: SchemaRef) -> Self {
        let compression = ParquetCompression::default();
        Self::of(ParquetSink { schema, compression, row_group_bytes: ROW_GROUP_BYTES }, prefix)
    }

    /// Sets the compression of pages.
    #[must_use]
    pub fn with_compression(self, compression: ParquetCompression) -> Self {
        self.map(|sink| sink.compression = compression)
    }

    /// Sets the encoded bytes of a row group, about; at least one.
    #[must_use]
    pub fn with_row_group_bytes(self, bytes: usize) -> Self {
        self.map(|sink| sink.row_group_bytes = bytes.max(1))
    }
}

/// The format of [`WriteParquet`].
#[derive(Debug, Clone)]
pub struct ParquetSink {
    schema: SchemaRef,
    compression: ParquetCompression,
    row_group_bytes: usize,
}

impl FileSink for ParquetSink {
    type In = Table;

    fn name(&self) -> &'static str {
        "WriteParquet"
    }

    fn format(&self) -> String {
        format!("parquet, {:?}", self.compression).to_lowercase()
    }

    fn suffix(&self) -> String {
        ".parquet".to_owned()
    }

    fn parameters(&self) -> String {
        format!("{self:?}")
    }

    fn working_bytes(&self) -> u64 {
        self.row_group_bytes as u64 + ENCODING_BYTES
    }

    fn open(&self, file: ShardFile) -> Result<Box<dyn RecordWriter<Table>>> {
        let properties = WriterProperties::builder()
            .set_compression(self.compression.codec())
            .set_created_by(concat!("levain ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = SchemaRef::clone(&self.schema);
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(&schema), Some(properties));
        let writer = writer.map_err(parquet_unwritten)?;
        Ok(Box::new(ParquetWriter { writer, schema, row_group_bytes: self.row_group_bytes }))
    }
}

struct ParquetWriter {
    writer: ArrowWriter<ShardFile>,
    schema: SchemaRef,
    row_group_bytes: usize,
}

impl RecordWriter<Table> for ParquetWriter {
    fn write(&mut self, table: &Table) -> Result<()> {
        check_schema(table, &self.schema)?;
        self.writer.write(table).map_err(parquet_unwritten)?;
        if self.writer.in_progress_size() >= self.row_group_bytes {
            self.writer.flush().map_err(parquet_unwritten)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<ShardFile> {
        self.writer.into_inner().map_err(parquet_unwritten)
    }
}
