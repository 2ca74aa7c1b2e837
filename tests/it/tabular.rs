//! Files of records on the direct runner: retries, any cut of the work, and Python as the oracle.

mod interop;
mod retries;

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use levain::objects::{Location, Objects, StoreOptions};
use levain::tabular::Table;

/// A table of so many rows, numbered from `first`.
pub(crate) fn table(first: i64, rows: i64) -> Table {
    let range = || first..first + rows;
    let name = |n: i64| (n % 5 != 0).then(|| format!("row é {n}"));
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from_iter_values(range()))),
        ("name", Arc::new(range().map(name).collect::<StringArray>())),
        ("half", Arc::new(Float64Array::from_iter_values(range().map(|n| n as f64 / 2.0)))),
    ];
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    Table(RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length"))
}

/// The names and bytes of all objects below a location.
fn objects_in(base: &str) -> Vec<(String, Vec<u8>)> {
    let base = Location::parse(base).expect("a location");
    let objects = Objects::open(&base, &StoreOptions::default()).expect("opens");
    let read = |key: String| (key.clone(), objects.get(&key).expect("there").to_vec());
    objects.list("").expect("lists").into_iter().map(|facts| read(facts.key)).collect()
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("tests count from one")
}
