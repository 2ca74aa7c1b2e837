//! What a sink refuses, when a store is there, and what a store that fails leaves.

use array::{AttributeValue, DType, DatasetSource as _, Region, Scalar};
use dataflow::error::ErrorCode;
use objects::{Fault, Faults, StoreOptions};
use zarr::{Codec, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink, ZarrSource};

use super::samples::{at, dataset, elements, fill, layout, objects, variable};

#[track_caller]
fn check(name: &str, layout: &ZarrLayout, code: ErrorCode, says: &str) {
    let store = format!("memory://sinking-{name}");
    let template = dataset(vec![variable("v", DType::Float32, &[("y", 10), ("x", 20)])]);
    let error = ZarrSink::create(&at(&store), &template, layout, &StoreOptions::default())
        .expect_err("refused");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(objects(&store).list("").expect("lists"), []);
}

#[test]
fn chunks_that_do_not_fit_are_refused_before_anything_is_written() {
    let v3 = |chunk: &[u64], shard: Option<&[u64]>| {
        layout(ZarrFormat::V3, chunk, shard, Codec::default())
    };
    let code = ErrorCode::INVALID_CHUNKS;
    check("zero", &v3(&[0, 5], None), code, "no elements along `y`");
    check("rank", &v3(&[5], None), code, "does not have 2 dimensions");
    check("multiple", &v3(&[3, 5], Some(&[10, 20])), code, "take 9 or 12");
    check("smaller", &v3(&[5, 5], Some(&[2, 5])), code, "take 5");
    check("v2", &layout(ZarrFormat::V2, &[5, 5], Some(&[10, 20]), Codec::None), code, "no shards");
    check("blosc", &v3(&[1 << 20, 1 << 20], None), code, "2 GiB");
    let unknown = ZarrLayout::new(ZarrFormat::V3).with_variable(
        "w",
        VariableLayout { chunk_shape: vec![], shard_shape: None, codecs: Codec::None.into() },
    );
    check("unknown", &unknown, ErrorCode::UNKNOWN_VARIABLE, "the variables are: v");
}

#[test]
fn variables_that_no_array_can_be_are_refused() {
    let refused = |variable| {
        let (template, layout) = (dataset(vec![variable]), ZarrLayout::new(ZarrFormat::V3));
        let sink = ZarrSink::create(
            &at("memory://sinking-names"),
            &template,
            &layout,
            &StoreOptions::default(),
        );
        sink.err().map(|error| error.code())
    };
    for name in ["a/b", "..", "__x", "zarr.json"] {
        let code = refused(variable(name, DType::Int8, &[]));
        assert_eq!(code, Some(ErrorCode::INVALID_RECIPE), "{name}");
    }
    let mut masked = variable("v", DType::Int8, &[]);
    masked.attributes.set("_FillValue", Scalar::of(1000i16));
    assert_eq!(refused(masked), Some(ErrorCode::NOT_REPRESENTABLE));
    let mut broken = variable("v", DType::Int8, &[]);
    broken.attributes.set("a", AttributeValue::Json("{".into()));
    assert_eq!(refused(broken), Some(ErrorCode::NOT_REPRESENTABLE));
}

fn is_there(store: &str) -> bool {
    ZarrSource::exists(&at(store), &StoreOptions::default()).expect("answers")
}

#[test]
fn a_store_is_there_when_it_is_finished() {
    for (format, name) in [(ZarrFormat::V2, "v2"), (ZarrFormat::V3, "v3")] {
        let store = format!("memory://sinking-finish-{name}");
        let template = dataset(vec![variable("v", DType::Int16, &[("x", 5)])]);
        let layout = layout(format, &[2], None, Codec::None);
        let sink = ZarrSink::create(&at(&store), &template, &layout, &StoreOptions::default());
        let sink = sink.expect("fits");
        fill(&*sink.array("v").expect("there"), &elements(DType::Int16, &[5]));
        assert!(!is_there(&store));
        let error = ZarrSource::open(&at(&store), &StoreOptions::default()).expect_err("not yet");
        assert_eq!(error.code(), ErrorCode::UNKNOWN_FORMAT);
        let unfinished = sink.unfinished().expect("attributes are JSON");
        sink.finish().expect("writes");
        assert!(is_there(&store));
        let finished = ZarrSource::open(&at(&store), &StoreOptions::default()).expect("is there");
        assert_eq!(unfinished.dataset(), finished.dataset());
        let read = |source: &ZarrSource| {
            let array = source.array("v").expect("there");
            array.read(&Region::whole(&[5])).expect("reads")
        };
        assert_eq!(read(&unfinished), read(&finished));
    }
}

#[test]
fn a_full_store_leaves_nothing_that_can_be_opened() {
    let template = dataset(vec![
        variable("v", DType::Int16, &[("x", 5)]),
        variable("w", DType::Int16, &[("x", 5)]),
    ]);
    // Five writes: three chunks, the metadata of two arrays; the sixth is the root.
    for n in 1..=6 {
        let store = format!("memory://sinking-full-{n}");
        let options = StoreOptions::default().with_faults(Faults::from_put(n, Fault::Full));
        let layout = layout(ZarrFormat::V3, &[2], None, Codec::None);
        let sink = ZarrSink::create(&at(&store), &template, &layout, &options).expect("fits");
        let array = sink.array("v").expect("there");
        let whole = elements(DType::Int16, &[5]);
        let units = &array.facts().units;
        let written = (0..units.chunk_count()).try_for_each(|linear| {
            let index = units.index_of(linear);
            array.write(&index, &whole.slice(&units.region(&index))?)?.wait().map(drop)
        });
        let error = written.and_then(|()| sink.finish()).expect_err("full");
        assert_eq!(error.code(), ErrorCode::STORE_FULL);
        assert!(!is_there(&store));
    }
}

#[test]
fn elements_of_another_shape_or_type_are_refused() {
    let template = dataset(vec![variable("v", DType::Int16, &[("x", 5)])]);
    let layout = layout(ZarrFormat::V3, &[2], None, Codec::None);
    let sink = ZarrSink::create(
        &at("memory://sinking-shape"),
        &template,
        &layout,
        &StoreOptions::default(),
    );
    let array = sink.expect("fits").array("v").expect("there");
    let cases =
        [(DType::Int16, 2, 3), (DType::Int16, 2, 2), (DType::Int8, 2, 0), (DType::Int16, 1, 0)];
    for (dtype, length, index) in cases {
        assert!(
            array.write(&[index], &elements(dtype, &[length])).is_err(),
            "{dtype} {length} {index}"
        );
    }
    assert!(array.write(&[2], &elements(DType::Int16, &[1])).is_ok());
}

#[test]
fn what_was_written_is_told() {
    let store = "memory://sinking-told";
    let template = dataset(vec![variable("v", DType::Int16, &[("x", 5)])]);
    let layout = layout(ZarrFormat::V3, &[5], None, Codec::Zstd { level: 1, has_checksum: false });
    let sink = ZarrSink::create(&at(store), &template, &layout, &StoreOptions::default());
    let array = sink.expect("fits").array("v").expect("there");
    let writing = array.write(&[0], &elements(DType::Int16, &[5])).expect("encodes");
    let (bytes, unit) = (writing.encoded_bytes(), writing.wait().expect("writes"));
    let object = objects(store).get("v/c/0").expect("there");
    assert_eq!((bytes, unit.encoded_bytes), (object.len() as u64, object.len() as u64));
    assert_eq!(unit.crc32c, crc32c::crc32c(&object));
}
