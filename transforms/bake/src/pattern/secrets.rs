//! Secrets that belong into the query of a URL, kept apart from it until a file is opened.

use std::collections::BTreeMap;
use std::fmt;

use dataflow::error::{Result, redact};
use url::form_urlencoded;

use crate::pattern::keys::invalid;

/// Parameters of a query that nobody may read: tokens, signatures.
///
/// Their values are never printed, logged, hashed or serialised; there is no way to read them back
/// but the URL that they are put into.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct QuerySecrets(BTreeMap<String, String>);

impl QuerySecrets {
    /// Secrets by their names.
    pub fn new<N: Into<String>, V: Into<String>>(
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self(secrets.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts them at the end of the query of a URL, in the order of their names.
    ///
    /// A parameter that is there already under such a name is replaced; the others stay as they are
    /// written. The result is as secret as they are.
    ///
    /// # Errors
    /// A URL that is not `http` or `https`: elsewhere a question mark is part of a name.
    ///
    /// Source: WHATWG URL, "application/x-www-form-urlencoded".
    pub fn add_to(&self, url: &str) -> Result<String> {
        if self.is_empty() {
            return Ok(url.to_owned());
        }
        let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            let error = invalid("secrets of a query are given for what has no query");
            return Err(error
                .at("url", redact(url))
                .mend("give them for http:// and https:// only; stores take credentials"));
        }
        let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let is_kept = |pair: &&str| {
            let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
            name.is_some_and(|name| !self.0.contains_key(name.as_ref()))
        };
        let mut pairs: Vec<String> = query.split('&').filter(is_kept).map(str::to_owned).collect();
        let mut added = form_urlencoded::Serializer::new(String::new());
        pairs.push(added.extend_pairs(&self.0).finish());
        let hash = if fragment.is_empty() { "" } else { "#" };
        Ok(format!("{address}?{}{hash}{fragment}", pairs.join("&")))
    }
}

impl fmt::Debug for QuerySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, "***"))).finish()
    }
}
