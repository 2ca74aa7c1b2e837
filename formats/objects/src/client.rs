//! Builds the client of a service once, and hands it to everybody who names that service again.
//!
//! Opening a thousand files of a bucket must not make a thousand connection pools, and two opens
//! of `memory://x` must see the same objects; so clients live as long as the process.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::authorise::Authoriser;
use crate::credentials::{Explained, Provider};
use crate::failure::failed;
use crate::location::{Location, Scheme};
use crate::options::StoreOptions;
use crate::polite::{Connector, Renewal};
use crate::uploads::Uploads;

/// Attempts and seconds for credentials that the machine may or may not offer: elsewhere nobody
/// answers, and the user should hear so soon.
const MACHINE_RETRY: (usize, u64) = (1, 5);
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A service, and how many requests it may have in flight.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// For what is asked of S3 alone.
    pub(crate) uploads: Option<Uploads>,
    permits: Semaphore,
}

/// What is made of settings.
struct Made {
    store: Arc<dyn ObjectStore>,
    uploads: Option<Uploads>,
}

static CLIENTS: Mutex<BTreeMap<String, Arc<Client>>> = Mutex::new(BTreeMap::new());

impl Client {
    /// The client for the service of a location.
    pub(crate) fn of(location: &Location, options: &StoreOptions) -> Result<Arc<Self>> {
        let options = options.at(&location.to_string());
        let key = match location.scheme() {
            Scheme::Memory => location.base_url(),
            _ => format!("{} {}", location.base_url(), options.client_key()),
        };
        let mut clients: MutexGuard<'_, _> = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(Arc::clone(client));
        }
        let provider = Provider::of(options.profile.as_deref());
        let client = Arc::new(Self::new(location, &options, &provider)?);
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }

    /// One that nobody else is handed, with these credentials of AWS where the settings name none.
    pub(crate) fn new(
        location: &Location,
        options: &StoreOptions,
        provider: &Arc<Provider>,
    ) -> Result<Self> {
        let permits = Semaphore::new(options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let Made { store, uploads } = build(location, options, provider)?;
        Ok(Self { store, uploads, permits })
    }

    /// Waits for the turn of a request.
    pub(crate) async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("nobody closes the semaphore")
    }
}

fn build(location: &Location, options: &StoreOptions, provider: &Arc<Provider>) -> Result<Made> {
    let built = match location.scheme() {
        Scheme::Local => return Ok(shared(LocalFileSystem::new())),
        Scheme::Memory => return Ok(shared(InMemory::new())),
        Scheme::S3 => build_s3(location, options, provider)?,
        Scheme::Google => build_google(location, options)?,
        Scheme::Azure => build_azure(location, options)?,
        Scheme::Http => HttpBuilder::new()
            .with_url(location.base_url())
            .with_http_connector(web_connector(location, options)?)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(retry(options))
            .build()
            .map(shared),
    };
    built.map_err(|error| {
        let why = failed("open", location, &error);
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, why.message())
            .at("object", location)
            .mend("complete the settings of this store, by options or by the environment")
    })
}

type Built = object_store::Result<Made>;

fn build_s3(
    location: &Location,
    options: &StoreOptions,
    provider: &Arc<Provider>,
) -> Result<Built> {
    let client_options = client_options(options)?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(location.authority())
        .with_retry(retry(options));
    builder = set_all(builder, options, AmazonS3Builder::with_config)?;
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if !options.is_anonymous {
        builder = with_profile(builder, provider);
    }
    // The one of S3 alone holds over the one of all services.
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    let client_options = match endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        true => client_options.with_allow_http(true),
        false => client_options,
    };
    builder = builder.with_client_options(client_options.clone());
    let connector = Connector::of_cloud(options.host_limits);
    if options.is_anonymous {
        let builder = builder.with_http_connector(connector).with_skip_signature(true);
        return Ok(builder.build().map(shared));
    }
    if has_own_credentials(options)? {
        let client = connector.connect(&client_options);
        builder = builder.with_http_connector(connector);
        let lookup = builder.clone().with_retry(machine_retry());
        return Ok(lookup.build().and_then(|store| {
            let credentials = Arc::new(Explained(Arc::clone(store.credentials())));
            Ok(with_uploads(builder.with_credentials(credentials).build()?, client?))
        }));
    }
    let grace = Duration::from_millis(options.credential_grace_ms);
    let renewal = Renewal { provider: Arc::clone(provider), grace };
    let connector = connector.with_renewal(renewal);
    let client = connector.connect(&client_options);
    let builder =
        builder.with_http_connector(connector).with_credentials(Arc::clone(provider) as _);
    Ok(builder.build().and_then(|store| Ok(with_uploads(store, client?))))
}

/// S3, and who asks it for uploads.
fn with_uploads(store: AmazonS3, client: HttpClient) -> Made {
    let store = Arc::new(store);
    Made { uploads: Some(Uploads { store: Arc::clone(&store), client }), store }
}

/// Settings that name S3 credentials by themselves: then nobody else is asked.
const CREDENTIAL_SETTINGS: [AmazonS3ConfigKey; 5] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
    AmazonS3ConfigKey::MetadataEndpoint,
];

fn has_own_credentials(options: &StoreOptions) -> Result<bool> {
    let own = set_all(AmazonS3Builder::new(), options, AmazonS3Builder::with_config)?;
    Ok(CREDENTIAL_SETTINGS.iter().any(|key| own.get_config_value(key).is_some()))
}

/// Adds region and endpoint of the profile where nothing else names them.
fn with_profile(mut builder: AmazonS3Builder, provider: &Provider) -> AmazonS3Builder {
    use AmazonS3ConfigKey as Key;
    let profile = provider.profile();
    for (key, name) in [(Key::Region, "region"), (Key::Endpoint, "endpoint_url")] {
        if let Some(value) = profile.get(name).filter(|_| builder.get_config_value(&key).is_none())
        {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

fn build_google(location: &Location, options: &StoreOptions) -> Result<Built> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_http_connector(Connector::of_cloud(options.host_limits))
        .with_bucket_name(location.authority())
        .with_client_options(client_options(options)?)
        .with_retry(retry(options));
    builder = set_all(builder, options, GoogleCloudStorageBuilder::with_config)?;
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    if options.is_anonymous {
        return Ok(builder.with_skip_signature(true).build().map(shared));
    }
    let lookup = builder.clone().with_retry(machine_retry());
    Ok(lookup.build().and_then(|store| {
        let credentials = Arc::new(Explained(Arc::clone(store.credentials())));
        builder.with_credentials(credentials).build().map(shared)
    }))
}

fn build_azure(location: &Location, options: &StoreOptions) -> Result<Built> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_http_connector(Connector::of_cloud(options.host_limits))
        .with_url(location.base_url())
        .with_client_options(client_options(options)?)
        .with_retry(retry(options));
    builder = set_all(builder, options, MicrosoftAzureBuilder::with_config)?;
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if options.is_anonymous {
        return Ok(builder.with_skip_signature(true).build().map(shared));
    }
    let lookup = builder.clone().with_retry(machine_retry());
    Ok(lookup.build().and_then(|store| {
        let credentials = Arc::new(Explained(Arc::clone(store.credentials())));
        builder.with_credentials(credentials).build().map(shared)
    }))
}

/// Applies the settings of the user that are the service's own, not those of its connection.
fn set_all<B, K: FromStr>(
    mut builder: B,
    options: &StoreOptions,
    set: impl Fn(B, K, String) -> B,
) -> Result<B> {
    for (name, value) in &options.settings {
        if name.parse::<ClientConfigKey>().is_ok() {
            continue;
        }
        let key = name.parse().map_err(|_| {
            let message = format!("there is no store setting `{name}`");
            let mend =
                "settings are those of object_store, such as aws_virtual_hosted_style_request";
            Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message).mend(mend)
        })?;
        builder = set(builder, key, value.clone());
    }
    Ok(builder)
}

fn shared<S: ObjectStore>(store: S) -> Made {
    Made { store: Arc::new(store), uploads: None }
}

/// Options of the connection; the TLS provider must be in place before the first is used.
fn client_options(options: &StoreOptions) -> Result<ClientOptions> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut client = ClientOptions::new()
        .with_timeout(Duration::from_millis(options.request_timeout_ms))
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(options.allow_http);
    for (name, value) in &options.settings {
        if let Ok(key) = name.parse() {
            client = client.with_config(key, value);
        }
    }
    Ok(client)
}

/// The connection to web servers; all locations with the same settings share one pool.
///
/// It leaves redirects to us: what a client of HTTP does of itself cannot be told which hosts may
/// be told a secret.
fn web_connector(location: &Location, options: &StoreOptions) -> Result<Connector> {
    static POOLS: Mutex<BTreeMap<String, reqwest::Client>> = Mutex::new(BTreeMap::new());
    let authoriser = Authoriser::new(&options.secrets, &location.base_url());
    let key = format!("{} {:?}", options.request_timeout_ms, options.settings);
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = match pools.get(&key) {
        Some(pool) => pool.clone(),
        None => {
            let pool = web_client(options)?;
            pools.insert(key, pool.clone());
            pool
        }
    };
    Ok(Connector::of_web(options.host_limits, pool, authoriser))
}

fn web_client(options: &StoreOptions) -> Result<reqwest::Client> {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("levain/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(Duration::from_millis(options.request_timeout_ms));
    let invalid = |name: &str, why: &str| {
        let message = format!("the setting `{name}` is {why} for http:// and https://");
        Error::new(ErrorCode::CONFIGURATION, ErrorKind::InvalidInput, message)
            .mend("there are: user_agent, proxy_url")
    };
    for (name, value) in &options.settings {
        client = match name.as_str() {
            "user_agent" => client.user_agent(value),
            "proxy_url" => {
                let proxy = reqwest::Proxy::all(value).map_err(|_| invalid(name, "no proxy"))?;
                client.proxy(proxy)
            }
            // Those of the clouds mean nothing here.
            other if other.parse::<ClientConfigKey>().is_err() => client,
            other => return Err(invalid(other, "not known")),
        };
    }
    client.build().map_err(|error| Error::internal(format!("no client of HTTP: {error}")))
}

fn retry(options: &StoreOptions) -> RetryConfig {
    RetryConfig {
        max_retries: options.retry_count,
        retry_timeout: Duration::from_millis(options.retry_timeout_ms),
        ..RetryConfig::default()
    }
}

fn machine_retry() -> RetryConfig {
    let (max_retries, seconds) = MACHINE_RETRY;
    RetryConfig {
        max_retries,
        retry_timeout: Duration::from_secs(seconds),
        ..RetryConfig::default()
    }
}
