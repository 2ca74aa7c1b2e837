//! All formats through their transforms, on the reference runner.

mod damage;
mod matches;
mod round_trips;
mod writes;

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use dataflow::prelude::{Create, Element, PCollection, Pipeline, Result};
use dataflow::testing::ReferenceRunner;
use objects::{Location, Objects, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::compression::Encoder;
use crate::{Compression, Table};

const COMPRESSIONS: [Compression; 4] =
    [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::Bzip2];

/// What serde formats carry.
#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize, Deserialize, Element)]
#[element(crate = "dataflow")]
struct Sale {
    shop: String,
    cents: i64,
    weight: Option<f64>,
}

fn sales(count: i64) -> Vec<Sale> {
    let shop = |n: i64| ["corner", "market, \"old\"", "é\nquay", ""][n as usize % 4].to_owned();
    let weight = |n: i64| (n % 3 != 0).then_some(n as f64 / 8.0);
    (0..count).map(|n| Sale { shop: shop(n), cents: n * n - 50, weight: weight(n) }).collect()
}

/// A table of so many rows, numbered from `first`.
fn table(first: i64, rows: i64) -> Table {
    let range = || first..first + rows;
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from_iter_values(range()))),
        (
            "name",
            Arc::new(
                range().map(|n| (n % 5 != 0).then(|| format!("row {n}"))).collect::<StringArray>(),
            ),
        ),
        ("half", Arc::new(Float64Array::from_iter(range().map(|n| Some(n as f64 / 2.0))))),
    ];
    let fields = columns.iter().map(|(name, array)| (*name, Arc::clone(array), *name != "n"));
    Table(RecordBatch::try_from_iter_with_nullable(fields).expect("columns of one length"))
}

/// All rows, sorted by their first column.
fn rows(tables: &[Table]) -> Vec<(i64, Option<String>, f64)> {
    let mut rows = Vec::new();
    for table in tables {
        let n: &Int64Array = table.column(0).as_any().downcast_ref().expect("integers");
        let name: &StringArray = table.column(1).as_any().downcast_ref().expect("texts");
        let half: &Float64Array = table.column(2).as_any().downcast_ref().expect("floats");
        rows.extend((0..table.num_rows()).map(|row| {
            let text = name.iter().nth(row).flatten().map(str::to_owned);
            (n.value(row), text, half.value(row))
        }));
    }
    rows.sort_by_key(|row| row.0);
    rows
}

/// Runs what `build` builds on a new pipeline, and gives its elements.
fn run<T: Element>(build: impl FnOnce(&Pipeline) -> PCollection<T>) -> Result<Vec<T>> {
    let pipeline = Pipeline::new();
    let collected = build(&pipeline).collect();
    let report = pipeline.run(&ReferenceRunner)?;
    Ok(report.get(&collected)?.iter().collect())
}

fn create<T: Element>(pipeline: &Pipeline, values: &[T]) -> PCollection<T> {
    pipeline.apply(Create::of(values.to_vec()))
}

/// Runs a test in a new folder of every kind of store that is there.
#[track_caller]
fn everywhere(name: &str, test: impl Fn(&str, &StoreOptions)) {
    let store = StoreOptions::default();
    test(&format!("memory://tabular-{name}/out"), &store);
    let folder = tempfile::tempdir().expect("a folder");
    test(&format!("file://{}/out", folder.path().display()), &store);
    if let Some(endpoint) = dataflow::testing::s3_endpoint() {
        let store = store
            .with_endpoint(endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        let base = format!("s3://levain-test/tabular-{name}/out");
        Objects::open(&Location::parse(&base).expect("one"), &store)
            .and_then(|objects| objects.delete_all(""))
            .expect("deletes what an earlier run left");
        test(&base, &store);
    }
}

/// Puts an object into a store in memory; where it is.
fn put(name: &str, bytes: &[u8]) -> String {
    let root = Location::parse("memory://tabular-files").expect("a location");
    let store = Objects::open(&root, &StoreOptions::default()).expect("opens");
    store.put(name, bytes.to_vec().into()).wait().expect("writes");
    root.join(name).to_string()
}

fn compressed(compression: Compression, text: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(compression, Vec::new()).expect("begins");
    encoder.write_all(text).expect("takes");
    encoder.finish().expect("ends")
}

/// The names and bytes of all objects below a location.
fn objects_in(base: &str, store: &StoreOptions) -> Vec<(String, Vec<u8>)> {
    let objects = Objects::open(&Location::parse(base).expect("one"), store).expect("opens");
    let facts = objects.list("").expect("lists");
    let read = |key: String| {
        let bytes = objects.get(&key).expect("there").to_vec();
        (key, bytes)
    };
    facts.into_iter().map(|facts| read(facts.key)).collect()
}
