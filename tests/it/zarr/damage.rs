//! Stores that were cut short: every cut is an error that names what was cut.

use array::{DType, DatasetSource, Region};
use dataflow::error::{Error, ErrorCode, Result};
use objects::StoreOptions;
use zarr::{Codec, CodecChain, UnitState, ZarrFormat, ZarrSource};

use super::samples::{at, elements, layout, objects, variable, write};

fn read_all(store: &str) -> Result<()> {
    let source = ZarrSource::open(&at(store), &StoreOptions::default())?;
    let whole = Region::whole(&[4, 6]);
    source.array("v")?.read(&whole)?;
    // Less than a shard, so that its chunks are read by ranges.
    for row in 0..4 {
        source.array("v")?.read(&Region::new([row..row + 1, 0..2]))?;
    }
    Ok(())
}

/// Cuts one object at ten places; every time reading says which object it was.
#[track_caller]
fn check(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codec: &str, key: &str) {
    let store = format!("memory://damage-{name}");
    let codec: CodecChain = codec.parse().expect("a codec");
    let layout = layout(format, &[2, 3], shard, codec);
    let whole = elements(DType::Float32, &[4, 6]);
    write(&store, &variable("v", DType::Float32, &[("y", 4), ("x", 6)]), &layout, &whole);
    read_all(&store).expect("whole");
    let object = objects(&store).get(key).expect("there");
    for tenth in 0..10 {
        let cut = object.slice(..object.len() * tenth / 10);
        objects(&store).put(key, cut).wait().expect("writes");
        let error: Error = read_all(&store).expect_err("cut short");
        assert_eq!(error.code(), ErrorCode::CORRUPT, "{tenth}: {error}");
        let place = error.place("object").unwrap_or_default();
        assert!(place.ends_with(key), "{tenth}: {error}");
        if key.starts_with("v/") {
            let unit = error.place("chunk").or(error.place("shard"));
            assert!(unit.is_some() && error.place("variable") == Some("v"), "{tenth}: {error}");
            check_verified(&store, key);
        }
    }
}

#[track_caller]
fn check_verified(store: &str, key: &str) {
    let source = ZarrSource::open(&at(store), &StoreOptions::default()).expect("opens");
    for unit in source.units() {
        let state = source.check(&unit).expect("the store answers");
        let is_damaged = matches!(state, UnitState::Damaged(_));
        assert_eq!(is_damaged, unit.key == key, "{state:?}");
    }
}

#[test]
fn chunks() {
    for codec in ["blosc-zstd:1", "blosc-lz4:1", "zstd:3", "gzip:5", "none"] {
        check(&format!("v3-{codec}"), ZarrFormat::V3, None, codec, "v/c/1/0");
        check(&format!("v2-{codec}"), ZarrFormat::V2, None, codec, "v/1.0");
    }
}

#[test]
fn shards() {
    for codec in ["blosc-zstd:1", "zstd:3", "none"] {
        check(&format!("shard-{codec}"), ZarrFormat::V3, Some(&[4, 6]), codec, "v/c/0/0");
        check(&format!("shards-{codec}"), ZarrFormat::V3, Some(&[2, 6]), codec, "v/c/1/0");
    }
}

#[test]
fn metadata() {
    check("root", ZarrFormat::V3, None, "zstd:1", "zarr.json");
    check("copy", ZarrFormat::V2, None, "zstd:1", ".zmetadata");
}

#[test]
fn a_flipped_bit_of_an_index_is_found() {
    let store = "memory://damage-flipped";
    let layout = layout(ZarrFormat::V3, &[2, 3], Some(&[4, 6]), Codec::None);
    let whole = elements(DType::Float32, &[4, 6]);
    write(store, &variable("v", DType::Float32, &[("y", 4), ("x", 6)]), &layout, &whole);
    let mut shard = objects(store).get("v/c/0/0").expect("there").to_vec();
    let place = shard.len() - 20;
    shard[place] ^= 1;
    objects(store).put("v/c/0/0", shard.into()).wait().expect("writes");
    let error = read_all(store).expect_err("damaged");
    assert!(error.to_string().contains("checksum"), "{error}");
}

/// Changes every byte of an object in turn: what is read then is right, wrong or an error, and
/// nothing panics.
#[track_caller]
fn check_changed(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codec: &str, key: &str) {
    let store = format!("memory://damage-changed-{name}");
    let codec: CodecChain = codec.parse().expect("a codec");
    let whole = elements(DType::Float32, &[4, 6]);
    let layout = layout(format, &[2, 3], shard, codec);
    write(&store, &variable("v", DType::Float32, &[("y", 4), ("x", 6)]), &layout, &whole);
    let object = objects(&store).get(key).expect("there");
    let mut error_count = 0;
    for place in 0..object.len() {
        for change in [0x01, 0x10, 0x80] {
            let mut changed = object.to_vec();
            changed[place] ^= change;
            objects(&store).put(key, changed.into()).wait().expect("writes");
            error_count += usize::from(read_all(&store).is_err());
        }
    }
    assert!(error_count > object.len() / 2, "{error_count} errors of {} bytes", object.len());
}

#[test]
fn no_changed_byte_makes_us_panic() {
    check_changed("v3", ZarrFormat::V3, None, "zstd:1", "zarr.json");
    check_changed("sharded", ZarrFormat::V3, Some(&[4, 6]), "zstd:1", "zarr.json");
    check_changed("v2", ZarrFormat::V2, None, "zstd:1", ".zmetadata");
    check_changed("index", ZarrFormat::V3, Some(&[4, 6]), "none", "v/c/0/0");
    check_changed("blosc", ZarrFormat::V2, None, "blosc-lz4:5", "v/0.0");
    check_changed("zstd", ZarrFormat::V2, None, "zstd:1", "v/0.0");
    check_changed("gzip", ZarrFormat::V2, None, "gzip:1", "v/0.0");
}
