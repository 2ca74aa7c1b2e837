//! Streams leave the objects that units leave which are written whole.

use array::{
    ArraySink, Attributes, Chunk, ChunkGrid, DType, Dataset, Dimension, Region, Storage, Variable,
};
use bytes::Bytes;
use dataflow::error::ErrorCode;
use objects::{Fault, Faults, Location, Objects, StoreOptions};
use serde_json::json;

use crate::header::header_of_v3;
use crate::write::ZarrWriter;
use crate::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink, ZarrSource};

/// An array `v` of 10 by 14 elements, in shards of 4 by 12 of chunks of 2 by 3, in memory.
struct Store {
    objects: Objects,
    sink: ZarrSink,
}

impl Store {
    fn new(name: &str, dtype: DType, options: &StoreOptions) -> Self {
        let location = Location::parse(&format!("memory://stream-{name}")).expect("a location");
        let own = VariableLayout {
            chunk_shape: vec![2, 3],
            shard_shape: Some(vec![4, 12]),
            codecs: "zstd:1".parse::<CodecChain>().expect("codecs"),
        };
        let variable = Variable {
            name: "v".to_owned(),
            dimensions: vec!["y".to_owned(), "x".to_owned()],
            shape: vec![10, 14],
            dtype,
            fill: None,
            attributes: Attributes::default(),
            storage: Storage::default(),
        };
        let dimension =
            |name: &str, length| Dimension { name: name.to_owned(), length, is_unlimited: false };
        let template = Dataset {
            dimensions: vec![dimension("y", 10), dimension("x", 14)],
            variables: vec![variable],
            ..Dataset::default()
        };
        let layout = ZarrLayout::new(ZarrFormat::V3).with_variable("v", own);
        let sink = ZarrSink::create(&location, &template, &layout, options).expect("fits");
        Self { objects: Objects::open(&location, options).expect("a store"), sink }
    }

    /// All objects.
    fn contents(&self) -> Vec<(String, Bytes)> {
        let keys = self.objects.list("").expect("lists").into_iter().map(|facts| facts.key);
        keys.map(|key| (key.clone(), self.objects.get(&key).expect("there"))).collect()
    }
}

fn elements(dtype: DType) -> Chunk {
    if dtype == DType::Text {
        let texts: Vec<String> = (0..140).map(|n| "ü".repeat(n % 4)).collect();
        return Chunk::of_texts([10, 14], &texts).expect("texts");
    }
    let numbers: Vec<i32> = (0..140).collect();
    Chunk::of([10, 14], &numbers).expect("numbers")
}

/// The chunks of a unit, with their places.
fn chunks(array: &dyn ArraySink, unit: &[u64], whole: &Chunk) -> Vec<(u64, Chunk)> {
    let unit = whole.slice(&array.facts().units.region(unit)).expect("within");
    let grid = ChunkGrid::regular(unit.shape(), &array.facts().chunk_shape);
    let of = |place| (place, unit.slice(&grid.region(&grid.index_of(place))).expect("within"));
    (0..grid.chunk_count()).map(of).collect()
}

#[test]
fn a_stream_leaves_the_object_of_a_unit_that_is_written_whole() {
    for (name, dtype) in [("numbers", DType::Int32), ("texts", DType::Text)] {
        let options = StoreOptions::default();
        let whole = Store::new(&format!("{name}-whole"), dtype, &options);
        let streamed = Store::new(&format!("{name}-streamed"), dtype, &options);
        let (one, other) =
            (whole.sink.array("v").expect("v"), streamed.sink.array("v").expect("v"));
        let elements = elements(dtype);
        let units = one.facts().units.clone();
        for linear in 0..units.chunk_count() {
            let unit = units.index_of(linear);
            let part = elements.slice(&units.region(&unit)).expect("within");
            let want = one.write(&unit, &part).expect("encodes").wait().expect("writes");
            let stream = other.stream(&unit).expect("shards");
            // Every order leaves the same: as they come, or the last one first.
            let mut chunks = chunks(&*other, &unit, &elements);
            if linear % 2 == 1 {
                chunks.reverse();
            }
            for (place, chunk) in chunks {
                stream.put(place, &chunk).expect("in any order");
            }
            let count = streamed.contents().len() as u64;
            assert_eq!(count, linear, "visible before the end");
            assert_eq!(stream.finish().expect("writes"), want);
        }
        assert_eq!(streamed.contents(), whole.contents());
        assert_eq!(whole.contents().len(), 6);
    }
}

#[test]
fn a_shard_that_was_replaced_is_read_as_it_is_now() {
    let store = Store::new("replaced", DType::Int32, &StoreOptions::default());
    store.sink.finish().expect("a store");
    let array = store.sink.array("v").expect("v");
    let source = ZarrSource::open(store.objects.root(), &StoreOptions::default()).expect("there");
    let changing = source.changing_array("v").expect("v");
    let row = Region::new([3..4, 0..5]);
    let read = |elements: &Chunk| {
        let part = elements.slice(&Region::new([0..4, 0..12])).expect("within");
        array.write(&[0, 0], &part).expect("encodes").wait().expect("writes");
        assert_eq!(changing.read(&row).expect("reads"), elements.slice(&row).expect("within"));
    };
    read(&elements(DType::Int32));
    // Chunks get another length, so that all lie elsewhere.
    read(&Chunk::of([10, 14], &[7; 140]).expect("numbers"));
}

#[test]
fn a_stream_without_all_its_chunks_leaves_nothing() {
    let store = Store::new("missing", DType::Int32, &StoreOptions::default());
    let array = store.sink.array("v").expect("v");
    let chunks = chunks(&*array, &[0, 0], &elements(DType::Int32));
    let stream = array.stream(&[0, 0]).expect("shards");
    for (place, chunk) in &chunks[1..] {
        stream.put(*place, chunk).expect("waits for the first");
    }
    let error = stream.put(3, &chunks[3].1).expect_err("twice");
    assert!(error.to_string().contains("chunk 3 is written twice"), "{error}");
    let error = stream.put(0, &chunks[0].1.slice(&Region::whole(&[1, 3])).expect("a row"));
    assert!(error.is_err(), "half a chunk");
    let error = stream.finish().expect_err("the first is missing");
    assert_eq!(error.place("variable"), Some("v"));
    drop(array.stream(&[0, 0]).expect("shards"));
    assert_eq!(store.contents(), []);
}

#[test]
fn a_stream_into_a_store_that_is_full_leaves_nothing() {
    let options = StoreOptions::default().with_faults(Faults::from_put(1, Fault::Full));
    let store = Store::new("full", DType::Int32, &options);
    let array = store.sink.array("v").expect("v");
    let error = array.stream(&[0, 0]).map(drop).expect_err("full");
    assert_eq!(error.code(), ErrorCode::STORE_FULL);
    assert_eq!(store.contents(), []);
}

#[track_caller]
fn check_streamed(location: &str, want: bool) {
    let sharding = json!({
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [2],
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "index_codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "crc32c"}
            ],
            "index_location": location,
        }
    });
    let document = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": [8],
        "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": [sharding],
        "attributes": {},
    });
    let header = header_of_v3(&document).expect("an array");
    let root = Location::parse("memory://stream-index").expect("a location");
    let objects = Objects::open(&root, &StoreOptions::default()).expect("a store");
    let array = ZarrWriter::new(&objects, "v", header);
    assert_eq!(array.facts().stream_bytes.is_some(), want);
    assert_eq!(array.stream(&[0]).is_ok(), want);
}

#[test]
fn shards_whose_index_comes_first_are_written_whole() {
    check_streamed("end", true);
    check_streamed("start", false);
}
