use array::{AttributeValue, DType};
use serde_json::json;

use super::*;
use crate::element::Wire;

fn v2_array() -> Value {
    json!({
        "shape": [10, 20], "chunks": [4, 20], "dtype": ">i2", "fill_value": -9, "order": "F",
        "filters": [{"id": "shuffle", "elementsize": 2}], "compressor": {"id": "zlib", "level": 1},
        "zarr_format": 2
    })
}

fn v3_array() -> Value {
    json!({
        "shape": [10, 20], "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 20]}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": "NaN",
        "codecs": [{"name": "bytes", "configuration": {"endian": "big"}}, "crc32c"],
        "attributes": {"_FillValue": "AAAAAAA4j8A=", "units": "K"}, "dimension_names": ["t", null],
        "zarr_format": 3, "node_type": "array"
    })
}

fn sharded() -> Value {
    let mut array = v3_array();
    array["codecs"] = json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [2, 10], "codecs": [{"name": "bytes"}, {"name": "zstd"}],
        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}], "index_location": "start"
    }}]);
    array
}

/// Changes one field, and says what becomes of the array.
#[track_caller]
fn check(mut array: Value, pointer: &str, value: Value, says: &str) {
    *array.pointer_mut(pointer).expect("the field is there") = value;
    let header = match array["zarr_format"].as_u64() {
        Some(2) => header_of_v2(&array, &Map::new()),
        _ => header_of_v3(&array),
    };
    let error = header.expect_err("refused");
    assert!(error.message().contains(says), "{error}");
}

#[test]
fn an_array_of_version_2() {
    let attributes = json!({"_ARRAY_DIMENSIONS": ["y", "x"], "a": 1});
    let attributes = attributes.as_object().expect("an object");
    let header = header_of_v2(&v2_array(), attributes).expect("understood");
    let wire = Wire::Fixed { item_bytes: 2, swap_bytes: 2 };
    assert_eq!((header.chain.element.dtype, header.chain.element.wire), (DType::Int16, wire));
    assert_eq!(header.chain.order, Some(vec![1, 0]));
    assert_eq!(header.codec_names, ["shuffle", "zlib"]);
    assert_eq!(header.dimension_names, Some(vec![Some("y".into()), Some("x".into())]));
    assert_eq!(header.attributes.number("_FillValue"), Some(&Scalar::of(-9i16)));
    assert_eq!((header.attributes.len(), header.keys.key(&[1, 0]).as_str()), (2, "1.0"));
}

#[test]
fn an_array_of_version_3() {
    let header = header_of_v3(&v3_array()).expect("understood");
    assert_eq!(header.fill.as_ref().and_then(Scalar::as_float).map(f64::is_nan), Some(true));
    assert_eq!(header.attributes.number("_FillValue"), Some(&Scalar::of(-999.0f32)));
    assert_eq!(header.attributes.get("units"), Some(&AttributeValue::from("K")));
    assert_eq!(header.dimension_names, Some(vec![Some("t".into()), None]));
    assert_eq!((header.keys.key(&[1, 0]).as_str(), header.keys.key(&[]).as_str()), ("c/1/0", "c"));
}

#[test]
fn a_sharded_array() {
    let header = header_of_v3(&sharded()).expect("understood");
    let sharding = header.sharding.as_ref().expect("sharded");
    assert_eq!((sharding.counts.as_slice(), sharding.is_index_first), (&[2, 2][..], true));
    assert_eq!((header.unit_shape(), header.chain.shape.as_slice()), (&[4, 20][..], &[2, 10][..]));
    assert_eq!(header.codec_names, ["sharding_indexed", "bytes", "zstd"]);
}

#[test]
fn dates_are_integers_with_units() {
    let mut array = v2_array();
    array["dtype"] = json!("<M8[s]");
    array["fill_value"] = json!("NaT");
    let header = header_of_v2(&array, &Map::new()).expect("understood");
    assert_eq!(header.attributes.text("units"), Some("seconds since 1970-01-01"));
    assert_eq!(header.attributes.text("calendar"), Some("proleptic_gregorian"));
    assert_eq!(header.attributes.number("_FillValue"), Some(&Scalar::of(i64::MIN)));
}

#[test]
fn version_2_masks_texts_only_by_a_text() {
    let mut array = v2_array();
    (array["dtype"], array["filters"]) = (json!("|O"), json!([{"id": "vlen-utf8"}]));
    for (fill, want) in [(json!(0), None), (json!(""), Some("")), (Value::Null, None)] {
        array["fill_value"] = fill;
        let header = header_of_v2(&array, &Map::new()).expect("understood");
        assert_eq!(header.attributes.text("_FillValue"), want);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    check(v2_array(), "/dtype", json!([["a", "<i4"]]), "[\"a\",\"<i4\"]");
    check(v2_array(), "/dtype", json!("|O"), "data type \"|O\"");
    check(v2_array(), "/compressor", json!({"id": "pcodec"}), "codec `pcodec`");
    check(v2_array(), "/filters", json!([{"id": "delta", "dtype": "<i4"}]), "filter `delta`");
    check(v2_array(), "/order", json!("K"), "order `K`");
    check(v3_array(), "/data_type", json!("float8"), "data type \"float8\"");
    check(v3_array(), "/data_type", json!({"name": "structured"}), "{\"name\":\"structured\"}");
    check(v3_array(), "/chunk_grid", json!({"name": "rectilinear"}), "grid `rectilinear`");
    check(v3_array(), "/codecs", json!(["bytes", "pcodec"]), "codec `pcodec`");
    check(v3_array(), "/codecs", json!(["vlen-utf8"]), "do not fit the data type");
    check(v3_array(), "/chunk_key_encoding", json!({"name": "fanout"}), "keys `fanout`");
    check(sharded(), "/codecs/0/configuration/codecs", sharded()["codecs"].clone(), "in shards");
    check(sharded(), "/codecs/0/configuration/index_codecs", json!(["bytes", "gzip"]), "index");
}

#[test]
fn metadata_that_contradict_themselves_are_refused() {
    check(v2_array(), "/chunks", json!([0, 20]), "chunk of [0, 20]");
    check(v2_array(), "/chunks", json!([4]), "chunk of [4]");
    check(v2_array(), "/chunks", json!([4, "x"]), "`chunks` is no list");
    check(v2_array(), "/shape", json!([u64::MAX, 20]), "too large");
    check(v2_array(), "/chunks", json!([1u64 << 40, 20]), "too large");
    let mut wide = v2_array();
    (wide["fill_value"], wide["chunks"]) = (Value::Null, json!([1u64 << 30, 20]));
    check(wide, "/dtype", json!("<U4294967295"), "too large");
    check(v2_array(), "/fill_value", json!(70000), "70000 is no fill value");
    check(v3_array(), "/fill_value", json!("x"), "no fill value");
    check(v3_array(), "/dimension_names", json!(["t"]), "do not name 2");
    check(v3_array(), "/codecs", json!([]), "no codec makes bytes");
    check(v3_array(), "/codecs", json!([3]), "3 has no name");
    let transpose = json!([{"name": "transpose", "configuration": {"order": [0, 0]}}, "bytes"]);
    check(v3_array(), "/codecs", transpose, "no order of 2 dimensions");
    check(sharded(), "/codecs/0/configuration/chunk_shape", json!([3, 10]), "do not fill");
    check(sharded(), "/codecs/0/configuration/chunk_shape", json!([2]), "do not fill");
}
