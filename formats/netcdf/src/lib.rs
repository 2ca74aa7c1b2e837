//! Reads NetCDF: classic (CDF-1), 64-bit offset (CDF-2), 64-bit data (CDF-5), NetCDF-4 and HDF5.
//!
//! ```text
//!   ObjectFile ─► FileBytes ─┬─► classic ─────────────┬─► Opened { Dataset, arrays } ─► NetcdfFile
//!                            └─► hdf5 ─► nc4 (naming) ┘
//!   StoredArray = Element × (Flat | Inline | Chunked): fetch ranges ─► decode into a Target
//! ```
//!
//! Bytes come from `objects` alone; no library does I/O of its own. Damaged files are errors or
//! warnings, never panics, and no length is believed before the file can hold it. Nothing here
//! knows conventions for what values mean. Read `file`, `stored`, `flat`, `classic`, `hdf5`, `nc4`.

mod classic;
mod element;
mod encoded;
mod fault;
mod file;
mod fill;
mod flat;
mod hdf5;
mod nc4;
mod opened;
mod ranges;
mod sniff;
mod stored;
mod target;
mod text;

pub use file::NetcdfFile;
pub use fill::default_fill;
pub use sniff::is_netcdf;
