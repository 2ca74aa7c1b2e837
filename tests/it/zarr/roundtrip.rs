//! What was written is what is read: all types, codecs and both formats.

use array::{DType, Region};
use zarr::{Codec, ZarrFormat};

use super::samples::{DTYPES, contents, elements, layout, open, read, variable, write};

const SHAPE: [(&str, u64); 2] = [("y", 5), ("x", 7)];

/// Writes every type and reads it back, whole and in part; twice, with the same bytes.
#[track_caller]
fn check(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codec: &str) {
    let codec: Codec = codec.parse().expect("a codec");
    let layout = layout(format, &[2, 3], shard, codec);
    for dtype in DTYPES {
        let whole = elements(dtype, &[5, 7]);
        let stores =
            ["a", "b"].map(|copy| format!("memory://roundtrip-{name}-{codec}-{dtype}-{copy}"));
        for store in &stores {
            write(store, &variable("v", dtype, &SHAPE), &layout, &whole);
        }
        assert_eq!(contents(&stores[0]), contents(&stores[1]), "{dtype}");
        let source = open(&stores[0]);
        for region in [
            Region::whole(&[5, 7]),
            Region::new([1..4, 2..7]),
            Region::new([4..5, 6..7]),
            Region::new([2..2, 0..7]),
        ] {
            let want = whole.slice(&region).expect("within");
            assert_eq!(read(&source, "v", &region), want, "{dtype} {region}");
        }
    }
}

#[test]
fn version_2() {
    for codec in ["blosc-zstd:1", "blosc-lz4:5", "zstd:3", "gzip:5", "none"] {
        check("v2", ZarrFormat::V2, None, codec);
    }
}

#[test]
fn version_3() {
    for codec in ["blosc-zstd:1", "blosc-lz4:5", "zstd:3", "gzip:5", "none"] {
        check("v3", ZarrFormat::V3, None, codec);
    }
}

#[test]
fn version_3_in_shards() {
    for codec in ["blosc-zstd:1", "zstd:3", "gzip:5", "none"] {
        check("sharded", ZarrFormat::V3, Some(&[4, 6]), codec);
    }
}

#[test]
fn a_shard_may_be_larger_than_the_array() {
    check("large", ZarrFormat::V3, Some(&[20, 21]), "zstd:1");
}

#[test]
fn arrays_without_dimensions_and_without_elements() {
    for (format, name) in [(ZarrFormat::V2, "v2"), (ZarrFormat::V3, "v3")] {
        let store = format!("memory://roundtrip-scalar-{name}");
        let one = elements(DType::Float64, &[]);
        write(
            &store,
            &variable("v", DType::Float64, &[]),
            &layout(format, &[], None, Codec::None),
            &one,
        );
        assert_eq!(read(&open(&store), "v", &Region::whole(&[])), one);
        let store = format!("memory://roundtrip-empty-{name}");
        let none = elements(DType::Int32, &[0, 3]);
        let empty = variable("v", DType::Int32, &[("t", 0), ("x", 3)]);
        write(&store, &empty, &layout(format, &[4, 3], None, Codec::default()), &none);
        assert_eq!(read(&open(&store), "v", &Region::whole(&[0, 3])), none);
    }
}
