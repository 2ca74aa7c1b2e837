//! Real files and golden vectors that lie beside the project, not in it.

use std::path::{Path, PathBuf};

/// The path of a file or folder of `LEVAIN_SHARED`, or `None` after saying that the test skips.
///
/// The default is the folder `shared` beside the project's root. `relative` is for example
/// `golden/cf_time_decode.json` or `data/xarray-data/tiny.nc`.
///
/// # Panics
/// If `LEVAIN_SHARED_REQUIRED` is set and there is no such file: CI sets it, so that nothing skips.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where data lies")]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub fn shared_file(relative: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var("LEVAIN_SHARED").map_or(beside, PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("LEVAIN_SHARED_REQUIRED").is_err(), "{} is missing", path.display());
    eprintln!("skipped: there is no {} (set LEVAIN_SHARED)", path.display());
    None
}
