//! Where shards go, what they are called, and whether something is there already.

use dataflow::error::{Error, ErrorCode, ErrorKind};
use dataflow::prelude::Result;
use objects::{Location, Objects, StoreOptions};

use super::Manifest;
use crate::fault::invalid;

/// A folder, and how the names of shards in it begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) folder: Location,
    pub(crate) name: String,
}

impl Destination {
    /// Understands a prefix as `out/part`.
    pub(crate) fn parse(prefix: &str) -> Result<Self> {
        let location = Location::parse(prefix)?;
        let name = location.file_name();
        if prefix.ends_with('/') || name.is_empty() {
            let message = format!("`{prefix}` names a folder, and not how files in it begin");
            let example = location.join("part");
            return Err(invalid(message).at("destination", prefix).mend(format!(
                "add a name: `{example}` gives {example}-00000-of-00003 and so on"
            )));
        }
        let Some(folder) = location.parent() else {
            return Err(invalid(format!("`{prefix}` lies in no folder")).at("destination", prefix));
        };
        Ok(Self { name: name.to_owned(), folder })
    }

    /// The destination that a key names below a folder: as `paris` or `2020/paris`.
    pub(crate) fn below(folder: &str, key: &str) -> Result<Self> {
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        if !key.split('/').all(is_part) {
            let message = format!("`{key}` names no destination below {folder}");
            return Err(invalid(message).at("destination", folder).mend(
                "a key is a name, or several with `/` between them; none is empty, . or ..",
            ));
        }
        Self::parse(&Location::parse(folder)?.join(key).to_string())
    }

    /// How users name it.
    pub(crate) fn shown(&self) -> String {
        self.folder.join(&self.name).to_string()
    }

    /// The name of a shard.
    pub(crate) fn shard_name(&self, index: u64, count: u64, suffix: &str) -> String {
        format!("{}-{index:05}-of-{count:05}{suffix}", self.name)
    }

    pub(crate) fn manifest_name(&self) -> String {
        format!(".{}.manifest.json", self.name)
    }

    /// Whether an object is a shard of this destination, of any number of shards.
    fn is_shard(&self, name: &str, suffix: &str) -> bool {
        let numbers = name
            .strip_prefix(self.name.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(suffix));
        let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
        let parts = numbers.and_then(|numbers| numbers.split_once("-of-"));
        parts.is_some_and(|(index, count)| is_number(index) && is_number(count))
    }

    /// Makes sure that nothing is there: refuses what is, or deletes it.
    ///
    /// The manifest goes first: its readers see the old files, none, or the new ones.
    pub(crate) fn clear(
        &self,
        suffix: &str,
        is_overwriting: bool,
        store: &StoreOptions,
    ) -> Result<()> {
        let folder = Objects::open(&self.folder, store)?;
        let manifest_name = self.manifest_name();
        let (_, objects) = folder.list_folder("")?;
        let names = objects.into_iter().map(|facts| facts.key);
        let (manifests, mut stale): (Vec<_>, Vec<_>) = names
            .filter(|name| *name == manifest_name || self.is_shard(name, suffix))
            .partition(|name| *name == manifest_name);
        if !is_overwriting {
            let found = stale.len();
            if manifests.is_empty() && stale.is_empty() {
                return Ok(());
            }
            let state = if manifests.is_empty() {
                "without a manifest, as a run leaves that failed"
            } else {
                "with a manifest"
            };
            let message = format!("the destination exists: {found} shards, {state}");
            let exists =
                Error::new(ErrorCode::DESTINATION_EXISTS, ErrorKind::AlreadyExists, message);
            return Err(exists
                .at("destination", self.shown())
                .mend("choose another destination, or ask for `with_overwrite`"));
        }
        if !manifests.is_empty() {
            // Its shards may have another suffix. A damaged one lists nothing.
            let old = match Manifest::read(&self.shown(), store) {
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                other => other?,
            };
            // Whatever a manifest names, nothing but shards of this destination is deleted.
            let is_own =
                |name: &String| name.starts_with(&format!("{}-", self.name)) && !name.contains('/');
            let listed = old.into_iter().flat_map(|old| old.shards).map(|shard| shard.name);
            stale.extend(listed.filter(is_own));
            folder.delete(&manifest_name)?;
        }
        stale.iter().try_for_each(|name| folder.delete(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, folder: &str, name: &str) {
        let got = Destination::parse(prefix).expect("a destination");
        assert_eq!((got.folder.to_string().as_str(), got.name.as_str()), (folder, name));
    }

    #[test]
    fn a_prefix_is_a_folder_and_a_name() {
        check("out/part", "out", "part");
        check("part", ".", "part");
        check("s3://bucket/part", "s3://bucket", "part");
        check("memory://store/a/b.c", "memory://store/a", "b.c");
        for prefix in ["out/", "s3://bucket", "memory://store/"] {
            let error = Destination::parse(prefix).expect_err("no name");
            assert_eq!(error.code(), ErrorCode::INVALID_RECIPE, "{error}");
        }
    }

    #[test]
    fn keys_stay_below_their_folder() {
        let below = |key| Destination::below("s3://bucket/out", key).map(|it| it.shown());
        assert_eq!(below("2020/paris").expect("a key"), "s3://bucket/out/2020/paris");
        for key in ["", "..", "a/../b", "a//b", "/a", "a/", "."] {
            below(key).expect_err(key);
        }
    }

    #[test]
    fn only_shards_are_taken_for_shards() {
        let part = Destination::parse("out/part").expect("a destination");
        assert_eq!(part.shard_name(3, 10, ".txt"), "part-00003-of-00010.txt");
        let is_shard = |name| part.is_shard(name, ".txt");
        assert!(is_shard("part-00003-of-00010.txt") && is_shard("part-123456-of-1000000.txt"));
        for name in ["part-00003-of-00010.txt.gz", "part-3-of-10.txt", "part.txt", "part-00003.txt"]
        {
            assert!(!is_shard(name), "{name}");
        }
        assert!(!is_shard("part-a-00003-of-00010.txt") && !is_shard("party-00003-of-00010.txt"));
    }
}
