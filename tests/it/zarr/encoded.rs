//! Chunks as they lie in a store: where they are, what is fetched of them, how they are encoded.

use array::{DType, DatasetSource};
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use super::samples::{at, dataset, elements, objects, open, variable};
use objects::StoreOptions;

/// Writes an array of 5 x 7 elements without the chunk [1, 1], and looks at all its chunks.
#[track_caller]
fn check(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codec: &str, codecs: &[&str]) {
    let store = format!("memory://encoded-{name}");
    let template = dataset(vec![variable("v", DType::Int32, &[("y", 5), ("x", 7)])]);
    let codecs_of: CodecChain = codec.parse().expect("codecs");
    let layout = VariableLayout {
        chunk_shape: vec![2, 3],
        shard_shape: shard.map(<[u64]>::to_vec),
        codecs: codecs_of,
    };
    let layout = ZarrLayout::new(format).with_variable("v", layout);
    let sink = ZarrSink::create(&at(&store), &template, &layout, &StoreOptions::default());
    let sink = sink.expect("a layout that fits");
    let all = elements(DType::Int32, &[5, 7]);
    let array = sink.array("v").expect("there");
    let units = array.facts().units.clone();
    for linear in 0..units.chunk_count() {
        let index = units.index_of(linear);
        if shard.is_some() || index != [1, 1] {
            let unit = all.slice(&units.region(&index)).expect("within");
            array.write(&index, &unit).expect("fits").wait().expect("written");
        }
    }
    sink.finish().expect("written");

    let encoded = open(&store).array("v").expect("readable").encoded().expect("no texts");
    let facts = encoded.facts();
    let found: Vec<String> = facts.codecs.iter().map(ToString::to_string).collect();
    assert_eq!(found, codecs);
    assert_eq!((&facts.chunk_shape[..], facts.is_big_endian), (&[2, 3][..], false));
    // In any order, and one of them twice.
    let grid = facts.grid();
    let mut wanted: Vec<Vec<u64>> =
        (0..grid.chunk_count()).rev().map(|linear| grid.index_of(linear)).collect();
    wanted.push(wanted[0].clone());
    let fetched = encoded.fetch_encoded(&wanted).expect("within").wait().expect("there");
    for (index, chunk) in wanted.iter().zip(&fetched) {
        let place = encoded.location(index).expect("within");
        assert_eq!(place.is_some(), chunk.is_some(), "{index:?}");
        let Some((place, chunk)) = place.zip(chunk.as_ref()) else { continue };
        let key = place.range.url.strip_prefix(&format!("{store}/")).expect("in the store");
        let body = objects(&store).get(key).expect("there");
        let (start, length) = (place.range.offset as usize, place.range.length as usize);
        assert_eq!(chunk.bytes, body[start..start + length], "{index:?}");
        assert_eq!((place.left_out, chunk.left_out), (0, 0));
        if codecs.is_empty() && *index == [0, 1] {
            let first = all.slice(&grid.region(index)).expect("within");
            assert_eq!(chunk.bytes, *first.payload());
        }
    }
    let missing = fetched.iter().filter(|chunk| chunk.is_none()).count();
    assert_eq!(missing, usize::from(shard.is_none()));
    assert!(encoded.location(&[3, 0]).is_err());
}

#[test]
fn encoded_chunks_are_ranges_of_objects() {
    check("v2", ZarrFormat::V2, None, "none", &[]);
    let blosc = "blosc:cname=zstd:clevel=1:shuffle=1:blocksize=0";
    check("v3", ZarrFormat::V3, None, "blosc-zstd:1", &[blosc]);
    let filters = ["delta:dtype=<i4:astype=<i4", "zlib:level=5"];
    check("filters", ZarrFormat::V2, None, "delta+zlib:5", &filters);
}

#[test]
fn encoded_chunks_of_shards_are_ranges_of_shards() {
    let shard: &[u64] = &[4, 6];
    check("shards", ZarrFormat::V3, Some(shard), "none", &[]);
    check("zstd", ZarrFormat::V3, Some(shard), "zstd:3", &["zstd:level=3:checksum=false"]);
}

#[test]
fn texts_and_turned_elements_are_not_taken_as_they_are() {
    for (name, dtype, codec, says) in
        [("texts", DType::Text, "none", "texts"), ("turned", DType::Int16, "transpose", "C order")]
    {
        let store = format!("memory://encoded-{name}");
        let template = dataset(vec![variable("v", dtype, &[("y", 5), ("x", 7)])]);
        let codecs: CodecChain = codec.parse().expect("codecs");
        let layout = VariableLayout { chunk_shape: vec![5, 7], shard_shape: None, codecs };
        let layout = ZarrLayout::new(ZarrFormat::V3).with_variable("v", layout);
        let sink = ZarrSink::create(&at(&store), &template, &layout, &StoreOptions::default());
        sink.expect("fits").finish().expect("written");
        let error = open(&store).array("v").expect("there").encoded().expect_err("refused");
        assert!(error.message().contains(says), "{error}");
    }
}
