//! What is written of a set of four chunks, one of each kind.

use std::sync::Arc;

use array::ChunkGrid;
use array::error::{Error, Result};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use objects::{Location, Objects, StoreOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::{
    Entry, Immutability, Reference, ReferenceSet, ReferencedArray, Referent, write_json,
    write_parquet,
};

struct Four {
    documents: Vec<(String, String)>,
    arrays: Vec<ReferencedArray>,
    breaks_at: Option<u64>,
}

impl Four {
    fn new() -> Self {
        let document = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        Self {
            documents: vec![
                document(".zgroup", "{\"zarr_format\": 2}"),
                // As Python writes it.
                document("v/.zattrs", "{\"bad\": NaN}"),
            ],
            arrays: vec![ReferencedArray {
                name: "v".to_owned(),
                grid: ChunkGrid::regular(&[4, 1], &[1, 1]),
            }],
            breaks_at: None,
        }
    }
}

impl ReferenceSet for Four {
    fn documents(&self) -> &[(String, String)] {
        &self.documents
    }

    fn arrays(&self) -> &[ReferencedArray] {
        &self.arrays
    }

    fn entry(&self, _array: usize, index: &[u64]) -> Result<Entry> {
        if self.breaks_at == Some(index[0]) {
            return Err(Error::internal("it breaks"));
        }
        let object = Referent { url: "s3://b/k".to_owned(), etag: None, modified_ms: Some(1) };
        Ok(match index[0] {
            0 => Entry::Range(Reference { object: Arc::new(object), offset: 7, length: 9 }),
            1 => Entry::Inline(Bytes::from_static(b"\xff\x00")),
            2 => Entry::Inline(Bytes::from_static(b"base64:no")),
            _ => Entry::Absent(None),
        })
    }
}

fn store(name: &str) -> Objects {
    let location = Location::parse(&format!("memory://virtual-{name}")).expect("a location");
    Objects::open(&location, &StoreOptions::default()).expect("a store")
}

#[test]
fn json_holds_documents_ranges_and_bytes() {
    let store = store("json");
    let written = write_json(&Four::new(), &store, "refs.json").expect("written");
    let body = store.get("refs.json").expect("there");
    assert_eq!((written.range_count, written.inline_count, written.absent_count), (1, 2, 1));
    assert_eq!((written.range_bytes, written.written_bytes), (9, body.len() as u64));
    let document: Value = serde_json::from_slice(&body).expect("JSON");
    let references = document["refs"].as_object().expect("pairs");
    assert_eq!(references["v/0.0"], json!(["s3://b/k", 7, 9]));
    assert_eq!(references["v/1.0"], "base64:/wA=");
    assert_eq!(references["v/2.0"], "base64:YmFzZTY0Om5v");
    assert!(!references.contains_key("v/3.0"));
    assert_eq!(references["v/.zattrs"], "{\"bad\": NaN}");
    let consolidated = references[".zmetadata"].as_str().expect("a text");
    assert!(consolidated.contains("\"v/.zattrs\":{\"bad\": NaN}"), "{consolidated}");
}

fn rows(store: &Objects, key: &str) -> RecordBatch {
    let body = store.get(key).expect("there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(body).expect("Parquet");
    let mut batches = reader.build().expect("a reader");
    batches.next().expect("rows").expect("a batch")
}

#[test]
fn parquet_has_a_row_for_each_chunk_and_a_file_for_so_many() {
    let store = store("parquet");
    let written = write_parquet(&Four::new(), &store, 3).expect("written");
    assert_eq!((written.object_count, written.absent_count), (3, 1));
    let (first, last) = (rows(&store, "v/refs.0.parq"), rows(&store, "v/refs.1.parq"));
    assert_eq!((first.num_rows(), last.num_rows()), (3, 1));
    let paths = first.column_by_name("path").expect("a column").as_string::<i32>();
    assert_eq!((paths.value(0), paths.is_null(1)), ("s3://b/k", true));
    let number = |name: &str| {
        first.column_by_name(name).expect("a column").as_primitive::<Int64Type>().value(0)
    };
    assert_eq!((number("offset"), number("size")), (7, 9));
    let raws = first.column_by_name("raw").expect("a column").as_binary::<i32>();
    assert!(raws.is_null(0));
    assert_eq!(raws.value(1), b"\xff\x00");
    // What looks like a text in base 64 is written as one.
    assert_eq!(raws.value(2), b"base64:YmFzZTY0Om5v");
    assert!(last.column(0).is_null(0) && last.column(3).is_null(0));
    let root = store.get(".zmetadata").expect("there");
    let root = String::from_utf8(root.to_vec()).expect("UTF-8");
    assert!(root.ends_with("\"record_size\":3}"), "{root}");
}

#[test]
fn what_cannot_be_made_leaves_nothing_to_open() {
    let broken = Four { breaks_at: Some(3), ..Four::new() };
    let store = store("broken");
    write_json(&broken, &store, "refs.json").expect_err("it breaks");
    write_parquet(&broken, &store, 2).expect_err("it breaks");
    assert_eq!(store.try_get("refs.json").expect("asked"), None);
    assert_eq!(store.try_get(".zmetadata").expect("asked"), None);
}

#[test]
fn an_object_of_which_nothing_is_known_may_change_unseen() {
    let object = |etag: Option<&str>, modified_ms| {
        let etag = etag.map(str::to_owned);
        Referent { url: "s3://b/k".to_owned(), etag, modified_ms }.immutability()
    };
    assert_eq!(object(None, None), Immutability::Floating);
    assert_eq!(object(Some("\"a\""), None), Immutability::Checked);
    assert_eq!(object(None, Some(1)), Immutability::Checked);
}
