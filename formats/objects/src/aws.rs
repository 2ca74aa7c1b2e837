//! Calls to other services of AWS, signed by the credentials that S3 uses.
//!
//! One call is one request: what is retried, and when, its caller knows.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use dataflow::error::{Error, ErrorCode, ErrorKind, Result};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use crate::credentials::{CredentialFacts, Provider, Surroundings};
use crate::failure::{CERTIFICATE_MEND, distrust};
use crate::pending::Pending;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The most bytes of an answer: a page of logs has one MiB, in JSON somewhat more.
const MOST_BYTES: usize = 32 << 20;

/// What one user of this process may ask AWS: credentials, region, and where services are.
///
/// Clones, and all for one profile, share their credentials with S3.
#[derive(Debug, Clone)]
pub struct AwsAccess(Arc<Provider>);

/// One request to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRequest {
    /// The name of the service, as signatures have it: `batch`, `logs`.
    pub service: &'static str,
    /// The region, as signatures have it.
    pub region: String,
    /// The whole URL.
    pub url: String,
    /// Headers besides those of the signature.
    pub headers: Vec<(&'static str, String)>,
    /// The body of the POST.
    pub body: Bytes,
}

/// What a service has answered.
#[derive(Debug)]
pub struct AwsAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// What the header `x-amzn-errortype` says.
    pub error_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// With what the request was signed.
    signed_by: Arc<AwsCredential>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AwsFailure {
    /// The request was not sent: nobody gives credentials, it is none, or the service is not believed to
    /// be itself.
    NotSigned(Error),
    /// The service was not reached: it has seen nothing.
    NotReached(String),
    /// The connection broke, or took too long: the service may have done what was asked.
    Lost(String),
}

impl AwsAccess {
    /// That of a profile, or of the standard chain.
    pub fn of(profile: Option<&str>) -> Self {
        Self(Provider::of(profile))
    }

    /// That of the standard chain where these variables, and no others, are set: for programs that
    /// have their own, and for tests.
    pub fn of_variables(variables: &[(&str, &str)]) -> Self {
        Self(Provider::in_surroundings(Surroundings::of(variables)))
    }

    /// The region that the variables or the profile name.
    pub fn region(&self) -> Option<String> {
        let own = self.0.surroundings().region();
        own.or_else(|| self.0.profile().get("region").map(str::to_owned))
    }

    /// The URL that the variables or the profile name for a service (`batch`, `logs`, `s3`), where
    /// it is not that of AWS.
    pub fn endpoint(&self, service: &str) -> Option<String> {
        let own = self.0.surroundings().endpoint(service);
        own.or_else(|| self.0.profile().get("endpoint_url").map(str::to_owned))
    }

    /// What is known of the credentials that are used now. Blocks while the chain is asked.
    ///
    /// # Errors
    /// Nobody gives any.
    pub fn facts(&self) -> Result<CredentialFacts> {
        let provider = Arc::clone(&self.0);
        Pending::start(async move { Ok(provider.current().await?.1) }).wait()
    }

    /// Since when a request waits for new credentials (milliseconds since 1970), and what the user
    /// was told.
    pub fn pause(&self) -> Option<(i64, String)> {
        self.0.pause().map(|pause| (pause.since_ms, pause.message))
    }

    /// Sends a request once, and waits for its answer.
    ///
    /// # Errors
    /// There is no answer; a refusal is one.
    pub fn send(&self, request: AwsRequest) -> std::result::Result<AwsAnswer, AwsFailure> {
        let provider = Arc::clone(&self.0);
        let sent = Pending::start(async move { Ok(send(&provider, request).await) }).wait();
        sent.unwrap_or_else(|error| Err(AwsFailure::NotSigned(error)))
    }

    /// Says that a request was answered whose credentials were refused before: nobody waits any more.
    pub fn end_pause(&self) {
        self.0.end_pause();
    }

    /// Waits until there are other credentials than those that were refused, as long as is allowed.
    ///
    /// # Errors
    /// There are still none; the same may be taken after all.
    pub fn renew(&self, refused: &AwsAnswer, grace: Duration) -> Result<()> {
        let provider = Arc::clone(&self.0);
        let refused = Arc::clone(&refused.signed_by);
        Pending::start(async move { provider.renewed(&refused, grace).await.map(drop) }).wait()
    }
}

async fn send(
    provider: &Provider,
    request: AwsRequest,
) -> std::result::Result<AwsAnswer, AwsFailure> {
    let (credential, _) = provider.current().await.map_err(AwsFailure::NotSigned)?;
    let client = CLIENT.as_ref().map_err(|error| AwsFailure::NotSigned(error.clone()))?;
    let request = signed(&request, &credential).map_err(AwsFailure::NotSigned)?;
    let lost = |error: object_store::client::HttpError| {
        if let Some(why) = distrust(&error) {
            let message = format!("no connection: {why}");
            let refused =
                Error::new(ErrorCode::CONFIGURATION, ErrorKind::PermissionDenied, message);
            return AwsFailure::NotSigned(refused.mend(CERTIFICATE_MEND));
        }
        let text = crate::failure::innermost(&error);
        match error.kind() {
            HttpErrorKind::Connect => AwsFailure::NotReached(text),
            _ => AwsFailure::Lost(text),
        }
    };
    let answer = client.execute(request).await.map_err(lost)?;
    let status = answer.status().as_u16();
    let header = answer.headers().get("x-amzn-errortype").and_then(|it| it.to_str().ok());
    let error_type = header.map(str::to_owned);
    let body = body_of(answer.into_body()).await?;
    Ok(AwsAnswer { status, error_type, body, signed_by: credential })
}

async fn body_of(
    body: object_store::client::HttpResponseBody,
) -> std::result::Result<Bytes, AwsFailure> {
    use futures::StreamExt;
    let mut stream = body.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| AwsFailure::Lost(crate::failure::innermost(&error)))?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > MOST_BYTES {
            return Err(AwsFailure::Lost(format!("the answer has more than {MOST_BYTES} bytes")));
        }
    }
    Ok(bytes.into())
}

fn signed(request: &AwsRequest, credential: &AwsCredential) -> Result<HttpRequest> {
    let strange = |what: &str| {
        Error::new(
            ErrorCode::CONFIGURATION,
            ErrorKind::InvalidInput,
            format!("{what} is not valid"),
        )
        .at("endpoint", &request.url)
        .mend("give the endpoint as https://HOST")
    };
    let url = url::Url::parse(&request.url).map_err(|_| strange("the URL of the service"))?;
    let mut signed = HttpRequest::new(HttpRequestBody::from(request.body.clone()));
    *signed.method_mut() = Method::POST;
    *signed.uri_mut() = url.as_str().parse().map_err(|_| strange("the URL of the service"))?;
    for (name, value) in &request.headers {
        let value = HeaderValue::from_str(value).map_err(|_| strange(name))?;
        signed.headers_mut().insert(HeaderName::from_static(name), value);
    }
    AwsAuthorizer::new(credential, request.service, &request.region)
        .try_authorize(&mut signed, None)
        .map_err(|error| Error::internal(format!("a request was not signed: {error}")))?;
    Ok(signed)
}

static CLIENT: LazyLock<Result<HttpClient>> = LazyLock::new(|| {
    // An error says that a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Without TLS only where an endpoint says so.
    let options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(true);
    ReqwestConnector::default()
        .connect(&options)
        .map_err(|error| Error::internal(format!("no client of HTTP: {error}")))
});

#[cfg(test)]
mod tests;
