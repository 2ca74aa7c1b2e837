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

/// The interpreter with Apache Beam that `LEVAIN_TEST_BEAM_PYTHON` names, or `None` after saying that
/// tests skip.
pub fn beam_python() -> Option<PathBuf> {
    let skipped = "tests on Beam's runners: set LEVAIN_TEST_BEAM_PYTHON to Python with apache-beam";
    variable("LEVAIN_TEST_BEAM_PYTHON", skipped).map(PathBuf::from)
}

/// Where the job server of a runner of Beam lies, as `LEVAIN_TEST_BEAM_FLINK`, `_SPARK` (folders of
/// jars) or `_PRISM` (a program) name it, or `None` after saying which tests skip.
pub fn beam_server(runner: &str) -> Option<PathBuf> {
    let (name, skipped) = match runner {
        "flink" => ("LEVAIN_TEST_BEAM_FLINK", "tests on Flink: set LEVAIN_TEST_BEAM_FLINK to jars"),
        "spark" => ("LEVAIN_TEST_BEAM_SPARK", "tests on Spark: set LEVAIN_TEST_BEAM_SPARK to jars"),
        _ => ("LEVAIN_TEST_BEAM_PRISM", "tests on Prism: set LEVAIN_TEST_BEAM_PRISM to a program"),
    };
    variable(name, skipped).map(PathBuf::from)
}

/// The rows of the conformance suite that `LEVAIN_TEST_BEAM_ROWS` names, with commas between; all
/// where it names none.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment what to run")]
pub fn beam_rows() -> Option<Vec<String>> {
    let rows = std::env::var("LEVAIN_TEST_BEAM_ROWS").ok()?;
    Some(rows.split(',').map(|id| id.trim().to_owned()).collect())
}

/// The address of the S3 emulator that `LEVAIN_TEST_S3_ENDPOINT` names, or `None` after saying
/// that tests skip. It has an empty bucket `levain-test`.
pub fn s3_endpoint() -> Option<String> {
    variable("LEVAIN_TEST_S3_ENDPOINT", "tests on S3: set LEVAIN_TEST_S3_ENDPOINT to an emulator")
}

/// The S3 servers that `LEVAIN_TEST_MINISTACK` and `LEVAIN_TEST_MOTO` name: the variable and the
/// address of each that there is, after saying which tests skip. Each has a bucket `levain-test`.
///
/// # Panics
/// If `LEVAIN_SERVERS_REQUIRED` is set and one of them is missing.
pub fn s3_servers() -> Vec<(&'static str, String)> {
    let names = [
        ("LEVAIN_TEST_MINISTACK", "tests on MiniStack: set LEVAIN_TEST_MINISTACK to its address"),
        ("LEVAIN_TEST_MOTO", "tests on moto: set LEVAIN_TEST_MOTO to its address"),
    ];
    let found = names.into_iter().filter_map(|(name, skipped)| {
        let address = variable(name, skipped);
        assert!(address.is_some() || !are_servers_required(), "{name} is not set");
        Some((name, address?))
    });
    found.collect()
}

/// The program that an example of `runners/batch` is built to, or `None` after saying that tests
/// skip: `batch-emulator` or `store-faults`.
///
/// # Panics
/// If `LEVAIN_SERVERS_REQUIRED` is set and it is missing.
pub fn batch_program(name: &str) -> Option<PathBuf> {
    // Tests lie in `deps`, beside `examples`.
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.parent()?.join("examples").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(!are_servers_required(), "{} is missing", path.display());
    skip("tests with servers of our own: run `cargo build -p levain-batch --examples` first");
    None
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment what must be there"
)]
fn are_servers_required() -> bool {
    std::env::var("LEVAIN_SERVERS_REQUIRED").is_ok()
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
