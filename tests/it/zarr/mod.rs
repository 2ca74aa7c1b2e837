//! Zarr stores through the public door: written, read back, damaged, and shared with Python.

mod damage;
mod encoded;
mod golden;
mod interop;
mod metadata;
mod reading;
mod roundtrip;
pub(crate) mod samples;
mod sinking;
