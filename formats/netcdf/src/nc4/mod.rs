//! NetCDF-4: what the C library makes of an HDF5 file.
//!
//! Dimensions are datasets that call themselves scales; variables name theirs in attributes that
//! are not shown; what has no scales gets dimensions called `phony_dim_N`. `scan` reads what
//! datasets say of themselves, `dimensions` works out what that means, `variables` makes arrays of
//! them. How HDF5 keeps any of it is the matter of [`crate::hdf5`].
//!
//! Source: netCDF-C, "Interoperability with HDF5",
//! <https://docs.unidata.ucar.edu/netcdf-c/current/interoperability_hdf5.html>, and its behaviour.

mod dataset;
mod dimensions;
mod scan;
mod variables;

pub(crate) use dataset::open;
