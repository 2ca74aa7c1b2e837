//! References as Parquet files of so many chunks each, which readers fetch as they need them.
//!
//! Below the root lies `.zmetadata` with all documents and the number of rows of a file; the file
//! `NAME/refs.I.parq` has a row for each chunk of an array, in C order, from the `I`-th run of so
//! many on. A row has a path, an offset and a size, or the bytes themselves, or nothing.
//!
//! Source: fsspec, `LazyReferenceMapper`,
//! <https://github.com/fsspec/filesystem_spec/blob/master/fsspec/implementations/reference.py>.

use std::sync::Arc;

use array::error::{Error, ErrorCode, ErrorKind, Result};
use arrow::array::{ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use objects::Objects;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::json::{BASE64, metadata_of};
use crate::reference::Entry;
use crate::set::{ReferenceSet, ReferencedArray, WrittenReferences};

/// Rows of a file, as kerchunk has them unless it is told otherwise.
pub const RECORD_SIZE: u64 = 10_000;

/// Writes a set as kerchunk's Parquet below the root of `objects`, `.zmetadata` last: until then no
/// reader opens it.
///
/// Memory: the rows of one file.
///
/// # Errors
/// An entry that cannot be made, or a store that fails.
pub fn write_parquet(
    set: &dyn ReferenceSet,
    objects: &Objects,
    record_size: u64,
) -> Result<WrittenReferences> {
    let mut written = WrittenReferences::default();
    let record_size = record_size.max(1);
    for (place, array) in set.arrays().iter().enumerate() {
        let count = array.grid.chunk_count();
        for record in 0..count.div_ceil(record_size) {
            let rows = record * record_size..count.min((record + 1) * record_size);
            let body = rows_of(set, place, array, rows, &mut written)?;
            put(objects, &format!("{}/refs.{record}.parq", array.name), body, &mut written)?;
        }
    }
    let metadata = metadata_of(set);
    let root = format!("{{\"metadata\":{metadata},\"record_size\":{record_size}}}");
    put(objects, ".zmetadata", root.into(), &mut written)?;
    Ok(written)
}

fn put(objects: &Objects, key: &str, body: Bytes, written: &mut WrittenReferences) -> Result<()> {
    written.object_count += 1;
    written.written_bytes += body.len() as u64;
    objects.put(key, body).wait()
}

fn rows_of(
    set: &dyn ReferenceSet,
    place: usize,
    array: &ReferencedArray,
    rows: std::ops::Range<u64>,
    written: &mut WrittenReferences,
) -> Result<Bytes> {
    let (mut paths, mut raws) = (StringBuilder::new(), BinaryBuilder::new());
    let (mut offsets, mut sizes) = (Int64Builder::new(), Int64Builder::new());
    for linear in rows {
        let entry = set.entry(place, &array.grid.index_of(linear))?;
        written.count(&entry);
        let (mut offset, mut size) = (0, 0);
        match entry {
            Entry::Range(it) => {
                paths.append_value(&it.object.url);
                raws.append_null();
                (offset, size) = (signed(it.offset)?, signed(it.length)?);
            }
            // Where nothing stands, pandas 3 gives readers a NaN that they take for a path.
            Entry::Inline(bytes) | Entry::Absent(Some(bytes)) => {
                paths.append_null();
                // Readers take such bytes for the mark of a text.
                match bytes.starts_with(BASE64.as_bytes()) {
                    true => raws.append_value(format!("{BASE64}{}", STANDARD.encode(&bytes))),
                    false => raws.append_value(&bytes),
                }
            }
            Entry::Absent(None) => {
                paths.append_null();
                raws.append_null();
            }
        }
        offsets.append_value(offset);
        sizes.append_value(size);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(paths.finish()),
        Arc::new(offsets.finish()),
        Arc::new(sizes.finish()),
        Arc::new(raws.finish()),
    ];
    encoded(columns).map_err(|why| Error::internal(format!("references are no Parquet: {why}")))
}

fn encoded(columns: Vec<ArrayRef>) -> Result<Bytes, parquet::errors::ParquetError> {
    let field = |name: &str, kind, may_lack| Field::new(name, kind, may_lack);
    let schema = Arc::new(Schema::new(vec![
        field("path", DataType::Utf8, true),
        field("offset", DataType::Int64, false),
        field("size", DataType::Int64, false),
        field("raw", DataType::Binary, true),
    ]));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("levain ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    writer.write(&rows)?;
    writer.into_inner().map(Bytes::from)
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| {
        let message = format!("a reference to byte {number} does not fit the format");
        Error::new(ErrorCode::NOT_REPRESENTABLE, ErrorKind::InvalidInput, message)
    })
}
