//! Where a location lies, however it is spelled: `a.nc`, `./a.nc` and a link to it are one place.
//!
//! It opens nothing and knows no store.

use std::path::{Component, Path, PathBuf};

use dataflow::error::{Error, Result};
use objects::Location;

/// A location that can be compared with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A path from the root, with links followed as far as it exists.
    Local(PathBuf),
    /// A place in a store of objects.
    Remote(Location),
}

impl Place {
    /// The place of a location.
    ///
    /// # Errors
    /// A current folder that is gone.
    pub(crate) fn of(location: &Location) -> Result<Self> {
        match location.is_local_path() {
            Some(path) => real_path(path).map(Self::Local),
            None => Ok(Self::Remote(location.clone())),
        }
    }

    /// Whether this is `outer` or lies below it.
    pub(crate) fn is_within(&self, outer: &Self) -> bool {
        match (self, outer) {
            (Self::Local(own), Self::Local(outer)) => own.starts_with(outer),
            (Self::Remote(own), Self::Remote(outer)) => {
                let up = |place: &Location| place.parent();
                std::iter::successors(Some(own.clone()), up).any(|place| place == *outer)
            }
            _ => false,
        }
    }
}

/// The path with links followed, where it exists; what does not exist yet comes as it is written.
fn real_path(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Ok(real);
    }
    let mut real = PathBuf::new();
    for component in std::path::absolute(path).map_err(Error::from)?.components() {
        match component {
            // After a link, `..` is not where it seems: what stands before it is resolved.
            Component::ParentDir => drop(real.pop()),
            other => {
                real.push(other);
                real = real.canonicalize().unwrap_or(real);
            }
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inner: &str, outer: &str, want: bool) {
        let place = |text| Place::of(&Location::parse(text).expect("a location")).expect("a place");
        assert_eq!(place(inner).is_within(&place(outer)), want, "{inner} in {outer}");
    }

    #[test]
    fn spelling_does_not_matter() {
        check("a/b.zarr/", "./a/b.zarr", true);
        check("no/../where/../a/b", "a", true);
        check("/tmp/a/b", "/tmp/a", true);
        check("/tmp/ab", "/tmp/a", false);
        check("/tmp/a", "/tmp/a/b", false);
        check("s3://bucket/a/b", "s3://bucket/a/", true);
        check("s3://bucket/ab", "s3://bucket/a", false);
        check("s3://bucket/a", "/bucket/a", false);
    }
}
