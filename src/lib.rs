//! Levain: a Beam-style dataflow engine in Rust whose main job is baking array data.
//!
//! Many NetCDF, HDF5 and Zarr files in, one analysis-ready, well-chunked Zarr store out, within
//! the memory that you allow:
//!
//! ```no_run
//! use levain::job::Bake;
//!
//! let report = Bake::new(["data/*.nc"], "out.zarr")?.with_concat("time").run()?;
//! println!("{} objects in {}", report.unit_count, report.destination);
//! # Ok::<(), levain::dataflow::error::Error>(())
//! ```
//!
//! Pipelines of your own are built with the [`prelude`]; `examples/` answers one question each. A
//! program whose `main` calls [`launch`] has the commands with which such a pipeline is planned, run,
//! resumed, and worked on elsewhere. The command `levain` is made of the same parts.

// The command names the library as any other program does.
extern crate self as levain;

pub use array;
pub use bake;
pub use basic;
pub use batch;
pub use beam;
pub use cf;
pub use chunks;
pub use dataflow;
pub use direct;
pub use grib;
pub use netcdf;
pub use objects;
pub use tabular;
pub use r#virtual;
pub use zarr;

pub mod job;
pub mod prelude;
pub mod report;

mod cli;

pub use cli::{command, launch, launch_with};
