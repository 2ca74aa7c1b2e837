//! Chunks as they lie in a file: where they are, and how they are encoded.

use array::DatasetSource;
use netcdf_writer::NcWriteFormat;

use super::reading::{open, read};
use super::samples::sample;

/// The chunks of a variable, each read as the bytes where it is said to lie.
#[track_caller]
fn check(format: NcWriteFormat, variable: &str, chunk_shape: &[u64], codecs: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sample.nc");
    std::fs::write(&path, sample(format)).expect("a file");
    let file = open(&path).expect("readable");
    let encoded = file.array(variable).expect("there").encoded().expect("no texts");
    let facts = encoded.facts();
    let found: Vec<&str> = facts.codecs.iter().map(|codec| codec.id.as_str()).collect();
    assert_eq!((&facts.chunk_shape[..], &found[..]), (chunk_shape, codecs));
    let grid = facts.grid();
    let wanted: Vec<Vec<u64>> =
        (0..grid.chunk_count()).map(|linear| grid.index_of(linear)).collect();
    let fetched = encoded.fetch_encoded(&wanted).expect("within").wait().expect("there");
    let mut all = Vec::new();
    for (index, chunk) in wanted.iter().zip(fetched) {
        let place = encoded.location(index).expect("within").expect("written");
        assert_eq!(place.range.url, path.to_str().expect("UTF-8"));
        let start = place.range.offset as usize;
        let bytes = &sample(format)[start..start + place.range.length as usize];
        assert_eq!(chunk.expect("written").bytes, bytes, "{index:?}");
        all.extend_from_slice(bytes);
    }
    if codecs.is_empty() {
        let values = read(&file, variable).expect("reads");
        let item = values.dtype().item_bytes().expect("numbers");
        if facts.is_big_endian {
            all.chunks_exact_mut(item).for_each(<[u8]>::reverse);
        }
        assert_eq!(all, values.payload()[..]);
    }
    all
}

#[test]
fn what_lies_as_it_is_comes_in_pieces_or_in_records() {
    check(NcWriteFormat::Classic, "fixed_int32", &[5, 9], &[]);
    check(NcWriteFormat::Classic, "record_float32", &[1, 5], &[]);
    check(NcWriteFormat::Cdf5, "record_int64", &[1, 5], &[]);
    check(NcWriteFormat::Nc4, "fixed_float64", &[5, 9], &[]);
}

#[test]
fn chunks_of_hdf5_have_filters() {
    let filters = ["shuffle", "zlib", "fletcher32"];
    let bytes = check(NcWriteFormat::Nc4, "chunked_int32", &[2, 3, 5], &filters);
    assert!(!bytes.is_empty());
}
