//! The record of a file that is kept. Its form has a version; what cannot be read is no entry.

use dataflow::error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::version::ObjectVersion;

/// The version of the form.
const VERSION: u32 = 1;

/// What a file was when it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    v: u32,
    /// Where it came from, without secrets.
    pub(super) url: String,
    /// Which version it was, by what its server said.
    #[serde(flatten)]
    pub(super) version: ObjectVersion,
    /// What its bytes are called below `content`.
    pub(super) content: String,
    /// Their SHA-256, in hexadecimal digits.
    pub(super) sha256: String,
}

impl Entry {
    pub(super) fn new(
        url: String,
        version: &ObjectVersion,
        content: String,
        sha256: String,
    ) -> Self {
        Self { v: VERSION, url, version: version.clone(), content, sha256 }
    }

    /// Reads an entry; nothing if it is none, or of another form.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(text).ok()?;
        // What stands in a file is not believed to be a name.
        let is_name =
            |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric());
        (entry.v == VERSION && is_name(&entry.content)).then_some(entry)
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|why| Error::internal(format!("an entry: {why}")))
    }

    /// Whether it is of this version, as far as anybody can tell.
    pub(super) fn is_of(&self, version: &ObjectVersion) -> bool {
        self.version.is_told() && version.is_told() && self.version.differs_from(version).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = r#"{"v":1,"url":"https://h/a.nc?token=***","size_bytes":5,"etag":"\"a\"","modified_ms":7,"content":"00ff","sha256":"00ff"}"#;

    #[test]
    fn the_form_is_the_one_that_was_written() {
        let entry = Entry::parse(KEPT.as_bytes()).expect("an entry");
        assert_eq!(String::from_utf8(entry.to_json().expect("fits")).as_deref(), Ok(KEPT));
    }

    #[test]
    fn what_is_strange_is_no_entry() {
        assert_eq!(Entry::parse(KEPT.replace("\"v\":1", "\"v\":2").as_bytes()), None);
        assert_eq!(Entry::parse(KEPT.replace("00ff", "../x").as_bytes()), None);
        assert_eq!(Entry::parse(&KEPT.as_bytes()[..40]), None);
    }
}
