//! Every format on every kind of store: what is written to one and read from it is what was written to any
//! other. The cases are the product of two lists, and what is not on a list is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dataflow::testing::s3_endpoint;
use levain::bake::{BakeOptions, WrittenAs, ZarrVersion};
use levain::job::Bake;
use levain::objects::{Location, Objects, StoreOptions};
use levain::prelude::*;
use levain::tabular::{
    ReadArrow, ReadCsv, ReadCsvTables, ReadJson, ReadParquet, ReadText, Table, WriteArrow,
    WriteCsv, WriteCsvTables, WriteJson, WriteParquet, WriteText,
};
use netcdf_writer::NcWriteFormat;
use serde::{Deserialize, Serialize};

use crate::grib::samples::{Message, PLAIN, PLAIN_1};
use crate::made::{Folder, day};
use crate::tabular::table;

/// A folder of a store of some kind.
struct Place {
    kind: &'static str,
    base: String,
    store: StoreOptions,
}

/// What is left at the end, by name: it must be the same on every store.
type Left = BTreeMap<String, Vec<u8>>;

/// A format, the crate that it is of, and what of that crate it is.
struct Format {
    name: &'static str,
    shelf: &'static str,
    proves: &'static [&'static str],
    /// Writes and reads in an empty folder.
    round: fn(&Place) -> Left,
}

const FORMATS: &[Format] = &[
    Format { name: "Zarr 3", shelf: "zarr", proves: &[], round: |it| zarr(it, ZarrVersion::V3) },
    Format { name: "Zarr 2", shelf: "zarr", proves: &[], round: |it| zarr(it, ZarrVersion::V2) },
    Format {
        name: "NetCDF classic",
        shelf: "netcdf",
        proves: &[],
        round: |it| baked(it, &netcdf(NcWriteFormat::Classic)),
    },
    Format {
        name: "NetCDF-4",
        shelf: "netcdf",
        proves: &[],
        round: |it| baked(it, &netcdf(NcWriteFormat::Nc4)),
    },
    Format {
        name: "GRIB 1",
        shelf: "grib",
        proves: &[],
        round: |it| baked(it, &Message::edition_1(&PLAIN_1)),
    },
    Format {
        name: "GRIB 2",
        shelf: "grib",
        proves: &[],
        round: |it| baked(it, &Message::edition_2(&PLAIN)),
    },
    Format { name: "references", shelf: "virtual", proves: &[], round: references },
    Format {
        name: "text",
        shelf: "tabular",
        proves: &["ReadText", "ReadTextBytes", "WriteText"],
        round: text,
    },
    Format {
        name: "CSV rows",
        shelf: "tabular",
        proves: &["ReadCsv", "WriteCsv"],
        round: csv_rows,
    },
    Format {
        name: "CSV tables",
        shelf: "tabular",
        proves: &["ReadCsvTables", "WriteCsvTables"],
        round: csv_tables,
    },
    Format {
        name: "JSON lines",
        shelf: "tabular",
        proves: &["ReadJson", "WriteJson"],
        round: json,
    },
    Format {
        name: "Parquet",
        shelf: "tabular",
        proves: &["ReadParquet", "WriteParquet"],
        round: parquet,
    },
    Format {
        name: "Arrow IPC",
        shelf: "tabular",
        proves: &["ReadArrow", "WriteArrow"],
        round: arrow,
    },
];

/// The stores that there are here, each with a folder for a format.
fn stores(folder: &Folder, format: &str) -> Vec<Place> {
    let slug = format.to_lowercase().replace([' ', '-'], "_");
    let plain = StoreOptions::default;
    let mut stores = vec![
        Place { kind: "memory", base: format!("memory://formats/{slug}"), store: plain() },
        Place { kind: "files", base: folder.text(&slug), store: plain() },
    ];
    if let Some(endpoint) = s3_endpoint() {
        let store = plain()
            .with_endpoint(&endpoint)
            .with_setting("aws_access_key_id", "test")
            .with_setting("aws_secret_access_key", "test");
        stores.push(Place { kind: "S3", base: format!("s3://levain-test/formats/{slug}"), store });
    }
    stores
}

/// Every format on every store; how many cases that were.
fn run_all(formats: &[Format]) -> usize {
    let folder = Folder::new();
    let mut count = 0;
    for format in formats {
        let mut first: Option<(&str, Left)> = None;
        for place in stores(&folder, format.name) {
            place.objects().delete_all("").expect("what an earlier test left can be deleted");
            let left = (format.round)(&place);
            assert!(!left.is_empty(), "{} on {}: nothing was written", format.name, place.kind);
            count += 1;
            match &first {
                None => first = Some((place.kind, left)),
                Some((kind, want)) => {
                    assert!(left == *want, "{}: {kind} and {} differ", format.name, place.kind);
                }
            }
        }
    }
    count
}

/// A20, A34: as many cases as the product, and one more format is so many more cases.
#[test]
fn every_format_is_written_to_and_read_from_every_store() {
    let store_count = stores(&Folder::new(), "any").len();
    assert_eq!(run_all(FORMATS), FORMATS.len() * store_count);
    let dummy = Format {
        name: "dummy",
        shelf: "none",
        proves: &[],
        round: |place| {
            place.put("a", b"dummy".to_vec());
            place.left("")
        },
    };
    assert_eq!(run_all(&[dummy]), store_count);
}

/// A34: a crate of formats, or a way to read and write tables, that is on no list.
#[test]
fn no_format_is_left_out_of_the_product() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
    let listed: BTreeSet<&str> = FORMATS.iter().map(|format| format.shelf).collect();
    for entry in std::fs::read_dir(&root).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Conventions are functions on arrays: they know no store.
        let is_format =
            entry.path().join("Cargo.toml").exists() && name != "objects" && name != "cf";
        assert!(!is_format || listed.contains(&*name), "formats/{name} is in no case");
    }
    let proven: BTreeSet<&str> = FORMATS.iter().flat_map(|format| format.proves).copied().collect();
    let lib = std::fs::read_to_string(root.join("tabular/src/lib.rs")).expect("a file");
    let exported = lib.lines().filter(|line| line.starts_with("pub use"));
    let names: Vec<&str> =
        exported.flat_map(|line| line.split(['{', '}', ',', ' ', ';'])).collect();
    let is_way = |name: &&&str| {
        (name.starts_with("Read") || name.starts_with("Write")) && !name.starts_with("WriteDynamic")
    };
    let ways: Vec<&&str> =
        names.iter().filter(is_way).filter(|name| **name != "WrittenFiles").collect();
    assert!(ways.len() >= 12, "{ways:?}");
    for way in ways {
        assert!(proven.contains(way), "{way} is in no case");
    }
}

impl Place {
    fn objects(&self) -> Objects {
        let location = Location::parse(&self.base).expect("a location");
        Objects::open(&location, &self.store).expect("a store")
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    fn put(&self, name: &str, bytes: Vec<u8>) {
        self.objects().put(name, bytes.into()).wait().expect("written");
    }

    /// What lies below a folder of it; what names the place does so by one word.
    fn left(&self, below: &str) -> Left {
        let objects = self.objects();
        let whole = Location::parse(&self.base).expect("a location").to_string();
        let read = |key: String| {
            let bytes = objects.get(&key).expect("listed").to_vec();
            let bytes = match String::from_utf8(bytes) {
                Ok(text) => text.replace(&whole, "PLACE").replace(&self.base, "PLACE").into_bytes(),
                Err(binary) => binary.into_bytes(),
            };
            (key, bytes)
        };
        objects.list(below).expect("a list").into_iter().map(|it| read(it.key)).collect()
    }

    fn bake(&self, from: &str, to: &str, options: BakeOptions) {
        let bake = Bake::new([self.url(from)], &self.url(to)).expect("a destination");
        bake.with_options(options).with_store(self.store.clone()).run().expect("it is baked");
    }
}

fn netcdf(format: NcWriteFormat) -> Vec<u8> {
    day("days since 2000-01-01", &[0.0, 1.0], 0.0).format(format).bytes()
}

/// Reads a file of the place, and writes a store.
fn baked(place: &Place, file: &[u8]) -> Left {
    place.put("in/a", file.to_vec());
    place.bake("in/a", "out.zarr", BakeOptions::default());
    place.left("out.zarr")
}

/// Writes a store of a version, and reads it to write another one.
fn zarr(place: &Place, version: ZarrVersion) -> Left {
    let options = || BakeOptions { zarr_format: version, ..BakeOptions::default() };
    place.put("in/a", netcdf(NcWriteFormat::Classic));
    place.bake("in/a", "out.zarr", options());
    place.bake("out.zarr", "again.zarr", options());
    let mut left = place.left("out.zarr");
    left.append(&mut place.left("again.zarr"));
    left
}

/// Writes references to the chunks of a file; they name it, and so the place.
fn references(place: &Place) -> Left {
    place.put("in/a", netcdf(NcWriteFormat::Nc4));
    let options = BakeOptions { written_as: WrittenAs::Kerchunk, ..BakeOptions::default() };
    place.bake("in/a", "out.json", options);
    let left = place.left("").into_iter();
    left.filter(|(key, _)| key.starts_with("out.json") && !key.contains(".levain")).collect()
}

/// Writes elements, and reads them again.
fn tables<T: Element + Ord>(
    place: &Place,
    elements: Vec<T>,
    write: impl FnOnce(&Pipeline, PCollection<T>),
    read: impl FnOnce(&Pipeline) -> PCollection<T>,
) -> Left {
    let pipeline = Pipeline::new();
    let mut want = elements.clone();
    write(&pipeline, pipeline.apply(Create::of(elements)));
    pipeline.run(&DirectRunner::new()).expect("it is written");
    let pipeline = Pipeline::new();
    let back = read(&pipeline).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("it is read");
    let mut got: Vec<T> = report.get(&back).expect("asked for").iter().collect();
    want.sort_unstable();
    got.sort_unstable();
    assert!(got == want, "other elements than were written on {}", place.kind);
    place.left("")
}

fn text(place: &Place) -> Left {
    let lines = (0..100).map(|n| format!("line é {n}")).collect();
    let (to, store) = (place.url("part"), place.store.clone());
    let write = WriteText::to(to).with_num_shards(2).with_store_options(store.clone());
    let bytes = ReadText::new().as_bytes().with_store_options(store).from(place.url("part-*"));
    let decoded = Map::of(|line: Vec<u8>| String::from_utf8(line).expect("text"));
    tables(
        place,
        lines,
        |_, lines| drop(lines.apply(write)),
        |pipeline| pipeline.apply(bytes).apply(decoded),
    )
}

/// A row of a table with names for its columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Element)]
struct Row {
    name: String,
    n: i64,
}

fn csv_rows(place: &Place) -> Left {
    let rows = (0..100).map(|n| Row { name: format!("row é {n}"), n }).collect();
    let write = WriteCsv::to(place.url("part")).with_num_shards(2);
    let write = write.with_store_options(place.store.clone());
    let read = ReadCsv::<Row>::new().with_store_options(place.store.clone());
    let read = read.from(place.url("part-*"));
    tables(place, rows, |_, rows| drop(rows.apply(write)), |pipeline| pipeline.apply(read))
}

fn json(place: &Place) -> Left {
    let write = WriteJson::to(place.url("part")).with_num_shards(2);
    let write = write.with_store_options(place.store.clone());
    let read = ReadJson::<i64>::new().with_store_options(place.store.clone());
    let read = read.from(place.url("part-*"));
    let numbers = (0..100).collect();
    tables(place, numbers, |_, it| drop(it.apply(write)), |pipeline| pipeline.apply(read))
}

/// The numbers of the rows of tables.
fn numbers(table: &Table) -> Vec<i64> {
    let column = table.0.column_by_name("n").expect("a column");
    let column = column.as_any().downcast_ref::<arrow::array::Int64Array>().expect("numbers");
    column.values().to_vec()
}

/// The same for tables, whose cuts may differ: they are compared by their rows.
fn of_rows(
    place: &Place,
    write: impl FnOnce(PCollection<Table>),
    read: impl FnOnce(&Pipeline) -> PCollection<Table>,
) -> Left {
    let starts = (0..4).map(|n| 25 * n).collect::<Vec<i64>>();
    let pipeline = Pipeline::new();
    write(pipeline.apply(Create::of(starts)).apply(Map::of(|first: i64| table(first, 25))));
    pipeline.run(&DirectRunner::new()).expect("it is written");
    let pipeline = Pipeline::new();
    let back = read(&pipeline).apply(FlatMap::of(|table: Table| numbers(&table))).collect();
    let report = pipeline.run(&DirectRunner::new()).expect("it is read");
    let mut got: Vec<i64> = report.get(&back).expect("asked for").iter().collect();
    got.sort_unstable();
    assert!(got.iter().copied().eq(0..100), "other rows than were written on {}", place.kind);
    place.left("")
}

fn csv_tables(place: &Place) -> Left {
    let schema = table(0, 1).schema();
    let write = WriteCsvTables::to(place.url("part"), Arc::clone(&schema)).with_num_shards(2);
    let write = write.with_store_options(place.store.clone());
    let read = ReadCsvTables::new(schema).with_store_options(place.store.clone());
    let read = read.from(place.url("part-*"));
    of_rows(place, |it| drop(it.apply(write)), |pipeline| pipeline.apply(read))
}

fn parquet(place: &Place) -> Left {
    let write = WriteParquet::to(place.url("part"), table(0, 1).schema()).with_num_shards(2);
    let write = write.with_store_options(place.store.clone());
    let read = ReadParquet::new().with_store_options(place.store.clone());
    let read = read.from(place.url("part-*"));
    of_rows(place, |it| drop(it.apply(write)), |pipeline| pipeline.apply(read))
}

fn arrow(place: &Place) -> Left {
    let write = WriteArrow::to(place.url("part"), table(0, 1).schema()).with_num_shards(2);
    let write = write.with_store_options(place.store.clone());
    let read = ReadArrow::new().with_store_options(place.store.clone());
    let read = read.from(place.url("part-*"));
    of_rows(place, |it| drop(it.apply(write)), |pipeline| pipeline.apply(read))
}
