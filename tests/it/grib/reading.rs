//! Opens files and reads arrays, as all tests here do.

use std::path::Path;

use array::error::Result;
use array::{Chunk, DType, DatasetSource, Region};
use grib::{GribFile, GribOptions};
use objects::{Location, ObjectFile, StoreOptions};
use tempfile::TempDir;

/// Opens a file of the file system.
pub(crate) fn open(path: &Path) -> Result<GribFile> {
    open_with(path, GribOptions::default())
}

/// Opens a file of the file system, broken ones perhaps.
pub(crate) fn open_with(path: &Path, options: GribOptions) -> Result<GribFile> {
    let location = Location::parse(path.to_str().expect("paths of tests are UTF-8"))?;
    GribFile::open_with(ObjectFile::open(&location, &StoreOptions::default())?, options)
}

/// Reads all elements of a variable.
pub(crate) fn read(file: &GribFile, variable: &str) -> Result<Chunk> {
    let source = file.array(variable)?;
    source.read(&Region::whole(&source.facts().grid.shape()))
}

/// The elements of a variable as numbers.
#[track_caller]
pub(crate) fn numbers(file: &GribFile, variable: &str) -> Vec<f64> {
    let chunk = read(file, variable).expect("elements");
    let number = |place| chunk.scalar(place).expect("within").as_float().expect("a number");
    (0..chunk.element_count()).map(number).collect()
}

/// The elements of a region of a variable, little endian.
pub(crate) fn bytes_of(file: &GribFile, variable: &str, region: &Region) -> Result<Vec<u8>> {
    Ok(file.array(variable)?.read(region)?.payload().to_vec())
}

/// Whether elements are single floats.
pub(crate) fn is_single(file: &GribFile, variable: &str) -> bool {
    let variable = file.dataset().variable(variable).expect("a variable");
    variable.dtype == DType::Float32
}

/// Bytes that can be opened as a file, again and again.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new folder.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Opens bytes as a file.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<GribFile> {
        self.open_with(bytes, GribOptions::default())
    }

    /// Opens bytes as a file, broken ones perhaps.
    pub(crate) fn open_with(&self, bytes: &[u8], options: GribOptions) -> Result<GribFile> {
        let path = self.path().join("sample.bin");
        std::fs::write(&path, bytes).expect("room for a sample");
        open_with(&path, options)
    }
}
