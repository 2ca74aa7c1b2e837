//! Opens whatever lies at a place, by what it holds and not by its name.

use std::sync::Arc;

use array::DatasetSource;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use grib::{GribFile, is_grib};
use netcdf::{NetcdfFile, is_netcdf};
use objects::{Location, ObjectFile, StoreOptions};
use serde::{Deserialize, Serialize};
use zarr::ZarrSource;

use crate::options::BakeOptions;
use crate::prepare::Preparation;

/// Bytes at the head of a file that are enough to tell its format.
const HEAD_BYTES: u64 = 16 << 10;

/// What tells versions of a file apart; nothing does where a source is no single object.
///
/// Tags are left out: servers behind one URL give the same file different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceVersion {
    /// Its size; 0 where it is no single object.
    pub size_bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// Opens a Zarr store, a NetCDF, an HDF5 or a GRIB file.
///
/// # Errors
/// Nothing there, another format, or damage; the error names the place.
pub fn open_dataset(location: &Location, options: &StoreOptions) -> Result<Arc<dyn DatasetSource>> {
    open_version(location, options).map(|(dataset, _)| dataset)
}

/// Opens what [`open_dataset`] opens, changed as the options say; it stands at this place of its
/// list or pattern.
///
/// # Errors
/// Those of [`open_dataset`], and steps that the file does not allow.
pub fn open_prepared(
    location: &Location,
    place: u32,
    bake: &BakeOptions,
    options: &StoreOptions,
) -> Result<Arc<dyn DatasetSource>> {
    let (dataset, _) = open_version(location, options)?;
    Preparation::of(bake).prepare(dataset, place).map_err(|error| error.at("source", location))
}

/// Opens what [`open_dataset`] opens, and says which version that is.
pub(crate) fn open_version(
    location: &Location,
    options: &StoreOptions,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    open(location, options)
        .map_err(|error| error.at("source", location).context("cannot open input"))
}

fn open(
    location: &Location,
    options: &StoreOptions,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    let local = location.is_local_path();
    if local.is_some_and(std::path::Path::is_dir) {
        return open_zarr(location, options);
    }
    open_file(location, options).or_else(|error| {
        // In an object store, a Zarr store is a prefix and no object; a server may refuse what is
        // not there, or show a page that lists it.
        let may_be_prefix = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported
        );
        let is_store = || ZarrSource::exists(location, options).unwrap_or(false);
        if local.is_none() && may_be_prefix && is_store() {
            return open_zarr(location, options);
        }
        Err(error)
    })
}

fn open_file(
    location: &Location,
    options: &StoreOptions,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    let file = ObjectFile::open(location, options)?;
    let head = file.read(0..file.size_bytes().min(HEAD_BYTES))?;
    let facts = file.facts();
    let version =
        SourceVersion { size_bytes: facts.size_bytes, modified_ms: facts.last_modified_ms };
    let dataset: Arc<dyn DatasetSource> = if is_netcdf(&head) {
        Arc::new(NetcdfFile::open(file)?)
    } else if is_grib(&head) {
        Arc::new(GribFile::open(file)?)
    } else {
        return Err(unknown_format(&head));
    };
    Ok((dataset, version))
}

fn open_zarr(
    location: &Location,
    options: &StoreOptions,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    Ok((Arc::new(ZarrSource::open(location, options)?), SourceVersion::default()))
}

fn unknown_format(head: &[u8]) -> Error {
    let guess = match head {
        [] => "the file is empty",
        [0x1f, 0x8b, ..] => "this is a gzip file; unpack it first",
        [b'P', b'K', ..] => "this is a zip file; unpack it first",
        [b'<', ..] => "this is an HTML or XML text, perhaps an error page of the server",
        [b'{' | b'[', ..] => "this is a JSON text",
        _ => "the first bytes are those of no format that Levain reads",
    };
    let error = Error::new(ErrorCode::UNKNOWN_FORMAT, ErrorKind::Unsupported, guess);
    error.mend("give NetCDF (classic or 4), HDF5, GRIB or Zarr")
}
