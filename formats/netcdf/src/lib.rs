//! netcdf
