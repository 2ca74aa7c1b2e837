//! Where a group lies in a file or a store.

use std::fmt;
use std::str::FromStr;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The names of groups from the root to one of them: `forecast/surface`; the root is empty.
///
/// ```
/// use array::GroupPath;
/// let path: GroupPath = "/forecast/surface/".parse()?;
/// assert_eq!(path.to_string(), "forecast/surface");
/// assert!("../secret".parse::<GroupPath>().is_err());
/// # Ok::<(), array::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct GroupPath(Vec<String>);

impl GroupPath {
    /// The names, from the root on.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The group of this name in this one.
    ///
    /// # Errors
    /// A name that is none.
    pub fn child(&self, name: &str) -> Result<Self> {
        if self.is_root() { name.parse() } else { format!("{self}/{name}").parse() }
    }

    /// The group that holds this one; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, names) = self.0.split_last()?;
        Some(Self(names.to_vec()))
    }

    /// All groups on the way, without the root, this one last.
    pub fn ancestry(&self) -> impl Iterator<Item = Self> + '_ {
        (1..=self.0.len()).map(|count| Self(self.0[..count].to_vec()))
    }

    /// The error for a file or store that does not have this group, but these beside it.
    pub fn not_found(&self, known: &[String]) -> Error {
        let message = format!("there is no group `{self}`");
        let error = Error::new(ErrorCode::UNKNOWN_VARIABLE, ErrorKind::InvalidInput, message);
        match known {
            [] => error.mend("there are no groups there; leave the group out"),
            known => error.mend(format!("the groups there are: {}", known.join(", "))),
        }
    }
}

impl FromStr for GroupPath {
    type Err = Error;

    /// Reads names with slashes between them.
    ///
    /// # Errors
    /// A name that is empty, or that leads out of the group: `.` and `..`.
    fn from_str(text: &str) -> Result<Self> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::default());
        }
        let names: Vec<String> = inner.split('/').map(str::to_owned).collect();
        let is_name = |name: &String| {
            let is_dots = name.chars().all(|c| c == '.');
            !is_dots && !name.contains('\\') && !name.chars().any(char::is_control)
        };
        if names.iter().all(is_name) {
            return Ok(Self(names));
        }
        let message = format!("`{text}` is no path of a group");
        Err(Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
            .mend("write names with slashes between them, such as forecast/surface; no `..`"))
    }
}

impl fmt::Display for GroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl From<GroupPath> for String {
    fn from(path: GroupPath) -> Self {
        path.to_string()
    }
}

impl TryFrom<String> for GroupPath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_down_only() {
        let shown = |text: &str| text.parse::<GroupPath>().ok().map(|path| path.to_string());
        assert_eq!(shown("/a/b/").as_deref(), Some("a/b"));
        assert_eq!((shown("/").as_deref(), shown("").as_deref()), (Some(""), Some("")));
        for text in ["../a", "a/../b", "a//b", "a/./b", "..", "a/...", "a\\b", "a\n"] {
            assert_eq!(shown(text), None, "{text}");
        }
        let path: GroupPath = "a/b".parse().expect("a path");
        let way: Vec<String> = path.ancestry().map(|it| it.to_string()).collect();
        assert_eq!(way, ["a", "a/b"]);
    }
}
