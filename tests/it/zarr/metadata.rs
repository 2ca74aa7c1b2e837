//! The documents of a store, text for text, and what comes back of them.

use array::{AttributeValue, Attributes, DType, DatasetSource, Scalar, Variable};
use objects::StoreOptions;
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use super::samples::{at, dataset, objects, open, variable};

fn described() -> Variable {
    let numbers =
        |values: &[f32]| AttributeValue::Numbers(values.iter().copied().map(Scalar::of).collect());
    let mut t2m = variable("t2m", DType::Int16, &[("time", 4), ("x", 6)]);
    let pairs = [
        ("units", AttributeValue::from("K")),
        ("scale_factor", Scalar::of(0.5f64).into()),
        ("_FillValue", Scalar::of(-999i16).into()),
        ("valid_range", numbers(&[0.0, f32::INFINITY])),
        ("flags", AttributeValue::Texts(vec!["a".into(), "b".into()])),
        ("nothing", AttributeValue::Json("null".into())),
    ];
    t2m.attributes = pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    t2m
}

fn finish(store: &str, format: ZarrFormat, shard_shape: Option<Vec<u64>>) {
    let mut template = dataset(vec![described()]);
    template.attributes.set("title", "a test");
    template.attributes.set("odd", Scalar::of(f64::NAN));
    let own =
        VariableLayout { chunk_shape: vec![2, 3], shard_shape, codecs: CodecChain::default() };
    let layout = ZarrLayout::new(format).with_variable("t2m", own);
    let sink = ZarrSink::create(&at(store), &template, &layout, &StoreOptions::default());
    sink.expect("a layout that fits").finish().expect("writes");
}

#[track_caller]
fn check(store: &str, key: &str, want: &str) {
    let text = objects(store).get(key).expect("written");
    assert_eq!(String::from_utf8_lossy(&text), want.trim());
}

#[test]
fn documents_of_version_2() {
    let store = "memory://metadata-v2";
    finish(store, ZarrFormat::V2, None);
    check(store, "t2m/.zarray", include_str!("expected/v2.zarray.json"));
    check(store, "t2m/.zattrs", include_str!("expected/v2.zattrs.json"));
    check(store, ".zmetadata", include_str!("expected/v2.zmetadata.json"));
    check(store, ".zgroup", "{\n  \"zarr_format\": 2\n}");
}

#[test]
fn documents_of_version_3() {
    let store = "memory://metadata-v3";
    finish(store, ZarrFormat::V3, None);
    check(store, "t2m/zarr.json", include_str!("expected/v3.array.json"));
}

#[test]
fn documents_of_version_3_in_shards() {
    let store = "memory://metadata-v3-sharded";
    finish(store, ZarrFormat::V3, Some(vec![4, 6]));
    check(store, "zarr.json", include_str!("expected/v3.sharded-root.json"));
}

#[test]
fn attributes_come_back() {
    let want = |t2m: Attributes| {
        // JSON knows one type of floats and one of integers, but for _FillValue.
        let widened = |value: &AttributeValue| match value {
            AttributeValue::Numbers(numbers) => AttributeValue::Numbers(
                numbers
                    .iter()
                    .map(|number| number.cast(DType::Float64).expect("a float"))
                    .collect(),
            ),
            other => other.clone(),
        };
        let pairs = t2m.iter().map(|(name, value)| match name {
            "_FillValue" => (name.to_owned(), value.clone()),
            _ => (name.to_owned(), widened(value)),
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    };
    for (format, name) in [(ZarrFormat::V2, "v2"), (ZarrFormat::V3, "v3")] {
        let store = format!("memory://metadata-back-{name}");
        finish(&store, format, None);
        let source = open(&store);
        let read = source.dataset().variable("t2m").expect("there");
        let mut got: Vec<_> =
            read.attributes.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(got, want(described().attributes), "{name}");
        assert_eq!(source.dataset().attributes.text("title"), Some("a test"));
        let odd = source.dataset().attributes.number("odd").and_then(Scalar::as_float);
        assert!(odd.is_some_and(f64::is_nan));
        assert_eq!(read.dimensions, ["time", "x"]);
        assert_eq!(source.dataset().warnings, [""; 0]);
    }
}

#[test]
fn floats_are_filled_with_nan_where_nothing_is_said() {
    for (dtype, want) in [
        (DType::Float32, "\"NaN\""),
        (DType::Int8, "0"),
        (DType::Text, "\"\""),
        (DType::Bool, "false"),
    ] {
        let store = format!("memory://metadata-fill-{dtype}");
        let template = dataset(vec![variable("v", dtype, &[("x", 2)])]);
        for (format, key, want) in
            [(ZarrFormat::V3, "v/zarr.json", want), (ZarrFormat::V2, "v/.zarray", "null")]
        {
            let layout = ZarrLayout::new(format);
            let sink = ZarrSink::create(&at(&store), &template, &layout, &StoreOptions::default());
            sink.expect("fits").finish().expect("writes");
            let text = objects(&store).get(key).expect("written");
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(text.contains(&format!("\"fill_value\": {want}")), "{text}");
        }
    }
}
