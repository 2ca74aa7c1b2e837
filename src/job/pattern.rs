//! The files of a pattern, as sources of a bake.

use ::bake::{CombineOp, FilePattern, MissingFilePolicy, StoreRegion};
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use objects::{Location, ObjectFile};
use zarr::ZarrSource;

use crate::job::bake::Bake;

/// So many files are listed for one bake; a pattern itself has no such limit.
const MOST_FILES: u64 = 10_000_000;

impl Bake {
    /// The first dimension along which the files of a pattern follow each other.
    ///
    /// # Errors
    /// Another one is asked for, or sources beside the pattern.
    pub(super) fn concat_of(&self, pattern: &FilePattern) -> Result<Option<String>> {
        let names: Vec<&str> = pattern.concat_dims().collect();
        let region = self.region.as_ref().and_then(StoreRegion::dimension);
        let asked = self.append.as_deref().or(region).or(self.options.concat.as_deref());
        if let Some(asked) = asked.filter(|asked| !names.contains(asked)) {
            let known = names.join("`, `");
            let message = format!("files follow each other along `{known}`, and along `{asked}`");
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("the pattern says along which dimensions; leave the other out"));
        }
        if !self.sources.is_empty() {
            let message = "a bake has sources and a pattern";
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("leave one of the two out"));
        }
        Ok(names.first().map(|&name| name.to_owned()))
    }

    /// The files of a pattern in its order, and those that are missing where that is allowed; in a grid
    /// whose holes are filled, these are among the files.
    ///
    /// # Errors
    /// More files than are baked at once, or a hole in a grid.
    pub(super) fn sources_of(
        &self,
        pattern: &FilePattern,
    ) -> Result<(Vec<Location>, Vec<Location>)> {
        if pattern.len() > MOST_FILES {
            let message =
                format!("the pattern has {} files, at most {MOST_FILES} are baked", pattern.len());
            let error = Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message);
            return Err(error.mend("give fewer keys, or prune the pattern"));
        }
        let all: Vec<Location> = pattern.locations().collect::<Result<_>>()?;
        if self.options.missing_files == MissingFilePolicy::Error {
            // Of remote files, scanning finds out: it asks for each anyway.
            let is_gone = |it: &&Location| it.is_local_path().is_some_and(|path| !path.exists());
            return match all.iter().find(is_gone) {
                Some(gone) => Err(missing_file(gone, "a file of the pattern is missing")
                    .mend("correct the template or the keys")),
                None => Ok((all, Vec::new())),
            };
        }
        let (mut sources, mut missing) = (Vec::new(), Vec::new());
        for location in &all {
            match self.is_there(location)? {
                true => sources.push(location.clone()),
                false => missing.push(location.clone()),
            }
        }
        let is_list = pattern.dims().iter().all(|dim| dim.op() == CombineOp::Concat);
        let is_grid = !is_list || pattern.dims().len() > 1;
        if is_grid && self.options.missing_files == MissingFilePolicy::Fill {
            return match (sources.first(), missing.first()) {
                (None, Some(first)) => Err(missing_file(first, "all files of a grid are missing")
                    .mend("correct the template or the keys")),
                _ => Ok((all, missing)),
            };
        }
        if let Some(first) = missing.first().filter(|_| is_grid) {
            let message = format!("{} files of a grid are missing", missing.len());
            return Err(missing_file(first, &message).mend(
                "a file of a grid cannot be skipped: leave out a key whose files are missing, or say \
                 --missing-files fill",
            ));
        }
        Ok((sources, missing))
    }

    fn is_there(&self, location: &Location) -> Result<bool> {
        if ZarrSource::exists(location, &self.store)? {
            return Ok(true);
        }
        match ObjectFile::open(location, &self.store) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn missing_file(location: &Location, message: &str) -> Error {
    Error::new(ErrorCode::NOTHING_MATCHES, ErrorKind::NotFound, message).at("file", location)
}
