//! The door: a NetCDF file of any generation as a dataset with arrays.

use std::fmt;
use std::sync::Arc;

use array::error::{Error, Result};
use array::{ArraySource, Dataset, DatasetSource, GroupPath};
use objects::ObjectFile;

use crate::opened::Opened;
use crate::stored::StoredArray;
use crate::{classic, nc4, sniff};
use objects::FileBytes;

/// A NetCDF file: classic, 64-bit offset, CDF-5, NetCDF-4, or any HDF5 file.
///
/// Opening reads metadata only (and small files whole). Names, dimensions and attributes are those
/// that the C library gives; arrays of characters are joined along their last dimension, which
/// they then no longer have. The root group is read; [`DatasetSource::group`] reads others. What cannot be read of one variable or
/// one attribute is a sentence in [`Dataset::warnings`]; such a variable is missing from
/// [`Dataset::variables`] if it has no type here, and [`DatasetSource::array`] says why it cannot
/// be read.
///
/// [`DatasetSource::array`] reads the index of chunks, where there is one, and the file keeps it.
/// Texts of any length lie in a heap whose blocks are read while decoding.
///
/// ```no_run
/// use array::DatasetSource;
/// use objects::{Location, ObjectFile, StoreOptions};
///
/// let location = Location::parse("s3://bucket/air.nc")?;
/// let file = netcdf::NetcdfFile::open(ObjectFile::open(&location, &StoreOptions::default())?)?;
/// let names: Vec<&str> = file.dataset().variables.iter().map(|v| v.name.as_str()).collect();
/// # Ok::<(), array::error::Error>(())
/// ```
pub struct NetcdfFile {
    bytes: Arc<FileBytes>,
    /// The group that is read.
    group: GroupPath,
    opened: Opened,
}

impl NetcdfFile {
    /// Reads the metadata of a file, whose format is told by its content.
    ///
    /// # Errors
    /// A file that is neither NetCDF nor HDF5, that is cut short, or whose header contradicts
    /// itself or the file.
    pub fn open(file: ObjectFile) -> Result<Self> {
        let bytes = Arc::new(FileBytes::new(file)?);
        Self::of(bytes, &GroupPath::default())
    }

    fn of(bytes: Arc<FileBytes>, group: &GroupPath) -> Result<Self> {
        let opened = open(&bytes, group).map_err(|error| error.at("file", bytes.name()))?;
        Ok(Self { bytes, group: group.clone(), opened })
    }

    /// The generation of the format, for people: `netCDF classic (CDF-1)`.
    pub fn format_name(&self) -> &'static str {
        self.opened.format_name
    }
}

fn open(bytes: &Arc<FileBytes>, group: &GroupPath) -> Result<Opened> {
    let head = bytes.read(0..bytes.length().min(8))?;
    match sniff::generation(&head) {
        Some(_) if !group.is_root() => Err(group.not_found(&[])),
        Some(generation) => classic::open(bytes, generation),
        None => nc4::open(bytes, group),
    }
}

impl fmt::Debug for NetcdfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable_count = self.opened.dataset.variables.len();
        write!(f, "NetcdfFile({}, {variable_count} variables)", self.bytes.name())
    }
}

impl DatasetSource for NetcdfFile {
    fn dataset(&self) -> &Dataset {
        &self.opened.dataset
    }

    fn array(&self, variable: &str) -> Result<Arc<dyn ArraySource>> {
        let Some(array) = self.opened.arrays.get(variable) else {
            let unknown = self.opened.dataset.expect_variable(variable).err();
            let unknown = unknown.unwrap_or_else(|| Error::internal("a variable without an array"));
            return Err(unknown.at("file", self.bytes.name()));
        };
        let name = |error: &Error| error.clone().at("file", self.bytes.name());
        let parts = array.as_ref().map_err(name)?;
        let array = StoredArray::open(parts)?;
        // With the index of its chunks.
        self.bytes.save_kept()?;
        Ok(Arc::new(array))
    }

    fn left_out(&self) -> Vec<(String, Error)> {
        let unreadable = self.opened.arrays.iter();
        let unreadable = unreadable.filter_map(|(name, array)| Some((name, array.as_ref().err()?)));
        unreadable
            .map(|(name, error)| (name.clone(), error.clone().at("file", self.bytes.name())))
            .collect()
    }

    fn group(&self, path: &GroupPath) -> Result<Arc<dyn DatasetSource>> {
        let group = self.group.names().iter().chain(path.names());
        let group = group.cloned().collect::<Vec<_>>().join("/").parse()?;
        Ok(Arc::new(Self::of(Arc::clone(&self.bytes), &group)?))
    }
}
