//! Files of records: text, CSV, JSON lines, Parquet and Arrow IPC, as transforms on any store.
//!
//! ```text
//!   MatchFiles ──► FileMatch ──► ReadText, ReadCsv, ReadJson, ReadParquet, ReadArrow ──► elements
//!   TableFile ──► columns, for who wants arrays of them
//!   elements ──► WriteText, WriteCsv, WriteJson, WriteParquet, WriteArrow ──► shards, manifest
//! ```
//!
//! Reading is match, split, Reshuffle, read: a split is a range of bytes, a row group or a run of
//! record batches, and takes memory that does not grow with the file. Writing groups elements by
//! shard, so that one bundle writes one whole object; a manifest that is written last says which
//! objects belong together. A shard is visible whole or not at all, and a bundle that runs twice
//! writes the same bytes.
//!
//! Nothing here knows runners or arrays. Modules stand in reading order.

mod fault;
mod table;

mod compression;
mod files;

pub mod read;

pub mod write;

mod lines;

mod csv_rows;
mod csv_shape;
mod csv_tables;
mod json;
mod text;

mod column_windows;
mod ipc_message;
mod ipc_read;
mod ipc_write;
mod parquet_read;
mod parquet_write;

mod table_file;

pub use compression::Compression;
pub use csv_rows::{CsvDialect, CsvRowSink, CsvRows, ReadCsv, WriteCsv};
pub use csv_tables::{CsvTableSink, CsvTables, ReadCsvTables, WriteCsvTables, infer_csv_schema};
pub use files::{EmptyMatchTreatment, FileMatch, MatchAll, MatchFiles, MatchManifest};
pub use ipc_read::{ArrowTables, ReadArrow};
pub use ipc_write::{ArrowCompression, ArrowSink, WriteArrow};
pub use json::{JsonLines, JsonSink, ReadJson, WriteJson};
pub use parquet_read::{ParquetTables, ReadParquet};
pub use parquet_write::{ParquetCompression, ParquetSink, WriteParquet};
pub use table::{Table, TableCoder};
pub use table_file::TableFile;
pub use text::{ByteLines, ReadText, ReadTextBytes, TextLines, TextSink, WriteText};
pub use write::{Manifest, WriteDynamic, WrittenFiles};

#[cfg(test)]
mod tests;
