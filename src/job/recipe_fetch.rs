//! The tables `[fetch]` and `[cache]` of a recipe: how sources are fetched. None of it changes what
//! is written.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use chunks::ByteSize;
use dataflow::error::{Error, Result};
use objects::{CacheOptions, HostSecret, Location, SecretPlace, SecretSource, StoreOptions};
use serde::Deserialize;

use crate::job::recipe::{invalid, within};

/// The form of the table `[fetch]`; `docs/fetching.md` describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FetchTable {
    max_requests_per_host: Option<NonZeroUsize>,
    requests_per_second: Option<f64>,
    /// Seconds.
    max_throttle_wait: Option<f64>,
    #[serde(default)]
    secrets: Vec<SecretTable>,
}

/// One of `[[fetch.secrets]]`: its hosts, and by where it is sent, where it is read from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SecretTable {
    hosts: Vec<String>,
    bearer: Option<String>,
    #[serde(default)]
    query: BTreeMap<String, String>,
}

/// The form of the table `[cache]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CacheTable {
    place: String,
    keeps: Option<String>,
    size: Option<String>,
}

impl FetchTable {
    /// Sets what the table says; files of secrets count from the folder of the recipe.
    ///
    /// # Errors
    /// Numbers that make no sense, or a secret that is not named by where it is.
    pub(super) fn set(self, store: &mut StoreOptions, folder: &Path) -> Result<()> {
        let limits = &mut store.host_limits;
        limits.max_in_flight = self.max_requests_per_host.or(limits.max_in_flight);
        if let Some(rate) = self.requests_per_second {
            *limits = limits
                .with_requests_per_second(rate)
                .map_err(|error| error.at("key", "requests-per-second"))?;
        }
        if let Some(seconds) = self.max_throttle_wait {
            limits.throttle_wait_ms = wait_ms(seconds)?;
        }
        for secret in self.secrets {
            store.secrets.extend(secret.read(folder)?);
        }
        Ok(())
    }
}

/// Milliseconds of so many seconds.
///
/// # Errors
/// A number that is no time.
pub fn wait_ms(seconds: f64) -> Result<u64> {
    if !seconds.is_finite() || seconds < 0.0 {
        let error = invalid(format!("{seconds} s is no time to wait"));
        return Err(error.mend("give seconds, such as 600"));
    }
    Ok((seconds * 1000.0) as u64)
}

impl SecretTable {
    fn read(self, folder: &Path) -> Result<Vec<HostSecret>> {
        let bearer = self.bearer.into_iter().map(|source| (SecretPlace::Bearer, source));
        let query = self.query.into_iter().map(|(name, it)| (SecretPlace::Query(name), it));
        let places: Vec<(SecretPlace, String)> = bearer.chain(query).collect();
        if self.hosts.is_empty() || places.is_empty() {
            let error = invalid("a secret needs hosts, and where it is sent".to_owned());
            let mend = "hosts = [\"data.example.org\"], bearer = \"env:NAME\", or query = { key = \"env:NAME\" }";
            return Err(error.at("table", "fetch.secrets").mend(mend));
        }
        let read = |(place, source): (SecretPlace, String)| {
            let source: SecretSource = source.parse()?;
            let source = match source {
                SecretSource::File(path) => {
                    SecretSource::File(within(folder, &path.to_string_lossy()).into())
                }
                variable => variable,
            };
            Ok(HostSecret { hosts: self.hosts.clone(), place, source })
        };
        let secrets: Result<Vec<HostSecret>> = places.into_iter().map(read).collect();
        secrets.map_err(|error: Error| error.at("table", "fetch.secrets"))
    }
}

impl CacheTable {
    /// What the table says; a folder counts from that of the recipe.
    ///
    /// # Errors
    /// A place that is none, or words that mean nothing.
    pub(super) fn options(&self, folder: &Path) -> Result<CacheOptions> {
        let place = within(folder, &self.place);
        cache_options(&place, self.keeps.as_deref(), self.size.as_deref())
            .map_err(|error| error.at("table", "cache"))
    }
}

/// A cache at this place that keeps this much.
///
/// # Errors
/// A place that is none, words that mean nothing, or a size for what is no folder.
pub fn cache_options(place: &str, keeps: Option<&str>, size: Option<&str>) -> Result<CacheOptions> {
    let mut cache = CacheOptions::new(Location::parse(place)?);
    if let Some(keeps) = keeps {
        cache = cache.with_keeps(keeps.parse()?);
    }
    match size {
        Some(size) => cache.with_size_bytes(size.parse::<ByteSize>()?.0),
        None => Ok(cache),
    }
}

#[cfg(test)]
mod tests {
    use objects::CacheKeeps;

    use super::*;
    use crate::job::Recipe;

    fn store(tables: &str) -> Result<StoreOptions> {
        let text = format!("sources = []\ndestination = 'x'\n{tables}");
        Recipe::parse(&text, Path::new("feed")).map(|recipe| recipe.store)
    }

    #[test]
    fn a_recipe_says_how_its_sources_are_fetched() {
        let store = store(
            r#"
            [fetch]
            max-requests-per-host = 3
            requests-per-second = 0.5
            max-throttle-wait = 1.5
            [[fetch.secrets]]
            hosts = ["data.org"]
            bearer = "env:TOKEN"
            query = { appid = "file:key.txt" }
            [cache]
            place = "kept"
            keeps = "indexes"
            size = "2MiB"
            "#,
        )
        .expect("a recipe");
        let limits = store.host_limits;
        assert_eq!(limits.max_in_flight.map(NonZeroUsize::get), Some(3));
        assert_eq!((limits.interval_us, limits.throttle_wait_ms), (2_000_000, 1500));
        let sources: Vec<String> = store.secrets.iter().map(|it| it.source.to_string()).collect();
        assert_eq!(sources, ["env:TOKEN", "file:feed/key.txt"]);
        let cache = store.cache.expect("a cache");
        assert_eq!(cache.place.to_string(), "feed/kept");
        assert_eq!((cache.keeps, cache.size_bytes), (CacheKeeps::Indexes, Some(2 << 20)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |tables: &str, says: &str| {
            let error = store(tables).expect_err("no recipe").to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        };
        check("[fetch]\nrequests-per-secnd = 1\n", "did you mean `requests-per-second`?");
        check("[fetch]\nrequests-per-second = 0\n", "positive");
        check("[fetch]\nmax-requests-per-host = 0\n", "line");
        check("[fetch]\nmax-throttle-wait = -1\n", "no time");
        check("[[fetch.secrets]]\nhosts = ['h']\nbearer = 'hunter2'\n", "env:NAME");
        check("[[fetch.secrets]]\nhosts = ['h']\n", "where it is sent");
        check("[cache]\nplace = 'c'\nkeeps = 'all'\n", "files, indexes");
        check("[cache]\nplace = 's3://b/c'\nsize = '1GB'\n", "folder");
    }
}
