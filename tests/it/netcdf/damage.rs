//! A damaged file is an error or right data; it is never a panic.

use array::error::{ErrorCode, Result};
use array::{Chunk, DatasetSource, Region};
use netcdf::NetcdfFile;
use netcdf_writer::NcWriteFormat;
use proptest::prelude::*;

use super::reading::read;
use super::samples::{FORMATS, Folder, sample};

/// Elements that are read at most: a damaged shape may announce any number.
const MOST_ELEMENTS: u64 = 1 << 16;

fn read_all(file: &NetcdfFile) -> Vec<(String, Result<Chunk>)> {
    let variables = file.dataset().variables.iter();
    let small = variables.filter(|variable| variable.element_count() <= MOST_ELEMENTS);
    small.map(|variable| (variable.name.clone(), read(file, &variable.name))).collect()
}

/// Ten lengths of a file, from almost none of it to almost all.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..9)
        .map(move |tenth| length * tenth / 9 + 3)
        .chain([length - 1])
        .map(move |at| at.min(length - 1))
}

#[test]
fn a_truncated_file_is_an_error_or_right_data() {
    for format in FORMATS {
        let (folder, bytes) = (Folder::new(), sample(format).to_vec());
        let whole = folder.open(&bytes).expect("it opens");
        let right = read_all(&whole);
        for cut in cuts(bytes.len()) {
            match folder.open(&bytes[..cut]) {
                Err(error) => {
                    let codes = [ErrorCode::CORRUPT, ErrorCode::UNKNOWN_FORMAT];
                    assert!(codes.contains(&error.code()), "{format:?} cut at {cut}: {error}");
                    assert!(error.place("file").is_some(), "{error}");
                }
                Ok(file) => {
                    for (name, chunk) in read_all(&file) {
                        let same = right.iter().find(|(known, _)| *known == name);
                        let same = same.and_then(|(_, chunk)| chunk.as_ref().ok());
                        if let Ok(chunk) = chunk {
                            assert_eq!(Some(&chunk), same, "{format:?} cut at {cut}: {name}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn damage_in_elements_is_named_and_costs_no_other_variable() {
    let (folder, bytes) = (Folder::new(), sample(NcWriteFormat::Nc4).to_vec());
    let file = folder.open(&bytes).expect("it opens");
    let right = read_all(&file);
    let mut chunks_named = 0;
    // Elements of the last third are mostly those of chunks, which are encoded and have checksums.
    for at in (bytes.len() * 2 / 3..bytes.len() - 8).step_by(997) {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].iter_mut().for_each(|byte| *byte ^= 0x55);
        let file = folder.open(&bytes).expect("the root group is whole");
        let changed: Vec<_> =
            read_all(&file).into_iter().filter(|got| !right.contains(got)).collect();
        assert!(changed.len() <= 1, "{at}: {changed:?}");
        for (name, got) in changed {
            let Err(error) = got else { continue };
            assert_eq!(error.code(), ErrorCode::CORRUPT);
            assert_eq!(error.place("variable"), Some(name.as_str()));
            assert!(error.place("file").is_some());
            chunks_named += usize::from(error.place("chunk").is_some());
        }
    }
    assert!(chunks_named > 5, "{chunks_named} errors named a chunk");
}

/// Where `begin` of the variable before this one lies: it is the last field of a variable, and a
/// name has its length in front.
fn begin_before(bytes: &[u8], name: &[u8]) -> usize {
    bytes.windows(name.len()).position(|bytes| bytes == name).expect("a variable") - 8
}

#[test]
fn a_header_that_lies_is_refused_by_the_field() {
    let (folder, bytes) = (Folder::new(), sample(NcWriteFormat::Classic).to_vec());
    let field = begin_before(&bytes, b"record_int8");
    let other = begin_before(&bytes, b"record_int16");
    let other = u32::from_be_bytes(bytes[other..other + 4].try_into().expect("four bytes"));
    let cases: [(u32, &str); 4] = [
        (other - 44, "begin of `fixed_int16` is"),
        (u32::MAX, "begin of variable `fixed_int8` is negative (-1)"),
        (8, "begin of `fixed_int8` is 8, inside of the header"),
        (0x7FFF_0000, "begin or shape of `fixed_int8` its data end beyond the file"),
    ];
    for (begin, want) in cases {
        let mut bytes = bytes.clone();
        bytes[field..field + 4].copy_from_slice(&begin.to_be_bytes());
        let error = folder.open(&bytes).expect_err("it lies");
        assert_eq!(error.code(), ErrorCode::CORRUPT);
        assert!(error.message().contains(want), "{error}");
    }
}

#[test]
fn text_that_is_not_utf8_costs_a_warning_only() {
    for format in FORMATS {
        let (folder, mut bytes) = (Folder::new(), sample(format).to_vec());
        let title = "Grüße".as_bytes();
        let at = bytes.windows(title.len()).position(|w| w == title).expect("the title");
        // The umlaut in ISO 8859-1, and a space in place of its second byte.
        bytes[at + 2..at + 4].copy_from_slice(&[0xFC, b' ']);
        let Ok(file) = folder.open(&bytes) else {
            // Version 2 headers of HDF5 have checksums.
            assert!(matches!(format, NcWriteFormat::Nc4 | NcWriteFormat::Nc4Classic));
            continue;
        };
        let title = file.dataset().attributes.text("title").expect("a text");
        assert!(title.starts_with("Gr\u{fc} "), "{title}");
        let warnings = &file.dataset().warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("`title`") && warnings[0].contains("latin-1"));
    }
}

/// A byte to change, as a share of the file, and what it becomes.
fn changes() -> impl Strategy<Value = Vec<(f64, u8)>> {
    prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..6)
}

fn survives(format: NcWriteFormat, changes: &[(f64, u8)]) {
    let (folder, mut bytes) = (Folder::new(), sample(format).to_vec());
    for &(share, byte) in changes {
        // Squared, so that metadata at the beginning are hit more often than elements.
        let at = (bytes.len() as f64 * share * share) as usize;
        bytes[at] = byte;
    }
    let Ok(file) = folder.open(&bytes) else { return };
    read_all(&file);
    for variable in &file.dataset().variables {
        let last = Region::new(variable.shape.iter().map(|&n| n.saturating_sub(1)..n));
        if let Ok(source) = file.array(&variable.name) {
            drop(source.read(&last));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn changed_bytes_never_panic(changes in changes()) {
        for format in FORMATS {
            survives(format, &changes);
        }
    }
}
