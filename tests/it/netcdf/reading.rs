//! Opens files and reads whole arrays, as all tests here do.

use std::path::Path;

use array::error::Result;
use array::{Chunk, DatasetSource, Region};
use netcdf::NetcdfFile;
use objects::{Location, ObjectFile, StoreOptions};

/// Opens a file of the file system.
pub(crate) fn open(path: &Path) -> Result<NetcdfFile> {
    let location = Location::parse(path.to_str().expect("paths of tests are UTF-8"))?;
    NetcdfFile::open(ObjectFile::open(&location, &StoreOptions::default())?)
}

/// Reads all elements of a variable.
pub(crate) fn read(file: &NetcdfFile, variable: &str) -> Result<Chunk> {
    let source = file.array(variable)?;
    source.read(&Region::whole(&source.facts().grid.shape()))
}
