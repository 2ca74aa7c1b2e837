//! Opens whatever lies at a place, by what it holds and not by its name.

use std::sync::Arc;

use array::DatasetSource;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use grib::{BrokenMessages, GribFile, GribOptions, is_grib};
use netcdf::{NetcdfFile, is_netcdf};
use objects::{Location, ObjectFile, StoreOptions};
use serde::{Deserialize, Serialize};
use tabular::TableFile;
use zarr::ZarrSource;

use crate::options::{BakeOptions, BrokenMessagePolicy, Reading};
use crate::prepare::Preparation;
use crate::table::{TableDataset, csv_dialect};

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
    /// When a source of many objects was looked at, in milliseconds since 1970: objects that were
    /// written later are no part of it. 0 for a single object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looked_at_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl SourceVersion {
    /// Whether a file that is opened again may be the one that was scanned.
    pub(crate) fn is_same(&self, scanned: &Self) -> bool {
        (self.size_bytes, self.modified_ms) == (scanned.size_bytes, scanned.modified_ms)
    }
}

/// Opens a Zarr store, a NetCDF, an HDF5, a GRIB or a Parquet file, or a CSV file that is called so.
///
/// # Errors
/// Nothing there, another format, or damage; the error names the place.
pub fn open_dataset(location: &Location, options: &StoreOptions) -> Result<Arc<dyn DatasetSource>> {
    open_version(location, &Reading::default(), options, None).map(|(dataset, _)| dataset)
}

/// Opens what [`open_dataset`] opens, read and changed as the options say; it stands at this place
/// of its list or pattern.
///
/// # Errors
/// Those of [`open_dataset`], and steps that the file does not allow.
pub fn open_prepared(
    location: &Location,
    place: u32,
    bake: &BakeOptions,
    options: &StoreOptions,
) -> Result<Arc<dyn DatasetSource>> {
    let (dataset, _) = open_version(location, &bake.reading, options, None)?;
    Preparation::of(bake).prepare(dataset, place).map_err(|error| error.at("source", location))
}

/// Opens what [`open_dataset`] opens, and says which version that is; of a source of many objects,
/// those that were there when it was scanned.
pub(crate) fn open_version(
    location: &Location,
    reading: &Reading,
    options: &StoreOptions,
    scanned: Option<&SourceVersion>,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    open(location, reading, options, scanned)
        .map_err(|error| error.at("source", location).context("cannot open input"))
}

fn open(
    location: &Location,
    reading: &Reading,
    options: &StoreOptions,
    scanned: Option<&SourceVersion>,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    let local = location.is_local_path();
    if local.is_some_and(std::path::Path::is_dir) {
        return open_zarr(location, options, scanned);
    }
    open_file(location, reading, options).or_else(|error| {
        // In an object store, a Zarr store is a prefix and no object; a server may refuse what is
        // not there, or show a page that lists it.
        let may_be_prefix = matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported
        );
        let is_store = || ZarrSource::exists(location, options).unwrap_or(false);
        if local.is_some() || !may_be_prefix || !is_store() {
            return Err(error);
        }
        // A server that answers everything with a page has no store either.
        let is_page = error.kind() == ErrorKind::Unsupported;
        open_zarr(location, options, scanned).map_err(|why| if is_page { error } else { why })
    })
}

fn open_file(
    location: &Location,
    reading: &Reading,
    options: &StoreOptions,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    let file = ObjectFile::open(location, options)?;
    let head = file.header(0..file.size_bytes().min(HEAD_BYTES))?;
    // With what is read of it from here on.
    let kept = file.clone();
    let facts = file.facts();
    let version = SourceVersion {
        size_bytes: facts.size_bytes,
        modified_ms: facts.last_modified_ms,
        looked_at_ms: 0,
    };
    let dataset: Arc<dyn DatasetSource> = if is_netcdf(&head) {
        Arc::new(NetcdfFile::open(file)?)
    } else if is_grib(&head) {
        let broken_messages = match reading.broken_messages {
            BrokenMessagePolicy::Error => BrokenMessages::Refuse,
            BrokenMessagePolicy::Skip => BrokenMessages::Skip,
        };
        Arc::new(GribFile::open_with(file, GribOptions { broken_messages })?)
    } else if TableFile::is_parquet(&head) {
        let table = TableFile::open_parquet(file)?;
        Arc::new(TableDataset::new(table, location, reading.row_column.as_deref())?)
    } else if let Some(dialect) = csv_dialect(location, &head) {
        let table = TableFile::open_csv(file, dialect)?;
        Arc::new(TableDataset::new(table, location, reading.row_column.as_deref())?)
    } else {
        return Err(unknown_format(&head));
    };
    kept.save_kept()?;
    Ok((dataset, version))
}

fn open_zarr(
    location: &Location,
    options: &StoreOptions,
    scanned: Option<&SourceVersion>,
) -> Result<(Arc<dyn DatasetSource>, SourceVersion)> {
    // Whatever is written from now on may differ from what is read next.
    let now_ms = objects::now_ms();
    let looked_at_ms = scanned.map_or(now_ms, |scanned| scanned.looked_at_ms);
    let source = match scanned.filter(|scanned| scanned.looked_at_ms > 0) {
        Some(scanned) => ZarrSource::open_as_of(location, options, scanned.looked_at_ms)?,
        None => ZarrSource::open(location, options)?,
    };
    Ok((Arc::new(source), SourceVersion { looked_at_ms, ..SourceVersion::default() }))
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
    error.mend("give NetCDF (classic or 4), HDF5, GRIB, Zarr, Parquet, or CSV as NAME.csv")
}
