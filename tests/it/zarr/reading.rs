//! Stores that others may have written: without a copy, without names, in part.

use array::{Chunk, DType, DatasetSource, Region, Scalar};
use bytes::Bytes;
use dataflow::error::ErrorCode;
use objects::StoreOptions;
use zarr::{Codec, UnitState, ZarrFormat, ZarrSource};

use super::samples::{at, elements, layout, objects, open, read, variable, write};

fn put(store: &str, key: &str, text: &str) {
    objects(store).put(key, Bytes::from(text.to_owned())).wait().expect("writes");
}

/// A store of version 2 with no chunk, that names arrays and their shapes.
fn hollow(store: &str, arrays: &[(&str, &str, Option<&str>)]) {
    put(store, ".zgroup", "{\"zarr_format\": 2}");
    for (name, shape, dimensions) in arrays {
        let array = format!(
            "{{\"shape\": {shape}, \"chunks\": {shape}, \"dtype\": \"<i2\", \"fill_value\": 7, \
             \"order\": \"C\", \"filters\": null, \"compressor\": null, \"zarr_format\": 2}}"
        );
        put(store, &format!("{name}/.zarray"), &array);
        if let Some(dimensions) = dimensions {
            let attributes = format!("{{\"_ARRAY_DIMENSIONS\": {dimensions}}}");
            put(store, &format!("{name}/.zattrs"), &attributes);
        }
    }
}

#[test]
fn without_a_consolidated_copy_arrays_are_found_by_listing() {
    for (format, name) in [(ZarrFormat::V2, "v2"), (ZarrFormat::V3, "v3")] {
        let store = format!("memory://reading-list-{name}");
        let whole = elements(DType::Int32, &[4]);
        write(
            &store,
            &variable("v", DType::Int32, &[("x", 4)]),
            &layout(format, &[3], None, Codec::None),
            &whole,
        );
        objects(&store).delete(".zmetadata").expect("deletes");
        if format == ZarrFormat::V3 {
            put(
                &store,
                "zarr.json",
                "{\"node_type\": \"group\", \"zarr_format\": 3, \"attributes\": {\"a\": 1}}",
            );
            put(&store, "below/zarr.json", "{\"node_type\": \"group\", \"zarr_format\": 3}");
        } else {
            put(&store, ".zattrs", "{\"a\": 1}");
            put(&store, "below/.zgroup", "{\"zarr_format\": 2}");
        }
        let source = open(&store);
        assert_eq!(read(&source, "v", &Region::whole(&[4])), whole);
        assert_eq!(source.dataset().groups, ["below"]);
        assert_eq!(source.dataset().attributes.number("a"), Some(&Scalar::of(1i64)));
    }
}

#[test]
fn a_store_that_is_one_array_has_its_name() {
    let store = "memory://reading-one/pets.zarr";
    hollow(store, &[]);
    objects(store).delete(".zgroup").expect("deletes");
    put(
        store,
        ".zarray",
        "{\"shape\": [3], \"chunks\": [2], \"dtype\": \"|u1\", \"fill_value\": 1, \"compressor\": null}",
    );
    put(store, "0", "ab");
    let source = open(store);
    let chunk = read(&source, "pets", &Region::whole(&[3]));
    assert_eq!(chunk, Chunk::of([3], b"ab\x01").expect("three"));
}

#[test]
fn a_chunk_that_is_not_there_is_the_fill_value() {
    let store = "memory://reading-fill";
    hollow(store, &[("v", "[2, 3]", Some("[\"y\", \"x\"]"))]);
    let chunk = read(&open(store), "v", &Region::new([1..2, 0..2]));
    assert_eq!(chunk, Chunk::of([1, 2], &[7i16, 7]).expect("two"));
}

#[test]
fn dimensions_without_names_are_named_by_their_length() {
    let store = "memory://reading-names";
    hollow(
        store,
        &[("a", "[5, 5]", None), ("b", "[5, 3]", None), ("c", "[4]", Some("[\"dim_1\"]"))],
    );
    let source = open(store);
    let names = |name: &str| source.dataset().variable(name).expect("there").dimensions.clone();
    assert_eq!([names("a"), names("b")], [["dim_0", "dim_2"], ["dim_0", "dim_3"]]);
    assert_eq!(source.dataset().warnings.len(), 2);
}

#[test]
fn an_array_that_cannot_be_read_does_not_cost_the_store() {
    let store = "memory://reading-unreadable";
    hollow(store, &[("a", "[5]", Some("[\"x\"]")), ("b", "[6]", Some("[\"x\"]"))]);
    put(
        store,
        "c/.zarray",
        "{\"shape\": [5], \"chunks\": [5], \"dtype\": \"<f16\", \"fill_value\": 0}",
    );
    put(store, "d/.zarray", "{\"shape\": [5], \"chu");
    let source = open(store);
    let names: Vec<&str> = source.dataset().variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!((names, source.dataset().warnings.len()), (vec!["a"], 3));
    for (name, says) in [("b", "`x` has 6 elements here and 5"), ("c", "<f16"), ("d", "no JSON")] {
        let error = source.array(name).expect_err("left out");
        assert!(
            error.to_string().contains(says) && error.place("variable") == Some(name),
            "{error}"
        );
        let warnings = &source.dataset().warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains(&format!("`{name}`"))),
            "{warnings:?}"
        );
    }
    let error = source.array("e").expect_err("not there");
    assert_eq!(error.code(), ErrorCode::UNKNOWN_VARIABLE);
}

#[test]
fn where_no_store_is_the_error_says_so() {
    let error = ZarrSource::open(&at("memory://reading-none"), &StoreOptions::default());
    let error = error.expect_err("nothing there");
    assert_eq!(error.code(), ErrorCode::UNKNOWN_FORMAT);
    assert!(error.to_string().contains("memory://reading-none"), "{error}");
}

#[test]
fn a_region_outside_is_refused() {
    let store = "memory://reading-outside";
    hollow(store, &[("v", "[5]", Some("[\"x\"]"))]);
    let array = open(store).array("v").expect("there");
    assert!(array.read(&Region::at(&[3], &[3])).is_err());
    assert!(array.read(&Region::new([0..1, 0..1])).is_err());
}

#[test]
fn many_regions_come_together_into_their_places() {
    let store = "memory://reading-regions";
    let whole = elements(DType::Int16, &[6, 8]);
    let layout = layout(
        ZarrFormat::V3,
        &[2, 2],
        Some(&[4, 4]),
        Codec::Zstd { level: 1, has_checksum: false },
    );
    write(store, &variable("v", DType::Int16, &[("y", 6), ("x", 8)]), &layout, &whole);
    let array = open(store).array("v").expect("there");
    let regions = [Region::new([0..6, 0..1]), Region::new([3..5, 3..8])];
    // Twice: the second time the indices of the shards are known.
    for _ in 0..2 {
        let fetched = array.fetch(&regions).expect("starts");
        let mut column = array::ArrayBuffer::zeroed(DType::Int16, &[6, 1]);
        let mut padded = array::ArrayBuffer::filled(&[4, 7], &Scalar::of(-1i16));
        let mut places = [
            array::Placement { into: &mut column, at: vec![0, 0] },
            array::Placement { into: &mut padded, at: vec![1, 2] },
        ];
        fetched.decode(&mut places).expect("decodes");
        assert_eq!(column.freeze().expect("numbers"), whole.slice(&regions[0]).expect("within"));
        let padded = padded.freeze().expect("numbers");
        let inside = padded.slice(&Region::new([1..3, 2..7])).expect("within");
        assert_eq!(inside, whole.slice(&regions[1]).expect("within"));
        assert_eq!(padded.scalar(0).expect("there"), Scalar::of(-1i16));
    }
}

#[test]
fn every_unit_can_be_checked() {
    let store = "memory://reading-units";
    let whole = elements(DType::Int16, &[6, 5]);
    let layout = layout(
        ZarrFormat::V3,
        &[2, 2],
        Some(&[4, 4]),
        Codec::Zstd { level: 1, has_checksum: false },
    );
    write(store, &variable("v", DType::Int16, &[("y", 6), ("x", 5)]), &layout, &whole);
    objects(store).delete("v/c/0/1").expect("deletes");
    put(store, "v/c/1/0", "nonsense");
    let source = open(store);
    let states = source.units().map(|unit| {
        let state = match source.check(&unit).expect("the store answers") {
            UnitState::Sound { encoded_bytes, .. } if encoded_bytes > 0 => "sound",
            UnitState::Missing => "missing",
            UnitState::Damaged(error) => error.place("shard").map_or("?", |_| "damaged"),
            _ => "?",
        };
        format!("{} {state}", unit.key)
    });
    let want = ["v/c/0/0 sound", "v/c/0/1 missing", "v/c/1/0 damaged", "v/c/1/1 sound"];
    assert_eq!(states.collect::<Vec<_>>(), want);
}
