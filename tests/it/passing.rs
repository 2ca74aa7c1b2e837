//! Chunks that lie in the source as the store wants them go into it as they are.

use levain::array::{DatasetSource, Region};
use levain::job::{SampleFormat, write_sample_files};
use levain::objects::{Location, StoreOptions};
use levain::zarr::ZarrSource;
use serde_json::Value;

use crate::command::levain;
use crate::made::Folder;

/// A store of chunks of one hour, made of two days of samples.
fn hours(folder: &Folder, more: &[&str]) -> String {
    let files = write_sample_files(&folder.path("files"), 3_000_000, SampleFormat::Nc4);
    let files = files.expect("sample files").paths;
    let files: Vec<&str> = files.iter().take(2).map(|it| it.to_str().expect("a path")).collect();
    let store = folder.text("hours.zarr");
    let chunks = ["--chunks", "time=1,lat=-1,lon=-1", "--progress", "none"];
    levain(&[&["bake"][..], &files, &[&store], &chunks, more].concat()).check_done();
    store
}

/// How `t2m` would be copied.
#[track_caller]
fn method(source: &str, target: &str, more: &[&str]) -> String {
    method_of(&[&["rechunk", source, target][..], more].concat())
}

/// How a command would copy `t2m`.
#[track_caller]
fn method_of(command: &[&str]) -> String {
    let planned = levain(&[&["plan"][..], command, &["--output", "json"]].concat());
    planned.check_done();
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a document");
    let variables = plan["plan"]["variables"].as_array().expect("a list");
    let t2m = variables.iter().find(|it| it["name"] == "t2m").expect("a variable");
    match &t2m["copy"]["method"] {
        Value::String(name) => name.clone(),
        method => method.as_object().and_then(|it| it.keys().next()).expect("a method").clone(),
    }
}

fn values(store: &str) -> Vec<f32> {
    let location = Location::parse(store).expect("a path");
    let store = ZarrSource::open(&location, &StoreOptions::default()).expect("a store");
    let array = store.array("t2m").expect("an array");
    let whole = Region::whole(&array.facts().grid.shape());
    array.read(&whole).expect("reads").values::<f32>().expect("floats")
}

const SHARDS: [&str; 4] = ["--chunks", "time=1,lat=-1,lon=-1", "--shards", "time=12"];

#[test]
fn chunks_pass_into_shards_as_they_are() {
    let folder = Folder::new();
    let source = hours(&folder, &[]);
    let target = folder.text("shards.zarr");
    assert_eq!(method(&source, &target, &SHARDS), "passthrough");
    levain(&[&["rechunk", &source, &target][..], &SHARDS].concat()).check_done();
    assert_eq!(values(&target), values(&source));
    let chunk = |hour: u64| {
        std::fs::read(folder.path(&format!("hours.zarr/t2m/c/{hour}/0/0"))).expect("a chunk")
    };
    let shard = std::fs::read(folder.path("shards.zarr/t2m/c/1/0/0")).expect("a shard");
    let chunks: Vec<u8> = (12..24).flat_map(chunk).collect();
    assert!(shard.starts_with(&chunks), "a shard is the chunks, one after the other");
}

#[test]
fn a_chunk_that_is_not_there_passes_as_one_of_fill_values() {
    let folder = Folder::new();
    let source = hours(&folder, &[]);
    std::fs::remove_file(folder.path("hours.zarr/t2m/c/3/0/0")).expect("a chunk");
    let target = folder.text("shards.zarr");
    levain(&[&["rechunk", &source, &target][..], &SHARDS].concat()).check_done();
    let (got, want) = (values(&target), values(&source));
    let bits = |values: &[f32]| values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&got), bits(&want));
}

#[test]
fn chunks_of_another_codec_shape_or_type_do_not_pass() {
    let folder = Folder::new();
    let source = hours(&folder, &[]);
    let target = folder.text("other.zarr");
    let with = |more: &[&str]| method(&source, &target, &[&SHARDS[..], more].concat());
    assert_ne!(with(&["--codec", "blosc-zstd:3"]), "passthrough");
    assert_ne!(with(&["--encoding", "t2m=bitround:10+blosc-zstd:1"]), "passthrough");
    let halves = ["--chunks", "time=1,lat=2,lon=-1"];
    assert_ne!(method(&source, &target, &halves), "passthrough");
}

#[test]
fn chunks_of_netcdf_pass_where_the_store_has_their_filters() {
    let folder = Folder::new();
    let files = write_sample_files(&folder.path("files"), 3_000_000, SampleFormat::Nc4);
    let files = files.expect("sample files").paths;
    let one = files[0].to_str().expect("a path").to_owned();
    let target = folder.text("out.zarr");
    let inspected = levain(&["inspect", &one, "--output", "json"]);
    inspected.check_done();
    let document: Value = serde_json::from_str(&inspected.stdout).expect("a document");
    let variables = document["variables"].as_array().expect("a list");
    let t2m = variables.iter().find(|it| it["name"] == "t2m").expect("a variable");
    let numbers = t2m["chunks"].as_array().expect("chunks").iter();
    let chunks: Vec<u64> = numbers.map(|it| it.as_u64().expect("a length")).collect();
    let chunks = format!("time={},lat={},lon={}", chunks[0], chunks[1], chunks[2]);
    let as_there = ["--chunks", &chunks, "--codec", "shuffle+zlib:1"];
    let planned = method(&one, &target, &as_there);
    let own = levain(&[&["rechunk", &one, &target][..], &as_there].concat());
    own.check_done();
    let plain = folder.text("plain.zarr");
    levain(&["rechunk", &one, &plain, "--chunks", &chunks]).check_done();
    assert_eq!(values(&target), values(&plain));
    assert_eq!(planned, "passthrough");
}

/// A store of chunks of one hour for each of so many days of samples.
fn days(folder: &Folder, count: usize) -> Vec<String> {
    let files = write_sample_files(&folder.path("files"), 9_000_000, SampleFormat::Nc4);
    let files = files.expect("sample files").paths;
    let bake = |(day, file): (usize, &std::path::PathBuf)| {
        let store = folder.text(&format!("day{day}.zarr"));
        let file = file.to_str().expect("a path");
        levain(&["bake", file, &store, "--chunks", "time=1,lat=-1,lon=-1"]).check_done();
        store
    };
    assert!(files.len() >= count, "{} files are too few", files.len());
    files.iter().take(count).enumerate().map(bake).collect()
}

/// The shards of `t2m`.
fn shards(folder: &Folder, store: &str) -> Vec<Vec<u8>> {
    let shard = |place| folder.path(&format!("{store}/t2m/c/{place}/0/0"));
    (0..).map_while(|place| std::fs::read(shard(place)).ok()).collect()
}

#[test]
fn chunks_pass_into_a_store_that_grows_and_in_place_as_they_are() {
    let folder = Folder::new();
    let days = days(&folder, 2);
    // Shards of 18 hours: the second is half full after the first day.
    let layout = ["--chunks", "time=1,lat=-1,lon=-1", "--shards", "time=18"];
    let (whole, grown) = (folder.text("whole.zarr"), folder.text("grown.zarr"));
    levain(&[&["bake", &days[0], &days[1], &whole][..], &layout].concat()).check_done();
    levain(&[&["bake", &days[0], &grown][..], &layout].concat()).check_done();
    let append = ["bake", &days[1], &grown, "--append", "time"];
    assert_eq!(method_of(&append), "passthrough");
    levain(&append).check_done();
    assert_eq!(values(&grown), values(&whole));
    assert_eq!(shards(&folder, "grown.zarr"), shards(&folder, "whole.zarr"));
    assert_eq!(shards(&folder, "grown.zarr").len(), 3);
    let region = ["bake", &days[0], &grown, "--region", "auto"];
    assert_eq!(method_of(&region), "passthrough");
    std::fs::write(folder.path("grown.zarr/t2m/c/0/0/0"), "damaged").expect("a shard");
    levain(&region).check_done();
    assert_eq!(shards(&folder, "grown.zarr"), shards(&folder, "whole.zarr"));
}

#[test]
fn chunks_of_another_codec_do_not_pass_into_a_store_that_grows() {
    let folder = Folder::new();
    let days = days(&folder, 2);
    let grown = folder.text("grown.zarr");
    let layout = ["--chunks", "time=1,lat=-1,lon=-1", "--codec", "zstd:1"];
    levain(&[&["bake", &days[0], &grown][..], &layout].concat()).check_done();
    let append = ["bake", &days[1], &grown, "--append", "time"];
    assert_ne!(method_of(&append), "passthrough");
    levain(&append).check_done();
    let whole = folder.text("whole.zarr");
    levain(&["bake", &days[0], &days[1], &whole]).check_done();
    assert_eq!(values(&grown), values(&whole));
}
