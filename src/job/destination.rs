//! Whether a store may be written at a place, and making that place empty.

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, Objects, StoreOptions};
use zarr::ZarrSource;

use crate::job::place::Place;
use crate::job::run_store::RunStore;

/// Objects at the root of a store, of both formats, in the order in which they are removed.
const ROOT_KEYS: [&str; 5] = ["zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs"];

/// Where a store is to be written.
#[derive(Debug)]
pub(crate) struct Destination {
    location: Location,
    /// The place beside which its runs are kept.
    runs: Location,
    objects: Objects,
    store: StoreOptions,
}

/// What lies at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Store,
    /// Data of a run that died, and nothing else: no reader opens it.
    Remains,
    SomethingElse,
}

impl Destination {
    /// The destination at `location`, whose runs are kept beside `runs`.
    pub(crate) fn new(location: &Location, runs: &Location, store: &StoreOptions) -> Result<Self> {
        let objects = Objects::open(location, store)?;
        let (location, runs) = (location.clone(), runs.clone());
        Ok(Self { location, runs, objects, store: store.clone() })
    }

    /// Refuses a place that is there and no store, in which no group can be written.
    ///
    /// # Errors
    /// That, or a store that fails.
    pub(crate) fn check_holds_groups(&self) -> Result<()> {
        // A group of a store that was never finished lies below a folder without a root.
        let is_file = self.location.is_local_path().is_some_and(std::path::Path::is_file);
        let is_other = is_file || {
            let has_root = ZarrSource::exists(&self.location, &self.store)?;
            !has_root && !self.objects.list_folder("")?.1.is_empty()
        };
        if !is_other {
            return Ok(());
        }
        let message = "the destination exists and is no Zarr store";
        let error = self.refuse(ErrorCode::DESTINATION_EXISTS, message);
        let error = error.with_kind(ErrorKind::AlreadyExists);
        Err(error.mend("write the group into a Zarr store, or into one that is to be made"))
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Refuses a destination that may not be written.
    ///
    /// # Errors
    /// A place without a name, a store that exists, unless it may be overwritten; anything else
    /// that exists; a place in or around a source.
    pub(crate) fn check(&self, may_overwrite: bool, sources: &[Location]) -> Result<()> {
        if self.location.file_name().is_empty() {
            let error = self.refuse(ErrorCode::INVALID_RECIPE, "the destination has no name");
            return Err(error.mend("name a folder that is to be made, such as out.zarr"));
        }
        self.check_apart(sources)?;
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
        let error = self.refuse(ErrorCode::DESTINATION_EXISTS, message);
        Err(error.with_kind(ErrorKind::AlreadyExists).mend(mend))
    }

    /// Refuses to write into anything but a store apart from its sources.
    ///
    /// # Errors
    /// No store there, a place in or around a source, or a store that fails.
    pub(crate) fn check_append(&self, sources: &[Location]) -> Result<()> {
        self.check_apart(sources)?;
        if ZarrSource::exists(&self.location, &self.store)? {
            return Ok(());
        }
        let error = self.refuse(ErrorCode::INVALID_RECIPE, "there is no store to append to");
        Err(error.with_kind(ErrorKind::NotFound).mend("bake the first files without --append"))
    }

    /// Refuses a place in or around a source.
    ///
    /// # Errors
    /// Such a place.
    pub(crate) fn check_apart(&self, sources: &[Location]) -> Result<()> {
        let own = Place::of(&self.location)?;
        for source in sources {
            let place = Place::of(source)?;
            let error = if place.is_within(&own) {
                let message = "the destination holds one of the sources";
                self.refuse(ErrorCode::DESTINATION_EXISTS, message)
            } else if own.is_within(&place) {
                self.refuse(ErrorCode::INVALID_RECIPE, "the destination lies in one of the sources")
            } else {
                continue;
            };
            return Err(error.at("source", source).mend("write somewhere else"));
        }
        Ok(())
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
        // What is deleted without a question must be what a run has said that it would write.
        let written = RunStore::names_of_dead_run(&self.runs, &self.store)?;
        let is_written = |folder: &String| written.contains(folder.trim_end_matches('/'));
        let is_root = |key: &str| ROOT_KEYS.contains(&key);
        let are_remains =
            folders.iter().all(is_written) && objects.iter().all(|it| is_root(&it.key));
        Ok(if are_remains { Found::Remains } else { Found::SomethingElse })
    }

    /// Removes whatever [`Destination::check`] allowed to be there, the root metadata first: from
    /// then on no reader opens the store.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn clear(&self) -> Result<()> {
        self.hide()?;
        self.objects.delete_all("").map(drop)
    }

    /// Removes the root metadata: no reader opens what is left.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn hide(&self) -> Result<()> {
        for key in ROOT_KEYS {
            if self.objects.try_get(key)?.is_some() {
                self.objects.delete(key)?;
            }
        }
        Ok(())
    }

    /// Removes what writes that were cut short have left, which no store lists.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) fn sweep(&self) -> Result<()> {
        self.objects.sweep("")
    }

    fn refuse(&self, code: ErrorCode, message: &str) -> Error {
        Error::new(code, ErrorKind::InvalidInput, message).at("destination", &self.location)
    }
}
