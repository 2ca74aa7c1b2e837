//! One door to everything that keeps bytes under names: file systems, S3, Google, Azure, HTTP.
//!
//! ```text
//!   Location::parse("s3://bucket/data.zarr") ──► Objects::open ──► get, fetch, put, create, list
//!   expand("data/*.nc") ──► [Location] ────────► ObjectFile::open ──► read, fetch
//! ```
//!
//! Calls block or hand out a [`Pending`] that can be waited for later; async stays inside. Nothing
//! here knows arrays, file formats or runners. Modules stand in reading order.

mod location;
mod options;
mod secrets;

mod expand;
mod file;
mod file_bytes;
mod objects;
mod pending;

mod cache;

mod listing;
mod ranges;
mod requests;
mod uploads;
mod version;
mod writer;

mod authorise;
mod polite;

mod aws;

mod client;
mod credentials;
mod failure;
mod faults;
mod hex;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod served;

pub use aws::{AwsAccess, AwsAnswer, AwsFailure, AwsRequest};
pub use cache::{CacheKeeps, CacheOptions, cache_name, slug};
pub use credentials::CredentialFacts;
pub use expand::expand;
pub use faults::{Fault, Faults};
pub use file::ObjectFile;
pub use file_bytes::FileBytes;
pub use location::Location;
pub use objects::{Edge, EdgeBytes, ObjectFacts, Objects};
pub use options::{StoreOptions, StorePlace};
pub use pending::Pending;
pub use polite::HostLimits;
pub use secrets::{HostSecret, SecretPlace, SecretSource};
pub use version::now_ms;
pub use writer::ObjectWriter;
