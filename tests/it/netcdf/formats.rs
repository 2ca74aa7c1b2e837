//! What is written in any format is read as it was written.

use array::error::ErrorCode;
use array::{AttributeValue, DType, Dataset, DatasetSource, Native, Scalar};
use netcdf::NetcdfFile;
use netcdf_writer::{NcFileBuilder, NcWriteFormat, NcWriteOptions};

use super::reading::read;
use super::samples::{
    COLUMNS, FORMATS, Folder, NAMES, ROWS, STEPS, has_wide_types, is_hdf5, natural, sample, value,
};

#[track_caller]
fn check<T: Native + PartialEq + std::fmt::Debug>(
    file: &NetcdfFile,
    name: &str,
    of: impl Fn(usize) -> T,
) {
    let shapes: [(&str, &[usize]); 3] = [
        ("fixed", &[ROWS, COLUMNS]),
        ("record", &[STEPS, ROWS]),
        ("chunked", &[STEPS, ROWS, COLUMNS]),
    ];
    for (kind, shape) in shapes {
        let name = format!("{kind}_{name}");
        let Some(variable) = file.dataset().variable(&name) else {
            assert_eq!(kind, "chunked", "{name} is missing");
            continue;
        };
        let shape: Vec<u64> = shape.iter().map(|&length| length as u64).collect();
        assert_eq!((variable.dtype, &variable.shape), (T::DTYPE, &shape), "{name}");
        assert_eq!(variable.attributes.text("units"), Some(format!("units of {name}").as_str()));
        let got = read(file, &name).expect("it can be read").values::<T>().expect("its type");
        let want: Vec<T> = (0..got.len()).map(&of).collect();
        assert_eq!(got, want, "{name}");
    }
}

fn dimensions(dataset: &Dataset) -> Vec<(&str, u64, bool)> {
    dataset.dimensions.iter().map(|d| (d.name.as_str(), d.length, d.is_unlimited)).collect()
}

#[test]
fn all_types_of_all_formats_come_back() {
    for format in FORMATS {
        let folder = Folder::new();
        let file = folder.open(sample(format)).expect("it opens");
        assert_eq!(file.dataset().warnings, [""; 0]);
        check(&file, "int8", |place| value(place) as i8);
        check(&file, "int16", |place| value(place) as i16 * 100);
        check(&file, "int32", |place| value(place) as i32 * 1_000_000);
        check(&file, "float32", |place| value(place) as f32 * 0.5);
        check(&file, "float64", |place| value(place) as f64 * 1e-3);
        if has_wide_types(format) {
            check(&file, "uint8", |place| natural(place) as u8);
            check(&file, "uint16", |place| natural(place) as u16 * 300);
            check(&file, "uint32", |place| natural(place) as u32 * 20_000_000);
            check(&file, "int64", |place| value(place) * 10_000_000_000);
            check(&file, "uint64", |place| natural(place) * 90_000_000_000_000_000);
        }
        assert_eq!(read(&file, "scalar").expect("it").values::<f64>().expect("f64"), [2.5]);
    }
}

#[test]
fn dimensions_and_attributes_are_those_of_the_file() {
    for format in FORMATS {
        let folder = Folder::new();
        let file = folder.open(sample(format)).expect("it opens");
        let dataset = file.dataset();
        let want = [
            ("time", STEPS as u64, true),
            ("row", ROWS as u64, false),
            ("column", COLUMNS as u64, false),
            ("name_length", 4, false),
        ];
        assert_eq!(dimensions(dataset), want, "{format:?}");
        let names: Vec<&str> = dataset.attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["title", "levels"]);
        assert_eq!(dataset.attributes.text("title"), Some("Grüße"));
        let levels = [1, -2, 3].map(|level: i32| Scalar::of(level)).to_vec();
        assert_eq!(dataset.attributes.get("levels"), Some(&AttributeValue::Numbers(levels)));
        // HDF5 written without an order of creation is listed by name, as the C library does it.
        let first = if is_hdf5(format) { "chunked_float32" } else { "fixed_int8" };
        assert_eq!(dataset.variables[0].name, first);
        let record = dataset.variable("record_int8").expect("it is there");
        assert_eq!(record.dimensions, ["time", "row"]);
    }
}

#[test]
fn characters_are_joined_along_their_last_dimension() {
    for format in FORMATS {
        let folder = Folder::new();
        let file = folder.open(sample(format)).expect("it opens");
        let names = file.dataset().variable("names").expect("it is there");
        assert_eq!(
            (names.dtype, &names.dimensions[..]),
            (DType::Bytes(4), &["row".to_owned()][..])
        );
        let want: Vec<u8> =
            NAMES.iter().flat_map(|name| format!("{name:\0<4}").into_bytes()).collect();
        assert_eq!(read(&file, "names").expect("it").payload(), &want);
    }
}

#[test]
fn texts_of_any_length_are_texts() {
    let folder = Folder::new();
    let file = folder.open(sample(NcWriteFormat::Nc4)).expect("it opens");
    let texts = read(&file, "texts").expect("it");
    assert_eq!(texts.texts().expect("texts"), NAMES);
}

#[test]
fn what_was_never_written_is_the_fill_value() {
    let mut builder = NcFileBuilder::new();
    let row = builder.add_dimension("row", 4).expect("a dimension");
    for (name, chunk_shape) in [("in_one_piece", None), ("in_chunks", Some([3]))] {
        let variable = builder.add_variable::<i16>(name, &[row]).expect("a variable");
        builder.set_variable_fill_value(variable, -9i16).expect("a fill value");
        if let Some(chunk_shape) = chunk_shape {
            builder.set_variable_chunking(variable, chunk_shape).expect("chunks");
        }
    }
    let options = NcWriteOptions { format: NcWriteFormat::Nc4 };
    let folder = Folder::new();
    let file = folder.open(&builder.to_vec(options).expect("a file").1).expect("it opens");
    for name in ["in_one_piece", "in_chunks"] {
        assert_eq!(file.array(name).expect("it").facts().fill, Scalar::of(-9i16));
        assert_eq!(read(&file, name).expect("it").values::<i16>().expect("i16"), [-9; 4]);
    }
}

#[test]
fn records_are_counted_where_the_writer_never_said_how_many() {
    let mut bytes = sample(NcWriteFormat::Classic).to_vec();
    bytes[4..8].fill(0xFF);
    let file = Folder::new().open(&bytes).expect("it opens");
    assert_eq!(file.dataset().dimensions[0].length, STEPS as u64);
}

#[test]
fn files_too_large_to_be_held_are_read_by_ranges() {
    for format in FORMATS {
        let mut bytes = sample(format).to_vec();
        // What follows the last element is nobody's.
        bytes.resize(5 << 20, 0);
        let (folder, small) = (Folder::new(), Folder::new());
        let file = folder.open(&bytes).expect("it opens");
        let held = small.open(sample(format)).expect("it opens");
        assert_eq!(file.dataset(), held.dataset());
        for variable in &file.dataset().variables {
            let got = read(&file, &variable.name).expect("it can be read");
            assert_eq!(Ok(got), read(&held, &variable.name), "{format:?}: {}", variable.name);
        }
    }
}

#[test]
fn facts_say_what_costs_what() {
    for format in FORMATS {
        let folder = Folder::new();
        let file = folder.open(sample(format)).expect("it opens");
        let fixed = file.array("fixed_int32").expect("it");
        assert!(fixed.facts().is_random_access && fixed.facts().codecs.is_empty());
        assert_eq!(fixed.facts().encoded_ratio, 1.0);
        if is_hdf5(format) {
            let chunked = file.array("chunked_float64").expect("it");
            let facts = chunked.facts();
            assert!(!facts.is_random_access);
            assert_eq!(facts.codecs, ["shuffle", "deflate", "fletcher32"]);
            assert_eq!(facts.grid.counts(), [4, 2, 2]);
            assert!(facts.encoded_ratio > 0.0 && facts.encoded_ratio != 1.0);
            let variable = file.dataset().variable("chunked_float64").expect("it");
            assert_eq!(variable.storage.chunk_shape, Some(vec![2, 3, 5]));
        }
    }
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let folder = Folder::new();
    let file = folder.open(sample(NcWriteFormat::Classic)).expect("it opens");
    let error = file.array("fixed_int9").expect_err("there is none");
    assert_eq!(error.code(), ErrorCode::UNKNOWN_VARIABLE);
    assert!(error.advice().expect("names").contains("fixed_int8"));
    assert!(error.place("file").expect("the file").ends_with("sample.bin"));
}

#[test]
fn another_format_is_refused_by_content() {
    let folder = Folder::new();
    for bytes in [&b"GRIB and more of it"[..], b"", b"CDF\x07 that nobody knows"] {
        let error = folder.open(bytes).expect_err("not NetCDF");
        assert_eq!(error.code(), ErrorCode::UNKNOWN_FORMAT, "{error}");
    }
}
