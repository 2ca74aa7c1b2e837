//! Opens whatever lies at a place, by what it holds and not by its name.

use std::sync::Arc;

use array::DatasetSource;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use netcdf::{NetcdfFile, is_netcdf};
use objects::{Location, ObjectFile, StoreOptions};
use zarr::ZarrSource;

/// Bytes at the head of a file that are enough to tell its format.
const HEAD_BYTES: u64 = 16 << 10;

/// Opens a Zarr store, a NetCDF or an HDF5 file.
///
/// # Errors
/// Nothing there, another format, or damage; the error names the place.
pub fn open_dataset(location: &Location, options: &StoreOptions) -> Result<Arc<dyn DatasetSource>> {
    open(location, options)
        .map_err(|error| error.at("source", location).context("cannot open input"))
}

fn open(location: &Location, options: &StoreOptions) -> Result<Arc<dyn DatasetSource>> {
    let is_folder = location.is_local_path().is_some_and(std::path::Path::is_dir);
    if is_folder {
        return open_zarr(location, options);
    }
    let file = match ObjectFile::open(location, options) {
        Ok(file) => file,
        // In an object store, a Zarr store is a prefix and no object.
        Err(missing) if missing.kind() == ErrorKind::NotFound => {
            let is_store = ZarrSource::exists(location, options)?;
            return if is_store { open_zarr(location, options) } else { Err(missing) };
        }
        Err(error) => return Err(error),
    };
    let head = file.read(0..file.size_bytes().min(HEAD_BYTES))?;
    if is_netcdf(&head) {
        return Ok(Arc::new(NetcdfFile::open(file)?));
    }
    Err(unknown_format(&head))
}

fn open_zarr(location: &Location, options: &StoreOptions) -> Result<Arc<dyn DatasetSource>> {
    Ok(Arc::new(ZarrSource::open(location, options)?))
}

fn unknown_format(head: &[u8]) -> Error {
    let guess = match head {
        [] => "the file is empty",
        [b'G', b'R', b'I', b'B', ..] => "this is a GRIB file, which Levain does not read yet",
        [0x1f, 0x8b, ..] => "this is a gzip file; unpack it first",
        [b'P', b'K', ..] => "this is a zip file; unpack it first",
        [b'<', ..] => "this is an HTML or XML text, perhaps an error page of the server",
        [b'{' | b'[', ..] => "this is a JSON text",
        _ => "the first bytes are those of no format that Levain reads",
    };
    let error = Error::new(ErrorCode::UNKNOWN_FORMAT, ErrorKind::Unsupported, guess);
    error.mend("give NetCDF (classic or 4), HDF5 or Zarr")
}
