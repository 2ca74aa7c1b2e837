//! NetCDF files of all generations through the public door.

mod damage;
mod encoded;
mod formats;
mod made_files;
mod peer;
mod plugins;
mod reading;
mod regions;
mod samples;
mod shared_files;
