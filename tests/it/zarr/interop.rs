//! What Python reads of ours, and what we read of Python's; runs when `LEVAIN_TEST_PYTHON` names
//! an interpreter that has xarray and zarr.

use std::path::Path;
use std::process::Command;

use array::{AttributeValue, Chunk, DType, Dataset, DatasetSource, Region, Scalar};
use objects::StoreOptions;
use zarr::{Codec, VariableLayout, ZarrFormat, ZarrLayout, ZarrSink};

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
    let codec: Codec = codec.parse().expect("a codec");
    let template = template();
    let mut layout = ZarrLayout::new(format);
    for variable in template.variables.iter().filter(|variable| variable.shape.len() == 2) {
        let shard_shape = shard.map(<[u64]>::to_vec);
        let own = VariableLayout { chunk_shape: vec![2, 3], shard_shape, codec };
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
    assert!(count > 50, "{count} arrays");
}
