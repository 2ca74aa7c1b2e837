//! What was written is what is read: all types, codecs and both formats.

use array::{Chunk, DType, Region, Scalar};
use zarr::{Codec, CodecChain, ZarrFormat};

use super::samples::{DTYPES, contents, elements, layout, open, read, variable, write};

const SHAPE: [(&str, u64); 2] = [("y", 5), ("x", 7)];

/// Writes every type and reads it back, whole and in part; twice, with the same bytes.
#[track_caller]
fn check(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codec: &str) {
    let codec: CodecChain = codec.parse().expect("a codec");
    let layout = layout(format, &[2, 3], shard, codec.clone());
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

/// Codecs that every type can have.
const OF_BYTES: [&str; 12] = [
    "blosc-zstd:1",
    "blosc-lz4:5:shuffle=bitshuffle",
    "blosc-blosclz:9:shuffle=noshuffle",
    "zstd:3:checksum=true",
    "gzip:5",
    "zlib:9",
    "bz2:1",
    "lz4",
    "shuffle+zlib:1+fletcher32",
    "crc32+lz4+crc32c",
    "adler32",
    "none",
];

#[test]
fn version_2() {
    for codec in OF_BYTES {
        check("v2", ZarrFormat::V2, None, codec);
    }
}

#[test]
fn version_3() {
    for codec in OF_BYTES {
        check("v3", ZarrFormat::V3, None, codec);
    }
}

#[test]
fn version_3_in_shards() {
    for codec in ["blosc-zstd:1", "zstd:3", "gzip:5", "none"] {
        check("sharded", ZarrFormat::V3, Some(&[4, 6]), codec);
    }
}

/// Writes integers and floats, and reads them back bit for bit.
#[track_caller]
fn check_filters(name: &str, format: ZarrFormat, shard: Option<&[u64]>, codecs: &str) {
    let layout = layout(format, &[2, 3], shard, codecs.parse::<CodecChain>().expect("codecs"));
    let dtype = if codecs.contains("delta") { DType::UInt16 } else { DType::Float32 };
    let numbers: Vec<f32> = (0..35u8).map(|n| f32::from(n % 7) * 0.5).collect();
    let whole = match dtype {
        DType::UInt16 => elements(dtype, &[5, 7]),
        _ => Chunk::of([5, 7], &numbers).expect("35 numbers"),
    };
    let store = format!("memory://roundtrip-filters-{name}-{codecs}");
    let mut own = variable("v", dtype, &SHAPE);
    own.attributes.set("_FillValue", Scalar::zero(dtype));
    write(&store, &own, &layout, &whole);
    let source = open(&store);
    for region in [Region::whole(&[5, 7]), Region::new([1..4, 2..7])] {
        let want = whole.slice(&region).expect("within");
        assert_eq!(read(&source, "v", &region), want, "{codecs} {region}");
    }
}

#[test]
fn filters_that_lose_nothing_here() {
    for codecs in [
        "delta+lz4",
        "delta:int32+zlib:1",
        "transpose+delta",
        "fixedscaleoffset:scale=2:offset=0:astype=int8+zstd",
        "fixedscaleoffset:scale=4:offset=1:astype=float64",
        "quantize:2+shuffle+bz2",
        "bitround:8+blosc-lz4:1",
        "transpose:1,0+bitround:23",
    ] {
        check_filters("v2", ZarrFormat::V2, None, codecs);
        // Who reads version 3 does not agree on what that means.
        if codecs != "transpose+delta" {
            check_filters("v3", ZarrFormat::V3, None, codecs);
            check_filters("sharded", ZarrFormat::V3, Some(&[4, 6]), codecs);
        }
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
