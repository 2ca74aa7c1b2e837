//! What tests find around them: real files beside the project, Python to compare with, an S3
//! emulator.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The path of a file or folder of `LEVAIN_SHARED`, or `None` after saying that tests skip.
///
/// The default is the folder `shared` beside the project's root. `relative` is for example
/// `golden/cf_time_decode.json` or `data/xarray-data/tiny.nc`.
///
/// # Panics
/// If `LEVAIN_SHARED_REQUIRED` is set and there is no such file: CI sets it, so that nothing skips.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where data lies")]
pub fn shared_file(relative: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var("LEVAIN_SHARED").map_or(beside, PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("LEVAIN_SHARED_REQUIRED").is_err(), "{} is missing", path.display());
    skip("tests on shared files: set LEVAIN_SHARED to their folder");
    None
}

/// The interpreter that `LEVAIN_TEST_PYTHON` names, or `None` after saying that tests skip.
pub fn python() -> Option<PathBuf> {
    let skipped = "tests against Python's readers: set LEVAIN_TEST_PYTHON to an interpreter";
    variable("LEVAIN_TEST_PYTHON", skipped).map(PathBuf::from)
}

/// The address of the S3 emulator that `LEVAIN_TEST_S3_ENDPOINT` names, or `None` after saying
/// that tests skip. It has an empty bucket `levain-test`.
pub fn s3_endpoint() -> Option<String> {
    variable("LEVAIN_TEST_S3_ENDPOINT", "tests on S3: set LEVAIN_TEST_S3_ENDPOINT to an emulator")
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment what there is")]
fn variable(name: &str, skipped: &'static str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        skip(skipped);
    }
    value
}

/// Says once a process which tests skip, where a passing test is heard too.
pub fn skip(which: &'static str) {
    static SAID: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let is_new = SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(which);
    if is_new {
        // What `eprintln` writes is captured and shown for failing tests only.
        drop(writeln!(std::io::stderr(), "skipped: {which}"));
    }
}
