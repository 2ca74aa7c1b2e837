//! How stores are reached: limits, retries, and what the environment does not say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::cache::CacheOptions;
use crate::faults::Faults;
use crate::polite::HostLimits;
use crate::secrets::HostSecret;

/// Whose credentials are used for what lies below a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorePlace {
    /// The URL, with or without a slash at its end; of several the longest holds.
    pub prefix: String,
    /// The profile of `~/.aws` whose credentials are used (S3).
    pub profile: Option<String>,
    /// Whether requests go unsigned.
    pub is_anonymous: bool,
}

impl StorePlace {
    fn holds(&self, url: &str) -> bool {
        let prefix = self.prefix.trim_end_matches('/');
        url.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Limits, retries and settings of a store.
///
/// Credentials come from the standard chains. Those of S3: the variables `AWS_*`, a web identity, the
/// profile `AWS_PROFILE` or `default` of `~/.aws` (keys, `credential_process`, and through the command
/// `aws` SSO and roles), the container, the machine; they are read again when files change and when
/// they have ended. Google's and Azure's: their variables, then the identity of the machine.
/// What is set here holds over the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Requests in flight at once of one client, at least one.
    pub max_in_flight: usize,
    /// What one host is asked for at the most, by all clients together.
    pub host_limits: HostLimits,
    /// What web servers are told besides the request.
    pub secrets: Vec<HostSecret>,
    /// Where files of servers and clouds are kept, if they are.
    pub cache: Option<CacheOptions>,
    /// Attempts after the first one that fails in passing.
    pub retry_count: usize,
    /// Milliseconds until no attempt is repeated.
    pub retry_timeout_ms: u64,
    /// Milliseconds that one request may take.
    pub request_timeout_ms: u64,
    /// URL of the service, where it is not that of the cloud.
    pub endpoint: Option<String>,
    /// Region of the bucket (S3).
    pub region: Option<String>,
    /// The profile of `~/.aws` whose credentials are used, whatever the environment says.
    pub profile: Option<String>,
    /// Milliseconds that requests to S3 wait for new credentials when theirs have ended; the chain
    /// is asked again at once in any case.
    pub credential_grace_ms: u64,
    /// Whether requests go unsigned.
    pub is_anonymous: bool,
    /// What holds for what lies below some URLs, in place of profile and anonymity.
    pub places: Vec<StorePlace>,
    /// Whether a service may be reached without TLS.
    pub allow_http: bool,
    /// Anything else, by the names of `object_store`: `aws_virtual_hosted_style_request`,
    /// `azure_storage_account_name`, `google_service_account`, `proxy_url`, `user_agent`...
    pub settings: BTreeMap<String, String>,
    /// Writes that fail, for tests.
    pub faults: Option<Faults>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 32,
            host_limits: HostLimits::default(),
            secrets: Vec::new(),
            cache: None,
            retry_count: 8,
            retry_timeout_ms: 120_000,
            request_timeout_ms: 120_000,
            endpoint: None,
            region: None,
            profile: None,
            credential_grace_ms: 0,
            is_anonymous: false,
            places: Vec::new(),
            allow_http: false,
            settings: BTreeMap::new(),
            faults: None,
        }
    }
}

impl StoreOptions {
    /// Sets the number of requests in flight at once.
    #[must_use]
    pub fn with_max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = count;
        self
    }

    /// Sets what one host is asked for at the most.
    #[must_use]
    pub fn with_host_limits(mut self, limits: HostLimits) -> Self {
        self.host_limits = limits;
        self
    }

    /// Tells the hosts of a secret that secret.
    #[must_use]
    pub fn with_secret(mut self, secret: HostSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Keeps what is fetched from servers and clouds.
    #[must_use]
    pub fn with_cache(mut self, cache: CacheOptions) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets the number of attempts after the first.
    #[must_use]
    pub fn with_retry_count(mut self, count: usize) -> Self {
        self.retry_count = count;
        self
    }

    /// Sets how long one request may take.
    #[must_use]
    pub fn with_request_timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.request_timeout_ms = timeout_ms;
        self
    }

    /// Sets the URL of the service; one that begins with `http://` allows plain HTTP.
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.allow_http |= url.starts_with("http://");
        self.endpoint = Some(url);
        self
    }

    /// Sets the region of the bucket.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Takes credentials, region and endpoint from a profile of `~/.aws`.
    #[must_use]
    pub fn with_profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    /// Sets how long requests to S3 wait for new credentials when theirs have ended.
    #[must_use]
    pub fn with_credential_grace_ms(mut self, grace_ms: u64) -> Self {
        self.credential_grace_ms = grace_ms;
        self
    }

    /// Sends requests unsigned, as public buckets allow.
    #[must_use]
    pub fn with_anonymous(mut self) -> Self {
        self.is_anonymous = true;
        self
    }

    /// Passes a setting to `object_store` by its own name.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Makes writes fail, for tests.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// The same for what lies at a URL.
    pub(crate) fn at(&self, url: &str) -> Cow<'_, Self> {
        let places = self.places.iter().filter(|place| place.holds(url));
        let Some(place) = places.max_by_key(|place| place.prefix.len()) else {
            return Cow::Borrowed(self);
        };
        let (profile, is_anonymous) = (place.profile.clone(), place.is_anonymous);
        Cow::Owned(Self { profile, is_anonymous, ..self.clone() })
    }

    /// What tells two clients of one service apart.
    pub(crate) fn client_key(&self) -> String {
        format!(
            "{} {:?} {:?} {} {} {} {:?} {:?} {:?} {} {} {} {:?}",
            self.max_in_flight,
            self.host_limits,
            self.secrets,
            self.retry_count,
            self.retry_timeout_ms,
            self.request_timeout_ms,
            self.endpoint,
            self.region,
            self.profile,
            self.credential_grace_ms,
            self.is_anonymous,
            self.allow_http,
            self.settings
        )
    }
}

/// Settings are shown by their names only: a value may be a secret.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("max_in_flight", &self.max_in_flight)
            .field("host_limits", &self.host_limits)
            .field("secrets", &self.secrets)
            .field("cache", &self.cache)
            .field("retry_count", &self.retry_count)
            .field("endpoint", &self.endpoint.as_deref().map(dataflow::error::redact))
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("is_anonymous", &self.is_anonymous)
            .field("places", &self.places)
            .field("settings", &self.settings.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_place_above_a_url_holds() {
        let place = |prefix: &str, profile: &str| StorePlace {
            prefix: prefix.to_owned(),
            profile: Some(profile.to_owned()),
            is_anonymous: false,
        };
        let places = vec![place("s3://data/", "wide"), place("s3://data/own", "narrow")];
        let options = StoreOptions { places, ..StoreOptions::default() };
        let of = |url: &str| options.at(url).profile.clone();
        assert_eq!(of("s3://data/a.nc").as_deref(), Some("wide"));
        assert_eq!(of("s3://data").as_deref(), Some("wide"));
        assert_eq!(of("s3://data/own/a.nc").as_deref(), Some("narrow"));
        assert_eq!(of("s3://data/owner/a.nc").as_deref(), Some("wide"));
        assert_eq!(of("s3://database/a.nc"), None);
        assert_ne!(options.at("s3://data").client_key(), options.at("s3://other").client_key());
    }

    #[test]
    fn no_secret_is_shown() {
        let options = StoreOptions::default()
            .with_endpoint("https://user:word@host")
            .with_setting("aws_secret_access_key", "hidden");
        let shown = format!("{options:?}");
        assert!(!shown.contains("hidden") && !shown.contains("word"), "{shown}");
    }
}
