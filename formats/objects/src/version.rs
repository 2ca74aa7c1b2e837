//! What tells versions of an object apart.

use std::time::{SystemTime, UNIX_EPOCH};

use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::objects::ObjectFacts;

/// Now, in milliseconds since 1970, as the times of objects are counted.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The size, the tag and the time of one version of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectVersion {
    pub(crate) size_bytes: u64,
    pub(crate) etag: Option<String>,
    /// Milliseconds since 1970; 0 where the store does not say.
    pub(crate) modified_ms: i64,
}

impl ObjectVersion {
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        let (etag, modified_ms) = (meta.e_tag.clone(), meta.last_modified.timestamp_millis());
        Self { size_bytes: meta.size, etag, modified_ms }
    }

    pub(crate) fn of_facts(facts: &ObjectFacts) -> Self {
        let (etag, modified_ms) = (facts.etag.clone(), facts.last_modified_ms);
        Self { size_bytes: facts.size_bytes, etag, modified_ms }
    }

    /// In what another version differs; nothing where they may be one. What only one of them tells
    /// is no difference.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<String> {
        let (old, new) = (self.size_bytes, other.size_bytes);
        if old != new {
            return Some(format!("it had {old} bytes, and has {new}"));
        }
        let (old, new) = (self.modified_ms, other.modified_ms);
        if old != new && old != 0 && new != 0 {
            return Some("it was written again".to_owned());
        }
        // A tag that is weak here and strong there is that of one version all the same.
        let opaque = |etag: &Option<String>| {
            etag.as_deref().map(|it| it.trim_start_matches("W/").to_owned())
        };
        match (opaque(&self.etag), opaque(&other.etag)) {
            (Some(old), Some(new)) if old != new => {
                Some(format!("its tag was {old}, and is {new}"))
            }
            _ => None,
        }
    }

    /// Whether something tells this version from others of the same size.
    pub(crate) fn is_told(&self) -> bool {
        self.etag.is_some() || self.modified_ms != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(size_bytes: u64, etag: &str, modified_ms: i64) -> ObjectVersion {
        let etag = (!etag.is_empty()).then(|| etag.to_owned());
        ObjectVersion { size_bytes, etag, modified_ms }
    }

    #[track_caller]
    fn check(other: &ObjectVersion, says: Option<&str>) {
        let how = version(5, "\"a\"", 7).differs_from(other);
        match (&how, says) {
            (Some(how), Some(says)) => assert!(how.contains(says), "{how}"),
            _ => assert_eq!(how.as_deref(), says),
        }
    }

    #[test]
    fn versions_differ_in_size_time_or_tag() {
        check(&version(5, "\"a\"", 7), None);
        check(&version(6, "\"a\"", 7), Some("had 5 bytes, and has 6"));
        check(&version(5, "\"a\"", 8), Some("written again"));
        check(&version(5, "\"b\"", 7), Some("tag"));
    }

    #[test]
    fn what_only_one_tells_is_no_difference() {
        check(&version(5, "", 7), None);
        check(&version(5, "\"a\"", 0), None);
        check(&version(5, "W/\"a\"", 7), None);
        assert!(!version(5, "", 0).is_told() && version(5, "\"a\"", 0).is_told());
    }
}
