//! GRIB files of both editions through the public door.

mod baking;
mod cubes;
mod damage;
mod peer;
mod ranges;
mod reading;
pub(crate) mod samples;
mod shared_files;
