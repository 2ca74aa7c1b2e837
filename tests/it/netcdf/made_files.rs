//! Files that only the C library can make: sparse, uneven, big endian, with groups and links.

use std::path::PathBuf;
use std::process::Command;

use dataflow::testing::python;
use tempfile::TempDir;

use super::peer::{ask, compare};
use super::reading::open;

#[test]
fn files_of_the_c_library_are_read_as_it_reads_them() {
    let Some(python) = python() else { return };
    let folder = TempDir::new().expect("a temporary folder");
    let made = Command::new(&python)
        .args(["-W", "ignore", "-c", include_str!("made.py")])
        .arg(folder.path())
        .status()
        .expect("LEVAIN_TEST_PYTHON is an interpreter");
    assert!(made.success(), "the files cannot be made");
    let entries = std::fs::read_dir(folder.path()).expect("the folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut equal = 0;
    let mut differences = Vec::new();
    for (path, told) in files.iter().zip(ask(&python, &files)) {
        let file = open(path).expect("it opens");
        let found = compare(&file, &told, &mut equal);
        differences.extend(found.iter().map(|found| format!("{}: {found}", path.display())));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(equal > 200, "only {equal} variables were compared");
}
