//! The classic format: CDF-1, CDF-2 (64-bit offset) and CDF-5 (64-bit data).
//!
//! A header says where everything lies; the elements follow as they are, big endian. `header`
//! reads what is written, `layout` checks it against the file, `dataset` says it in the words of
//! the house. Nothing here knows HDF5.
//!
//! Source: "NetCDF Classic Format Specification",
//! <https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html>.

mod cursor;
mod dataset;
mod header;
mod layout;

pub(crate) use dataset::open;
