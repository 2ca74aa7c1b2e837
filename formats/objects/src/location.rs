//! Where something lies: the text of a user, understood. It knows no store and opens nothing.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use url::Url;

const SCHEMES: &str =
    "a plain path, file://, s3://, gs://, az://, abfs://, http://, https:// or memory://";

/// The family of stores that a [`Location`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scheme {
    Local,
    Memory,
    S3,
    Google,
    Azure,
    Http,
}

/// A place that holds objects, or one object: a path or a URL.
///
/// `Display` gives it as the user wrote it, without the values of a query and without a user.
///
/// ```
/// use objects::Location;
/// let store = Location::parse("s3://bucket/data.zarr/")?;
/// assert_eq!(store.join("zarr.json").to_string(), "s3://bucket/data.zarr/zarr.json");
/// assert_eq!(store.file_name(), "data.zarr");
/// # Ok::<(), dataflow::error::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    scheme: Scheme,
    /// As written, `file` among them; empty for a plain path.
    scheme_text: String,
    /// Bucket, container, host and port, or the name of a memory store.
    authority: String,
    /// Without the slash at either end, but for local paths.
    path: String,
    query: Option<String>,
}

impl Location {
    /// Understands a path or a URL.
    ///
    /// Keys of buckets are taken as they stand; percent signs mean something in `http`, `https`
    /// and `file` only.
    ///
    /// # Errors
    /// An empty text, a scheme that is not known, a URL without a bucket or host.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(invalid("a location is empty").mend(format!("give {SCHEMES}")));
        }
        let is_scheme = |scheme: &str| {
            !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
        };
        let Some((scheme_text, rest)) = text.split_once("://").filter(|(s, _)| is_scheme(s)) else {
            return Ok(Self::local("", text));
        };
        let scheme_text = scheme_text.to_ascii_lowercase();
        let scheme = match scheme_text.as_str() {
            "file" => return parse_file_url(text),
            "http" | "https" => return parse_http_url(text),
            "memory" => Scheme::Memory,
            "s3" | "s3a" => Scheme::S3,
            "gs" | "gcs" => Scheme::Google,
            "az" | "azure" | "abfs" | "abfss" => Scheme::Azure,
            _ => {
                return Err(invalid(format!("there is no kind of store called `{scheme_text}`"))
                    .mend(format!("give {SCHEMES}")));
            }
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() && scheme != Scheme::Memory {
            let message = format!("`{text}` names no bucket");
            return Err(invalid(message).mend(format!("write {scheme_text}://bucket/path")));
        }
        Ok(Self {
            scheme,
            scheme_text,
            authority: authority.to_owned(),
            path: path.trim_matches('/').to_owned(),
            query: None,
        })
    }

    fn local(scheme_text: &str, path: &str) -> Self {
        Self {
            scheme: Scheme::Local,
            scheme_text: scheme_text.to_owned(),
            authority: String::new(),
            path: path.to_owned(),
            query: None,
        }
    }

    /// The place `relative` below this one; parts are separated by `/`.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let relative = relative.trim_matches('/');
        let path = match (self.path.as_str(), relative) {
            (path, "") => path.to_owned(),
            ("", _) => relative.to_owned(),
            (".", _) if self.scheme == Scheme::Local => relative.to_owned(),
            (path, _) => format!("{}/{relative}", path.trim_end_matches('/')),
        };
        Self { path, ..self.clone() }
    }

    /// The last part of the path; empty for a bucket, a root or a path that ends in `..`.
    pub fn file_name(&self) -> &str {
        match self.scheme {
            Scheme::Local => {
                let name = Path::new(&self.path).file_name();
                name.and_then(|name| name.to_str()).unwrap_or_default()
            }
            _ => self.path.rsplit('/').next().unwrap_or_default(),
        }
    }

    /// The place that holds this one; `None` for a bucket or a root.
    pub fn parent(&self) -> Option<Self> {
        let path = match self.scheme {
            Scheme::Local => match Path::new(&self.path).parent()?.to_str()? {
                "" => ".",
                parent => parent,
            },
            _ if self.path.is_empty() => return None,
            _ => self.path.rsplit_once('/').map_or("", |(parent, _)| parent),
        };
        Some(Self { path: path.to_owned(), ..self.clone() })
    }

    /// The path, if this lies in the file system.
    pub fn is_local_path(&self) -> Option<&Path> {
        (self.scheme == Scheme::Local).then(|| Path::new(&self.path))
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Scheme and authority as a URL, with the query: what a client is built for.
    pub(crate) fn base_url(&self) -> String {
        let query = self.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        format!("{}://{}{query}", self.scheme_text, self.authority)
    }

    /// Whether a web server keeps it, which knows files and no folders.
    pub fn is_web(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Whether a service keeps it, and not this machine.
    pub fn is_remote(&self) -> bool {
        !matches!(self.scheme, Scheme::Local | Scheme::Memory)
    }

    /// The query as it is written.
    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The same place without a query.
    pub(crate) fn without_query(&self) -> Self {
        Self { query: None, ..self.clone() }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The path as stores count it: from the root of the file system or of the bucket.
    pub(crate) fn key(&self) -> Result<String> {
        match self.scheme {
            Scheme::Local => absolute(Path::new(&self.path)),
            _ => Ok(self.path.clone()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme_text, authority, path, query, .. } = self;
        if scheme_text.is_empty() {
            return f.write_str(path);
        }
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let host =
            authority.rsplit_once('@').map_or(authority.clone(), |(_, h)| format!("***@{h}"));
        write!(f, "{scheme_text}://{host}{slash}{path}")?;
        for (place, pair) in query.iter().flat_map(|query| query.split('&')).enumerate() {
            let mark = if place == 0 { '?' } else { '&' };
            let name = pair.split_once('=').map_or(String::new(), |(name, _)| format!("{name}="));
            write!(f, "{mark}{name}***")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl std::str::FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

fn parse_file_url(text: &str) -> Result<Location> {
    let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
    let path = path.as_deref().and_then(Path::to_str).ok_or_else(|| {
        let message = format!("`{text}` is no path of this machine");
        invalid(message).mend("write file:///absolute/path, or the plain path")
    })?;
    Ok(Location::local("file", path))
}

fn parse_http_url(text: &str) -> Result<Location> {
    let not_a_url = |why: String| {
        let (shown, _) = text.split_once('?').unwrap_or((text, ""));
        invalid(format!("`{shown}` is no URL: {why}"))
    };
    let url = Url::parse(text).map_err(|why| not_a_url(why.to_string()))?;
    let path = object_store::path::Path::from_url_path(url.path())
        .map_err(|why| not_a_url(why.to_string()))?;
    Ok(Location {
        scheme: Scheme::Http,
        scheme_text: url.scheme().to_owned(),
        authority: url.authority().to_owned(),
        path: path.as_ref().to_owned(),
        query: url.query().map(str::to_owned),
    })
}

/// The path from the root of the file system, without `.` and `..`.
///
/// What stands before a `..` is resolved first: after a symbolic link, `..` is not where it seems.
fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).map_err(Error::from)?;
    let mut clean = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                clean = std::fs::canonicalize(&clean).unwrap_or(clean);
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    let text = clean
        .to_str()
        .ok_or_else(|| invalid(format!("the path {} is not UTF-8", clean.display())))?;
    Ok(text.trim_matches('/').to_owned())
}

fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorCode::INVALID_RECIPE, ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str, key: &str) {
        let location = Location::parse(text).expect("a location");
        assert_eq!(
            (location.to_string(), location.key().expect("a key")),
            (want.into(), key.into())
        );
    }

    #[track_caller]
    fn check_refused(text: &str, says: &str) {
        let error = Location::parse(text).expect_err("not a location");
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn plain_and_file_paths() {
        check("/data/a b#1?.nc", "/data/a b#1?.nc", "data/a b#1?.nc");
        check("file:///data/a%20b.nc", "file:///data/a b.nc", "data/a b.nc");
        check("/data/./x/../y/", "/data/./x/../y/", "data/y");
        check_refused("file://data/a.nc", "no path of this machine");
    }

    #[test]
    fn buckets_hosts_and_names() {
        check("s3://b/k/", "s3://b/k", "k");
        check("S3A://b", "s3a://b", "");
        check("gs://b/a%20b", "gs://b/a%20b", "a%20b");
        check(
            "abfss://fs@acc.dfs.core.windows.net/x",
            "abfss://***@acc.dfs.core.windows.net/x",
            "x",
        );
        check("memory://run/a/b", "memory://run/a/b", "a/b");
        check("https://h:8/a%20b.nc?sig=secret", "https://h:8/a b.nc?sig=***", "a b.nc");
        check_refused("s3:///key", "no bucket");
        check_refused("ftp://h/x", "no kind of store called `ftp`");
        check_refused("http://[h/a b?sig=secret", "`http://[h/a b` is no URL");
        check_refused(" ", "empty");
    }

    #[test]
    fn parents_and_children() {
        let of = |text: &str| Location::parse(text).expect("a location");
        assert_eq!(of("s3://b").join("/a/b"), of("s3://b/a/b"));
        assert_eq!(of("s3://b/a/b").parent(), Some(of("s3://b/a")));
        assert_eq!(of("s3://b").parent(), None);
        assert_eq!(of("a.nc").parent(), Some(of(".")));
        assert_eq!(of("/x/").join("y"), of("/x/y"));
        assert_eq!(of("/").join("y"), of("/y"));
        assert_eq!(of("a.nc").parent().map(|parent| parent.join("b.nc")), Some(of("b.nc")));
        assert_eq!((of("/x/y/").file_name(), of("gs://b").file_name()), ("y", ""));
        assert_eq!(of("https://h/a?t=s").join("b").to_string(), "https://h/a/b?t=***");
    }

    #[test]
    fn no_secret_is_shown() {
        let location = Location::parse("https://user:word@h/a%20(1)'?X-Sig=secret&secret")
            .expect("a location");
        let shown = format!("{location} {location:?}");
        assert!(!shown.contains("word") && !shown.contains("secret"), "{shown}");
    }
}
