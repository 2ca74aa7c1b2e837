//! What pyarrow and Python read of ours, and what we read of theirs; runs when
//! `LEVAIN_TEST_PYTHON` names an interpreter that has pyarrow.

use std::path::Path;
use std::process::Command;

use levain::prelude::*;
use levain::tabular::{
    ArrowCompression, Compression, ParquetCompression, ReadArrow, ReadCsv, ReadJson, ReadParquet,
    ReadText, WriteArrow, WriteCsv, WriteJson, WriteParquet, WriteText,
};
use serde::{Deserialize, Serialize};

use super::table;

fn python(arguments: &[&str]) -> Option<String> {
    let python = levain::dataflow::testing::python()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tabular/interop.py");
    let run = Command::new(python).arg(script).args(arguments).output().expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).expect("JSON"))
}

#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize, Deserialize, Element)]
struct Row {
    n: i64,
    name: Option<String>,
    half: f64,
}

/// The rows that the script makes and expects too.
fn rows() -> Vec<Row> {
    let name = |n: i64| (n % 5 != 0).then(|| format!("row é {n}"));
    (0..200).map(|n| Row { n, name: name(n), half: n as f64 / 2.0 }).collect()
}

fn write_all(base: &str) {
    let pipeline = Pipeline::new();
    let rows = pipeline.apply_named("Rows", Create::of(rows()));
    let tables = [(0, 50), (50, 1), (51, 149)].map(|(first, count)| table(first, count));
    let tables = pipeline.apply_named("Tables", Create::of(tables));
    let texts =
        rows.apply(Map::of(|row: Row| format!("{} {}", row.n, row.name.unwrap_or_default())));
    for by in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::Bzip2]
    {
        let to = |kind| format!("{base}/{kind}-{by}/part");
        texts.apply(WriteText::to(to("text")).with_num_shards(3).with_compression(by));
        rows.apply(WriteCsv::to(to("csv")).with_num_shards(2).with_compression(by));
        rows.apply(WriteJson::to(to("json")).with_num_shards(2).with_compression(by));
    }
    use ParquetCompression as P;
    for by in [P::Uncompressed, P::Snappy, P::Gzip, P::Zstd, P::Lz4] {
        let to = WriteParquet::to(format!("{base}/parquet-{by:?}/part"), table(0, 1).schema());
        tables.apply(to.with_num_shards(2).with_compression(by));
    }
    for by in [ArrowCompression::Uncompressed, ArrowCompression::Lz4, ArrowCompression::Zstd] {
        let to = WriteArrow::to(format!("{base}/arrow-{by:?}/part"), table(0, 1).schema());
        tables.apply(to.with_num_shards(2).with_compression(by));
    }
    pipeline.run(&DirectRunner::new()).expect("writes");
}

#[test]
fn python_reads_what_we_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().to_str().expect("UTF-8");
    write_all(base);
    let Some(told) = python(&["read", base]) else { return };
    let told: Vec<String> = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told.len(), 3 * 4 + 5 + 3, "{told:?}");
}

fn check<T: Element + PartialEq + std::fmt::Debug>(
    transform: impl PTransform<Pipeline, Output = PCollection<T>>,
    want: usize,
    key: impl Fn(&T) -> Vec<Row>,
) {
    let pipeline = Pipeline::new();
    let read = pipeline.apply(transform).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("reads");
    let elements: Vec<T> = report.get(&read).expect("asked for").iter().collect();
    assert!(elements.len() >= want, "{} elements", elements.len());
    let mut got: Vec<Row> = elements.iter().flat_map(key).collect();
    got.sort_by_key(|row| row.n);
    assert_eq!(got, rows());
}

fn rows_of(table: &levain::tabular::Table) -> Vec<Row> {
    use arrow::array::{Array, Float64Array, Int64Array, StringArray};
    let column = |place: usize| table.column(place).as_any();
    let n: &Int64Array = column(0).downcast_ref().expect("integers");
    let name: &StringArray = column(1).downcast_ref().expect("texts");
    let half: &Float64Array = column(2).downcast_ref().expect("floats");
    let row = |at: usize| {
        let name = name.is_valid(at).then(|| name.value(at).to_owned());
        Row { n: n.value(at), name, half: half.value(at) }
    };
    (0..table.num_rows()).map(row).collect()
}

#[test]
fn we_read_what_python_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().to_str().expect("UTF-8");
    let Some(_) = python(&["write", base]) else { return };
    let row = |row: &Row| vec![row.clone()];
    check(ReadCsv::<Row>::new().from(format!("{base}/*.csv*")), 200, row);
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"] {
        check(ReadParquet::new().from(format!("{base}/{codec}.parquet")), 4, rows_of);
    }
    for codec in ["none", "lz4", "zstd"] {
        check(ReadArrow::new().from(format!("{base}/{codec}.arrow")), 4, rows_of);
    }
    check(ReadArrow::new().from(format!("{base}/stream.arrows")), 4, rows_of);
    for suffix in ["", ".gz", ".bz2", ".zst"] {
        let read = ReadJson::<Row>::new().with_split_bytes(1000);
        check(read.from(format!("{base}/rows.jsonl{suffix}")), 200, row);
        let of_line = |line: &String| vec![serde_json::from_str(line).expect("JSON")];
        let read = ReadText::new().with_split_bytes(999);
        check(read.from(format!("{base}/rows.jsonl{suffix}")), 200, of_line);
    }
}
