//! Whether a store may be written at a place, and making that place empty.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use zarr::ZarrSource;

use crate::job::run_store::RunStore;

/// Where a store is to be written.
#[derive(Debug)]
pub(crate) struct Destination {
    location: Location,
    objects: Objects,
    store: StoreOptions,
}

/// What lies at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Store,
    /// Data of a run that died: no reader opens it.
    Remains,
    SomethingElse,
}

impl Destination {
    pub(crate) fn new(location: &Location, store: &StoreOptions) -> Result<Self> {
        let objects = Objects::open(location, store)?;
        Ok(Self { location: location.clone(), objects, store: store.clone() })
    }

    /// Refuses a destination that may not be written.
    ///
    /// # Errors
    /// A store that exists, unless it may be overwritten; anything else that exists; a source.
    pub(crate) fn check(&self, may_overwrite: bool, sources: &[Location]) -> Result<()> {
        let own = self.location.to_string();
        let is_within = |other: &Location| {
            let other = other.to_string();
            other == own || other.starts_with(&format!("{}/", own.trim_end_matches('/')))
        };
        if let Some(source) = sources.iter().find(|source| is_within(source)) {
            let message = "the destination holds one of the sources";
            let error = Error::new(ErrorCode::DESTINATION_EXISTS, ErrorKind::InvalidInput, message);
            return Err(self.at(error).at("source", source).mend("write somewhere else"));
        }
        let (message, mend) = match self.find()? {
            Found::Nothing | Found::Remains => return Ok(()),
            Found::Store if may_overwrite => return Ok(()),
            Found::Store => {
                ("the destination exists", "use --overwrite to replace it, or write somewhere else")
            }
            Found::SomethingElse => (
                "the destination exists and is no Zarr store",
                "write somewhere else; --overwrite replaces Zarr stores only",
            ),
        };
        let error = Error::new(ErrorCode::DESTINATION_EXISTS, ErrorKind::AlreadyExists, message);
        Err(self.at(error).mend(mend))
    }

    fn find(&self) -> Result<Found> {
        if self.location.is_local_path().is_some_and(std::path::Path::is_file) {
            return Ok(Found::SomethingElse);
        }
        if ZarrSource::exists(&self.location, &self.store)? {
            return Ok(Found::Store);
        }
        let (folders, objects) = self.objects.list_folder("")?;
        if folders.is_empty() && objects.is_empty() {
            return Ok(Found::Nothing);
        }
        let died = RunStore::holds_unfinished_run(&self.location, &self.store)?;
        Ok(if died { Found::Remains } else { Found::SomethingElse })
    }

    /// Removes whatever [`Destination::check`] allowed to be there, the root metadata first: from
    /// then on no reader opens the store.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn clear(&self) -> Result<()> {
        for key in ["zarr.json", ".zmetadata", ".zgroup", ".zattrs"] {
            if self.objects.try_get(key)?.is_some() {
                self.objects.delete(key)?;
            }
        }
        self.objects.delete_all("").map(drop)
    }

    fn at(&self, error: Error) -> Error {
        error.at("destination", &self.location)
    }
}
