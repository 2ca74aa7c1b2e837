//! Keeps what was fetched: whole files, or only what was read of them to open them.
//!
//! ```text
//!   entries/NAME.json   what a URL was: version, size, digest   NAME: md5 and slug of the URL
//!   content/SHA256      the bytes, under their own digest
//!   partial/NAME        a download under way, or cut short      locks/NAME: whose it is
//!   indexes/NAME        the headers of a file
//! ```
//!
//! A file is asked for its version before a copy of it is used; nothing is served that is out of
//! date. Nothing here knows formats.

mod name;
mod options;

mod entry;
mod headers;

mod download;
mod evict;
mod folder;
mod remote;

pub use name::{cache_name, slug};
pub use options::{CacheKeeps, CacheOptions};

pub(crate) use folder::HeldCopy;
pub(crate) use headers::Headers;

use dataflow::error::Result;

use crate::location::Location;
use crate::options::StoreOptions;
use crate::requests::Object;
use crate::version::ObjectVersion;

/// Where the copy of an object lies, and what holds it there.
pub(crate) struct Copied {
    pub(crate) location: Location,
    pub(crate) held: Option<HeldCopy>,
}

/// The copy of this version of an object, fetched now if it is not there.
///
/// # Errors
/// An object that cannot be fetched or that changes meanwhile, or a cache that cannot be written.
pub(crate) fn copy(
    origin: &Object,
    version: &ObjectVersion,
    cache: &CacheOptions,
    options: &StoreOptions,
) -> Result<Copied> {
    let name = name::name_of(&origin.shown);
    let copied = match cache.place.is_local_path() {
        Some(root) => folder::copy(root, &name, origin, version, cache, options),
        None => remote::copy(&name, origin, version, cache, options),
    };
    copied.map_err(|error| error.at("cache", &cache.place))
}

#[cfg(test)]
mod tests;
