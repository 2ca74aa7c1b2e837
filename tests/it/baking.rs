//! Baking in tests: files in, the store or the refusal out.

use levain::bake::{BakeOptions, StaticPolicy};
use levain::dataflow::error::{Error, ErrorCode};
use levain::job::{Bake, BakeReport};

use crate::made::{Baked, Folder, Made};

fn bake(folder: &Folder, files: &[Made], options: BakeOptions) -> Result<BakeReport, Error> {
    let sources = folder.put_all(files);
    Bake::new(sources, &folder.text("out.zarr"))?.with_options(options).run()
}

/// Bakes these files, which are `0.nc`, `1.nc`...; the store and the warnings.
#[track_caller]
pub(crate) fn baked(files: &[Made], options: BakeOptions) -> (Folder, Baked, Vec<String>) {
    let folder = Folder::new();
    let report = bake(&folder, files, options).expect("one store");
    let store = Baked::open(&folder.text("out.zarr"));
    (folder, store, report.plan.warnings)
}

/// Bakes these files, which must be refused with this code, say these words and leave nothing.
#[track_caller]
pub(crate) fn refused(files: &[Made], options: BakeOptions, code: ErrorCode, words: &[&str]) {
    let folder = Folder::new();
    let error = bake(&folder, files, options).map(drop).expect_err("a refusal");
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is not in\n{error}");
    }
    assert!(!folder.path("out.zarr").exists(), "something is left of the store");
    assert!(!folder.path("out.zarr.levain").exists(), "something is left of the run");
}

/// What is asked for when nothing is.
pub(crate) fn plain() -> BakeOptions {
    BakeOptions::default()
}

/// A policy for variables without the concat dimension.
pub(crate) fn with_statics(statics: StaticPolicy) -> BakeOptions {
    BakeOptions { statics, ..plain() }
}

/// Some variables only.
pub(crate) fn choosing(names: &[&str]) -> BakeOptions {
    BakeOptions { variables: names.iter().map(|&name| name.to_owned()).collect(), ..plain() }
}

/// Another dimension than the one that offers itself.
pub(crate) fn along(dimension: &str) -> BakeOptions {
    BakeOptions { concat: Some(dimension.to_owned()), ..plain() }
}
