//! What Python reads of ours, and what we read of Python's; runs when `LEVAIN_TEST_PYTHON` names
//! an interpreter that has xarray and zarr.

use std::path::Path;
use std::process::Command;

use array::{AttributeValue, Chunk, DType, Dataset, DatasetSource, Region, Scalar};
use objects::StoreOptions;
use zarr::{CodecChain, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

use super::samples::{DTYPES, at, dataset, elements, fill, open, read, variable};

fn python(arguments: &[&str]) -> Option<String> {
    let python = dataflow::testing::python()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/zarr/interop.py");
    let run = Command::new(python).arg(script).args(arguments).output().expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8(run.stdout).expect("JSON"))
}

fn template() -> Dataset {
    let dimensions = [("y", 5), ("x", 7)];
    let mut variables: Vec<_> =
        DTYPES.iter().map(|dtype| variable(&format!("v_{dtype}"), *dtype, &dimensions)).collect();
    for variable in &mut variables {
        let first = elements(variable.dtype, &[5, 7]).scalar(8).expect("there");
        match variable.dtype {
            DType::Int16 | DType::UInt8 | DType::Float32 => {
                variable.attributes.set("_FillValue", first);
            }
            DType::Float64 => variable.attributes.set("_FillValue", Scalar::of(f64::NAN)),
            _ => {}
        }
    }
    let mut time = variable("y", DType::Int8, &[("y", 5)]);
    time.attributes.set("units", "days since 2001-01-01");
    time.attributes.set("calendar", "360_day");
    variables.push(time);
    variables.push(variable("scalar", DType::Float64, &[]));
    let mut template = dataset(variables);
    template.attributes.set("odd", AttributeValue::Json("{\"a\": [NaN, null]}".into()));
    template
}

/// Writes all types, and lets xarray open the store without an argument and without a warning.
#[track_caller]
fn check(format: ZarrFormat, shard: Option<&[u64]>, codec: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("ours.zarr");
    let store = store.to_str().expect("UTF-8");
    let codec: CodecChain = codec.parse().expect("a codec");
    let template = template();
    let mut layout = ZarrLayout::new(format);
    for variable in template.variables.iter().filter(|variable| variable.shape.len() == 2) {
        let shard_shape = shard.map(<[u64]>::to_vec);
        let own = VariableLayout { chunk_shape: vec![2, 3], shard_shape, codecs: codec.clone() };
        layout = layout.with_variable(&variable.name, own);
    }
    let sink = ZarrSink::create(&at(store), &template, &layout, &StoreOptions::default());
    let sink = sink.expect("a layout that fits");
    for variable in &template.variables {
        let whole = elements(variable.dtype, &variable.shape);
        fill(&*sink.array(&variable.name).expect("there"), &whole);
    }
    sink.finish().expect("writes");
    let out = folder.path().to_str().expect("UTF-8");
    let Some(told) = python(&["read", store, out]) else { return };
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let unstable = |warning: &serde_json::Value| {
        let text = warning.as_str().unwrap_or_default();
        // zarr-python gives this for every array of bytes that it opens.
        text.starts_with("UnstableSpecificationWarning") && text.contains("NullTerminatedBytes")
    };
    let warnings = told["warnings"].as_array().expect("a list");
    assert!(warnings.iter().all(unstable), "{warnings:?}");
    for variable in &template.variables {
        let name = &variable.name;
        let whole = elements(variable.dtype, &variable.shape);
        let read = std::fs::read(folder.path().join(format!("{name}.bin"))).expect("written");
        assert_eq!(read, whole.payload()[..], "{name}");
        let told = &told["variables"][name];
        assert_eq!(told["dims"], serde_json::json!(variable.dimensions), "{name}");
        let masked = match variable.dtype {
            // The element of _FillValue; floats have a NaN besides.
            DType::Float32 => Some(2),
            DType::Int16 | DType::UInt8 | DType::Float16 | DType::Float64 => Some(1),
            // xarray counts the empty text of numpy's own text type as null.
            DType::Complex64 | DType::Complex128 | DType::Text => None,
            _ => Some(0),
        };
        assert!(masked.is_none_or(|count| told["masked"] == count), "{name}: {told}");
    }
}

#[test]
fn xarray_opens_what_we_write() {
    check(ZarrFormat::V2, None, "blosc-zstd:1");
    check(ZarrFormat::V2, None, "zstd:3");
    check(ZarrFormat::V2, None, "gzip:5");
    check(ZarrFormat::V2, None, "none");
    check(ZarrFormat::V3, None, "blosc-zstd:1");
    check(ZarrFormat::V3, None, "zstd:3");
    check(ZarrFormat::V3, None, "gzip:5");
    check(ZarrFormat::V3, None, "none");
    check(ZarrFormat::V3, Some(&[4, 6]), "blosc-zstd:1");
    check(ZarrFormat::V3, Some(&[6, 9]), "zstd:3");
}

/// Every codec by name, with types that it works on: one variable for each chain.
const CHAINS: [(&str, DType); 22] = [
    ("blosc-blosclz:5", DType::Float32),
    ("blosc-lz4:5:shuffle=bitshuffle", DType::Float32),
    ("blosc-lz4hc:5:shuffle=noshuffle", DType::Int16),
    ("blosc-snappy:5", DType::Float64),
    ("blosc-zlib:5", DType::Int64),
    ("zstd:9:checksum=true", DType::Float32),
    ("zlib:5", DType::Text),
    ("bz2:3", DType::Float32),
    ("lz4", DType::UInt8),
    ("crc32+lz4+crc32c", DType::Float32),
    ("adler32", DType::Bytes(5)),
    ("shuffle+zlib:1+fletcher32", DType::Float32),
    ("fletcher32", DType::UInt8),
    ("delta+zstd", DType::UInt16),
    ("delta:int64+shuffle+lz4", DType::Int32),
    ("transpose+zstd", DType::Complex64),
    ("transpose:1,0+quantize:1", DType::Float64),
    ("fixedscaleoffset:scale=2:offset=1:astype=int16+zlib", DType::Float32),
    ("fixedscaleoffset:scale=4:offset=0.5", DType::Float64),
    ("quantize:2+shuffle+bz2", DType::Float32),
    ("bitround:3+blosc-zstd:5", DType::Float16),
    ("bitround:9", DType::Float32),
];

/// Writes every codec, and compares what Python reads of it with what we read of it.
#[track_caller]
fn check_codecs(format: ZarrFormat, shard: Option<&[u64]>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("ours.zarr");
    let store = store.to_str().expect("UTF-8");
    let mut layout = ZarrLayout::new(format);
    let mut variables = Vec::new();
    for (place, (chain, dtype)) in CHAINS.iter().enumerate() {
        let name = format!("v{place}");
        let mut own = variable(&name, *dtype, &[("y", 5), ("x", 7)]);
        if dtype.is_float() {
            own.attributes.set("_FillValue", Scalar::from_float(*dtype, 99.0).expect("a float"));
        }
        variables.push(own);
        let codecs = chain.parse::<CodecChain>().expect("codecs");
        let shard_shape = shard.map(<[u64]>::to_vec);
        let own = VariableLayout { chunk_shape: vec![2, 3], shard_shape, codecs };
        layout = layout.with_variable(&name, own);
    }
    let template = dataset(variables);
    let sink = ZarrSink::create(&at(store), &template, &layout, &StoreOptions::default());
    let sink = sink.expect("a layout that fits");
    for variable in &template.variables {
        let dtype = variable.dtype;
        let number = |n: i32| {
            let number = if n == 12 { 99.0 } else { f64::from(n) * 0.37 - 3.0 };
            Scalar::from_float(dtype, number).expect("a float").bytes().to_vec()
        };
        let whole = if dtype.is_float() {
            let bytes: Vec<u8> = (0..35).flat_map(number).collect();
            Chunk::new(dtype, [5, 7], bytes.into()).expect("35 numbers")
        } else {
            elements(dtype, &[5, 7])
        };
        fill(&*sink.array(&variable.name).expect("there"), &whole);
    }
    sink.finish().expect("writes");
    let source = open(store);
    assert_eq!(source.dataset().warnings, [""; 0]);
    let out = folder.path().to_str().expect("UTF-8");
    let Some(told) = python(&["read", store, out]) else { return };
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    for (variable, (chain, _)) in template.variables.iter().zip(&CHAINS) {
        let name = &variable.name;
        let bytes = std::fs::read(folder.path().join(format!("{name}.bin"))).expect("written");
        let own = read(&source, name, &Region::whole(&[5, 7]));
        assert_eq!(bytes, own.payload()[..], "{chain}");
        if variable.dtype.is_float() {
            assert_eq!(told["variables"][name]["masked"], 1, "{chain}");
        }
    }
}

#[test]
fn python_reads_every_codec() {
    check_codecs(ZarrFormat::V2, None);
    check_codecs(ZarrFormat::V3, None);
    check_codecs(ZarrFormat::V3, Some(&[4, 6]));
}

#[test]
fn we_read_what_zarr_python_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_) = python(&["write", folder.path().to_str().expect("UTF-8")]) else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder.path()).expect("there") {
        let path = entry.expect("there").path();
        if path.extension().is_none_or(|suffix| suffix != "zarr") {
            continue;
        }
        count += 1;
        let source = open(path.to_str().expect("UTF-8"));
        assert_eq!(
            source.dataset().warnings.iter().filter(|w| w.contains("left out")).count(),
            0,
            "{path:?}: {:?}",
            source.dataset().warnings
        );
        let variable = source.dataset().variables.first().expect("one array");
        let want = std::fs::read(path.with_extension("bin")).expect("written");
        let want = Chunk::new(variable.dtype, [5, 7], want.into()).expect("elements");
        let regions =
            [Region::whole(&[5, 7]), Region::new([1..4, 2..7]), Region::new([4..5, 0..1])];
        for region in regions {
            let part = want.slice(&region).expect("within");
            assert_eq!(read(&source, &variable.name, &region), part, "{path:?} {region}");
        }
    }
    assert!(count > 100, "{count} arrays");
}
