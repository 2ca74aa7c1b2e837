//! Every GRIB file of the shared data opens or is refused as foreseen; where an interpreter with
//! ecCodes is at hand, its messages are those that ecCodes reads, and so are those of files that
//! ecCodes makes.

use std::path::{Path, PathBuf};

use array::error::ErrorCode;
use dataflow::testing::shared_file;
use grib::is_grib;

use super::peer::{ask, compare, eccodes, make};
use super::reading::{Folder, open};

/// Files that are refused, with the code and a part of the reason.
const REFUSED: [(&str, ErrorCode, &str); 3] = [
    ("era5-levels-corrupted.grib", ErrorCode::CORRUPT, "the message"),
    ("regular_gg_wrong_increment.grib", ErrorCode::CORRUPT, "64 rows from latitude 87.863799"),
    ("spherical_harmonics.grib", ErrorCode::UNSUPPORTED_FEATURE, "spherical harmonics"),
];

/// Where we differ from ecCodes: file, a part of what differs, why.
const DIFFERENT: [(&str, &str, &str); 1] = [(
    "regular_ll_wrong_increment.grib",
    "theirs Some([90.0, 88.0, 86.0, 84.0])",
    "37 rows from 90 to -90 with a step of 2: they believe the step, we the first and last row",
)];

fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["cfgrib-tests", "kerchunk-tests", "xarray-data"] {
        let Some(folder) = shared_file("data").map(|data| data.join(folder)) else { continue };
        for entry in std::fs::read_dir(folder).expect("a folder of shared data") {
            let path = entry.expect("an entry of it").path();
            if path.is_file() && is_grib(&std::fs::read(&path).expect("a file of it")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn refusal(path: &Path) -> Option<(ErrorCode, &'static str)> {
    let refused = REFUSED.iter().find(|(name, ..)| path.ends_with(name));
    refused.map(|(_, code, words)| (*code, *words))
}

#[test]
fn every_file_opens_or_is_refused_as_foreseen() {
    let mut surprises = Vec::new();
    for path in files() {
        match (open(&path), refusal(&path)) {
            (Ok(_), None) => {}
            (Err(error), Some((code, words))) => {
                if error.code() != code || !error.message().contains(words) {
                    surprises.push(format!("{}: {error}", path.display()));
                }
            }
            (Ok(_), Some((code, _))) => {
                surprises.push(format!("{}: opens, not {code}", path.display()));
            }
            (Err(error), None) => surprises.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn messages_of_shared_files_are_those_of_eccodes() {
    let Some(python) = eccodes() else { return };
    let files: Vec<PathBuf> = files().into_iter().filter(|path| refusal(path).is_none()).collect();
    check(&python, &files);
}

#[test]
fn messages_of_made_files_are_those_of_eccodes() {
    let Some(python) = eccodes() else { return };
    let folder = Folder::new();
    let files = make(&python, folder.path());
    assert!(files.len() > 100, "{} files", files.len());
    check(&python, &files);
}

#[track_caller]
fn check(python: &Path, files: &[PathBuf]) {
    let told = ask(python, files);
    assert_eq!(told.len(), files.len());
    let (mut differences, mut equal, mut total) = (Vec::new(), 0, 0);
    for (path, told) in files.iter().zip(&told) {
        total += told["messages"].as_array().map_or(0, Vec::len);
        assert!(told.get("refused").is_none(), "{}: {}", path.display(), told["refused"]);
        match open(path) {
            Ok(file) => {
                let mut found = compare(&file, told, &mut equal);
                let is_known = |difference: &String| {
                    DIFFERENT
                        .iter()
                        .any(|(name, part, _)| path.ends_with(name) && difference.contains(part))
                };
                let count = found.len();
                found.retain(|difference| !is_known(difference));
                equal += count - found.len();
                let found = found.iter().take(4);
                differences.extend(found.map(|it| format!("{}: {it}", path.display())));
            }
            Err(error) => differences.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
    assert_eq!(equal, total);
}
