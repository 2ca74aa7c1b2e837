//! Every NetCDF and HDF5 file of the shared data opens or is refused as foreseen; where an
//! interpreter with netCDF4 is at hand, names, attributes and values are those of the C library.

use std::path::{Path, PathBuf};

use array::DatasetSource;
use array::error::ErrorCode;
use dataflow::testing::{python, shared_file};
use netcdf::{NetcdfFile, is_netcdf};

use super::peer::{ask, compare};
use super::reading::{open, read};

/// Files that are refused, and how.
const REFUSED: [(&str, ErrorCode); 1] = [("nc_test/bad_cdf5_begin.nc", ErrorCode::CORRUPT)];

/// Variables without a type of ours, which the warnings name.
const LEFT_OUT: [(&str, &str); 7] = [
    ("kerchunk-tests/vlen2.h5", "vlen_str"),
    ("h5_test/ref_tst_compounds.nc", "obs"),
    ("h5_test/ref_tst_h_compounds.h5", "obs_var"),
    ("nc_test4/ref_hdf5_compat3.nc", "phony_var"),
    ("nc_test4/ref_tst_compounds.nc", "obs"),
    ("ncdump/ref_tst_compounds2.nc", "phony_compound_var"),
    ("ncdump/ref_tst_compounds3.nc", "var"),
];

/// Where we differ from the C library as Python shows it: file, variable or `attributes`, why.
const DIFFERENT: [(&str, &str, &str); 6] = [
    (
        "nc_test/f03tst_open_mem.nc",
        "var2",
        "never written, no fill value: the C library gives what memory held",
    ),
    ("h5_test/ref_tst_h_compounds2.h5", "attributes", "one is of a compound type"),
    ("ncdump/ref_tst_compounds4.nc", "attributes", "one is of a compound type"),
    (
        "nc_test4/ref_tst_xplatform2_1.nc",
        "attributes",
        "one is of a type that Python cannot show either",
    ),
    (
        "ncdump/ref_nc_test_netcdf4_4_0.nc",
        "attributes",
        "not UTF-8: Python replaces, we read latin-1",
    ),
    ("ncdump/ref_nc_test_netcdf4_4_0.nc", "d", "not UTF-8: Python replaces, we read latin-1"),
];

fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of shared data") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                walk(&path, found);
            } else if is_netcdf(&std::fs::read(&path).expect("a file of it")) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    if let Some(root) = shared_file("data") {
        walk(&root, &mut found);
    }
    found.sort();
    found
}

#[test]
fn every_file_opens_or_is_refused_as_foreseen() {
    let mut surprises = Vec::new();
    for path in files() {
        let refused = REFUSED.iter().find(|(name, _)| path.ends_with(name)).map(|(_, code)| *code);
        match (open(&path), refused) {
            (Ok(file), None) => surprises.extend(unforeseen(&path, &file)),
            (Err(error), Some(code)) if error.code() == code => {}
            (Ok(_), Some(code)) => surprises.push(format!("{}: opens, not {code}", path.display())),
            (Err(error), _) => surprises.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn unforeseen(path: &Path, file: &NetcdfFile) -> Vec<String> {
    let mut found = Vec::new();
    let mut surprise = |name: &str, what: &str| {
        found.push(format!("{}: {name}: {what}", path.display()));
    };
    let dataset = file.dataset();
    for variable in &dataset.variables {
        match read(file, &variable.name) {
            Ok(chunk) if chunk.shape() == variable.shape => {}
            Ok(_) => surprise(&variable.name, "it has another shape"),
            Err(error) => surprise(&variable.name, error.message()),
        }
    }
    let left_out = LEFT_OUT.iter().filter(|(file, _)| path.ends_with(file));
    let left_out: Vec<&str> = left_out.map(|(_, name)| *name).collect();
    for name in &left_out {
        let code = file.array(name).err().map(|error| error.code());
        if code != Some(ErrorCode::UNSUPPORTED_FEATURE) {
            surprise(name, "it is not refused as a feature");
        }
    }
    let is_left_out = |warning: &&String| {
        warning.starts_with("variable `") && warning.contains("` is left out: ")
    };
    if dataset.warnings.iter().filter(is_left_out).count() != left_out.len() {
        surprise("the warnings", &dataset.warnings.join("; "));
    }
    found
}

#[test]
fn names_attributes_and_values_are_those_of_the_c_library() {
    let Some(python) = python() else { return };
    let files = files();
    let told = ask(&python, &files);
    assert_eq!(told.len(), files.len());
    let mut differences = Vec::new();
    let mut equal = 0;
    for (path, told) in files.iter().zip(&told) {
        let Ok(file) = open(path) else { continue };
        if told.get("refused").is_some() {
            println!("{}: the C library refuses it: {}", path.display(), told["refused"]);
            continue;
        }
        let found = compare(&file, told, &mut equal);
        let is_known = |difference: &&String| {
            DIFFERENT.iter().any(|(name, what, _)| {
                path.ends_with(name) && difference.starts_with(&format!("{what}: "))
            })
        };
        let unknown = found.iter().filter(|difference| !is_known(difference));
        differences.extend(unknown.map(|difference| format!("{}: {difference}", path.display())));
    }
    println!("{equal} variables equal");
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}
